//! Accepting connections from within the machine.

use std::fmt;
use std::io;
use std::path::Path;
use std::task::{Context, Poll, ready};

use super::{SocketAddr, UnixStream};
use crate::net::macros::{delegate, descriptor};
use crate::runtime::context::running_io;
use crate::runtime::shutdown::InTokioWords;

/// A Unix socket that accepts connections.
pub struct UnixListener {
    pub(super) inner: oneloop::net::UnixListener,
}

impl UnixListener {
    /// Binds to a path, or to an abstract name if it begins with a NUL byte, and listens.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        running_io()?;
        oneloop::net::UnixListener::bind(path).map(|inner| Self { inner })
    }

    /// Binds to an address, and listens.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<Self> {
        running_io()?;
        oneloop::net::UnixListener::bind_addr(&socket_addr.0).map(|inner| Self { inner })
    }

    /// Waits for a connection.
    ///
    /// # Errors
    ///
    /// The runtime has shut down. A lack of descriptors is waited out.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let (inner, addr) = self.inner.accept().await.in_tokio_words()?;
        Ok((UnixStream { inner }, SocketAddr(addr)))
    }

    /// The poll behind [`accept`](Self::accept). The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let (inner, addr) = ready!(self.inner.poll_accept(cx).in_tokio_words())?;
        Poll::Ready(Ok((UnixStream { inner }, SocketAddr(addr))))
    }

    /// Takes a listener of std's, which has to be in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn from_std(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        running_io()?;
        oneloop::net::UnixListener::from_std(listener).map(|inner| Self { inner })
    }

    /// The listener as std knows it, still in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixListener> {
        self.inner.into_std()
    }

    /// The address it listens on.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr().map(SocketAddr)
    }

    delegate! {
        /// Takes the error that the system keeps for the socket.
        take_error() -> io::Result<Option<io::Error>>;
    }
}

impl TryFrom<std::os::unix::net::UnixListener> for UnixListener {
    type Error = io::Error;

    #[track_caller]
    fn try_from(listener: std::os::unix::net::UnixListener) -> io::Result<Self> {
        Self::from_std(listener)
    }
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

descriptor!(UnixListener);
