//! Reading in large pieces what is asked for in small ones.

use std::fmt;
use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::BUFFER_BYTES;
use super::forward::forward_write;
use crate::io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};

pin_project! {
    /// A reader with a buffer, 8 KiB unless said otherwise. What is in the buffer is lost when it
    /// is dropped.
    pub struct BufReader<R> {
        #[pin]
        pub(super) inner: R,
        pub(super) ahead: Ahead,
        pub(super) moving: Moving,
    }
}

/// What was read ahead: `bytes[start..end]`.
#[derive(Debug)]
pub(super) struct Ahead {
    bytes: Box<[u8]>,
    start: usize,
    end: usize,
}

impl Ahead {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    fn discard(&mut self) {
        self.start = 0;
        self.end = 0;
    }
}

/// How far a change of the position has come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moving {
    No,
    /// Asked for.
    To(SeekFrom),
    /// Back to where the buffer began, for a distance that cannot be said in one move.
    BackBefore(i64),
    /// The reader moves.
    Last,
}

impl<R: AsyncRead> BufReader<R> {
    /// With a buffer of 8 KiB.
    pub fn new(inner: R) -> Self {
        Self::with_capacity(BUFFER_BYTES, inner)
    }

    /// With a buffer of `capacity` bytes.
    ///
    /// # Panics
    ///
    /// If that is 0.
    #[track_caller]
    pub fn with_capacity(capacity: usize, inner: R) -> Self {
        assert!(capacity > 0, "capacity must be greater than zero");
        let ahead = Ahead {
            bytes: vec![0; capacity].into_boxed_slice(),
            start: 0,
            end: 0,
        };
        Self {
            inner,
            ahead,
            moving: Moving::No,
        }
    }

    /// The reader.
    pub fn get_ref(&self) -> &R {
        &self.inner
    }

    /// The reader. What is read from it comes behind what is in the buffer.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.inner
    }

    /// The reader.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut R> {
        self.project().inner
    }

    /// The reader. What is in the buffer is lost.
    pub fn into_inner(self) -> R {
        self.inner
    }

    /// What is in the buffer.
    pub fn buffer(&self) -> &[u8] {
        self.ahead.rest()
    }
}

impl<R: AsyncRead> AsyncRead for BufReader<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.as_mut().project();
        if this.ahead.rest().is_empty() && buf.remaining() >= this.ahead.bytes.len() {
            // The buffer would be a detour.
            this.ahead.discard();
            return this.inner.poll_read(cx, buf);
        }
        let filled = ready!(self.as_mut().poll_fill_buf(cx))?;
        let count = filled.len().min(buf.remaining());
        buf.put_slice(&filled[..count]);
        self.consume(count);
        Poll::Ready(Ok(()))
    }
}

impl<R: AsyncRead> AsyncBufRead for BufReader<R> {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        let this = self.project();
        if this.ahead.rest().is_empty() {
            let mut buf = ReadBuf::new(&mut this.ahead.bytes);
            ready!(this.inner.poll_read(cx, &mut buf))?;
            this.ahead.end = buf.filled().len();
            this.ahead.start = 0;
        }
        Poll::Ready(Ok(this.ahead.rest()))
    }

    fn consume(self: Pin<&mut Self>, amt: usize) {
        let ahead = self.project().ahead;
        ahead.start = ahead.end.min(ahead.start + amt);
    }
}

impl<R: AsyncRead + AsyncSeek> AsyncSeek for BufReader<R> {
    fn start_seek(self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        *self.project().moving = Moving::To(position);
        Ok(())
    }

    /// A move relative to the position counts from what was handed out, and not from how far the
    /// reader has read ahead.
    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let mut this = self.project();
        loop {
            match std::mem::replace(this.moving, Moving::No) {
                Moving::No => return this.inner.poll_complete(cx),
                Moving::To(SeekFrom::Current(distance)) => {
                    let ahead = i64::try_from(this.ahead.rest().len()).expect("a buffer's length");
                    let (target, next) = match distance.checked_sub(ahead) {
                        Some(target) => (target, Moving::Last),
                        None => (-ahead, Moving::BackBefore(distance)),
                    };
                    this.inner.as_mut().start_seek(SeekFrom::Current(target))?;
                    *this.moving = next;
                }
                Moving::To(position) => {
                    this.inner.as_mut().start_seek(position)?;
                    *this.moving = Moving::Last;
                }
                Moving::BackBefore(distance) => {
                    if this.inner.as_mut().poll_complete(cx)?.is_pending() {
                        *this.moving = Moving::BackBefore(distance);
                        return Poll::Pending;
                    }
                    this.ahead.discard();
                    this.inner
                        .as_mut()
                        .start_seek(SeekFrom::Current(distance))?;
                    *this.moving = Moving::Last;
                }
                Moving::Last => {
                    let Poll::Ready(position) = this.inner.poll_complete(cx)? else {
                        *this.moving = Moving::Last;
                        return Poll::Pending;
                    };
                    this.ahead.discard();
                    return Poll::Ready(Ok(position));
                }
            }
        }
    }
}

forward_write!([R: AsyncRead + AsyncWrite] BufReader<R>, inner);

impl<R: fmt::Debug> fmt::Debug for BufReader<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (filled, capacity) = (self.ahead.rest().len(), self.ahead.bytes.len());
        f.debug_struct("BufReader")
            .field("reader", &self.inner)
            .field("buffer", &format_args!("{filled}/{capacity}"))
            .finish()
    }
}
