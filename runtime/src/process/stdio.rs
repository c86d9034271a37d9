//! A child's standard streams: pipes on the loop.
//!
//! Reading and writing is by the traits of futures-io, which futures-lite and futures re-export.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::pin::Pin;
use std::process::Stdio;
use std::task::{Context, Poll};

use futures_lite::io::{AsyncRead, AsyncWrite};

use crate::reactor::{Direction, Source};
use crate::sys::pipes::{read, set_nonblocking, write};

macro_rules! stream {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        ///
        /// # Threads
        ///
        /// May be used and dropped on any thread.
        #[derive(Debug)]
        pub struct $name(Source<OwnedFd>);

        impl $name {
            /// Puts a stream of std's on the loop, and into non-blocking mode.
            ///
            /// # Errors
            ///
            /// The descriptor has no such mode.
            ///
            /// # Panics
            ///
            /// Outside a runtime.
            #[track_caller]
            pub fn from_std(std: std::process::$name) -> io::Result<Self> {
                let fd = OwnedFd::from(std);
                set_nonblocking(&fd, true)?;
                Ok(Self(Source::outliving(fd)))
            }

            /// The descriptor, in blocking mode.
            ///
            /// # Errors
            ///
            /// The mode cannot be changed.
            pub fn into_owned_fd(self) -> io::Result<OwnedFd> {
                let fd = self.0.into_inner();
                set_nonblocking(&fd, false)?;
                Ok(fd)
            }
        }

        impl AsFd for $name {
            fn as_fd(&self) -> BorrowedFd<'_> {
                self.0.get_ref().as_fd()
            }
        }

        impl AsRawFd for $name {
            fn as_raw_fd(&self) -> RawFd {
                self.0.get_ref().as_raw_fd()
            }
        }

        /// In blocking mode, for another child.
        impl TryFrom<$name> for Stdio {
            type Error = io::Error;

            fn try_from(stream: $name) -> io::Result<Self> {
                stream.into_owned_fd().map(Self::from)
            }
        }
    };
}

stream! {
    /// The writing end of a child's standard input. Dropped, it ends the input.
    ChildStdin
}

stream! {
    /// The reading end of a child's standard output.
    ChildStdout
}

stream! {
    /// The reading end of a child's standard error.
    ChildStderr
}

fn poll_read(
    pipe: &Source<OwnedFd>,
    cx: &mut Context<'_>,
    buf: &mut [u8],
) -> Poll<io::Result<usize>> {
    // A short read tells nothing: the writer may have written less than one page and go on.
    pipe.poll_io(cx, Direction::Read, |fd| read(fd, &mut *buf))
}

impl AsyncRead for ChildStdout {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        poll_read(&self.0, cx, buf)
    }
}

impl AsyncRead for ChildStderr {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        poll_read(&self.0, cx, buf)
    }
}

impl AsyncWrite for ChildStdin {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.0.poll_io(cx, Direction::Write, |fd| write(fd, buf))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Does nothing: a pipe is closed by dropping it.
    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
