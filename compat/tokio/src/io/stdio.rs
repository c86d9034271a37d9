//! The standard streams of this process.
//!
//! They may be files, terminals or pipes that others share, so they are read and written by
//! blocking calls on the pool.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, RawFd};
use std::pin::Pin;
use std::task::{Context, Poll};

use super::{AsyncRead, AsyncWrite, ReadBuf};
use crate::offload::Offload;
use crate::runtime::shutdown::InTokioWords;
use crate::task::JoinError;

/// The runtime has shut down, and its pool with it.
fn lost(_error: JoinError) -> io::Error {
    match running() {
        Err(shut_down) => shut_down,
        Ok(()) => io::Error::other("background task failed"),
    }
}

fn running() -> io::Result<()> {
    let running = oneloop::runtime::Handle::with_current(oneloop::runtime::Handle::check_running);
    // Without a runtime the write panics.
    running.unwrap_or(Ok(())).in_tokio_words()
}

/// The standard input. A read that is under way when the program ends keeps it from ending until
/// there is input: use it in programs that read it all.
#[derive(Debug)]
pub struct Stdin(Offload<io::Stdin>);

/// The standard input.
#[must_use]
pub fn stdin() -> Stdin {
    Stdin(Offload::new(io::stdin(), lost))
}

impl AsyncRead for Stdin {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.0.poll_read(cx, buf)
    }
}

impl AsFd for Stdin {
    fn as_fd(&self) -> BorrowedFd<'_> {
        descriptor(0)
    }
}

impl AsRawFd for Stdin {
    fn as_raw_fd(&self) -> RawFd {
        0
    }
}

fn descriptor(number: RawFd) -> BorrowedFd<'static> {
    // SAFETY: the three standard descriptors are open for the whole life of the process: std opens
    // those that are missing at the start.
    unsafe { BorrowedFd::borrow_raw(number) }
}

macro_rules! output {
    ($(#[$doc:meta])* $name:ident $make:ident $std:ty = $number:literal) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $name(Offload<$std>);

        $(#[$doc])*
        #[must_use]
        pub fn $make() -> $name {
            $name(Offload::new(io::$make(), lost))
        }

        impl AsyncWrite for $name {
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
                // The result is told at the flush, and a shutdown before.
                running()?;
                self.0.poll_write(cx, bufs, |_, _| Ok(()))
            }

            fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll_flush_object(cx)
            }

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_flush(cx)
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                descriptor($number)
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                $number
            }
        }
    };
}

output! {
    /// The standard output. Flush it before the program ends.
    Stdout stdout io::Stdout = 1
}

output! {
    /// The standard error.
    Stderr stderr io::Stderr = 2
}
