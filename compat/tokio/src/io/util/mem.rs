//! Streams in memory, between tasks.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf, BytesMut};
use oneloop::task::coop;

use crate::io::{AsyncRead, AsyncWrite, ReadBuf, ReadHalf, WriteHalf, split};

/// One end of a pair of connected streams. Made by [`duplex`].
///
/// Dropped, it ends the other end's input, and the other end's writes fail with `BrokenPipe`.
#[derive(Debug)]
pub struct DuplexStream {
    incoming: Arc<Mutex<SimplexStream>>,
    outgoing: Arc<Mutex<SimplexStream>>,
}

/// A pair of connected streams. Each direction holds up to `max_buf_size` bytes.
///
/// # Panics
///
/// If that is 0.
#[track_caller]
#[must_use]
pub fn duplex(max_buf_size: usize) -> (DuplexStream, DuplexStream) {
    let one = Arc::new(Mutex::new(SimplexStream::new_unsplit(max_buf_size)));
    let other = Arc::new(Mutex::new(SimplexStream::new_unsplit(max_buf_size)));
    let near = DuplexStream {
        incoming: Arc::clone(&one),
        outgoing: Arc::clone(&other),
    };
    let far = DuplexStream {
        incoming: other,
        outgoing: one,
    };
    (near, far)
}

/// One direction: what is written to it can be read from it. Made by [`simplex`].
#[derive(Debug)]
pub struct SimplexStream {
    bytes: BytesMut,
    max_bytes: usize,
    is_closed: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

/// The two ends of one direction, which holds up to `max_buf_size` bytes.
///
/// # Panics
///
/// If that is 0.
#[track_caller]
#[must_use]
pub fn simplex(max_buf_size: usize) -> (ReadHalf<SimplexStream>, WriteHalf<SimplexStream>) {
    split(SimplexStream::new_unsplit(max_buf_size))
}

/// Wakers that have left the stream: to be woken or dropped when its lock is free.
#[derive(Default)]
struct Released {
    to_wake: Option<Waker>,
    to_drop: Option<Waker>,
}

impl Released {
    fn go(self) {
        if let Some(waker) = self.to_wake {
            waker.wake();
        }
        drop(self.to_drop);
    }
}

impl SimplexStream {
    /// One direction in one piece.
    ///
    /// # Panics
    ///
    /// If `max_buf_size` is 0.
    #[track_caller]
    #[must_use]
    pub fn new_unsplit(max_buf_size: usize) -> Self {
        assert!(max_buf_size > 0, "`max_buf_size` must be greater than 0");
        Self {
            bytes: BytesMut::new(),
            max_bytes: max_buf_size,
            is_closed: false,
            reader: None,
            writer: None,
        }
    }

    /// No more will be written.
    fn close_writing(&mut self) -> Option<Waker> {
        self.is_closed = true;
        self.reader.take()
    }

    /// No more will be read.
    fn close_reading(&mut self) -> Option<Waker> {
        self.is_closed = true;
        self.writer.take()
    }

    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
        released: &mut Released,
    ) -> Poll<io::Result<()>> {
        let budget = ready!(coop::poll_proceed(cx));
        let count = self.bytes.len().min(buf.remaining());
        if count > 0 {
            buf.put_slice(&self.bytes[..count]);
            self.bytes.advance(count);
            released.to_wake = self.writer.take();
        } else if buf.remaining() > 0 && !self.is_closed {
            released.to_drop = self.reader.replace(cx.waker().clone());
            return Poll::Pending;
        }
        budget.made_progress();
        Poll::Ready(Ok(()))
    }

    fn poll_put(
        &mut self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
        released: &mut Released,
    ) -> Poll<io::Result<usize>> {
        let budget = ready!(coop::poll_proceed(cx));
        if self.is_closed {
            budget.made_progress();
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = self.max_bytes - self.bytes.len();
        let mut left = room;
        for buf in bufs {
            let count = buf.len().min(left);
            self.bytes.extend_from_slice(&buf[..count]);
            left -= count;
        }
        if left == room && bufs.iter().any(|buf| !buf.is_empty()) {
            released.to_drop = self.writer.replace(cx.waker().clone());
            return Poll::Pending;
        }
        if left < room {
            released.to_wake = self.reader.take();
        }
        budget.made_progress();
        Poll::Ready(Ok(room - left))
    }
}

impl AsyncRead for SimplexStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut released = Released::default();
        let polled = self.poll_take(cx, buf, &mut released);
        released.go();
        polled
    }
}

impl AsyncWrite for SimplexStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut released = Released::default();
        let polled = self.poll_put(cx, bufs, &mut released);
        released.go();
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(reader) = self.close_writing() {
            reader.wake();
        }
        Poll::Ready(Ok(()))
    }
}

/// No wakers run under the lock, so no panic leaves anything half done.
fn lock(stream: &Mutex<SimplexStream>) -> MutexGuard<'_, SimplexStream> {
    stream.lock().unwrap_or_else(PoisonError::into_inner)
}

impl AsyncRead for DuplexStream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let mut released = Released::default();
        let polled = lock(&self.incoming).poll_take(cx, buf, &mut released);
        released.go();
        polled
    }
}

impl AsyncWrite for DuplexStream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let mut released = Released::default();
        let polled = lock(&self.outgoing).poll_put(cx, bufs, &mut released);
        released.go();
        polled
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let reader = lock(&self.outgoing).close_writing();
        if let Some(reader) = reader {
            reader.wake();
        }
        Poll::Ready(Ok(()))
    }
}

impl Drop for DuplexStream {
    fn drop(&mut self) {
        let reader = lock(&self.outgoing).close_writing();
        let writer = lock(&self.incoming).close_reading();
        for waker in [reader, writer].into_iter().flatten() {
            waker.wake();
        }
    }
}
