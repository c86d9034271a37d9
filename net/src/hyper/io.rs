//! `Read` and `Write` of hyper for streams.
//!
//! Place: called by hyper's connections, passes everything on to the inherent methods, of TLS
//! streams to the traits of futures-io.
//!
//! # Why it is so
//! There is no wrapper to put around a stream: hyper takes it as it is. hyper reads into memory
//! that it has not initialised, and a socket can write there; zeroing it first would cost more
//! than reading a small request.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use ::hyper::rt::{Read, ReadBufCursor, Write};

use crate::{TcpStream, UnixStream};

macro_rules! socket {
    ($($Stream:ty),+) => {$(
        impl Read for $Stream {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                mut buf: ReadBufCursor<'_>,
            ) -> Poll<io::Result<()>> {
                // SAFETY: `poll_read_uninit` writes bytes and makes none uninitialised.
                let unfilled = unsafe { buf.as_mut() };
                let count = ready!((*self).poll_read_uninit(cx, unfilled))?.len();
                // SAFETY: what was returned is the initialised beginning of `unfilled`.
                unsafe { buf.advance(count) };
                Poll::Ready(Ok(()))
            }
        }

        impl Write for $Stream {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                (*self).poll_write(cx, buf)
            }

            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            /// Ends the output. A connection that is gone needs no end.
            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                match ready!((*self).poll_shutdown(cx)) {
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                        Poll::Ready(Ok(()))
                    }
                    result => Poll::Ready(result),
                }
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                (*self).poll_write_vectored(cx, bufs)
            }
        }
    )+};
}

socket!(TcpStream, UnixStream);

#[cfg(feature = "tls")]
mod tls {
    use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};

    use super::*;
    use crate::tls::TlsStream;

    impl<S: AsyncRead + AsyncWrite + Unpin> Read for TlsStream<S> {
        /// Copies what was decrypted straight into hyper's memory.
        fn poll_read(
            mut self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            mut buf: ReadBufCursor<'_>,
        ) -> Poll<io::Result<()>> {
            let plain = ready!(self.as_mut().poll_fill_buf(cx))?;
            let count = plain.len().min(buf.remaining());
            buf.put_slice(&plain[..count]);
            self.consume(count);
            Poll::Ready(Ok(()))
        }
    }

    impl<S: AsyncRead + AsyncWrite + Unpin> Write for TlsStream<S> {
        fn poll_write(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            buf: &[u8],
        ) -> Poll<io::Result<usize>> {
            AsyncWrite::poll_write(self, cx, buf)
        }

        fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            AsyncWrite::poll_flush(self, cx)
        }

        fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            AsyncWrite::poll_close(self, cx)
        }

        fn is_write_vectored(&self) -> bool {
            true
        }

        fn poll_write_vectored(
            self: Pin<&mut Self>,
            cx: &mut Context<'_>,
            bufs: &[IoSlice<'_>],
        ) -> Poll<io::Result<usize>> {
            AsyncWrite::poll_write_vectored(self, cx, bufs)
        }
    }
}
