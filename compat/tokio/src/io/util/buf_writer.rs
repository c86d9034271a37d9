//! Writing in large pieces what is handed over in small ones.

use std::fmt;
use std::io::{self, IoSlice, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::BUFFER_BYTES;
use super::forward::{forward_buf_read, forward_read};
use crate::io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};

pin_project! {
    /// A writer with a buffer, 8 KiB unless said otherwise. What is in the buffer is lost when it
    /// is dropped: flush before.
    pub struct BufWriter<W> {
        #[pin]
        pub(super) inner: W,
        pub(super) behind: Behind,
        pub(super) moving: Moving,
    }
}

/// What was taken and is not yet written: `bytes[written..]`.
#[derive(Debug)]
pub(super) struct Behind {
    bytes: Vec<u8>,
    written: usize,
    capacity: usize,
}

/// How far a change of the position has come.
#[derive(Debug, Clone, Copy)]
pub(super) enum Moving {
    No,
    To(SeekFrom),
    Last,
}

impl<W: AsyncWrite> BufWriter<W> {
    /// With a buffer of 8 KiB.
    pub fn new(inner: W) -> Self {
        Self::with_capacity(BUFFER_BYTES, inner)
    }

    /// With a buffer of `capacity` bytes.
    pub fn with_capacity(capacity: usize, inner: W) -> Self {
        let behind = Behind {
            bytes: Vec::with_capacity(capacity),
            written: 0,
            capacity,
        };
        Self {
            inner,
            behind,
            moving: Moving::No,
        }
    }

    /// The writer.
    pub fn get_ref(&self) -> &W {
        &self.inner
    }

    /// The writer. What is written to it comes before what is in the buffer.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// The writer.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut W> {
        self.project().inner
    }

    /// The writer. What is in the buffer is lost.
    pub fn into_inner(self) -> W {
        self.inner
    }

    /// What is in the buffer.
    pub fn buffer(&self) -> &[u8] {
        &self.behind.bytes
    }

    fn poll_flush_buffer(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut this = self.project();
        let behind = this.behind;
        let result = loop {
            if behind.written == behind.bytes.len() {
                break Ok(());
            }
            let rest = &behind.bytes[behind.written..];
            match ready!(this.inner.as_mut().poll_write(cx, rest)) {
                Ok(0) => {
                    let text = "failed to write the buffered data";
                    break Err(io::Error::new(io::ErrorKind::WriteZero, text));
                }
                Ok(count) => behind.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => break Err(error),
            }
        };
        behind.bytes.drain(..std::mem::take(&mut behind.written));
        Poll::Ready(result)
    }

    /// Makes room for `count` bytes, or empties the buffer if it cannot hold them.
    fn poll_make_room(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        count: usize,
    ) -> Poll<io::Result<()>> {
        if count > self.behind.capacity - self.behind.bytes.len() {
            return self.poll_flush_buffer(cx);
        }
        Poll::Ready(Ok(()))
    }
}

impl<W: AsyncWrite> AsyncWrite for BufWriter<W> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        ready!(self.as_mut().poll_make_room(cx, buf.len()))?;
        let this = self.project();
        if buf.len() >= this.behind.capacity {
            return this.inner.poll_write(cx, buf);
        }
        this.behind.bytes.extend_from_slice(buf);
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let lengths = bufs.iter().map(|buf| buf.len());
        let total = lengths.fold(0, usize::saturating_add);
        if self.inner.is_write_vectored() {
            ready!(self.as_mut().poll_make_room(cx, total))?;
            let this = self.project();
            if total >= this.behind.capacity {
                return this.inner.poll_write_vectored(cx, bufs);
            }
            bufs.iter()
                .for_each(|buf| this.behind.bytes.extend_from_slice(buf));
            return Poll::Ready(Ok(total));
        }
        // Buffers that do not fit are left for the next call: written alone they would pass by.
        let mut full = bufs.iter().filter(|buf| !buf.is_empty());
        let Some(first) = full.next() else {
            return Poll::Ready(Ok(0));
        };
        let mut taken = ready!(self.as_mut().poll_write(cx, first))?;
        let behind = self.project().behind;
        if behind.bytes.is_empty() {
            return Poll::Ready(Ok(taken));
        }
        for buf in full {
            if buf.len() > behind.capacity - behind.bytes.len() {
                break;
            }
            behind.bytes.extend_from_slice(buf);
            taken += buf.len();
        }
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush_buffer(cx))?;
        self.get_pin_mut().poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.as_mut().poll_flush_buffer(cx))?;
        self.get_pin_mut().poll_shutdown(cx)
    }
}

impl<W: AsyncWrite + AsyncSeek> AsyncSeek for BufWriter<W> {
    fn start_seek(self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        *self.project().moving = Moving::To(position);
        Ok(())
    }

    /// What is in the buffer is written first: it belongs to the old position.
    fn poll_complete(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        if let Moving::To(position) = self.moving {
            ready!(self.as_mut().poll_flush_buffer(cx))?;
            let mut this = self.as_mut().project();
            ready!(this.inner.as_mut().poll_complete(cx))?;
            *this.moving = Moving::No;
            this.inner.start_seek(position)?;
            *this.moving = Moving::Last;
        }
        let this = self.project();
        let position = ready!(this.inner.poll_complete(cx));
        *this.moving = Moving::No;
        Poll::Ready(position)
    }
}

forward_read!([W: AsyncWrite + AsyncRead] BufWriter<W>, inner);
forward_buf_read!([W: AsyncWrite + AsyncBufRead] BufWriter<W>, inner);

impl<W: fmt::Debug> fmt::Debug for BufWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (filled, capacity) = (self.behind.bytes.len(), self.behind.capacity);
        f.debug_struct("BufWriter")
            .field("writer", &self.inner)
            .field("buffer", &format_args!("{filled}/{capacity}"))
            .field("written", &self.behind.written)
            .finish()
    }
}
