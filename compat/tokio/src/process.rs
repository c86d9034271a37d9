//! Child processes.
//!
//! Place: those of `oneloop::process`, with tokio's traits.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_lite::io::AsyncWrite as _;
pub use oneloop::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};

use crate::io::{AsyncRead, AsyncWrite, ReadBuf};

macro_rules! reads {
    ($($stream:ty)+) => {$(
        impl AsyncRead for $stream {
            fn poll_read(
                mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                let unfilled = buf.initialize_unfilled();
                let stream = Pin::new(&mut *self);
                let count = ready!(futures_lite::io::AsyncRead::poll_read(stream, cx, unfilled))?;
                buf.advance(count);
                Poll::Ready(Ok(()))
            }
        }
    )+};
}

reads!(ChildStdout ChildStderr);

impl AsyncWrite for ChildStdin {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        futures_lite::io::AsyncWrite::poll_write(self, cx, buf)
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        futures_lite::io::AsyncWrite::poll_flush(self, cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_close(cx)
    }
}
