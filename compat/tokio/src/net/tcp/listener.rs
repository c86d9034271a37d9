//! Accepting connections.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};

use super::TcpStream;
use crate::net::ToSocketAddrs;
use crate::net::macros::{delegate, descriptor};
use crate::runtime::context::{require_io, running_io};
use crate::runtime::shutdown::InTokioWords;

/// A TCP socket that accepts connections.
pub struct TcpListener {
    pub(super) inner: oneloop::net::TcpListener,
}

impl TcpListener {
    /// Binds to the first address that can be bound, and listens.
    ///
    /// # Errors
    ///
    /// No address can be bound, or the runtime has shut down.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    ///
    /// # Cancel safety
    ///
    /// Nothing is bound unless the future completes.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        running_io()?;
        let inner = oneloop::net::TcpListener::bind(addr)
            .await
            .in_tokio_words()?;
        Ok(Self { inner })
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
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let (inner, addr) = self.inner.accept().await.in_tokio_words()?;
        Ok((TcpStream { inner }, addr))
    }

    /// The poll behind [`accept`](Self::accept). The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let (inner, addr) = ready!(self.inner.poll_accept(cx).in_tokio_words())?;
        Poll::Ready(Ok((TcpStream { inner }, addr)))
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
    pub fn from_std(listener: std::net::TcpListener) -> io::Result<Self> {
        require_io();
        oneloop::net::TcpListener::from_std(listener).map(|inner| Self { inner })
    }

    /// The listener as std knows it, still in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn into_std(self) -> io::Result<std::net::TcpListener> {
        self.inner.into_std()
    }

    delegate! {
        /// The address it listens on.
        local_addr() -> io::Result<SocketAddr>;
        /// The time to live of its packets.
        ttl() -> io::Result<u32>;
        /// Sets the time to live of its packets.
        set_ttl(ttl: u32) -> io::Result<()>;
    }
}

impl TryFrom<std::net::TcpListener> for TcpListener {
    type Error = io::Error;

    #[track_caller]
    fn try_from(listener: std::net::TcpListener) -> io::Result<Self> {
        Self::from_std(listener)
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

descriptor!(TcpListener);
