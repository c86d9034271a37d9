//! Datagrams over the network.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll, ready};

use crate::io::ReadBuf;
use crate::net::ToSocketAddrs;
use crate::net::datagram::datagram;
use crate::net::macros::delegate;
use crate::runtime::context::{require_io, running_io};
use crate::runtime::shutdown::InTokioWords;

/// A UDP socket.
pub struct UdpSocket {
    inner: oneloop::net::UdpSocket,
}

impl UdpSocket {
    /// Binds to the first address that can be bound.
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
        let inner = oneloop::net::UdpSocket::bind(addr).await.in_tokio_words()?;
        Ok(Self { inner })
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
    pub fn from_std(socket: std::net::UdpSocket) -> io::Result<Self> {
        require_io();
        oneloop::net::UdpSocket::from_std(socket).map(|inner| Self { inner })
    }

    /// The socket as std knows it, still in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn into_std(self) -> io::Result<std::net::UdpSocket> {
        self.inner.into_std()
    }

    /// Connects to the first address that the system takes.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Cancel safety
    ///
    /// The socket stays as it was unless the future completes.
    pub async fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        self.inner.connect(addr).await.in_tokio_words()
    }

    /// Sends to an address.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], addr: A) -> io::Result<usize> {
        self.inner.send_to(buf, addr).await.in_tokio_words()
    }

    /// The poll behind [`send_to`](Self::send_to). The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_send_to(cx, buf, target).in_tokio_words()
    }

    /// Receives and leaves the datagram.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.inner.peek(buf).await.in_tokio_words()
    }

    /// As [`peek`](Self::peek), with the sender.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.inner.peek_from(buf).await.in_tokio_words()
    }

    /// The sender of the next datagram.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        self.inner.peek_sender().await.in_tokio_words()
    }

    /// The poll behind [`peek`](Self::peek). The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let count = ready!(
            self.inner
                .poll_peek(cx, buf.initialize_unfilled())
                .in_tokio_words()
        )?;
        buf.advance(count);
        Poll::Ready(Ok(()))
    }

    /// The poll behind [`peek_from`](Self::peek_from). The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<SocketAddr>> {
        let (count, from) = ready!(
            self.inner
                .poll_peek_from(cx, buf.initialize_unfilled())
                .in_tokio_words()
        )?;
        buf.advance(count);
        Poll::Ready(Ok(from))
    }

    /// The poll behind [`peek_sender`](Self::peek_sender). The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.inner.poll_peek_sender(cx).in_tokio_words()
    }

    delegate! {
        /// Sends to an address, without waiting.
        try_send_to(buf: &[u8], target: SocketAddr) -> io::Result<usize>;
        /// Receives without waiting, and leaves the datagram.
        try_peek(buf: &mut [u8]) -> io::Result<usize>;
        /// As `try_peek`, with the sender.
        try_peek_from(buf: &mut [u8]) -> io::Result<(usize, SocketAddr)>;
        /// The sender of the next datagram, without waiting.
        try_peek_sender() -> io::Result<SocketAddr>;
        /// This end's address.
        local_addr() -> io::Result<SocketAddr>;
        /// The address that it is connected to.
        peer_addr() -> io::Result<SocketAddr>;
        /// Whether it may send to broadcast addresses (`SO_BROADCAST`).
        broadcast() -> io::Result<bool>;
        /// Sets whether it may send to broadcast addresses.
        set_broadcast(on: bool) -> io::Result<()>;
        /// Whether own IPv4 multicast datagrams come back (`IP_MULTICAST_LOOP`).
        multicast_loop_v4() -> io::Result<bool>;
        /// Sets whether own IPv4 multicast datagrams come back.
        set_multicast_loop_v4(on: bool) -> io::Result<()>;
        /// The hops of IPv4 multicast datagrams (`IP_MULTICAST_TTL`).
        multicast_ttl_v4() -> io::Result<u32>;
        /// Sets the hops of IPv4 multicast datagrams.
        set_multicast_ttl_v4(ttl: u32) -> io::Result<()>;
        /// Whether own IPv6 multicast datagrams come back (`IPV6_MULTICAST_LOOP`).
        multicast_loop_v6() -> io::Result<bool>;
        /// Sets whether own IPv6 multicast datagrams come back.
        set_multicast_loop_v6(on: bool) -> io::Result<()>;
        /// The traffic class of IPv6 datagrams (`IPV6_TCLASS`).
        tclass_v6() -> io::Result<u32>;
        /// Sets the traffic class of IPv6 datagrams.
        set_tclass_v6(tclass: u32) -> io::Result<()>;
        /// The time to live of its datagrams.
        ttl() -> io::Result<u32>;
        /// Sets the time to live of its datagrams.
        set_ttl(ttl: u32) -> io::Result<()>;
        /// The type of service of IPv4 datagrams (`IP_TOS`).
        tos_v4() -> io::Result<u32>;
        /// Sets the type of service of IPv4 datagrams.
        set_tos_v4(tos: u32) -> io::Result<()>;
        /// The interface that it is bound to (`SO_BINDTODEVICE`).
        device() -> io::Result<Option<Vec<u8>>>;
        /// Binds it to an interface.
        bind_device(interface: Option<&[u8]>) -> io::Result<()>;
        /// Joins an IPv4 multicast group.
        join_multicast_v4(multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()>;
        /// Joins an IPv6 multicast group.
        join_multicast_v6(multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()>;
        /// Leaves an IPv4 multicast group.
        leave_multicast_v4(multiaddr: Ipv4Addr, interface: Ipv4Addr) -> io::Result<()>;
        /// Leaves an IPv6 multicast group.
        leave_multicast_v6(multiaddr: &Ipv6Addr, interface: u32) -> io::Result<()>;
    }

    /// The former name of [`tos_v4`](Self::tos_v4).
    ///
    /// # Errors
    ///
    /// Those of the system.
    #[doc(hidden)]
    #[deprecated = "use tos_v4"]
    pub fn tos(&self) -> io::Result<u32> {
        self.tos_v4()
    }

    /// The former name of [`set_tos_v4`](Self::set_tos_v4).
    ///
    /// # Errors
    ///
    /// Those of the system.
    #[doc(hidden)]
    #[deprecated = "use set_tos_v4"]
    pub fn set_tos(&self, tos: u32) -> io::Result<()> {
        self.set_tos_v4(tos)
    }
}

impl TryFrom<std::net::UdpSocket> for UdpSocket {
    type Error = io::Error;

    #[track_caller]
    fn try_from(socket: std::net::UdpSocket) -> io::Result<Self> {
        Self::from_std(socket)
    }
}

datagram!(UdpSocket, SocketAddr);
