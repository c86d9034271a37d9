//! A socket, and the datagrams that go to a named address.
//!
//! Place: called by tasks, calls `address` about paths, `Source` to wait and `sys` to send; runs on
//! any thread that polls a task.

use std::io;
use std::net::Shutdown;
use std::os::fd::AsFd;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::task::{Context, Poll};
use std::time::Duration;

use oneloop_runtime::io::{Direction, Interest, Ready, Source};
use oneloop_runtime::time::timeout;
use rustix::net::SocketAddrUnix;
use socket2::{Domain, Type};

use super::super::address;
use crate::sys;

/// A Unix socket that carries datagrams.
///
/// A datagram is delivered or refused, never lost: `send` waits while the receiver's queue is full.
/// What does not fit into the receiver's buffer is lost.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let (one, other) = oneloop_net::UnixDatagram::pair()?;
/// one.send(b"hello").await?;
/// let mut buf = [0; 16];
/// let count = other.recv(&mut buf).await?;
/// # Ok(())
/// # }
/// ```
pub struct UnixDatagram {
    pub(super) io: Source<net::UnixDatagram>,
}

impl UnixDatagram {
    /// Binds a new socket to a path, or to an abstract name (see the [module](super::super)).
    ///
    /// # Errors
    ///
    /// Those of bind(2): `AddrInUse` if there is a file already; `InvalidInput` for a path that is
    /// too long (108 bytes on Linux).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let address = kernel_address(path.as_ref())?;
        let socket = sys::new_socket(Domain::UNIX, Type::DGRAM)?;
        rustix::net::bind(&socket, &address)?;
        Self::register(socket.into())
    }

    /// A new socket without a name: it can send, and receive only if it is connected.
    ///
    /// # Errors
    ///
    /// Those of socket(2).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn unbound() -> io::Result<Self> {
        Self::register(sys::new_socket(Domain::UNIX, Type::DGRAM)?.into())
    }

    /// Two sockets that are connected to each other.
    ///
    /// # Errors
    ///
    /// Those of socketpair(2).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn pair() -> io::Result<(Self, Self)> {
        let (one, other) = net::UnixDatagram::pair()?;
        let ends = (Self::from_std(one)?, Self::from_std(other)?);
        ends.0.io.assume_ready(Ready::WRITABLE);
        ends.1.io.assume_ready(Ready::WRITABLE);
        Ok(ends)
    }

    /// Sets the address that [`send`](Self::send) sends to, and receives only from it.
    ///
    /// # Errors
    ///
    /// Those of connect(2): `NotFound` without such a file, `ConnectionRefused` if nobody has bound
    /// it.
    pub fn connect<P: AsRef<Path>>(&self, path: P) -> io::Result<()> {
        sys::connect_now(self.io.get_ref(), &kernel_address(path.as_ref())?)
    }

    /// Sends a datagram to a path, or to an abstract name, and returns its length.
    ///
    /// While the receiver's queue is full of other senders' datagrams the kernel has no event for
    /// this socket: it tries again every 10 ms then.
    ///
    /// # Errors
    ///
    /// Those of sendto(2): `NotFound`, `ConnectionRefused`, `EMSGSIZE`.
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was sent.
    pub async fn send_to<P: AsRef<Path>>(&self, buf: &[u8], target: P) -> io::Result<usize> {
        let address = kernel_address(target.as_ref())?;
        let send = |socket: &net::UnixDatagram| sys::send_to(socket.as_fd(), buf, &address);
        loop {
            let sent = self.io.async_io(Interest::WRITABLE, send);
            if let Ok(result) = timeout(FULL_QUEUE_PAUSE, sent).await {
                return result;
            }
        }
    }

    /// Polls to send a datagram. The task that polled last is woken, and only when this socket's
    /// own datagrams leave a queue.
    ///
    /// # Errors
    ///
    /// As [`send_to`](Self::send_to).
    pub fn poll_send_to<P: AsRef<Path>>(
        &self,
        cx: &mut Context<'_>,
        buf: &[u8],
        target: P,
    ) -> Poll<io::Result<usize>> {
        let address = kernel_address(target.as_ref())?;
        self.io.poll_io(cx, Direction::Write, |socket| {
            sys::send_to(socket.as_fd(), buf, &address)
        })
    }

    /// Sends a datagram, if there is room.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; otherwise as [`send_to`](Self::send_to).
    pub fn try_send_to<P: AsRef<Path>>(&self, buf: &[u8], target: P) -> io::Result<usize> {
        let address = kernel_address(target.as_ref())?;
        let send = |socket: &net::UnixDatagram| sys::send_to(socket.as_fd(), buf, &address);
        self.io.try_io(Interest::WRITABLE, send)
    }

    /// The address that it is bound to, without a name if it is not.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// The address that it is connected to.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2): `NotConnected` if it is not.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Shuts down one direction or both.
    ///
    /// **Receiving does not end by it**: once what was there is received, `recv` waits for ever. The
    /// kernel tells a socket that does not block that nothing is there, and not that nothing comes.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2).
    pub fn shutdown(&self, how: Shutdown) -> io::Result<()> {
        self.io.get_ref().shutdown(how)
    }
}

fn kernel_address(path: &Path) -> io::Result<SocketAddrUnix> {
    address::to_kernel(&address::from_path(path)?)
}

crate::conversions::conversions!(UnixDatagram, net::UnixDatagram);
crate::options::buffer_sizes!(UnixDatagram);

const FULL_QUEUE_PAUSE: Duration = Duration::from_millis(10);
