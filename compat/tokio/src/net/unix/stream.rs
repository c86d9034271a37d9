//! A connection within the machine.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::path::Path;
use std::task::{Context, Poll, ready};

use super::halves::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use super::{SocketAddr, UCred};
use crate::net::macros::{delegate, descriptor, readiness, stream};
use crate::runtime::context::running_io;
use crate::runtime::shutdown::InTokioWords;

/// A connected Unix socket that carries bytes.
pub struct UnixStream {
    pub(super) inner: oneloop::net::UnixStream,
}

impl UnixStream {
    /// Connects to a path; to an abstract name if it begins with a NUL byte.
    ///
    /// # Errors
    ///
    /// Those of the system, or the runtime has shut down.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    ///
    /// # Cancel safety
    ///
    /// The attempt is given up, and its socket closed.
    pub async fn connect<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        running_io()?;
        let inner = oneloop::net::UnixStream::connect(path)
            .await
            .in_tokio_words()?;
        Ok(Self { inner })
    }

    /// Connects to an address.
    ///
    /// # Errors
    ///
    /// Those of the system, or the runtime has shut down.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    ///
    /// # Cancel safety
    ///
    /// The attempt is given up, and its socket closed.
    pub async fn connect_addr(socket_addr: &SocketAddr) -> io::Result<Self> {
        running_io()?;
        let inner = oneloop::net::UnixStream::connect_addr(&socket_addr.0)
            .await
            .in_tokio_words()?;
        Ok(Self { inner })
    }

    /// Two that are connected to each other.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn pair() -> io::Result<(Self, Self)> {
        running_io()?;
        let (one, other) = oneloop::net::UnixStream::pair()?;
        Ok((Self { inner: one }, Self { inner: other }))
    }

    /// Takes a stream of std's, which has to be in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn from_std(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        running_io()?;
        oneloop::net::UnixStream::from_std(stream).map(|inner| Self { inner })
    }

    /// The stream as std knows it, still in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn into_std(self) -> io::Result<std::os::unix::net::UnixStream> {
        self.inner.into_std()
    }

    readiness!();

    /// Waits until a read may succeed. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_read_ready(cx).in_tokio_words()
    }

    /// Waits until a write may succeed. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_write_ready(cx).in_tokio_words()
    }

    delegate! {
        /// Reads without waiting.
        try_read(buf: &mut [u8]) -> io::Result<usize>;
        /// Reads into several buffers without waiting.
        try_read_vectored(bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
        /// Writes without waiting.
        try_write(buf: &[u8]) -> io::Result<usize>;
        /// Writes from several buffers without waiting.
        try_write_vectored(bufs: &[IoSlice<'_>]) -> io::Result<usize>;
        /// Who is at the other end.
        peer_cred() -> io::Result<UCred>;
        /// Takes the error that the system keeps for the socket.
        take_error() -> io::Result<Option<io::Error>>;
    }

    /// This end's address.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.inner.local_addr().map(SocketAddr)
    }

    /// The other end's address.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.inner.peer_addr().map(SocketAddr)
    }

    /// The two halves, for the time of a borrow.
    pub fn split<'a>(&'a mut self) -> (ReadHalf<'a>, WriteHalf<'a>) {
        halves::split(self)
    }

    /// The two halves, each for itself. Dropping the writing half ends the output.
    pub fn into_split(self) -> (OwnedReadHalf, OwnedWriteHalf) {
        halves::into_split(self)
    }
}

impl TryFrom<std::os::unix::net::UnixStream> for UnixStream {
    type Error = io::Error;

    #[track_caller]
    fn try_from(stream: std::os::unix::net::UnixStream) -> io::Result<Self> {
        Self::from_std(stream)
    }
}

impl fmt::Debug for UnixStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

descriptor!(UnixStream);
stream!(UnixStream);
