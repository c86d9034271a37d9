//! A connection within the machine.
//!
//! Place: called by tasks, calls `Source` to wait and `sys` to connect; runs on any thread that
//! polls a task. Bytes move in `transfer`.

use std::io;
use std::net::Shutdown;
use std::os::unix::net::{self, SocketAddr};
use std::path::Path;
use std::time::Duration;

use oneloop_runtime::io::{Ready, Source};
use oneloop_runtime::time::sleep;
use socket2::{Domain, Type};

use super::address;
use super::halves::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::stream::lease::LeaseSize;
use crate::sys;

/// A connected Unix socket that carries bytes.
///
/// Reading and writing are as with [`TcpStream`](crate::TcpStream), and so are the halves.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let mut stream = oneloop_net::UnixStream::connect("/run/service.sock").await?;
/// stream.write_all(b"hello").await?;
/// # Ok(())
/// # }
/// ```
pub struct UnixStream {
    pub(crate) io: Source<net::UnixStream>,
    pub(super) lease_size: LeaseSize,
}

impl UnixStream {
    /// Connects to a path, or to an abstract name (see the [module](super)).
    ///
    /// While the listener's queue is full it tries again, after 1 ms at first and every 50 ms in
    /// the end: the kernel has no event for a place in that queue. tokio returns `WouldBlock` then.
    ///
    /// # Errors
    ///
    /// Those of connect(2): `NotFound` without such a file, `ConnectionRefused` if nobody listens,
    /// `PermissionDenied`; `InvalidInput` for a path that is too long (108 bytes on Linux).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the attempt is given up and its socket closed.
    pub async fn connect<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        let address = address::from_path(path.as_ref())?;
        Self::connect_addr(&address).await
    }

    /// As [`connect`](Self::connect), to an address.
    ///
    /// # Errors
    ///
    /// As [`connect`](Self::connect); `InvalidInput` for an address without a name.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_addr(addr: &SocketAddr) -> io::Result<Self> {
        let socket = sys::new_socket(Domain::UNIX, Type::STREAM)?;
        Self::connect_socket(socket.into(), addr).await
    }

    /// Connects a non-blocking socket.
    pub(super) async fn connect_socket(
        socket: net::UnixStream,
        addr: &SocketAddr,
    ) -> io::Result<Self> {
        let address = address::to_kernel(addr)?;
        let mut pause = PAUSE_MIN;
        loop {
            match sys::connect_now(&socket, &address) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    sleep(pause).await;
                    pause = (pause * 2).min(PAUSE_MAX);
                }
                outcome => {
                    outcome?;
                    return Self::register(socket);
                }
            }
        }
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
        let (one, other) = net::UnixStream::pair()?;
        let ends = (Self::from_std(one)?, Self::from_std(other)?);
        ends.0.io.assume_ready(Ready::WRITABLE);
        ends.1.io.assume_ready(Ready::WRITABLE);
        Ok(ends)
    }

    /// The address of this end.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().local_addr()
    }

    /// The address of the peer: without a name if it did not bind its socket.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2).
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.io.get_ref().peer_addr()
    }

    /// Who is at the other end, as it was when the connection was made.
    ///
    /// # Errors
    ///
    /// Those of getsockopt(2).
    #[cfg(any(target_os = "linux", target_os = "android"))]
    pub fn peer_cred(&self) -> io::Result<super::UCred> {
        super::UCred::of_peer(std::os::fd::AsFd::as_fd(self))
    }

    /// Splits the stream into a half to read from and a half to write to, for one task.
    ///
    /// Costs nothing. The halves borrow the stream; dropping them does nothing.
    pub fn split(&mut self) -> (ReadHalf<'_>, WriteHalf<'_>) {
        let stream = &*self;
        (ReadHalf::new(stream), WriteHalf::new(stream))
    }

    /// Splits the stream into a half to read from and a half to write to, for two tasks, on one
    /// loop or on two. Costs an allocation.
    ///
    /// **Dropping the write half half-closes the connection**: the peer reads the end of the
    /// stream. [`OwnedWriteHalf::forget`] avoids it.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        halves::split_owned(self)
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        self.io.get_ref().shutdown(Shutdown::Write)
    }

    /// A client that speaks first has often done so when its connection is accepted.
    pub(super) fn assume_readable(&self) {
        self.io.assume_ready(Ready::READABLE);
    }
}

impl AsRef<Self> for UnixStream {
    fn as_ref(&self) -> &Self {
        self
    }
}

crate::conversions::conversions!(UnixStream, net::UnixStream, lease_size: LeaseSize::new());
crate::options::buffer_sizes!(UnixStream);

const PAUSE_MIN: Duration = Duration::from_millis(1);
const PAUSE_MAX: Duration = Duration::from_millis(50);
