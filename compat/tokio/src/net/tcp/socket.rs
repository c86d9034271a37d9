//! A socket that does not know yet what it will be.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{FromRawFd, IntoRawFd, RawFd};
use std::time::Duration;

use super::{TcpListener, TcpStream};
use crate::net::macros::{delegate, descriptor};
use crate::runtime::context::{require_io, running_io};
use crate::runtime::shutdown::InTokioWords;

/// A TCP socket that neither listens nor is connected, for options that have to be set before.
pub struct TcpSocket {
    inner: oneloop::net::TcpSocket,
}

impl TcpSocket {
    /// For IPv4.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn new_v4() -> io::Result<Self> {
        oneloop::net::TcpSocket::new_v4().map(|inner| Self { inner })
    }

    /// For IPv6.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn new_v6() -> io::Result<Self> {
        oneloop::net::TcpSocket::new_v6().map(|inner| Self { inner })
    }

    /// A socket that was made elsewhere, neither listening nor connected.
    #[must_use]
    pub fn from_std_stream(std_stream: std::net::TcpStream) -> Self {
        Self {
            inner: oneloop::net::TcpSocket::from_std_stream(std_stream),
        }
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// Those of connect(2), or the runtime has shut down.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    ///
    /// # Cancel safety
    ///
    /// The attempt is given up, and the socket closed.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        running_io()?;
        let inner = self.inner.connect(addr).await.in_tokio_words()?;
        Ok(TcpStream { inner })
    }

    /// Listens, with a queue of `backlog` connections.
    ///
    /// # Errors
    ///
    /// Those of listen(2).
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        require_io();
        let inner = self.inner.listen(backlog)?;
        Ok(TcpListener { inner })
    }

    /// As [`tos_v4`](Self::tos_v4).
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// As [`set_tos_v4`](Self::set_tos_v4).
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_tos_v4(tos)
    }

    delegate! {
        /// Whether the system asks a silent peer for signs of life (`SO_KEEPALIVE`).
        keepalive() -> io::Result<bool>;
        /// Sets whether the system asks a silent peer for signs of life (`SO_KEEPALIVE`).
        set_keepalive(keepalive: bool) -> io::Result<()>;
        /// Whether the address may be bound while old connections linger (`SO_REUSEADDR`).
        reuseaddr() -> io::Result<bool>;
        /// Sets whether the address may be bound while old connections linger (`SO_REUSEADDR`).
        set_reuseaddr(reuseaddr: bool) -> io::Result<()>;
        /// Whether several sockets may listen on one address (`SO_REUSEPORT`).
        reuseport() -> io::Result<bool>;
        /// Sets whether several sockets may listen on one address (`SO_REUSEPORT`).
        set_reuseport(reuseport: bool) -> io::Result<()>;
        /// The size of the kernel's buffer for output (`SO_SNDBUF`).
        send_buffer_size() -> io::Result<u32>;
        /// Sets the size of the kernel's buffer for output (`SO_SNDBUF`).
        set_send_buffer_size(size: u32) -> io::Result<()>;
        /// The size of the kernel's buffer for input (`SO_RCVBUF`).
        recv_buffer_size() -> io::Result<u32>;
        /// Sets the size of the kernel's buffer for input (`SO_RCVBUF`).
        set_recv_buffer_size(size: u32) -> io::Result<()>;
        /// How long the system goes on with bytes that were not sent at the close.
        linger() -> io::Result<Option<Duration>>;
        /// Sets how long the system goes on with bytes that were not sent at the close.
        #[deprecated = "with a time above zero a close may wait: use set_zero_linger"]
        set_linger(dur: Option<Duration>) -> io::Result<()>;
        /// Whether small packets are sent at once (`TCP_NODELAY`).
        nodelay() -> io::Result<bool>;
        /// Sets whether small packets are sent at once (`TCP_NODELAY`).
        set_nodelay(nodelay: bool) -> io::Result<()>;
        /// The type of service of IPv4 packets (`IP_TOS`).
        tos_v4() -> io::Result<u32>;
        /// Sets the type of service of IPv4 packets (`IP_TOS`).
        set_tos_v4(tos: u32) -> io::Result<()>;
        /// The traffic class of IPv6 packets (`IPV6_TCLASS`).
        tclass_v6() -> io::Result<u32>;
        /// Sets the traffic class of IPv6 packets (`IPV6_TCLASS`).
        set_tclass_v6(tclass: u32) -> io::Result<()>;
        /// Makes the close a reset.
        set_zero_linger() -> io::Result<()>;
        /// The network interface that it is bound to.
        device() -> io::Result<Option<Vec<u8>>>;
        /// Binds to a network interface.
        bind_device(interface: Option<&[u8]>) -> io::Result<()>;
        /// This end's address.
        local_addr() -> io::Result<SocketAddr>;
        /// Takes the error that the system keeps for the socket.
        take_error() -> io::Result<Option<io::Error>>;
        /// Binds to an address.
        bind(addr: SocketAddr) -> io::Result<()>;
    }
}

impl FromRawFd for TcpSocket {
    // SAFETY: the trait's duty: the caller owns the descriptor and gives it away.
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: as above.
        let stream = unsafe { std::net::TcpStream::from_raw_fd(fd) };
        Self::from_std_stream(stream)
    }
}

impl IntoRawFd for TcpSocket {
    fn into_raw_fd(self) -> RawFd {
        self.inner.into_raw_fd()
    }
}

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

descriptor!(TcpSocket);
