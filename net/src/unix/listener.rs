//! Waiting for connections from within the machine.
//!
//! Place: called by tasks, calls `Acceptor` to wait and `sys` to accept; runs on any thread that
//! polls a task.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::task::{Context, Poll, ready};

use rustix::net::SocketAddrAny;
use socket2::{Domain, SockRef, Type};

use super::address;
use super::stream::UnixStream;
use crate::acceptor::Acceptor;
use crate::sys;

/// A Unix socket that listens for connections.
///
/// Any number of tasks may accept from one listener at once. Dropping it does not remove the file
/// at its path, and a path where a file is cannot be bound again: remove it before.
pub struct UnixListener {
    acceptor: Acceptor<net::UnixListener>,
}

impl UnixListener {
    /// Connections that may wait in the kernel's queue by default, as for TCP.
    pub const DEFAULT_BACKLOG: u32 = crate::TcpListener::DEFAULT_BACKLOG;

    /// Binds to a path, or to an abstract name (see the [module](super)), and starts to listen.
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
        Self::bind_addr(&address::from_path(path.as_ref())?)
    }

    /// As [`bind`](Self::bind), to an address.
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind); `InvalidInput` for an address without a name.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn bind_addr(addr: &SocketAddr) -> io::Result<Self> {
        let address = address::to_kernel(addr)?;
        let socket = sys::new_socket(Domain::UNIX, Type::STREAM)?;
        rustix::net::bind(&socket, &address)?;
        Self::listen(socket, Self::DEFAULT_BACKLOG)
    }

    /// Makes a bound, non-blocking socket listen.
    #[track_caller]
    pub(super) fn listen(socket: OwnedFd, backlog: u32) -> io::Result<Self> {
        SockRef::from(&socket).listen(i32::try_from(backlog).unwrap_or(i32::MAX))?;
        Self::register(net::UnixListener::from(socket))
    }

    #[track_caller]
    fn register(listener: net::UnixListener) -> io::Result<Self> {
        Ok(Self {
            acceptor: Acceptor::new(listener)?,
        })
    }

    /// Waits for the next connection and returns it with the peer's address, which is nearly always
    /// without a name.
    ///
    /// What concerns a single client does not end here, nor does a lack of descriptors or memory:
    /// as in [`TcpListener::accept`](crate::TcpListener::accept).
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
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        let connection = self.acceptor.accept(accept).await?;
        welcome(connection)
    }

    /// Polls for the next connection. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Panics
    ///
    /// Outside a runtime, because the new stream needs one.
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        let connection = ready!(self.acceptor.poll_accept(cx, accept))?;
        Poll::Ready(welcome(connection))
    }

    /// Accepts a connection if one is there, with one system call, and hides no error.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if no connection waits; otherwise the error of accept(2) as it is.
    ///
    /// # Panics
    ///
    /// Outside a runtime, because the new stream needs one.
    pub fn try_accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        welcome(self.acceptor.try_accept(accept)?)
    }

    /// Errors that [`accept`](Self::accept) and [`poll_accept`](Self::poll_accept) have survived
    /// since the listener was made.
    pub fn accept_errors(&self) -> u64 {
        self.acceptor.accept_errors()
    }

    /// Takes over a listener of the standard library. It is set to non-blocking mode here; tokio
    /// leaves that to the caller.
    ///
    /// # Errors
    ///
    /// If the mode cannot be set.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(listener: net::UnixListener) -> io::Result<Self> {
        listener.set_nonblocking(true)?;
        Self::register(listener)
    }

    /// Turns it into a listener of the standard library, in non-blocking mode as it was.
    ///
    /// # Errors
    ///
    /// None at present; the signature is tokio's.
    pub fn into_std(self) -> io::Result<net::UnixListener> {
        Ok(self.acceptor.into_inner())
    }

    /// The address that it is bound to.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.acceptor.get_ref().local_addr()
    }

    /// Returns the error that the socket holds (`SO_ERROR`) and clears it.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.acceptor.get_ref().take_error()
    }
}

fn accept(listener: BorrowedFd<'_>) -> io::Result<(net::UnixStream, Option<SocketAddrAny>)> {
    let (socket, peer) = sys::accept_descriptor(listener)?;
    Ok((socket.into(), peer))
}

fn welcome(
    (socket, peer): (net::UnixStream, Option<SocketAddrAny>),
) -> io::Result<(UnixStream, SocketAddr)> {
    let stream = UnixStream::register(socket)?;
    stream.assume_readable();
    Ok((stream, address::from_kernel(peer)?))
}

impl fmt::Debug for UnixListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.acceptor.get_ref().fmt(f)
    }
}

impl TryFrom<net::UnixListener> for UnixListener {
    type Error = io::Error;

    /// As [`UnixListener::from_std`].
    fn try_from(listener: net::UnixListener) -> io::Result<Self> {
        Self::from_std(listener)
    }
}

impl From<UnixListener> for OwnedFd {
    fn from(listener: UnixListener) -> Self {
        listener.acceptor.into_inner().into()
    }
}

impl AsFd for UnixListener {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.acceptor.get_ref().as_fd()
    }
}

impl AsRawFd for UnixListener {
    fn as_raw_fd(&self) -> RawFd {
        self.acceptor.get_ref().as_raw_fd()
    }
}
