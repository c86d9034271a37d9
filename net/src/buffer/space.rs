//! The three regions of a buffer, and how they get room.
//!
//! Place: called by protocol code and by the other files of this folder; plain memory, any thread.
//!
//! ```text
//! storage  | prependable | readable | writable |
//!          0           head        tail     storage.len()
//! ```
//!
//! # Invariants
//! - `head <= tail <= storage.len()`, and all of the storage is initialised.
//! - A storage that is not empty is larger than the reserve, `PREPEND_BYTES`.
//! - At most `max_bytes` are readable.
//!
//! # Why it is so
//! The storage is zeroed once, when it is allocated. Tracking which part is initialised would
//! save that, and would make each read from a stream unsafe code: a wrong count of a reader could
//! then show memory that was never written.

use std::fmt;

use super::BufferFull;

/// Bytes on their way between a stream and a protocol: appended at the end, taken from the front,
/// with room before them for a header that is known last.
///
/// ```
/// use oneloop_net::buffer::Buffer;
///
/// let mut buffer = Buffer::new();
/// buffer.extend_from_slice(b"body")?;
/// buffer.prepend_u32(4)?;
/// assert_eq!(buffer.readable(), b"\0\0\0\x04body");
/// assert_eq!(buffer.read_u32(), Some(4));
/// buffer.consume(4);
/// assert!(buffer.is_empty());
/// # Ok::<(), oneloop_net::buffer::BufferFull>(())
/// ```
///
/// Methods that add bytes return [`BufferFull`] where these would be more than
/// [`max_bytes`](Self::max_bytes), and change nothing then. `bytes::BufMut`, which cannot report
/// it, panics there, as its contract says; ask `remaining_mut` first. Nothing is allocated before
/// the first byte is added.
pub struct Buffer {
    pub(super) storage: Box<[u8]>,
    pub(super) head: usize,
    pub(super) tail: usize,
    max_bytes: usize,
}

impl Buffer {
    /// The room kept before the readable bytes, enough for any integer of 64 bits.
    pub const PREPEND_BYTES: usize = 8;
    /// The readable bytes that a buffer may have unless told otherwise: 16 MiB.
    pub const MAX_BYTES_DEFAULT: usize = 16 << 20;

    /// Makes an empty buffer. Allocates nothing.
    #[must_use]
    pub fn new() -> Self {
        Self {
            storage: Box::default(),
            head: 0,
            tail: 0,
            max_bytes: Self::MAX_BYTES_DEFAULT,
        }
    }

    /// Makes an empty buffer with room for `capacity` bytes and for
    /// [`PREPEND_BYTES`](Self::PREPEND_BYTES) before them. Allocates nothing if it is 0.
    ///
    /// # Panics
    ///
    /// If the room is larger than a machine can address.
    #[must_use]
    pub fn with_capacity(capacity: usize) -> Self {
        let mut buffer = Self::new();
        if capacity > 0 {
            buffer.max_bytes = buffer.max_bytes.max(capacity);
            buffer.reallocate(capacity.saturating_add(Self::PREPEND_BYTES), &[], &[]);
        }
        buffer
    }

    /// The readable bytes.
    #[must_use]
    pub fn readable(&self) -> &[u8] {
        &self.storage[self.head..self.tail]
    }

    /// The readable bytes, to be changed in place: to take a mask off, or to decrypt.
    #[must_use]
    pub fn readable_mut(&mut self) -> &mut [u8] {
        &mut self.storage[self.head..self.tail]
    }

    /// How many bytes are readable.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tail - self.head
    }

    /// Whether no byte is readable.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.head == self.tail
    }

    /// The bytes that can be put before the readable ones without moving these.
    #[must_use]
    pub fn prependable_bytes(&self) -> usize {
        self.head
    }

    /// The bytes that can be appended without moving the readable ones.
    #[must_use]
    pub fn writable_bytes(&self) -> usize {
        self.storage.len() - self.tail
    }

    /// The bytes that can be readable without another allocation.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.storage.len().saturating_sub(Self::PREPEND_BYTES)
    }

    /// The bytes that may be readable.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }

    /// Sets how many bytes may be readable. If there are more of them now, they stay, and none
    /// can be added. Default: [`MAX_BYTES_DEFAULT`](Self::MAX_BYTES_DEFAULT).
    pub fn set_max_bytes(&mut self, max_bytes: usize) {
        self.max_bytes = max_bytes.min(ADDRESSABLE_BYTES_MAX);
    }

    /// As [`set_max_bytes`](Self::set_max_bytes), for a buffer that is being made.
    #[must_use]
    pub fn with_max_bytes(mut self, max_bytes: usize) -> Self {
        self.set_max_bytes(max_bytes);
        self
    }

    /// The bytes that can be added before the limit is reached.
    #[must_use]
    pub fn remaining_bytes(&self) -> usize {
        self.max_bytes.saturating_sub(self.len())
    }

    /// Takes `count` bytes from the front.
    ///
    /// # Panics
    ///
    /// If fewer are readable.
    #[track_caller]
    pub fn consume(&mut self, count: usize) {
        assert!(
            count <= self.len(),
            "consume({count}) of a buffer with {} readable bytes",
            self.len()
        );
        self.head += count;
        self.settle();
    }

    /// Takes `count` bytes from the front and lends them out; `None` if fewer are readable.
    ///
    /// Nothing is copied or moved: the bytes stay where they are until the buffer is next used.
    pub fn take(&mut self, count: usize) -> Option<&[u8]> {
        if count > self.len() {
            return None;
        }
        let taken = self.head..self.head + count;
        self.head = taken.end;
        Some(&self.storage[taken])
    }

    /// Takes all bytes. The memory stays: see [`shrink_to`](Self::shrink_to).
    pub fn clear(&mut self) {
        self.head = self.tail;
        self.settle();
    }

    /// Appends `bytes`.
    ///
    /// # Errors
    ///
    /// [`BufferFull`] if there would be more than [`max_bytes`](Self::max_bytes).
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> Result<(), BufferFull> {
        self.check_room(bytes.len())?;
        if self.make_room_inside(bytes.len()) {
            self.storage[self.tail..self.tail + bytes.len()].copy_from_slice(bytes);
            self.tail += bytes.len();
        } else {
            self.reallocate(self.grown(bytes.len()), &[], bytes);
        }
        Ok(())
    }

    /// Puts `bytes` before the readable ones. These are moved only if `bytes` is longer than
    /// [`prependable_bytes`](Self::prependable_bytes).
    ///
    /// # Errors
    ///
    /// [`BufferFull`] if there would be more than [`max_bytes`](Self::max_bytes).
    pub fn prepend(&mut self, bytes: &[u8]) -> Result<(), BufferFull> {
        self.check_room(bytes.len())?;
        self.settle();
        if bytes.len() > self.head {
            let total = self.len() + bytes.len();
            if total + Self::PREPEND_BYTES > self.storage.len() {
                self.reallocate(self.grown(bytes.len()), bytes, &[]);
                return Ok(());
            }
            self.move_to(Self::PREPEND_BYTES + bytes.len());
        }
        let head = self.head - bytes.len();
        self.storage[head..self.head].copy_from_slice(bytes);
        self.head = head;
        Ok(())
    }

    /// Makes room to append `additional` bytes. The readable bytes are moved to the front if that
    /// is enough and costs little beside what was taken since they were last moved; otherwise the
    /// capacity grows, to twice of what it was or more.
    ///
    /// # Errors
    ///
    /// [`BufferFull`] if these would be more than [`max_bytes`](Self::max_bytes).
    pub fn reserve(&mut self, additional: usize) -> Result<(), BufferFull> {
        self.check_room(additional)?;
        if !self.make_room_inside(additional) {
            self.reallocate(self.grown(additional), &[], &[]);
        }
        Ok(())
    }

    /// Gives memory back: the capacity becomes the number of readable bytes or `min_capacity`,
    /// whichever is larger. An empty buffer that is shrunk to 0 holds no memory.
    pub fn shrink_to(&mut self, min_capacity: usize) {
        let capacity = self.len().max(min_capacity);
        if capacity >= self.capacity() {
            return;
        }
        if capacity == 0 {
            self.storage = Box::default();
            (self.head, self.tail) = (0, 0);
        } else {
            self.reallocate(capacity + Self::PREPEND_BYTES, &[], &[]);
        }
    }

    /// Refuses what goes beyond the limit.
    fn check_room(&self, additional: usize) -> Result<(), BufferFull> {
        if additional <= self.remaining_bytes() {
            return Ok(());
        }
        let bytes = self.len().saturating_add(additional);
        Err(BufferFull::new(bytes, self.max_bytes))
    }

    /// Gives an empty buffer its reserve and all of its room back.
    pub(super) fn settle(&mut self) {
        if self.head == self.tail {
            self.head = Self::PREPEND_BYTES.min(self.storage.len());
            self.tail = self.head;
        }
    }

    /// Makes room for `additional` bytes without an allocation, or says that it should not be
    /// done: because it cannot, or because more than four bytes would be moved for each byte that
    /// was taken, again and again.
    fn make_room_inside(&mut self, additional: usize) -> bool {
        self.settle();
        if additional <= self.writable_bytes() {
            return true;
        }
        let needed = Self::PREPEND_BYTES + self.len() + additional;
        let taken = self.head.saturating_sub(Self::PREPEND_BYTES);
        let cheap = taken >= self.len() / 4;
        let largest = self.storage.len() >= self.max_bytes + Self::PREPEND_BYTES;
        let fits = needed <= self.storage.len() && (cheap || largest);
        if fits {
            self.move_to(Self::PREPEND_BYTES);
        }
        fits
    }

    /// The size of a storage that has room for `additional` bytes more, which are in the limit.
    fn grown(&self, additional: usize) -> usize {
        let needed = Self::PREPEND_BYTES + self.len() + additional;
        let largest = self.max_bytes + Self::PREPEND_BYTES;
        needed.max((2 * self.storage.len()).min(largest))
    }

    /// Moves the readable bytes so that they begin at `head`.
    fn move_to(&mut self, head: usize) {
        let len = self.len();
        // The regions may overlap.
        self.storage.copy_within(self.head..self.tail, head);
        (self.head, self.tail) = (head, head + len);
    }

    /// Puts the readable bytes, between `front` and `back`, behind the reserve of a new storage.
    fn reallocate(&mut self, size: usize, front: &[u8], back: &[u8]) {
        let mut storage = Vec::with_capacity(size);
        storage.resize(Self::PREPEND_BYTES, 0);
        for part in [front, self.readable(), back] {
            storage.extend_from_slice(part);
        }
        (self.head, self.tail) = (Self::PREPEND_BYTES, storage.len());
        storage.resize(size, 0);
        self.storage = storage.into_boxed_slice();
    }
}

impl Default for Buffer {
    fn default() -> Self {
        Self::new()
    }
}

/// Clones the readable bytes and the limit, not the room around them.
impl Clone for Buffer {
    fn clone(&self) -> Self {
        let mut clone = Self::new().with_max_bytes(self.max_bytes);
        if !self.is_empty() {
            clone.reallocate(Self::PREPEND_BYTES + self.len(), &[], self.readable());
        }
        clone
    }
}

/// Shows the sizes and not the bytes, which may be anybody's secret.
impl fmt::Debug for Buffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Buffer")
            .field("len", &self.len())
            .field("prependable_bytes", &self.prependable_bytes())
            .field("writable_bytes", &self.writable_bytes())
            .field("max_bytes", &self.max_bytes)
            .finish()
    }
}

/// What a storage can have, so that no sum of sizes overflows: a quarter of what can be addressed.
const ADDRESSABLE_BYTES_MAX: usize = isize::MAX as usize / 2;
