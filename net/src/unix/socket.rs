//! A socket before it is a listener, a stream or a datagram socket.
//!
//! Place: called by applications, calls the operating system; runs on any thread. Only what it
//! turns into is registered with a loop.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::path::Path;

use socket2::{Domain, SockRef, Type};

use super::address;
use super::datagram::UnixDatagram;
use super::listener::UnixListener;
use super::stream::UnixStream;
use crate::sys;

/// A Unix socket that is neither connected nor listening.
#[derive(Debug)]
pub struct UnixSocket {
    socket: OwnedFd,
}

impl UnixSocket {
    /// Creates a socket for datagrams.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn new_datagram() -> io::Result<Self> {
        Self::new(Type::DGRAM)
    }

    /// Creates a socket for streams.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn new_stream() -> io::Result<Self> {
        Self::new(Type::STREAM)
    }

    fn new(kind: Type) -> io::Result<Self> {
        let socket = sys::new_socket(Domain::UNIX, kind)?;
        Ok(Self { socket })
    }

    fn is(&self, kind: Type) -> io::Result<bool> {
        Ok(SockRef::from(&self.socket).r#type()? == kind)
    }

    fn ensure(&self, kind: Type, text: &'static str) -> io::Result<()> {
        if self.is(kind)? {
            return Ok(());
        }
        Err(io::Error::other(text))
    }

    /// Binds it to a path, or to an abstract name (see the [module](super)).
    ///
    /// # Errors
    ///
    /// As [`UnixListener::bind`].
    pub fn bind(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let address = address::from_path(path.as_ref())?;
        rustix::net::bind(&self.socket, &address::to_kernel(&address)?)?;
        Ok(())
    }

    /// Makes it listen. `backlog` connections may wait in the kernel's queue.
    ///
    /// # Errors
    ///
    /// Those of listen(2); `Other` for a datagram socket.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<UnixListener> {
        self.ensure(Type::STREAM, "listen cannot be called on a datagram socket")?;
        UnixListener::listen(self.socket, backlog)
    }

    /// Connects it.
    ///
    /// # Errors
    ///
    /// As [`UnixStream::connect`]; `Other` for a datagram socket.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the attempt is given up and the socket closed.
    pub async fn connect(self, path: impl AsRef<Path>) -> io::Result<UnixStream> {
        self.ensure(
            Type::STREAM,
            "connect cannot be called on a datagram socket",
        )?;
        let address = address::from_path(path.as_ref())?;
        UnixStream::connect_socket(self.socket.into(), &address).await
    }

    /// Turns it into a datagram socket.
    ///
    /// # Errors
    ///
    /// `Other` for a stream socket.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn datagram(self) -> io::Result<UnixDatagram> {
        self.ensure(Type::DGRAM, "datagram cannot be called on a stream socket")?;
        UnixDatagram::register(self.socket.into())
    }
}

impl AsFd for UnixSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl AsRawFd for UnixSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.socket.as_raw_fd()
    }
}

impl IntoRawFd for UnixSocket {
    fn into_raw_fd(self) -> RawFd {
        self.socket.into_raw_fd()
    }
}

impl FromRawFd for UnixSocket {
    /// Takes over a Unix socket in non-blocking mode.
    ///
    /// # Safety
    ///
    /// `fd` is open and belongs to the caller, who gives it away.
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller's duty is the same.
        let socket = unsafe { OwnedFd::from_raw_fd(fd) };
        Self { socket }
    }
}
