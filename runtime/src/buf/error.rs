//! Why there is no block.
//!
//! Place: made by `pool` and `acquire`, told to whoever wants a block; plain memory, any thread.

use std::error::Error;
use std::fmt;
use std::io;

use super::block::{BLOCK_BYTES_MAX, Class};

/// Why a pool gave out no block.
#[derive(Debug, Clone, Copy)]
pub struct AcquireError {
    reason: Reason,
    wanted_bytes: usize,
    limit_bytes: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    TooLarge,
    Full,
    OutOfMemory,
}

impl AcquireError {
    #[cold]
    pub(super) fn too_large(wanted_bytes: usize, limit_bytes: usize) -> Self {
        Self {
            reason: Reason::TooLarge,
            wanted_bytes,
            limit_bytes: Class::within(limit_bytes).bytes().min(BLOCK_BYTES_MAX),
        }
    }

    #[cold]
    pub(super) fn full(wanted_bytes: usize, limit_bytes: usize) -> Self {
        Self {
            reason: Reason::Full,
            wanted_bytes,
            limit_bytes,
        }
    }

    #[cold]
    pub(super) fn out_of_memory(wanted_bytes: usize) -> Self {
        Self {
            reason: Reason::OutOfMemory,
            wanted_bytes,
            limit_bytes: 0,
        }
    }

    /// Whether no block is that large, or the pool's cap is below it: trying again is of no use.
    #[must_use]
    pub fn is_too_large(&self) -> bool {
        self.reason == Reason::TooLarge
    }

    /// Whether the pool is at its cap, or others wait for it: [`BufferPool::acquire`] would wait.
    ///
    /// [`BufferPool::acquire`]: super::BufferPool::acquire
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.reason == Reason::Full
    }

    /// Whether the system had no memory.
    #[must_use]
    pub fn is_out_of_memory(&self) -> bool {
        self.reason == Reason::OutOfMemory
    }
}

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (wanted, limit) = (self.wanted_bytes, self.limit_bytes);
        match self.reason {
            Reason::TooLarge => write!(
                f,
                "a buffer of {wanted} bytes is larger than the largest of this loop's pool, which \
                 has {limit} bytes"
            ),
            Reason::Full => write!(
                f,
                "no room for a buffer of {wanted} bytes: this loop's buffers are at their cap of \
                 {limit} bytes"
            ),
            Reason::OutOfMemory => {
                write!(f, "the system has no memory for a buffer of {wanted} bytes")
            }
        }
    }
}

impl Error for AcquireError {}

impl From<AcquireError> for io::Error {
    /// `InvalidInput` if it is too large, `WouldBlock` if the pool is full, else `OutOfMemory`.
    fn from(error: AcquireError) -> Self {
        let kind = match error.reason {
            Reason::TooLarge => io::ErrorKind::InvalidInput,
            Reason::Full => io::ErrorKind::WouldBlock,
            Reason::OutOfMemory => io::ErrorKind::OutOfMemory,
        };
        Self::new(kind, error)
    }
}
