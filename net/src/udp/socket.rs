//! A socket, and the datagrams that go to a named address.
//!
//! Place: called by tasks, calls `addr` to resolve names, `Source` to wait and `sys` to send; runs
//! on any thread that polls a task.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::task::{Context, Poll};

use oneloop_runtime::io::{Direction, Interest, Source};
use socket2::{Domain, SockRef, Type};

use crate::addr::{self, ToSocketAddrs};
use crate::{lookup, sys};

/// A UDP socket.
///
/// With [`connect`](Self::connect) it sends to, and receives from, one address by
/// [`send`](Self::send) and [`recv`](Self::recv); without it to and from any, by
/// [`send_to`](Self::send_to) and [`recv_from`](Self::recv_from). All take a shared reference, so
/// that tasks may share a socket in an [`Arc`](std::sync::Arc): each datagram goes to one of them.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let socket = oneloop_net::UdpSocket::bind("127.0.0.1:7777").await?;
/// let mut buf = [0; 2048];
/// loop {
///     let (count, peer) = socket.recv_from(&mut buf).await?;
///     socket.send_to(&buf[..count], peer).await?;
/// }
/// # }
/// ```
pub struct UdpSocket {
    pub(super) io: Source<net::UdpSocket>,
}

impl UdpSocket {
    /// Binds a new socket to an address. With port 0 the system chooses a free port.
    ///
    /// If `addr` yields several addresses, the first one that can be bound is taken.
    ///
    /// # Errors
    ///
    /// Those of [`lookup_host`](crate::lookup_host); those of the system for the last address
    /// tried, such as `AddrInUse`; `InvalidInput` if there is no address.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing is bound unless the future completes.
    pub async fn bind<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        let mut last = None;
        for address in addr::resolve(addr).await? {
            match bind_one(&address) {
                Ok(socket) => return Self::register(socket),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(lookup::no_address))
    }

    /// Sets the address that [`send`](Self::send) sends to, and receives only from it.
    ///
    /// If `addr` yields several addresses, the first one that the system accepts is taken. Nothing
    /// is sent, so success says nothing about the peer.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind), for connect(2).
    ///
    /// # Cancel safety
    ///
    /// Safe: the socket is connected or not.
    pub async fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<()> {
        let mut last = None;
        for address in addr::resolve(addr).await? {
            match self.io.get_ref().connect(address) {
                Ok(()) => return Ok(()),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(lookup::no_address))
    }

    /// Sends a datagram to an address and returns its length. If `target` yields several, the first
    /// is taken.
    ///
    /// # Errors
    ///
    /// Those of [`lookup_host`](crate::lookup_host) and of sendto(2), such as `EMSGSIZE`;
    /// `InvalidInput` if there is no address.
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was sent.
    pub async fn send_to<A: ToSocketAddrs>(&self, buf: &[u8], target: A) -> io::Result<usize> {
        let mut addresses = addr::resolve(target).await?;
        let address = addresses.next().ok_or_else(lookup::no_address)?;
        let send = |socket: &net::UdpSocket| sys::send_to(socket.as_fd(), buf, &address);
        self.io.async_io(Interest::WRITABLE, send).await
    }

    /// Polls to send a datagram to an address. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// Those of sendto(2).
    pub fn poll_send_to(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.io.poll_io(cx, Direction::Write, |socket| {
            sys::send_to(socket.as_fd(), buf, &target)
        })
    }

    /// Sends a datagram to an address, if there is room.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; otherwise those of sendto(2).
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        let send = |socket: &net::UdpSocket| sys::send_to(socket.as_fd(), buf, &target);
        self.io.try_io(Interest::WRITABLE, send)
    }
}

fn bind_one(address: &SocketAddr) -> io::Result<net::UdpSocket> {
    let socket = sys::new_socket(Domain::for_address(*address), Type::DGRAM)?;
    SockRef::from(&socket).bind(&(*address).into())?;
    Ok(socket.into())
}

crate::conversions::conversions!(UdpSocket, net::UdpSocket);
