//! A buffer as others know it: `bytes::Buf`, `bytes::BufMut`, `std::io::Write`.
//!
//! Place: called by encoders and decoders of other crates; plain memory, any thread.

use std::io;

use bytes::buf::UninitSlice;
use bytes::{Buf, BufMut};

use super::{Buffer, BufferFull};

/// Takes bytes from the front. The bytes are always in one piece.
impl Buf for Buffer {
    fn remaining(&self) -> usize {
        self.len()
    }

    fn chunk(&self) -> &[u8] {
        self.readable()
    }

    fn advance(&mut self, count: usize) {
        self.consume(count);
    }
}

// SAFETY: `remaining_mut` and `chunk_mut` tell the truth, and all of the chunk is initialised from
// the beginning, so that `advance_mut` can show no byte that is not.
unsafe impl BufMut for Buffer {
    fn remaining_mut(&self) -> usize {
        self.remaining_bytes()
    }

    unsafe fn advance_mut(&mut self, count: usize) {
        let room = self.writable_bytes().min(self.remaining_bytes());
        assert!(
            count <= room,
            "advance_mut({count}) in a buffer with room for {room} bytes"
        );
        self.tail += count;
    }

    fn chunk_mut(&mut self) -> &mut UninitSlice {
        // An empty chunk is right only when nothing remains.
        if self.writable_bytes() == 0 {
            let additional = CHUNK_BYTES.min(self.remaining_bytes());
            self.reserve(additional).expect(IN_THE_LIMIT);
        }
        let room = self.writable_bytes().min(self.remaining_bytes());
        UninitSlice::new(&mut self.storage[self.tail..self.tail + room])
    }

    #[track_caller]
    fn put_slice(&mut self, bytes: &[u8]) {
        if let Err(full) = self.extend_from_slice(bytes) {
            panic!("{full}: ask remaining_mut() first, or raise max_bytes");
        }
    }
}

/// Appends. An error is [`BufferFull`], and of a slice all is appended or nothing.
impl io::Write for Buffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend_from_slice(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl AsRef<[u8]> for Buffer {
    fn as_ref(&self) -> &[u8] {
        self.readable()
    }
}

/// Copies the bytes.
///
/// # Errors
///
/// [`BufferFull`] if they are more than [`Buffer::MAX_BYTES_DEFAULT`].
impl TryFrom<&[u8]> for Buffer {
    type Error = BufferFull;

    fn try_from(bytes: &[u8]) -> Result<Self, BufferFull> {
        let mut buffer = Self::new();
        buffer.extend_from_slice(bytes)?;
        Ok(buffer)
    }
}

/// The room that a writer finds who does not say how much he needs.
const CHUNK_BYTES: usize = 64;

const IN_THE_LIMIT: &str = "no more than what remains is asked for";
