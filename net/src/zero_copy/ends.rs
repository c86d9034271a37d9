//! What bytes are copied from and to.
//!
//! Place: implemented by streams and halves, and by types of applications; called by `flow` and
//! `send_file`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll};

use oneloop_runtime::io::Direction;

use crate::{Coalesced, TcpStream, UnixStream, tcp, unix};

/// Something that bytes are copied from.
pub trait ReadEnd {
    /// Polls to read into `buf`. 0 bytes are the end.
    ///
    /// # Errors
    ///
    /// Its own.
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>>;

    /// The socket whose bytes these are, if the kernel may take them from it directly. `None` by
    /// default: they go through [`poll_read`](Self::poll_read).
    fn socket(&self) -> Option<SocketRef<'_>> {
        None
    }
}

/// Something that bytes are copied to.
pub trait WriteEnd {
    /// Polls to write from `buf` and returns how many of its bytes were taken.
    ///
    /// # Errors
    ///
    /// Its own.
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>>;

    /// Polls to pass on what it keeps back. Nothing by default.
    ///
    /// # Errors
    ///
    /// Its own.
    fn poll_flush(&mut self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    /// Polls to tell the peer that no more bytes come.
    ///
    /// # Errors
    ///
    /// Its own.
    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>>;

    /// The socket that the bytes go to, if the kernel may give them to it directly. `None` by
    /// default: they go through [`poll_write`](Self::poll_write).
    fn socket(&self) -> Option<SocketRef<'_>> {
        None
    }
}

/// A connected socket, whose descriptor the kernel can move bytes from and to.
#[derive(Debug, Clone, Copy)]
pub struct SocketRef<'a>(Family<'a>);

#[derive(Debug, Clone, Copy)]
enum Family<'a> {
    Tcp(&'a TcpStream),
    Unix(&'a UnixStream),
}

/// A stream that is a socket.
pub trait AsSocket {
    /// The socket.
    fn as_socket(&self) -> SocketRef<'_>;
}

impl SocketRef<'_> {
    /// Tries `op` when the direction may be ready; waits when it answers `WouldBlock`.
    pub(crate) fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        mut op: impl FnMut(BorrowedFd<'_>) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        match self.0 {
            Family::Tcp(stream) => stream.io.poll_io(cx, direction, |io| op(io.as_fd())),
            Family::Unix(stream) => stream.io.poll_io(cx, direction, |io| op(io.as_fd())),
        }
    }

    pub(crate) fn poll_read(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        match self.0 {
            Family::Tcp(stream) => stream.poll_read(cx, buf),
            Family::Unix(stream) => stream.poll_read(cx, buf),
        }
    }

    pub(crate) fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.0 {
            Family::Tcp(stream) => stream.poll_write(cx, buf),
            Family::Unix(stream) => stream.poll_write(cx, buf),
        }
    }

    pub(crate) fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        match self.0 {
            Family::Tcp(stream) => stream.try_write(buf),
            Family::Unix(stream) => stream.try_write(buf),
        }
    }

    pub(crate) fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.0 {
            Family::Tcp(stream) => stream.poll_shutdown(cx),
            Family::Unix(stream) => stream.poll_shutdown(cx),
        }
    }
}

impl AsSocket for TcpStream {
    fn as_socket(&self) -> SocketRef<'_> {
        SocketRef(Family::Tcp(self))
    }
}

impl AsSocket for UnixStream {
    fn as_socket(&self) -> SocketRef<'_> {
        SocketRef(Family::Unix(self))
    }
}

macro_rules! read_ends {
    ($($Stream:ident: $($reader:ty),+;)+) => {$($(
        impl ReadEnd for $reader {
            fn poll_read(
                &mut self,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                (*self).poll_read(cx, buf)
            }

            fn socket(&self) -> Option<SocketRef<'_>> {
                Some(AsRef::<$Stream>::as_ref(self).as_socket())
            }
        }
    )+)+};
}

macro_rules! write_ends {
    ($($Stream:ident: $($writer:ty),+;)+) => {$($(
        impl WriteEnd for $writer {
            fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                (*self).poll_write(cx, buf)
            }

            fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                (*self).poll_shutdown(cx)
            }

            fn socket(&self) -> Option<SocketRef<'_>> {
                Some(AsRef::<$Stream>::as_ref(self).as_socket())
            }
        }
    )+)+};
}

read_ends! {
    TcpStream: TcpStream, tcp::ReadHalf<'_>, tcp::OwnedReadHalf;
    UnixStream: UnixStream, unix::ReadHalf<'_>, unix::OwnedReadHalf;
}
write_ends! {
    TcpStream: TcpStream, tcp::WriteHalf<'_>, tcp::OwnedWriteHalf;
    UnixStream: UnixStream, unix::WriteHalf<'_>, unix::OwnedWriteHalf;
}

/// Its gathered bytes come first, so others go through it.
impl<S: AsSocket + Send + Sync + 'static> ReadEnd for Coalesced<S> {
    fn poll_read(&mut self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        (*self).poll_read(cx, buf)
    }
}

impl<S: AsSocket + Send + Sync + 'static> WriteEnd for Coalesced<S> {
    fn poll_write(&mut self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        (*self).poll_write(cx, buf)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (*self).poll_flush(cx)
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        (*self).poll_shutdown(cx)
    }
}
