//! The traits of futures-io for files.
//!
//! Place: called by code that is generic over those traits, passes everything on to `Calls`.
//!
//! # Why it is so
//! A write is answered once it has begun: `poll_write` may be called again with other bytes, and
//! could not tell whose outcome it sees. The next call waits for it and tells its error.

use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_lite::io::{AsyncRead, AsyncSeek, AsyncWrite};

use super::file::{File, TRANSFER_BYTES_MAX};

impl AsyncRead for File {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        this.calls.poll_read(cx, &this.std, buf, TRANSFER_BYTES_MAX)
    }
}

impl AsyncWrite for File {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let this = self.get_mut();
        ready!(this.calls.poll_settle(cx))?;
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        Poll::Ready(this.calls.start_write(&this.std, buf, TRANSFER_BYTES_MAX))
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().calls.poll_settle(cx)
    }

    /// As `poll_flush`: the file is closed when it is dropped.
    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl AsyncSeek for File {
    fn poll_seek(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        let this = self.get_mut();
        this.calls.poll_seek(cx, &this.std, to)
    }
}
