//! A socket before it is a listener or a stream: options that must be set first.
//!
//! Place: called by applications, calls the operating system; runs on any thread. Only what it
//! turns into is registered with a loop.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::time::Duration;

use rustix::io::Errno;
use socket2::{Domain, SockRef, Type};

use super::descriptor::Descriptor;
use super::listener::TcpListener;
use super::stream::TcpStream;
use crate::sys;

/// A TCP socket that is neither connected nor listening.
///
/// For options that have to be set before [`connect`](Self::connect) or
/// [`listen`](Self::listen), such as the sizes of the kernel's buffers, or the address to
/// connect from. No option is set by default.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let socket = oneloop_net::TcpSocket::new_v4()?;
/// socket.set_reuseaddr(true)?;
/// socket.bind("127.0.0.1:8080".parse().unwrap())?;
/// let listener = socket.listen(1024)?;
/// # drop(listener);
/// # Ok(())
/// # }
/// ```
pub struct TcpSocket {
    descriptor: Descriptor,
    /// The socket was made elsewhere and may be in blocking mode.
    adopted: bool,
}

impl TcpSocket {
    /// Creates a socket for IPv4, non-blocking and close-on-exec.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn new_v4() -> io::Result<Self> {
        Self::new(Domain::IPV4)
    }

    /// Creates a socket for IPv6, non-blocking and close-on-exec.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    pub fn new_v6() -> io::Result<Self> {
        Self::new(Domain::IPV6)
    }

    fn new(family: Domain) -> io::Result<Self> {
        let descriptor = Descriptor::new(sys::new_socket(family, Type::STREAM)?);
        Ok(Self {
            descriptor,
            adopted: false,
        })
    }

    fn adopt(stream: impl Into<net::TcpStream>) -> Self {
        Self {
            descriptor: Descriptor::adopt(stream),
            adopted: true,
        }
    }

    /// Takes over a socket of the standard library, to set options that it has no methods for.
    ///
    /// It is set to non-blocking mode when it is connected or made to listen; tokio leaves that
    /// to the caller.
    pub fn from_std_stream(std_stream: net::TcpStream) -> Self {
        Self::adopt(std_stream)
    }

    fn options(&self) -> SockRef<'_> {
        SockRef::from(&self.descriptor)
    }

    /// Binds the socket to an address, which for a client is the address to connect from.
    ///
    /// # Errors
    ///
    /// Those of bind(2), such as `AddrInUse`.
    pub fn bind(&self, addr: SocketAddr) -> io::Result<()> {
        self.options().bind(&addr.into())
    }

    /// Connects the socket.
    ///
    /// # Errors
    ///
    /// Those of the system, such as `ConnectionRefused`. A socket that nobody had bound and that
    /// the kernel connected to itself is refused as well, as in [`TcpStream::connect`]. If the
    /// socket was bound to the very address it connects to, that connection is what was asked
    /// for.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the attempt is given up and the socket closed.
    pub async fn connect(self, addr: SocketAddr) -> io::Result<TcpStream> {
        self.ensure_nonblocking()?;
        let bound = self.local_addr().is_ok_and(|local| local.port() != 0);
        let stream = TcpStream::connect_descriptor(self.descriptor, addr).await?;
        if !bound && stream.is_connected_to_itself(addr.port()) {
            return Err(Errno::CONNREFUSED.into());
        }
        Ok(stream)
    }

    /// Makes the socket listen. `backlog` connections may wait in the kernel's queue; the system
    /// may have a smaller limit (`net.core.somaxconn` on Linux).
    ///
    /// # Errors
    ///
    /// Those of listen(2).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<TcpListener> {
        self.ensure_nonblocking()?;
        let lingers = self.descriptor.lingers();
        TcpListener::listen(self.descriptor.into(), backlog, lingers)
    }

    fn ensure_nonblocking(&self) -> io::Result<()> {
        if self.adopted {
            self.descriptor.std().set_nonblocking(true)?;
        }
        Ok(())
    }

    /// Returns the address that the socket is bound to; port 0 if it is not.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.descriptor.std().local_addr()
    }

    /// Returns the error that the socket holds (`SO_ERROR`) and clears it.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.options().take_error()
    }

    /// Sets `SO_REUSEADDR`: on Unix, whether the socket may be bound to an address that old
    /// connections still use.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_reuseaddr(&self, reuseaddr: bool) -> io::Result<()> {
        self.options().set_reuse_address(reuseaddr)
    }

    /// Returns the value of `SO_REUSEADDR`.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn reuseaddr(&self) -> io::Result<bool> {
        self.options().reuse_address()
    }

    /// Sets `SO_REUSEPORT`: whether several sockets may be bound to one address. The kernel
    /// distributes new connections among those that listen.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_reuseport(&self, reuseport: bool) -> io::Result<()> {
        self.options().set_reuse_port(reuseport)
    }

    /// Returns the value of `SO_REUSEPORT`.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn reuseport(&self) -> io::Result<bool> {
        self.options().reuse_port()
    }

    /// Sets `SO_KEEPALIVE`: whether the kernel probes a connection on which nothing happens.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_keepalive(&self, keepalive: bool) -> io::Result<()> {
        self.options().set_keepalive(keepalive)
    }

    /// Returns the value of `SO_KEEPALIVE`.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn keepalive(&self) -> io::Result<bool> {
        self.options().keepalive()
    }

    /// Sets `TCP_NODELAY`: if true, small writes are sent at once.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.options().set_tcp_nodelay(nodelay)
    }

    /// Returns the value of `TCP_NODELAY`.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn nodelay(&self) -> io::Result<bool> {
        self.options().tcp_nodelay()
    }

    /// Sets the linger time (`SO_LINGER`). Closing never blocks: see [`TcpStream::set_linger`].
    /// The sockets that a listener accepts inherit it.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_linger(&self, time: Option<Duration>) -> io::Result<()> {
        self.descriptor.set_linger(time)
    }

    /// Makes close reset the connection: see [`TcpStream::set_zero_linger`].
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// Returns the linger time.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        self.options().linger()
    }

    /// Sets the type-of-service byte of IPv4 packets (`IP_TOS`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        self.options().set_tos_v4(tos)
    }

    /// Returns the type-of-service byte of IPv4 packets.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn tos_v4(&self) -> io::Result<u32> {
        self.options().tos_v4()
    }

    /// The former name of [`set_tos_v4`](Self::set_tos_v4).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    #[doc(hidden)]
    #[deprecated(note = "the option concerns IPv4 only: use set_tos_v4")]
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_tos_v4(tos)
    }

    /// The former name of [`tos_v4`](Self::tos_v4).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    #[doc(hidden)]
    #[deprecated(note = "the option concerns IPv4 only: use tos_v4")]
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// Sets the traffic class of IPv6 packets (`IPV6_TCLASS`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "freebsd"
    ))]
    pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
        self.options().set_tclass_v6(tclass)
    }

    /// Returns the traffic class of IPv6 packets.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    #[cfg(any(
        target_os = "linux",
        target_os = "android",
        target_os = "macos",
        target_os = "freebsd"
    ))]
    pub fn tclass_v6(&self) -> io::Result<u32> {
        self.options().tclass_v6()
    }

    /// Binds the socket to a network interface by name (`SO_BINDTODEVICE`); `None` undoes it.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2). Some kernels ask for a privilege.
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
    pub fn bind_device(&self, interface: Option<&[u8]>) -> io::Result<()> {
        self.options().bind_device(interface)
    }

    /// Returns the name of the network interface that the socket is bound to.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
    pub fn device(&self) -> io::Result<Option<Vec<u8>>> {
        self.options().device()
    }
}

crate::options::buffer_sizes!(TcpSocket);

impl fmt::Debug for TcpSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("TcpSocket");
        if let Ok(addr) = self.local_addr() {
            text.field("addr", &addr);
        }
        text.field("fd", &self.as_raw_fd()).finish()
    }
}

impl From<OwnedFd> for TcpSocket {
    /// Takes over a TCP socket. As [`TcpSocket::from_std_stream`].
    fn from(fd: OwnedFd) -> Self {
        Self::adopt(fd)
    }
}

impl From<TcpSocket> for OwnedFd {
    fn from(socket: TcpSocket) -> Self {
        socket.descriptor.into()
    }
}

impl AsFd for TcpSocket {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl AsRawFd for TcpSocket {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}

impl IntoRawFd for TcpSocket {
    fn into_raw_fd(self) -> RawFd {
        OwnedFd::from(self).into_raw_fd()
    }
}

impl FromRawFd for TcpSocket {
    /// Takes over a TCP socket.
    ///
    /// # Safety
    ///
    /// `fd` is open and belongs to the caller, who gives it away.
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: the caller's duty is the same.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        Self::adopt(fd)
    }
}
