//! Waiting for connections.
//!
//! Place: called by tasks, calls `Acceptor` to wait and `sys` to accept; runs on any thread
//! that polls a task.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::{Context, Poll, ready};

use socket2::SockRef;

use super::descriptor::Descriptor;
use super::stream::TcpStream;
use crate::acceptor::Acceptor;
use crate::addr::{self, ToSocketAddrs};
use crate::{lookup, sys};

/// A TCP socket that listens for connections.
///
/// Any number of tasks may accept from one listener at once, on one loop or on several:
/// each connection goes to one of them. For one listener per loop, where the kernel
/// distributes the connections, see [`bind_reuse_port`](Self::bind_reuse_port).
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let listener = oneloop_net::TcpListener::bind("127.0.0.1:8080").await?;
/// loop {
///     let (mut stream, peer) = listener.accept().await?;
///     oneloop_runtime::task::spawn(async move {
///         let mut buf = [0; 1024];
///         while let Ok(n @ 1..) = stream.read(&mut buf).await {
///             if stream.write_all(&buf[..n]).await.is_err() {
///                 break;
///             }
///         }
///         drop(peer);
///     });
/// }
/// # }
/// ```
pub struct TcpListener {
    acceptor: Acceptor<net::TcpListener>,
    /// A linger time above zero is set, and accepted sockets inherit it.
    lingers: bool,
}

impl TcpListener {
    /// Connections that may wait in the kernel's queue by default.
    ///
    /// tokio has 1024. The system may have a smaller limit (`net.core.somaxconn`, 4096 on
    /// Linux). For another number use [`TcpSocket::listen`](super::TcpSocket::listen).
    pub const DEFAULT_BACKLOG: u32 = 4096;

    /// Binds a new listener to an address and starts to listen.
    ///
    /// With port 0 the system chooses a free port: [`local_addr`](Self::local_addr) tells
    /// which. `SO_REUSEADDR` is set, so that a server can be started again while connections of
    /// the one before are still known to the kernel. The backlog is
    /// [`DEFAULT_BACKLOG`](Self::DEFAULT_BACKLOG). If `addr` yields several addresses, the
    /// first one that can be bound is taken.
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
        Self::bind_any(addr, false).await
    }

    /// Binds a new listener to an address that others may be bound to as well.
    ///
    /// Sets `SO_REUSEPORT`: several listeners of the same user can be bound to the same port,
    /// if all do it in this way, and the kernel distributes new connections among them. With
    /// one listener per loop no two loops ever wake up for the same connection. The rest is as
    /// with [`bind`](Self::bind).
    ///
    /// A connection belongs to the listener that the kernel chose: those that wait in the queue
    /// of a listener are reset when that listener is dropped.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing is bound unless the future completes.
    pub async fn bind_reuse_port<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        Self::bind_any(addr, true).await
    }

    async fn bind_any<A: ToSocketAddrs>(addr: A, reuse_port: bool) -> io::Result<Self> {
        let mut last = None;
        for address in addr::resolve(addr).await? {
            match Self::bind_one(&address, reuse_port) {
                Ok(listener) => return Ok(listener),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(lookup::no_address))
    }

    fn bind_one(address: &SocketAddr, reuse_port: bool) -> io::Result<Self> {
        let socket = sys::stream_socket(address)?;
        let options = SockRef::from(&socket);
        options.set_reuse_address(true)?;
        if reuse_port {
            options.set_reuse_port(true)?;
        }
        options.bind(&(*address).into())?;
        Self::listen(socket, Self::DEFAULT_BACKLOG, false)
    }

    /// Makes a bound, non-blocking socket listen.
    #[track_caller]
    pub(super) fn listen(socket: OwnedFd, backlog: u32, lingers: bool) -> io::Result<Self> {
        SockRef::from(&socket).listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Self::register(net::TcpListener::from(socket), lingers)
    }

    #[track_caller]
    fn register(listener: net::TcpListener, lingers: bool) -> io::Result<Self> {
        Ok(Self {
            acceptor: Acceptor::new(listener)?,
            lingers,
        })
    }

    /// Waits for the next connection and returns it with the peer's address.
    ///
    /// The stream is close-on-exec and non-blocking from its first moment.
    ///
    /// What concerns a single client does not end here: if it went away before it was accepted
    /// (`ECONNABORTED`, `EPROTO`, `EPERM` and the network errors of accept(2)), the next one
    /// follows at once. If the process or the machine has run out of descriptors or memory
    /// (`EMFILE`, `ENFILE`, `ENOBUFS`, `ENOMEM`), the attempt is repeated after a pause of 10 ms,
    /// which doubles up to 100 ms, until it succeeds; clients wait in the kernel's queue
    /// meanwhile. Both are counted in [`accept_errors`](Self::accept_errors). In tokio these
    /// errors are the caller's; [`try_accept`](Self::try_accept) returns them here.
    ///
    /// # Errors
    ///
    /// Only if the listener cannot work: the socket does not listen, or the runtime is gone.
    ///
    /// # Panics
    ///
    /// Outside a runtime, because the new stream needs one.
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, no connection was accepted.
    pub async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        let connection = self.acceptor.accept(sys::accept).await?;
        self.welcome(connection)
    }

    /// Polls for the next connection. Errors are dealt with as in [`accept`](Self::accept).
    ///
    /// Only the task that polled last is woken: for several acceptors use
    /// [`accept`](Self::accept).
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Panics
    ///
    /// Outside a runtime, because the new stream needs one.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let connection = ready!(self.acceptor.poll_accept(cx, sys::accept))?;
        Poll::Ready(self.welcome(connection))
    }

    /// Accepts a connection if one is there, with one system call, and hides no error.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if no connection waits; otherwise the error of accept(2) as it is, which
    /// [`accept_errors`](Self::accept_errors) does not count.
    ///
    /// # Panics
    ///
    /// Outside a runtime, because the new stream needs one.
    pub fn try_accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.welcome(self.acceptor.try_accept(sys::accept)?)
    }

    /// Errors that [`accept`](Self::accept) and [`poll_accept`](Self::poll_accept) have survived
    /// since the listener was made. A number that grows by about ten a second says that
    /// descriptors or memory have run out.
    pub fn accept_errors(&self) -> u64 {
        self.acceptor.accept_errors()
    }

    fn welcome(
        &self,
        (stream, peer): (net::TcpStream, SocketAddr),
    ) -> io::Result<(TcpStream, SocketAddr)> {
        let stream = TcpStream::register(Descriptor::with_linger(stream, self.lingers))?;
        stream.assume_readable();
        Ok((stream, peer))
    }

    /// Takes over a listener of the standard library.
    ///
    /// It is set to non-blocking mode here; tokio leaves that to the caller. It must be
    /// listening already.
    ///
    /// # Errors
    ///
    /// If the mode cannot be set or the socket cannot be registered.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(listener: net::TcpListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        let lingers = sys::lingers(&listener);
        Self::register(listener, lingers)
    }

    /// Turns the listener into one of the standard library, in non-blocking mode as it was:
    /// [`set_nonblocking`](net::TcpListener::set_nonblocking) changes that.
    ///
    /// # Errors
    ///
    /// None at present; the signature is tokio's.
    pub fn into_std(self) -> io::Result<net::TcpListener> {
        Ok(self.acceptor.into_inner())
    }

    /// Returns the address that the listener is bound to, with the port that the system chose.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.get_ref().local_addr()
    }

    /// Returns the value of `IP_TTL`, which accepted sockets inherit.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn ttl(&self) -> io::Result<u32> {
        self.acceptor.get_ref().ttl()
    }

    /// Sets `IP_TTL`: the hops that a packet may make.
    ///
    /// # Errors
    ///
    /// Those of setsockopt(2).
    pub fn set_ttl(&self, ttl: u32) -> io::Result<()> {
        self.acceptor.get_ref().set_ttl(ttl)
    }
}

impl fmt::Debug for TcpListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.acceptor.get_ref().fmt(f)
    }
}

// As in tokio; for the reason see `TcpStream`.
impl UnwindSafe for TcpListener {}
impl RefUnwindSafe for TcpListener {}

impl TryFrom<net::TcpListener> for TcpListener {
    type Error = io::Error;

    /// As [`TcpListener::from_std`].
    fn try_from(listener: net::TcpListener) -> io::Result<Self> {
        Self::from_std(listener)
    }
}

impl From<TcpListener> for OwnedFd {
    fn from(listener: TcpListener) -> Self {
        listener.acceptor.into_inner().into()
    }
}

impl AsFd for TcpListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.acceptor.get_ref().as_fd()
    }
}

impl AsRawFd for TcpListener {
    fn as_raw_fd(&self) -> RawFd {
        self.acceptor.get_ref().as_raw_fd()
    }
}
