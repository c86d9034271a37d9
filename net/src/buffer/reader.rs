//! Frames out of a stream: exact lengths, lines, up to a mark, behind a length.
//!
//! Place: held by protocol code; fills a `Buffer` from the stream and lends frames out of it; runs
//! on any thread that polls a task.
//!
//! ```text
//! look at the buffered bytes --- a frame ---> lend it, it is taken
//!        ^          |   \------- too long --> InvalidData, the bytes stay
//!        |      not enough
//!        |          v
//!        +---- read once  ------ the end ---> None, or UnexpectedEof inside a frame
//! ```
//!
//! # Invariants
//! - The bytes of a frame leave the buffer in the poll that returns it, and not before.
//! - What a read decides depends on the bytes of the stream alone, not on how they are cut into
//!   pieces.
//!
//! # Why it is so
//! A frame is lent and not given: most of them are looked at and forgotten, and `to_vec` or
//! `Bytes::copy_from_slice` is one word away for the others. How far a search has come is kept in
//! the future, so that reads of different kinds may follow a dropped one: a dropped search begins
//! again, over at most the maximum that it was given.

use std::future::poll_fn;
use std::io::{self, IoSliceMut};
use std::ops::Range;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncRead};
use memchr::{memchr, memmem};

use super::{Buffer, FrameError, LengthPrefix};

/// Reads frames from `R`.
///
/// Every read has a maximum, which bounds what a peer can make this end hold: the buffer has at
/// most one frame that is not complete, and what came with one read behind it. What is announced
/// and has not come takes no memory. A reader that waits for a frame to begin holds none.
///
/// All methods that return a frame answer the same way:
///
/// - `Ok(Some(frame))`: the bytes stay valid until the reader is next used.
/// - `Ok(None)`: the stream ended where a frame could have begun.
/// - `UnexpectedEof`: it ended inside a frame, of which the bytes stay in [`buffer`](Self::buffer).
/// - `InvalidData`: the frame is too long, or its length is wrong. Its bytes stay in the buffer,
///   and the next call of the same kind fails the same way: close the connection, or take the
///   bytes away through [`buffer_mut`](Self::buffer_mut).
/// - Any other error is the stream's.
///
/// The first two errors contain a [`FrameError`], which says what and how much.
///
/// # Cancel safety
///
/// All methods are safe: if a future is dropped, the bytes that it has read are in the buffer, and
/// the next read of any kind begins with them.
#[derive(Debug)]
pub struct FrameReader<R> {
    io: R,
    buffer: Buffer,
}

/// Where a frame stands in the buffered bytes, and how many of them belong to it.
struct Found {
    frame: Range<usize>,
    total: usize,
}

impl<R> FrameReader<R> {
    /// Makes a reader with an empty buffer.
    pub fn new(io: R) -> Self {
        Self::with_buffer(io, Buffer::new())
    }

    /// Makes a reader that begins with the bytes of `buffer`, such as what was left when the
    /// protocol changed. [`Buffer::max_bytes`] bounds its frames too.
    pub fn with_buffer(io: R, buffer: Buffer) -> Self {
        Self { io, buffer }
    }

    /// The stream.
    pub fn get_ref(&self) -> &R {
        &self.io
    }

    /// The stream. What is read from it past the reader is missing from the frames.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.io
    }

    /// The bytes that were read and belong to no frame yet.
    pub fn buffer(&self) -> &Buffer {
        &self.buffer
    }

    /// The bytes that were read and belong to no frame yet, to be taken by other means.
    pub fn buffer_mut(&mut self) -> &mut Buffer {
        &mut self.buffer
    }

    /// Gives the stream back, and the bytes that were read from it too early.
    pub fn into_parts(self) -> (R, Buffer) {
        (self.io, self.buffer)
    }
}

impl<R: AsyncRead + Unpin> FrameReader<R> {
    /// Reads once from the stream into the buffer, for frames of one's own kind. 0 is the end of
    /// the stream.
    ///
    /// # Errors
    ///
    /// Those of the stream; `QuotaExceeded` if the buffer has
    /// [`max_bytes`](Buffer::max_bytes) already.
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was read.
    pub async fn fill(&mut self) -> io::Result<usize> {
        poll_fn(|cx| self.poll_fill(cx)).await
    }

    /// Polls to read once from the stream into the buffer: see [`fill`](Self::fill).
    ///
    /// # Errors
    ///
    /// As [`fill`](Self::fill).
    pub fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let polled = self.buffer.poll_read_from(cx, &mut self.io);
        // It may take long: what waits holds no memory that it does not use.
        let (len, capacity) = (self.buffer.len(), self.buffer.capacity());
        if polled.is_pending() && (len == 0 || len < capacity / 4 && capacity > IDLE_BYTES_MAX) {
            self.buffer.shrink_to(0);
        }
        polled
    }

    /// Reads a frame of `len` bytes. Of 0 bytes it is there at once.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` inside the frame; `InvalidData`, before anything is read, if `len` is more
    /// than [`Buffer::max_bytes`]; those of the stream. See [`FrameReader`].
    ///
    /// # Cancel safety
    ///
    /// Safe: what was read is in the buffer.
    pub async fn read_exact_frame(&mut self, len: usize) -> io::Result<Option<&[u8]>> {
        if len > self.buffer.max_bytes() {
            let max_bytes = self.buffer.max_bytes() as u64;
            return Err(FrameError::too_long(len as u64, max_bytes).into());
        }
        let look = |bytes: &[u8]| {
            Ok((bytes.len() >= len).then_some(Found {
                frame: 0..len,
                total: len,
            }))
        };
        self.read_frame(look).await
    }

    /// Reads up to `delimiter`, which is taken and is neither part of the frame nor counted in
    /// `max_bytes`.
    ///
    /// # Errors
    ///
    /// `InvalidData` if the first `max_bytes` bytes are not followed by the delimiter and it is
    /// not in them; `UnexpectedEof` inside the frame; those of the stream. See [`FrameReader`].
    ///
    /// # Panics
    ///
    /// If `delimiter` is empty.
    ///
    /// # Cancel safety
    ///
    /// Safe: what was read is in the buffer.
    pub async fn read_until(
        &mut self,
        delimiter: &[u8],
        max_bytes: usize,
    ) -> io::Result<Option<&[u8]>> {
        assert!(!delimiter.is_empty(), "a delimiter has at least one byte");
        let finder = memmem::Finder::new(delimiter);
        // No delimiter begins before this.
        let mut searched = 0;
        let look = |bytes: &[u8]| {
            let found = finder.find(&bytes[searched..]).map(|at| searched + at);
            searched = bytes.len().saturating_sub(delimiter.len() - 1);
            let len_at_least = found.unwrap_or(searched);
            if len_at_least > max_bytes {
                return Err(FrameError::too_long(len_at_least as u64, max_bytes as u64));
            }
            Ok(found.map(|len| Found {
                frame: 0..len,
                total: len + delimiter.len(),
            }))
        };
        self.read_frame(look).await
    }

    /// Reads a line, which ends with LF or with CR LF. Its end is taken and is neither part of the
    /// frame nor counted in `max_bytes`. A CR without LF is part of the line.
    ///
    /// Where only CR LF may end a line, use [`read_until`](Self::read_until).
    ///
    /// # Errors
    ///
    /// `InvalidData` if the line has more than `max_bytes` bytes; `UnexpectedEof` if the stream
    /// ends before the line does; those of the stream. See [`FrameReader`].
    ///
    /// # Cancel safety
    ///
    /// Safe: what was read is in the buffer.
    pub async fn read_line(&mut self, max_bytes: usize) -> io::Result<Option<&[u8]>> {
        // No LF is before this.
        let mut searched = 0;
        let look = |bytes: &[u8]| {
            let found = memchr(b'\n', &bytes[searched..]).map(|at| searched + at);
            searched = bytes.len();
            // The last byte may be the CR of an end of which the LF is missing.
            let end = found.unwrap_or(searched);
            let len = end - usize::from(bytes[..end].ends_with(b"\r"));
            if len > max_bytes {
                return Err(FrameError::too_long(len as u64, max_bytes as u64));
            }
            Ok(found.map(|end| Found {
                frame: 0..len,
                total: end + 1,
            }))
        };
        self.read_frame(look).await
    }

    /// Reads a frame that stands behind its length. The length is taken and is neither part of
    /// the frame nor counted in `max_bytes`. No memory is taken for what was only announced.
    ///
    /// # Errors
    ///
    /// `InvalidData` as soon as the length is there, if it says more than `max_bytes`, or less
    /// than itself where it counts itself; `UnexpectedEof` inside the length or the frame; those
    /// of the stream. See [`FrameReader`].
    ///
    /// # Cancel safety
    ///
    /// Safe: what was read is in the buffer, the length too.
    pub async fn read_length_delimited(
        &mut self,
        prefix: LengthPrefix,
        max_bytes: usize,
    ) -> io::Result<Option<&[u8]>> {
        let look = |bytes: &[u8]| {
            let Some(announced) = prefix.decode(bytes)? else {
                return Ok(None);
            };
            let allowed = usize::try_from(announced).ok();
            let Some(len) = allowed.filter(|&len| len <= max_bytes) else {
                return Err(FrameError::too_long(announced, max_bytes as u64));
            };
            let start = prefix.width_bytes();
            Ok((bytes.len() - start >= len).then(|| Found {
                frame: start..start + len,
                total: start + len,
            }))
        };
        self.read_frame(look).await
    }

    /// Reads until `look` finds a frame in the buffered bytes, of which it sees more each time.
    async fn read_frame(
        &mut self,
        mut look: impl FnMut(&[u8]) -> Result<Option<Found>, FrameError>,
    ) -> io::Result<Option<&[u8]>> {
        let found = loop {
            if let Some(found) = look(self.buffer.readable())? {
                break found;
            }
            let buffered = self.buffer.len();
            if self.buffer.remaining_bytes() == 0 {
                let max_bytes = self.buffer.max_bytes() as u64;
                return Err(FrameError::too_long(buffered as u64 + 1, max_bytes).into());
            }
            if self.fill().await? == 0 {
                if buffered == 0 {
                    return Ok(None);
                }
                return Err(FrameError::incomplete(buffered).into());
            }
        };
        let taken = self.buffer.take(found.total);
        Ok(taken.map(|taken| &taken[found.frame]))
    }
}

/// Reads what is buffered, and then from the stream: for a body that is no frame.
impl<R: AsyncRead + Unpin> AsyncRead for FrameReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.as_mut()
            .poll_read_vectored(cx, &mut [IoSliceMut::new(buf)])
    }

    fn poll_read_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.buffer.is_empty() {
            self.buffer.shrink_to(0);
            return Pin::new(&mut self.io).poll_read_vectored(cx, bufs);
        }
        let mut count = 0;
        for buf in bufs {
            let part = buf.len().min(self.buffer.len());
            if let Some(bytes) = self.buffer.take(part) {
                buf[..part].copy_from_slice(bytes);
                count += part;
            }
        }
        Poll::Ready(Ok(count))
    }
}

impl<R: AsyncRead + Unpin> AsyncBufRead for FrameReader<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.get_mut();
        if this.buffer.is_empty() {
            ready!(this.poll_fill(cx))?;
        }
        Poll::Ready(Ok(this.buffer.readable()))
    }

    fn consume(mut self: Pin<&mut Self>, count: usize) {
        self.buffer.consume(count);
    }
}

/// What a reader that waits inside a frame may hold without using it.
const IDLE_BYTES_MAX: usize = 4 << 10;
