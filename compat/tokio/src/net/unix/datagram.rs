//! Datagrams within the machine.

use std::io;
use std::net::Shutdown;
use std::path::Path;
use std::task::{Context, Poll};

use super::SocketAddr;
use crate::net::datagram::datagram;
use crate::net::macros::delegate;
use crate::runtime::context::running_io;
use crate::runtime::shutdown::InTokioWords;

/// A Unix socket that carries datagrams.
pub struct UnixDatagram {
    pub(super) inner: oneloop::net::UnixDatagram,
}

impl UnixDatagram {
    /// Binds to a path, or to an abstract name if it begins with a NUL byte.
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
        oneloop::net::UnixDatagram::bind(path).map(|inner| Self { inner })
    }

    /// Two that are connected to each other.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn pair() -> io::Result<(Self, Self)> {
        running_io()?;
        let (one, other) = oneloop::net::UnixDatagram::pair()?;
        Ok((Self { inner: one }, Self { inner: other }))
    }

    /// One without a name.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn unbound() -> io::Result<Self> {
        running_io()?;
        oneloop::net::UnixDatagram::unbound().map(|inner| Self { inner })
    }

    /// Takes a socket of std's, which has to be in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn from_std(datagram: std::os::unix::net::UnixDatagram) -> io::Result<Self> {
        running_io()?;
        oneloop::net::UnixDatagram::from_std(datagram).map(|inner| Self { inner })
    }

    /// The socket as std knows it, still in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixDatagram> {
        self.inner.into_std()
    }

    /// Connects to a path.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        self.inner.connect(path)
    }

    /// Sends to a path.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn send_to<P: AsRef<Path>>(&self, buf: &[u8], target: P) -> io::Result<usize> {
        self.inner.send_to(buf, target).await.in_tokio_words()
    }

    /// The poll behind [`send_to`](Self::send_to). The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn poll_send_to<P: AsRef<Path>>(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: P,
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_send_to(cx, buf, target).in_tokio_words()
    }

    /// Sends to a path, without waiting.
    ///
    /// # Errors
    ///
    /// Those of the system; `WouldBlock`.
    pub fn try_send_to<P: AsRef<Path>>(&self, buf: &[u8], target: P) -> io::Result<usize> {
        self.inner.try_send_to(buf, target)
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr().map(SocketAddr)
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr().map(SocketAddr)
    }

    delegate! {
        /// Shuts down one direction or both.
        shutdown(how: Shutdown) -> io::Result<()>;
    }
}

impl TryFrom<std::os::unix::net::UnixDatagram> for UnixDatagram {
    type Error = io::Error;

    #[track_caller]
    fn try_from(datagram: std::os::unix::net::UnixDatagram) -> io::Result<Self> {
        Self::from_std(datagram)
    }
}

datagram!(UnixDatagram, SocketAddr);
