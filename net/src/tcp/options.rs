//! Addresses and options of a stream.
//!
//! Place: called by applications, calls the operating system; runs on any thread.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use socket2::SockRef;

use super::stream::TcpStream;

impl TcpStream {
    /// Returns the address of this end.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().std().local_addr()
    }

    /// Returns the address of the peer.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2): `NotConnected` once the peer has reset the connection.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().std().peer_addr()
    }

    /// Returns the error that the socket holds (`SO_ERROR`) and clears it.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.io.get_ref().std().take_error()
    }

    /// Returns whether small writes are sent at once (`TCP_NODELAY`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn nodelay(&self) -> io::Result<bool> {
        self.io.get_ref().std().nodelay()
    }

    /// Sets `TCP_NODELAY`: if true, small writes are sent at once instead of being collected
    /// while an acknowledgement is missing. Off by default, as in tokio.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_nodelay(&self, nodelay: bool) -> io::Result<()> {
        self.io.get_ref().std().set_nodelay(nodelay)
    }

    /// Returns whether acknowledgements are sent at once (`TCP_QUICKACK`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
    pub fn quickack(&self) -> io::Result<bool> {
        SockRef::from(self).tcp_quickack()
    }

    /// Sets `TCP_QUICKACK`: if true, acknowledgements are sent at once. The kernel may fall back
    /// to delaying them at any time.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    #[cfg(any(target_os = "linux", target_os = "android", target_os = "fuchsia"))]
    pub fn set_quickack(&self, quickack: bool) -> io::Result<()> {
        SockRef::from(self).set_tcp_quickack(quickack)
    }

    /// Returns the linger time (`SO_LINGER`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn linger(&self) -> io::Result<Option<Duration>> {
        SockRef::from(self).linger()
    }

    /// Sets the linger time (`SO_LINGER`): what happens to unsent bytes when the socket is
    /// closed. A fraction of a second counts as a whole one, more than 2^31 - 1 as that many.
    ///
    /// - `None`, the default: close returns at once, the kernel delivers the bytes.
    /// - `Some` of zero: close resets the connection and discards the bytes, as
    ///   [`set_zero_linger`](Self::set_zero_linger).
    /// - `Some` of more: the option is set and read back, but **close does not wait** as
    ///   socket(7) says it would, because that would hold up every other task of the loop. The
    ///   linger time is taken back before the socket is closed; what is on its way is delivered
    ///   as with `None`. To wait for the peer, use
    ///   [`close_gracefully`](Self::close_gracefully).
    ///
    /// The protection covers times that were set here, on a [`TcpSocket`](super::TcpSocket), or
    /// before the socket was handed to `from_std`. A time that was set behind this type's back,
    /// through its descriptor, blocks the loop at close. After
    /// [`into_std`](Self::into_std) the standard library closes the socket, and waits.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_linger(&self, time: Option<Duration>) -> io::Result<()> {
        self.io.get_ref().set_linger(time)
    }

    /// Makes close reset the connection: the peer reads `ConnectionReset`, unsent bytes are
    /// discarded, and the address is free at once.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_zero_linger(&self) -> io::Result<()> {
        self.set_linger(Some(Duration::ZERO))
    }

    /// Returns the value of `IP_TTL`.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        self.io.get_ref().std().ttl()
    }

    /// Sets `IP_TTL`: the hops that a packet may make.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.io.get_ref().std().set_ttl(ttl)
    }

    /// Returns the type-of-service byte of IPv4 packets (`IP_TOS`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn tos_v4(&self) -> io::Result<u32> {
        SockRef::from(self).tos_v4()
    }

    /// Sets the type-of-service byte of IPv4 packets (`IP_TOS`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_tos_v4(&self, tos: u32) -> io::Result<()> {
        SockRef::from(self).set_tos_v4(tos)
    }

    /// Returns the traffic class of IPv6 packets (`IPV6_TCLASS`).
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    #[cfg(target_os = "linux")]
    pub fn tclass_v6(&self) -> io::Result<u32> {
        SockRef::from(self).tclass_v6()
    }

    /// Sets the traffic class of IPv6 packets (`IPV6_TCLASS`).
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    #[cfg(target_os = "linux")]
    pub fn set_tclass_v6(&self, tclass: u32) -> io::Result<()> {
        SockRef::from(self).set_tclass_v6(tclass)
    }
}

crate::options::buffer_sizes!(TcpStream);
#[cfg(target_os = "linux")]
crate::options::socket_options!(TcpStream);
#[cfg(target_os = "linux")]
crate::options::tcp_options!(TcpStream);
