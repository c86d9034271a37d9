//! Reading from a stream into a buffer: as much as is there, with one call.
//!
//! Place: called by `reader` and by protocol code; calls the stream; runs on any thread that polls
//! a task.
//!
//! ```text
//! readv( writable part of the buffer, spill block of this thread )
//!                                       |  only what is in there is copied
//!                                       +--> appended: the buffer grows by what came, not by
//!                                            what might have come
//! ```
//!
//! # Invariants
//! A read that is pending or fails leaves the readable bytes as they were, and allocates nothing
//! for the buffer.
//!
//! # Why it is so
//! The block belongs to the thread and not to the stack: it is zeroed once and not for each read,
//! and it is warm, since all readers of a loop use the same one. It is taken out of its cell while
//! it is lent, because a reader may have a buffer inside itself and read into that.

use std::cell::Cell;
use std::io::{self, IoSliceMut};
#[cfg(feature = "futures-io")]
use std::pin::Pin;
#[cfg(feature = "futures-io")]
use std::task::Context;
use std::task::{Poll, ready};

#[cfg(feature = "futures-io")]
use futures_io::AsyncRead;

use super::{Buffer, BufferFull};

/// Reading.
impl Buffer {
    /// The bytes that one read takes beyond [`writable_bytes`](Self::writable_bytes): 64 KiB.
    pub const SPILL_BYTES: usize = 64 << 10;

    /// Calls `read` once with room for [`SPILL_BYTES`](Self::SPILL_BYTES) or more and appends what
    /// it says it has read. Nothing else of what it has written there is kept.
    ///
    /// ```
    /// # use oneloop_net::{TcpStream, buffer::Buffer};
    /// fn read_what_is_there(stream: &TcpStream, buffer: &mut Buffer) -> std::io::Result<usize> {
    ///     buffer.read_with(|room| stream.try_read_vectored(room))
    /// }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `read`, such as `WouldBlock`: the buffer is as it was. `QuotaExceeded` with
    /// [`BufferFull`] without a call if [`max_bytes`](Self::max_bytes) are readable already.
    /// `Other` if `read` says that it has read more than it had room for.
    pub fn read_with(
        &mut self,
        read: impl FnOnce(&mut [IoSliceMut<'_>]) -> io::Result<usize>,
    ) -> io::Result<usize> {
        match self.poll_read_with(|room| Poll::Ready(read(room))) {
            Poll::Ready(result) => result,
            Poll::Pending => unreachable!("`read` is never pending"),
        }
    }

    /// As [`read_with`](Self::read_with), for a `read` that may be pending, such as a method
    /// `poll_read_vectored`.
    ///
    /// # Errors
    ///
    /// As [`read_with`](Self::read_with).
    pub fn poll_read_with(
        &mut self,
        read: impl FnOnce(&mut [IoSliceMut<'_>]) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        let remaining = self.remaining_bytes();
        if remaining == 0 {
            let full = BufferFull::new(self.len().saturating_add(1), self.max_bytes());
            return Poll::Ready(Err(full.into()));
        }
        self.settle();
        let direct = self.writable_bytes().min(remaining);
        let writable = &mut self.storage[self.tail..self.tail + direct];
        if direct >= Self::SPILL_BYTES {
            let count = ready!(read(&mut [IoSliceMut::new(writable)]))?;
            self.tail += checked(count, direct)?;
            return Poll::Ready(Ok(count));
        }
        let mut spill = Spill::lend();
        let block = &mut spill.0[..Self::SPILL_BYTES.min(remaining - direct)];
        let room = direct + block.len();
        let mut both = [IoSliceMut::new(writable), IoSliceMut::new(block)];
        // A reader that fills only one slice should find a first one that has room.
        let count = ready!(read(&mut both[usize::from(direct == 0)..]))?;
        let count = checked(count, room)?;
        self.tail += count.min(direct);
        if count > direct {
            self.extend_from_slice(&spill.0[..count - direct])?;
        }
        Poll::Ready(Ok(count))
    }

    /// Polls to read from `reader` with one call and appends what came. 0 is the end of the stream.
    ///
    /// # Errors
    ///
    /// Those of `reader`; otherwise as [`read_with`](Self::read_with).
    #[cfg(feature = "futures-io")]
    pub fn poll_read_from<R: AsyncRead + Unpin>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
    ) -> Poll<io::Result<usize>> {
        self.poll_read_with(|room| Pin::new(reader).poll_read_vectored(cx, room))
    }

    /// Waits for bytes of `reader`, reads them with one call and appends them. 0 is the end of the
    /// stream.
    ///
    /// # Errors
    ///
    /// As [`poll_read_from`](Self::poll_read_from).
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was read.
    #[cfg(feature = "futures-io")]
    pub async fn read_from<R: AsyncRead + Unpin>(&mut self, reader: &mut R) -> io::Result<usize> {
        std::future::poll_fn(|cx| self.poll_read_from(cx, reader)).await
    }
}

/// A reader that counts wrongly must not show bytes that it has not written.
fn checked(count: usize, room: usize) -> io::Result<usize> {
    if count > room {
        return Err(io::Error::other(
            "the reader says that it has read more than it had room for",
        ));
    }
    Ok(count)
}

/// The block of this thread, given back when dropped.
struct Spill(Box<[u8]>);

impl Spill {
    fn lend() -> Self {
        // None in the reader of a reader, and when the thread is ending: then it is a new one.
        let kept = SPILL.try_with(Cell::take).ok().flatten();
        Self(kept.unwrap_or_else(|| vec![0; Buffer::SPILL_BYTES].into_boxed_slice()))
    }
}

impl Drop for Spill {
    fn drop(&mut self) {
        let block = std::mem::take(&mut self.0);
        // At the thread's end nobody needs it any more.
        let _ = SPILL.try_with(|kept| kept.set(Some(block)));
    }
}

thread_local! {
    static SPILL: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}
