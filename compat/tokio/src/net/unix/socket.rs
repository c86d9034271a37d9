//! A Unix socket that does not know yet what it will be.

use std::io;
use std::os::fd::{FromRawFd, IntoRawFd, RawFd};
use std::path::Path;

use super::{UnixDatagram, UnixListener, UnixStream};
use crate::net::macros::descriptor;
use crate::runtime::context::running_io;
use crate::runtime::shutdown::InTokioWords;

/// A Unix socket that neither listens nor is connected.
#[derive(Debug)]
pub struct UnixSocket {
    inner: oneloop::net::UnixSocket,
}

impl UnixSocket {
    /// For datagrams.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn new_datagram() -> io::Result<Self> {
        oneloop::net::UnixSocket::new_datagram().map(|inner| Self { inner })
    }

    /// For streams.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn new_stream() -> io::Result<Self> {
        oneloop::net::UnixSocket::new_stream().map(|inner| Self { inner })
    }

    /// Binds to a path, or to an abstract name if it begins with a NUL byte.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn bind(&self, path: impl AsRef<Path>) -> io::Result<()> {
        self.inner.bind(path)
    }

    /// Listens, with a queue of `backlog` connections.
    ///
    /// # Errors
    ///
    /// Those of listen(2); it is a datagram socket.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<UnixListener> {
        running_io()?;
        self.inner
            .listen(backlog)
            .map(|inner| UnixListener { inner })
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// Those of the system; it is a datagram socket; or the runtime has shut down.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    ///
    /// # Cancel safety
    ///
    /// The attempt is given up, and the socket closed.
    pub async fn connect(self, path: impl AsRef<Path>) -> io::Result<UnixStream> {
        running_io()?;
        let inner = self.inner.connect(path).await.in_tokio_words()?;
        Ok(UnixStream { inner })
    }

    /// Turns it into a datagram socket.
    ///
    /// # Errors
    ///
    /// It is a stream socket.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn datagram(self) -> io::Result<UnixDatagram> {
        running_io()?;
        self.inner.datagram().map(|inner| UnixDatagram { inner })
    }
}

descriptor!(UnixSocket);

impl FromRawFd for UnixSocket {
    /// Takes over a socket.
    ///
    /// # Safety
    ///
    /// The descriptor is open and the caller's to give away.
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        Self {
            // SAFETY: the caller's duty is the same.
            inner: unsafe { oneloop::net::UnixSocket::from_raw_fd(fd) },
        }
    }
}

impl IntoRawFd for UnixSocket {
    fn into_raw_fd(self) -> RawFd {
        self.inner.into_raw_fd()
    }
}
