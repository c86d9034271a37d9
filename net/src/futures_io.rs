//! `AsyncRead` and `AsyncWrite` of the futures-io crate for streams and their halves.
//!
//! Place: called by code that is generic over those traits, passes everything on to the inherent
//! methods.
//!
//! The inherent methods of the same names win over the traits' extension methods, so importing
//! `AsyncReadExt` changes nothing for code that uses a stream directly.
//!
//! # Why it is so
//! The traits are also there for `&TcpStream`, as in the smol family: a shared stream can be
//! read by one task and written by another. Of two tasks that read, only the one that polled
//! last is woken.

use std::io::{self, IoSlice, IoSliceMut};
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_io::{AsyncRead, AsyncWrite};

use crate::server::Connection;
use crate::zero_copy::AsSocket;
use crate::{Coalesced, TcpStream, UnixStream, tcp, unix};

macro_rules! async_read {
    ($($reader:ty),+) => {$(
        impl AsyncRead for $reader {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                (*self).poll_read(cx, buf)
            }

            fn poll_read_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                (*self).poll_read_vectored(cx, bufs)
            }
        }
    )+};
}

macro_rules! async_write {
    ($($writer:ty),+) => {$(
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

            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Shuts down the write direction.
            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                (*self).poll_shutdown(cx)
            }
        }
    )+};
}

async_read!(TcpStream, &TcpStream, tcp::ReadHalf<'_>, tcp::OwnedReadHalf);
async_write!(
    TcpStream,
    &TcpStream,
    tcp::WriteHalf<'_>,
    tcp::OwnedWriteHalf
);
async_read!(
    UnixStream,
    &UnixStream,
    unix::ReadHalf<'_>,
    unix::OwnedReadHalf
);
async_write!(
    UnixStream,
    &UnixStream,
    unix::WriteHalf<'_>,
    unix::OwnedWriteHalf
);
async_read!(Connection, &Connection);
async_write!(Connection, &Connection);

macro_rules! coalesced {
    ($($stream:ty),+) => {$(
        impl<S: AsSocket + Send + Sync + 'static> AsyncRead for $stream {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                (*self).poll_read(cx, buf)
            }
        }

        impl<S: AsSocket + Send + Sync + 'static> AsyncWrite for $stream {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                (*self).poll_write(cx, buf)
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                (*self).poll_flush(cx)
            }

            /// Flushes, then shuts down the write direction.
            fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                (*self).poll_shutdown(cx)
            }
        }
    )+};
}

coalesced!(Coalesced<S>, &Coalesced<S>);

impl AsyncRead for unix::pipe::Receiver {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        (*self).poll_read(cx, buf)
    }
}

impl AsyncWrite for unix::pipe::Sender {
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

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Does nothing: a pipe is closed by dropping it.
    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
