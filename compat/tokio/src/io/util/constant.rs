//! Streams without a state: nothing, one byte for ever, and a hole.
//!
//! They are always ready, so each operation is charged to the cooperative budget: else a task that
//! loops over one would never give way.

use std::fmt;
use std::io::{self, IoSlice, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};

/// Takes one operation from the budget.
pub(super) fn charge(cx: &mut Context<'_>) -> Poll<()> {
    ready!(oneloop::task::coop::poll_proceed(cx)).made_progress();
    Poll::Ready(())
}

/// Reads nothing, and takes all that is written. Made by [`empty`].
pub struct Empty {
    _private: (),
}

/// A stream that is at its end, and takes all that is written.
#[must_use]
pub fn empty() -> Empty {
    Empty { _private: () }
}

/// Reads one byte for ever. Made by [`repeat`].
#[derive(Debug)]
pub struct Repeat {
    byte: u8,
}

/// A reader of one byte for ever.
#[must_use]
pub fn repeat(byte: u8) -> Repeat {
    Repeat { byte }
}

/// Takes all that is written. Made by [`sink`].
pub struct Sink {
    _private: (),
}

/// A writer into nowhere.
#[must_use]
pub fn sink() -> Sink {
    Sink { _private: () }
}

impl AsyncRead for Empty {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        _buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        charge(cx).map(Ok)
    }
}

impl AsyncBufRead for Empty {
    fn poll_fill_buf(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        charge(cx).map(|()| Ok::<&[u8], _>(&[]))
    }

    fn consume(self: Pin<&mut Self>, _amt: usize) {}
}

impl AsyncSeek for Empty {
    fn start_seek(self: Pin<&mut Self>, _position: SeekFrom) -> io::Result<()> {
        Ok(())
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        charge(cx).map(|()| Ok(0))
    }
}

impl AsyncRead for Repeat {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(charge(cx));
        buf.initialize_unfilled().fill(self.byte);
        buf.advance(buf.remaining());
        Poll::Ready(Ok(()))
    }
}

macro_rules! takes_all {
    ($($hole:ident)+) => {$(
        impl AsyncWrite for $hole {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                charge(cx).map(|()| Ok(buf.len()))
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                charge(cx).map(|()| Ok(bufs.iter().map(|buf| buf.len()).sum()))
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                charge(cx).map(Ok)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                charge(cx).map(Ok)
            }
        }

        impl fmt::Debug for $hole {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(concat!(stringify!($hole), " { .. }"))
            }
        }
    )+};
}

takes_all!(Empty Sink);
