//! `AsyncRead` and `AsyncWrite` of tokio for streams, their halves and pipes.
//!
//! Place: called by code that is generic over those traits, passes everything on to the inherent
//! methods.
//!
//! The traits alone are used, and no part of tokio's runtime: the sockets wait on the loop that
//! polls them, and code that spawns or sleeps through tokio still needs a runtime of tokio's.
//!
//! # Why it is so
//! Reads go straight into the reader's memory, initialised or not. As with tokio's own streams
//! the end of the output of a connection that is gone is no error.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::unix::pipe;
use crate::{TcpStream, UnixStream, tcp, unix};

macro_rules! async_read {
    ($($reader:ty),+) => {$(
        impl AsyncRead for $reader {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                // SAFETY: `poll_read_uninit` writes bytes and makes none uninitialised.
                let unfilled = unsafe { buf.unfilled_mut() };
                let count = ready!((*self).poll_read_uninit(cx, unfilled))?.len();
                // SAFETY: what was returned is the initialised beginning of `unfilled`.
                unsafe { buf.assume_init(count) };
                buf.advance(count);
                Poll::Ready(Ok(()))
            }
        }
    )+};
}

macro_rules! async_write {
    ($($writer:ty => $end:expr),+ $(,)?) => {$(
        impl AsyncWrite for $writer {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                (*self).poll_write(cx, buf)
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                (*self).poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let end: fn(&Self, &mut Context<'_>) -> Poll<io::Result<()>> = $end;
                match ready!(end(&self, cx)) {
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                        Poll::Ready(Ok(()))
                    }
                    result => Poll::Ready(result),
                }
            }
        }
    )+};
}

async_read!(
    TcpStream,
    tcp::ReadHalf<'_>,
    tcp::OwnedReadHalf,
    UnixStream,
    unix::ReadHalf<'_>,
    unix::OwnedReadHalf,
    pipe::Receiver
);
async_write!(
    TcpStream => |stream, cx| stream.poll_shutdown(cx),
    tcp::WriteHalf<'_> => |half, cx| half.poll_shutdown(cx),
    tcp::OwnedWriteHalf => |half, cx| half.poll_shutdown(cx),
    UnixStream => |stream, cx| stream.poll_shutdown(cx),
    unix::WriteHalf<'_> => |half, cx| half.poll_shutdown(cx),
    unix::OwnedWriteHalf => |half, cx| half.poll_shutdown(cx),
    // A pipe is closed by dropping it.
    pipe::Sender => |_sender, _cx| Poll::Ready(Ok(())),
);
