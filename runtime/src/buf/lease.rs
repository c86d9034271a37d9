//! What the user holds: bytes in a block that goes home when they are dropped.
//!
//! Place: made by the pool; used, sent and dropped on any thread.
//!
//! ```text
//!   block  | given up | filled: what it derefs to | spare, not initialised |  the rest's, if split
//!                     ^ start                     ^ start + len            ^ start + capacity
//! ```
//!
//! # Invariants
//! The ranges of the leases of one block do not overlap; the filled part is initialised.

use std::fmt;
use std::mem::MaybeUninit;
use std::ops::{Deref, DerefMut};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::ptr::NonNull;
use std::slice;

use bytes::{Buf, BufMut, Bytes, buf::UninitSlice};

use super::block::BlockNode;
use super::pool;

/// Bytes in a block of a loop's [pool](super::BufferPool).
///
/// It derefs to the part that is filled, and may be written to in place; behind it there may be
/// [spare capacity](Self::spare_capacity_mut). Dropped, on any thread, the block goes back to the
/// loop it came from. After that loop's end it is freed.
///
/// A lease holds its whole block, whatever it is cut down to. To keep a few bytes for long, copy
/// them.
///
/// # Threads
///
/// `Send` and `Sync`. Dropped on its loop's thread it costs no atomic exchange; on another, one.
pub struct Lease {
    /// None if it has no memory: then it is empty for good.
    block: Option<NonNull<BlockNode>>,
    start: NonNull<u8>,
    len: u32,
    capacity: u32,
}

// SAFETY: the pointers are to a block that is Send and stays until its last lease is dropped; the
// range from `start` is this lease's alone.
unsafe impl Send for Lease {}

// SAFETY: as above; a shared reference reads only.
unsafe impl Sync for Lease {}

impl Lease {
    /// A lease of a whole block, with nothing filled.
    #[inline]
    pub(super) fn of(block: Box<BlockNode>) -> Self {
        let (start, bytes) = (block.bytes(), block.class.bytes());
        Self {
            block: Some(NonNull::from(Box::leak(block))),
            start,
            len: 0,
            // At most `BLOCK_BYTES_MAX`.
            capacity: bytes as u32,
        }
    }

    /// No bytes, and no room for any.
    #[must_use]
    pub const fn empty() -> Self {
        Self {
            block: None,
            start: NonNull::dangling(),
            len: 0,
            capacity: 0,
        }
    }

    /// Bytes that are filled.
    #[must_use]
    #[inline]
    pub fn len(&self) -> usize {
        self.len as usize
    }

    /// Whether nothing is filled.
    #[must_use]
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Bytes that are filled or can be, without those that were [given up](Self::advance).
    #[must_use]
    #[inline]
    pub fn capacity(&self) -> usize {
        self.capacity as usize
    }

    /// The memory behind the filled part: write to it, then call [`set_len`](Self::set_len).
    #[must_use]
    #[inline]
    pub fn spare_capacity_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        let spare = (self.capacity - self.len) as usize;
        // SAFETY: the filled part lies within the lease's range.
        let behind = unsafe { self.start.as_ptr().add(self.len as usize) };
        // SAFETY: the rest of the range is this lease's alone, and need not be initialised.
        unsafe { slice::from_raw_parts_mut(behind.cast(), spare) }
    }

    /// Sets how many bytes from the start are filled.
    ///
    /// # Safety
    ///
    /// They are initialised: `len` is at most the former length plus what was written to the start
    /// of the spare capacity. So it is at most [`capacity`](Self::capacity).
    #[inline]
    pub unsafe fn set_len(&mut self, len: usize) {
        debug_assert!(
            len <= self.capacity(),
            "the filled part lies within the range"
        );
        self.len = len as u32;
    }

    /// Appends a copy of as many of `bytes` as there is room for, and tells how many.
    pub fn extend_from_slice(&mut self, bytes: &[u8]) -> usize {
        let spare = self.spare_capacity_mut();
        let count = spare.len().min(bytes.len());
        spare[..count].write_copy_of_slice(&bytes[..count]);
        // At most the capacity.
        self.len += count as u32;
        count
    }

    /// Cuts the filled part down to its first `len` bytes; the others become spare capacity.
    /// Nothing happens if it is not longer.
    pub fn truncate(&mut self, len: usize) {
        if len < self.len() {
            self.len = len as u32;
        }
    }

    /// Makes the whole filled part spare capacity again.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Gives up the first `count` bytes of the filled part.
    ///
    /// # Panics
    ///
    /// If fewer are filled.
    #[track_caller]
    #[inline]
    pub fn advance(&mut self, count: usize) {
        if count > self.len() {
            too_few_are_filled(count, self.len());
        }
        self.move_start(count);
    }

    /// Splits the filled part: this lease keeps the bytes from `at` on, with the spare capacity, and
    /// the result has those before. The block goes home when both are dropped.
    ///
    /// # Panics
    ///
    /// If fewer than `at` bytes are filled.
    #[must_use]
    #[track_caller]
    pub fn split_to(&mut self, at: usize) -> Self {
        assert!(
            at <= self.len(),
            "cannot split at {at} bytes: {} are filled",
            self.len
        );
        if at == 0 {
            return Self::empty();
        }
        let mut front = self.share();
        front.len = at as u32;
        front.capacity = at as u32;
        self.move_start(at);
        front
    }

    /// Splits the filled part: this lease keeps the bytes before `at`, and the result has those from
    /// there on, with the spare capacity. The block goes home when both are dropped.
    ///
    /// # Panics
    ///
    /// If fewer than `at` bytes are filled.
    #[must_use]
    #[track_caller]
    pub fn split_off(&mut self, at: usize) -> Self {
        let front = self.split_to(at);
        std::mem::replace(self, front)
    }

    /// Turns it into [`Bytes`], which can be cloned and cut at will: the block goes home when the
    /// last of them is dropped. Copies nothing; one small allocation.
    #[must_use]
    pub fn freeze(self) -> Bytes {
        if self.is_empty() {
            return Bytes::new();
        }
        Bytes::from_owner(self)
    }

    /// Another lease of the same range, to be cut down at once.
    fn share(&self) -> Self {
        if let Some(block) = self.block {
            // SAFETY: the block stays while this lease does.
            unsafe { block.as_ref() }.owners.join();
        }
        Self {
            block: self.block,
            start: self.start,
            len: self.len,
            capacity: self.capacity,
        }
    }

    /// Gives its part in the block up. Apart from the drop, so that one of no block is a comparison
    /// wherever it stands.
    #[inline(never)]
    fn leave(&mut self) {
        let Some(block) = self.block.take() else {
            return;
        };
        // SAFETY: the block stays until its last lease has left.
        if unsafe { block.as_ref() }.owners.leave() {
            // SAFETY: it came from `Box::leak` in `of`, and this was the last lease (I: a node is in
            // one hand).
            pool::give_back(unsafe { Box::from_raw(block.as_ptr()) });
        }
    }

    #[inline]
    fn move_start(&mut self, count: usize) {
        // SAFETY: the callers have checked that the range goes on for so long.
        self.start = unsafe { self.start.add(count) };
        self.len -= count as u32;
        self.capacity -= count as u32;
    }
}

/// Apart from the check, which may be inlined.
#[cold]
#[track_caller]
fn too_few_are_filled(count: usize, filled: usize) -> ! {
    panic!("cannot advance by {count} bytes: {filled} are filled");
}

impl Drop for Lease {
    #[inline]
    fn drop(&mut self) {
        if self.block.is_some() {
            self.leave();
        }
    }
}

impl Deref for Lease {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        // SAFETY: the filled part is initialised and this lease's alone.
        unsafe { slice::from_raw_parts(self.start.as_ptr(), self.len()) }
    }
}

impl DerefMut for Lease {
    #[inline]
    fn deref_mut(&mut self) -> &mut [u8] {
        // SAFETY: as in `deref`, and the reference is exclusive.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr(), self.len()) }
    }
}

impl AsRef<[u8]> for Lease {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl AsMut<[u8]> for Lease {
    fn as_mut(&mut self) -> &mut [u8] {
        self
    }
}

impl Default for Lease {
    fn default() -> Self {
        Self::empty()
    }
}

impl From<Lease> for Bytes {
    fn from(lease: Lease) -> Self {
        lease.freeze()
    }
}

impl Buf for Lease {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self
    }

    fn advance(&mut self, count: usize) {
        Self::advance(self, count);
    }
}

// SAFETY: `chunk_mut` is the spare capacity, and `advance_mut` counts it as filled.
unsafe impl BufMut for Lease {
    fn remaining_mut(&self) -> usize {
        (self.capacity - self.len) as usize
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        assert!(
            count <= self.remaining_mut(),
            "cannot fill {count} bytes: there is room for {}",
            self.remaining_mut()
        );
        // SAFETY: the caller has initialised them.
        unsafe { self.set_len(self.len() + count) };
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        self.spare_capacity_mut().into()
    }
}

// As a vector of bytes: a panic leaves it valid.
impl UnwindSafe for Lease {}
impl RefUnwindSafe for Lease {}

impl fmt::Debug for Lease {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lease")
            .field("len", &self.len)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::BufferPool;
    use super::*;

    #[test]
    fn bytes_traits_write_behind_and_read_from_the_front() {
        let mut lease = BufferPool::current().try_acquire(1).unwrap();
        lease.put_u32(0x0102_0304);
        lease.put_slice(b"five");
        assert_eq!((lease.remaining(), lease.remaining_mut()), (8, 2048 - 8));
        assert_eq!(lease.get_u16(), 0x0102);
        assert_eq!(&lease[..], b"\x03\x04five");
        assert_eq!(lease.copy_to_bytes(2), &b"\x03\x04"[..]);
        let room = lease.remaining_mut();
        lease.put_bytes(1, room);
        assert_eq!((lease.len(), lease.remaining_mut()), (2048 - 4, 0));
        assert_eq!(&lease[..4], b"five");
    }

    #[test]
    fn the_empty_lease_has_room_for_nothing() {
        let mut lease = Lease::empty();
        assert_eq!((lease.extend_from_slice(b"x"), lease.capacity()), (0, 0));
        assert!(lease.spare_capacity_mut().is_empty());
        assert!(lease.split_to(0).is_empty());
        assert!(lease.freeze().is_empty());
    }
}
