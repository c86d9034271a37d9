//! The work of `AsyncWriteExt`.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Buf;

use super::op::Work;
use crate::io::AsyncWrite;

/// Writes once.
#[derive(Debug)]
pub struct Write<'a>(pub(super) &'a [u8]);

impl<W: AsyncWrite + ?Sized> Work<W> for Write<'_> {
    type Output = io::Result<usize>;

    fn poll(&mut self, stream: Pin<&mut W>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        stream.poll_write(cx, self.0)
    }
}

/// Writes once, from several buffers.
#[derive(Debug)]
pub struct WriteVectored<'a, 'b>(pub(super) &'a [IoSlice<'b>]);

impl<W: AsyncWrite + ?Sized> Work<W> for WriteVectored<'_, '_> {
    type Output = io::Result<usize>;

    fn poll(&mut self, stream: Pin<&mut W>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        stream.poll_write_vectored(cx, self.0)
    }
}

/// Writes once, from the chunks of a buffer.
#[derive(Debug)]
pub struct WriteFrom<'a, B: ?Sized>(pub(super) &'a mut B);

impl<W: AsyncWrite + ?Sized, B: Buf + ?Sized> Work<W> for WriteFrom<'_, B> {
    type Output = io::Result<usize>;

    fn poll(&mut self, stream: Pin<&mut W>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.0.has_remaining() {
            return Poll::Ready(Ok(0));
        }
        poll_write_from(stream, self.0, cx)
    }
}

fn poll_write_from<W: AsyncWrite + ?Sized, B: Buf + ?Sized>(
    stream: Pin<&mut W>,
    buf: &mut B,
    cx: &mut Context<'_>,
) -> Poll<io::Result<usize>> {
    let count = if stream.is_write_vectored() {
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let used = buf.chunks_vectored(&mut slices);
        ready!(stream.poll_write_vectored(cx, &slices[..used]))?
    } else {
        ready!(stream.poll_write(cx, buf.chunk()))?
    };
    buf.advance(count);
    Poll::Ready(Ok(count))
}

/// Writes all of a slice.
#[derive(Debug)]
pub struct WriteAll<'a>(pub(super) &'a [u8]);

impl<W: AsyncWrite + ?Sized> Work<W> for WriteAll<'_> {
    type Output = io::Result<()>;

    fn poll(&mut self, mut stream: Pin<&mut W>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.0.is_empty() {
            match ready!(stream.as_mut().poll_write(cx, self.0)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => self.0 = &self.0[count..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Writes all of a buffer.
#[derive(Debug)]
pub struct WriteAllFrom<'a, B: ?Sized>(pub(super) &'a mut B);

impl<W: AsyncWrite + ?Sized, B: Buf + ?Sized> Work<W> for WriteAllFrom<'_, B> {
    type Output = io::Result<()>;

    fn poll(&mut self, mut stream: Pin<&mut W>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.0.has_remaining() {
            match ready!(poll_write_from(stream.as_mut(), self.0, cx)) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Writes a number of `N` bytes.
#[derive(Debug)]
pub struct WriteNumber<const N: usize> {
    bytes: [u8; N],
    written: usize,
}

impl<const N: usize> WriteNumber<N> {
    pub(super) fn new(bytes: [u8; N]) -> Self {
        Self { bytes, written: 0 }
    }
}

impl<W: AsyncWrite + ?Sized, const N: usize> Work<W> for WriteNumber<N> {
    type Output = io::Result<()>;

    fn poll(&mut self, mut stream: Pin<&mut W>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.written < N {
            match ready!(stream.as_mut().poll_write(cx, &self.bytes[self.written..])) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(count) => self.written += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }
}

/// Flushes.
#[derive(Debug)]
pub struct Flush;

impl<W: AsyncWrite + ?Sized> Work<W> for Flush {
    type Output = io::Result<()>;

    fn poll(&mut self, stream: Pin<&mut W>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream.poll_flush(cx)
    }
}

/// Ends the output.
#[derive(Debug)]
pub struct Shutdown;

impl<W: AsyncWrite + ?Sized> Work<W> for Shutdown {
    type Output = io::Result<()>;

    fn poll(&mut self, stream: Pin<&mut W>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        stream.poll_shutdown(cx)
    }
}

/// Buffers handed to one vectored write.
const SLICES_MAX: usize = 64;
