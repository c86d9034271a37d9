//! A stream whose first bytes were read already, and are read again.
//!
//! Place: made by `serve` after it has looked at the first bytes; read by hyper's connections.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};

use super::serve::PREFACE;

/// The bytes that were read, then those of the stream.
#[derive(Debug)]
pub(super) struct Rewind<S> {
    stream: S,
    head: [u8; PREFACE.len()],
    /// How many of `head` were read from the stream, and how many were given out again.
    filled: usize,
    given: usize,
}

impl<S: Read + Unpin> Rewind<S> {
    pub(super) fn new(stream: S) -> Self {
        Self {
            stream,
            head: [0; PREFACE.len()],
            filled: 0,
            given: 0,
        }
    }

    /// Reads on until the first bytes are HTTP/2's preface, or cannot become it any more, or the
    /// stream ends. Whether they are the preface.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    pub(super) fn poll_is_http2(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<bool>> {
        while PREFACE.starts_with(&self.head[..self.filled]) && self.filled < PREFACE.len() {
            let mut buf = ReadBuf::new(&mut self.head[self.filled..]);
            ready!(Pin::new(&mut self.stream).poll_read(cx, buf.unfilled()))?;
            match buf.filled().len() {
                0 => return Poll::Ready(Ok(false)),
                count => self.filled += count,
            }
        }
        Poll::Ready(Ok(self.head == *PREFACE))
    }
}

impl<S: Read + Unpin> Read for Rewind<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        mut buf: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let again = &self.head[self.given..self.filled];
        if again.is_empty() {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let count = again.len().min(buf.remaining());
        buf.put_slice(&again[..count]);
        self.given += count;
        Poll::Ready(Ok(()))
    }
}

impl<S: Write + Unpin> Write for Rewind<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }
}
