//! A buffer that a reader fills: which bytes have been written, which were ever initialised.
//!
//! ```text
//!   [        capacity                              ]
//!   [ filled |       unfilled                      ]
//!   [     initialized      |    uninitialized      ]
//! ```
//!
//! # Invariants
//! `filled <= initialized <= buf.len()`, and `buf[..initialized]` has been written.

use std::fmt;
use std::mem::MaybeUninit;

/// A buffer that a reader fills, without having to clear it first.
pub struct ReadBuf<'a> {
    buf: &'a mut [MaybeUninit<u8>],
    filled: usize,
    initialized: usize,
}

impl<'a> ReadBuf<'a> {
    /// Over initialised memory.
    #[inline]
    pub fn new(buf: &'a mut [u8]) -> Self {
        let initialized = buf.len();
        // SAFETY: `u8` and `MaybeUninit<u8>` have one layout, and this type never writes
        // uninitialised bytes to what is initialised: `unfilled_mut` hands the duty on.
        let buf = unsafe { &mut *(std::ptr::from_mut(buf) as *mut [MaybeUninit<u8>]) };
        Self {
            buf,
            filled: 0,
            initialized,
        }
    }

    /// Over memory of which nothing is known.
    #[inline]
    pub fn uninit(buf: &'a mut [MaybeUninit<u8>]) -> Self {
        Self {
            buf,
            filled: 0,
            initialized: 0,
        }
    }

    /// Bytes that fit in all.
    #[inline]
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.buf.len()
    }

    /// What was filled.
    #[inline]
    #[must_use]
    pub fn filled(&self) -> &[u8] {
        // SAFETY: the filled part is initialised.
        unsafe { self.buf[..self.filled].assume_init_ref() }
    }

    /// What was filled.
    #[inline]
    pub fn filled_mut(&mut self) -> &mut [u8] {
        // SAFETY: the filled part is initialised.
        unsafe { self.buf[..self.filled].assume_init_mut() }
    }

    /// A buffer over the first `n` unfilled bytes, or all if they are less.
    #[inline]
    pub fn take(&mut self, n: usize) -> ReadBuf<'_> {
        let max = self.remaining().min(n);
        let initialized = (self.initialized - self.filled).min(max);
        ReadBuf {
            buf: &mut self.buf[self.filled..self.filled + max],
            filled: 0,
            initialized,
        }
    }

    /// What was ever initialised, the filled part included.
    #[inline]
    #[must_use]
    pub fn initialized(&self) -> &[u8] {
        // SAFETY: the invariant of `initialized`.
        unsafe { self.buf[..self.initialized].assume_init_ref() }
    }

    /// What was ever initialised, the filled part included.
    #[inline]
    pub fn initialized_mut(&mut self) -> &mut [u8] {
        // SAFETY: the invariant of `initialized`.
        unsafe { self.buf[..self.initialized].assume_init_mut() }
    }

    /// All of the buffer, as memory of which nothing is known.
    ///
    /// # Safety
    ///
    /// What is initialised must stay so.
    #[inline]
    pub unsafe fn inner_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        self.buf
    }

    /// The unfilled part, as memory of which nothing is known.
    ///
    /// # Safety
    ///
    /// What is initialised must stay so.
    #[inline]
    pub unsafe fn unfilled_mut(&mut self) -> &mut [MaybeUninit<u8>] {
        &mut self.buf[self.filled..]
    }

    /// The unfilled part, with zeros where it was not initialised.
    #[inline]
    pub fn initialize_unfilled(&mut self) -> &mut [u8] {
        self.initialize_unfilled_to(self.remaining())
    }

    /// The first `n` unfilled bytes, with zeros where they were not initialised.
    ///
    /// # Panics
    ///
    /// If less than `n` bytes are unfilled.
    #[inline]
    #[track_caller]
    pub fn initialize_unfilled_to(&mut self, n: usize) -> &mut [u8] {
        assert!(self.remaining() >= n, "n overflows remaining");
        let end = self.filled + n;
        if self.initialized < end {
            self.buf[self.initialized..end].fill(MaybeUninit::new(0));
            self.initialized = end;
        }
        // SAFETY: all up to `end` is initialised.
        unsafe { self.buf[self.filled..end].assume_init_mut() }
    }

    /// Unfilled bytes.
    #[inline]
    #[must_use]
    pub fn remaining(&self) -> usize {
        self.capacity() - self.filled
    }

    /// Forgets what was filled. What is initialised stays so.
    #[inline]
    pub fn clear(&mut self) {
        self.filled = 0;
    }

    /// Counts `n` more bytes as filled.
    ///
    /// # Panics
    ///
    /// If they are not initialised.
    #[inline]
    #[track_caller]
    pub fn advance(&mut self, n: usize) {
        let filled = self.filled.checked_add(n).expect("filled overflow");
        self.set_filled(filled);
    }

    /// Sets how many bytes are filled.
    ///
    /// # Panics
    ///
    /// If they are not initialised.
    #[inline]
    #[track_caller]
    pub fn set_filled(&mut self, n: usize) {
        assert!(
            n <= self.initialized,
            "filled must not become larger than initialized"
        );
        self.filled = n;
    }

    /// Counts the first `n` unfilled bytes as initialised.
    ///
    /// # Safety
    ///
    /// They must have been written.
    #[inline]
    pub unsafe fn assume_init(&mut self, n: usize) {
        self.initialized = self.initialized.max(self.filled + n);
    }

    /// Appends bytes.
    ///
    /// # Panics
    ///
    /// If they do not fit.
    #[inline]
    #[track_caller]
    pub fn put_slice(&mut self, buf: &[u8]) {
        assert!(
            self.remaining() >= buf.len(),
            "buf.len() must fit in remaining(); buf.len() = {}, remaining() = {}",
            buf.len(),
            self.remaining()
        );
        let end = self.filled + buf.len();
        self.buf[self.filled..end].write_copy_of_slice(buf);
        self.initialized = self.initialized.max(end);
        self.filled = end;
    }
}

// SAFETY: `advance_mut` is given what the caller has initialised, and `chunk_mut` is the unfilled
// part, in which the caller initialises as `BufMut` demands.
#[cfg(feature = "io-util")]
unsafe impl bytes::BufMut for ReadBuf<'_> {
    fn remaining_mut(&self) -> usize {
        self.remaining()
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        // SAFETY: the caller has written the bytes.
        unsafe { self.assume_init(count) };
        self.advance(count);
    }

    fn chunk_mut(&mut self) -> &mut bytes::buf::UninitSlice {
        bytes::buf::UninitSlice::uninit(&mut self.buf[self.filled..])
    }
}

impl fmt::Debug for ReadBuf<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadBuf")
            .field("filled", &self.filled)
            .field("initialized", &self.initialized)
            .field("capacity", &self.capacity())
            .finish()
    }
}
