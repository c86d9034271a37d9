//! A connection: how it comes into being, is waited for, split and given away.
//!
//! Place: called by tasks, calls `Source` to wait and `sys` to connect; runs on any thread that
//! polls a task. Bytes move in `transfer`, options are in `options`.
//!
//! # Invariants
//! - A stream holds no buffer and no allocation of its own besides its registration.
//! - A stream is known to be connected when the caller gets it: to somebody else.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{self, Shutdown, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::time::Duration;

use oneloop_runtime::io::{Direction, Ready, Source};
use oneloop_runtime::time::timeout;
use rustix::io::Errno;

use super::descriptor::Descriptor;
use super::halves::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::addr::{self, ToSocketAddrs};
use crate::stream::lease::LeaseSize;
use crate::{lookup, sys};

/// A TCP connection.
///
/// Reading and writing need no trait: [`read`](Self::read), [`read_exact`](Self::read_exact),
/// [`write`](Self::write), [`write_all`](Self::write_all), [`shutdown`](Self::shutdown). To do
/// both at once, [`split`](Self::split) the stream within one task or
/// [`into_split`](Self::into_split) it for two. A stream is `Send`: it may be accepted on one
/// loop and served on another.
///
/// Dropping a stream closes it in both directions without waiting. If bytes that the peer sent
/// have not been read, the kernel then resets the connection, and the peer may lose what was
/// written last: [`close_gracefully`](Self::close_gracefully) avoids that.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let mut stream = oneloop_net::TcpStream::connect("127.0.0.1:8080").await?;
/// stream.write_all(b"hello").await?;
/// let mut answer = [0; 5];
/// stream.read_exact(&mut answer).await?;
/// # Ok(())
/// # }
/// ```
pub struct TcpStream {
    pub(crate) io: Source<Descriptor>,
    pub(super) lease_size: LeaseSize,
}

impl TcpStream {
    /// Connects to an address.
    ///
    /// If `addr` yields several addresses, they are tried one after the other until one of
    /// them answers. There is no limit of time but the system's, which is minutes: wrap the
    /// call in [`timeout`].
    ///
    /// # Errors
    ///
    /// Those of [`lookup_host`](crate::lookup_host); those of the system for the last address
    /// tried, such as `ConnectionRefused`; `InvalidInput` if there is no address.
    ///
    /// If nobody listens on a port of this machine that the system gives out to clients, the
    /// kernel can choose that very port for the caller and connect the socket to itself. This
    /// is reported as `ConnectionRefused`; in tokio it looks like a connection.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the attempt is given up and its socket closed.
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        let mut last = None;
        for address in addr::resolve(addr).await? {
            match Self::connect_one(address).await {
                Ok(stream) => return Ok(stream),
                Err(error) => last = Some(error),
            }
        }
        Err(last.unwrap_or_else(lookup::no_address))
    }

    pub(crate) async fn connect_one(address: SocketAddr) -> io::Result<Self> {
        let descriptor = Descriptor::new(sys::stream_socket(&address)?);
        let stream = Self::connect_descriptor(descriptor, address).await?;
        // The socket was not bound: if both ends are the same it is the kernel's doing.
        if stream.is_connected_to_itself(address.port()) {
            return Err(Errno::CONNREFUSED.into());
        }
        Ok(stream)
    }

    /// Tells whether both ends of the connection to `port` are this socket. One system call,
    /// unless the ports are the same.
    pub(super) fn is_connected_to_itself(&self, port: u16) -> bool {
        // Without an address the peer has reset the connection already. The first read tells.
        match self.local_addr() {
            Ok(local) if local.port() == port => self
                .peer_addr()
                .is_ok_and(|peer| peer.port() == port && peer.ip() == local.ip()),
            _ => false,
        }
    }

    /// Connects a socket that is non-blocking and not connected.
    pub(super) async fn connect_descriptor(
        descriptor: Descriptor,
        address: SocketAddr,
    ) -> io::Result<Self> {
        let stream = Self::register(descriptor)?;
        let mut started = false;
        let mut connect = |descriptor: &Descriptor| {
            if started {
                return sys::connect_outcome(descriptor.std());
            }
            started = true;
            sys::connect_start(descriptor.std(), &address)
        };
        poll_fn(|cx| stream.io.poll_io(cx, Direction::Write, &mut connect)).await?;
        Ok(stream)
    }

    #[track_caller]
    pub(crate) fn register(descriptor: Descriptor) -> io::Result<Self> {
        Ok(Self {
            io: Source::new(descriptor)?,
            lease_size: LeaseSize::new(),
        })
    }

    /// A client that speaks first has often done so when its connection is accepted.
    pub(crate) fn assume_readable(&self) {
        self.io.assume_ready(Ready::READABLE);
    }

    /// Takes over a connection of the standard library.
    ///
    /// It is set to non-blocking mode here; tokio leaves that to the caller.
    ///
    /// # Errors
    ///
    /// If the mode cannot be set or the socket cannot be registered.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(stream: net::TcpStream) -> io::Result<Self> {
        stream.set_nonblocking(true)?;
        Self::register(Descriptor::adopt(stream))
    }

    /// Turns the stream into one of the standard library, in non-blocking mode as it was:
    /// [`set_nonblocking`](net::TcpStream::set_nonblocking) changes that.
    ///
    /// # Errors
    ///
    /// None at present; the signature is tokio's.
    pub fn into_std(self) -> io::Result<net::TcpStream> {
        Ok(self.io.into_inner().into_std())
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
    /// stream, as after [`shutdown`](Self::shutdown). [`OwnedWriteHalf::forget`] avoids it.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        halves::split_owned(self)
    }

    /// Closes the connection so that the peer gets everything that was written.
    ///
    /// Shuts down the write direction, then reads and discards what the peer still sends until
    /// it closes its side as well, for `limit` at most. A plain drop resets the connection if
    /// something unread is left, and a reset overtakes and destroys what is on its way to the
    /// peer.
    ///
    /// # Errors
    ///
    /// `TimedOut` if the peer has not closed its side in time; the error of the connection if it
    /// broke meanwhile. The socket is closed in every case.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the connection is closed at once, as by a drop.
    pub async fn close_gracefully(self, limit: Duration) -> io::Result<()> {
        self.shutdown_write()?;
        match timeout(limit, self.discard_to_end()).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "peer did not close in time",
            )),
        }
    }

    pub(super) fn shutdown_write(&self) -> io::Result<()> {
        self.io.get_ref().std().shutdown(Shutdown::Write)
    }

    async fn discard_to_end(&self) -> io::Result<()> {
        // The buffer lives only during the call: the future stays small.
        let discard =
            |descriptor: &Descriptor| sys::receive(descriptor.as_fd(), &mut [0; DISCARD_BYTES]);
        while poll_fn(|cx| {
            self.io
                .poll_transfer(cx, Direction::Read, DISCARD_BYTES, discard)
        })
        .await?
            > 0
        {}
        Ok(())
    }
}

/// What one call discards at most, on the stack of the loop.
const DISCARD_BYTES: usize = 16 * 1024;

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.io.get_ref().std().fmt(f)
    }
}

// As in tokio. A panic in an operation leaves the readiness as it was, and that may be wrong at any
// time anyway.
impl UnwindSafe for TcpStream {}
impl RefUnwindSafe for TcpStream {}

impl AsRef<Self> for TcpStream {
    fn as_ref(&self) -> &Self {
        self
    }
}

impl TryFrom<net::TcpStream> for TcpStream {
    type Error = io::Error;

    /// As [`TcpStream::from_std`].
    fn try_from(stream: net::TcpStream) -> io::Result<Self> {
        Self::from_std(stream)
    }
}

impl From<TcpStream> for OwnedFd {
    fn from(stream: TcpStream) -> Self {
        stream.io.into_inner().into()
    }
}

impl AsFd for TcpStream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.get_ref().as_fd()
    }
}

impl AsRawFd for TcpStream {
    fn as_raw_fd(&self) -> RawFd {
        self.as_fd().as_raw_fd()
    }
}
