//! A connection.

use std::fmt;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::halves::{self, OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf};
use crate::net::ToSocketAddrs;
use crate::net::macros::{delegate, descriptor, readiness, stream};
use crate::runtime::context::{require_io, running_io};
use crate::runtime::shutdown::InTokioWords;

/// A TCP connection.
pub struct TcpStream {
    pub(super) inner: oneloop::net::TcpStream,
}

impl TcpStream {
    /// Connects to the first address that answers.
    ///
    /// # Errors
    ///
    /// No address answers, or the runtime has shut down.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    ///
    /// # Cancel safety
    ///
    /// The attempt is given up, and its socket closed.
    pub async fn connect<A: ToSocketAddrs>(addr: A) -> io::Result<Self> {
        running_io()?;
        let inner = oneloop::net::TcpStream::connect(addr)
            .await
            .in_tokio_words()?;
        Ok(Self { inner })
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
    pub fn from_std(stream: std::net::TcpStream) -> io::Result<Self> {
        require_io();
        oneloop::net::TcpStream::from_std(stream).map(|inner| Self { inner })
    }

    /// The stream as std knows it, still in non-blocking mode.
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn into_std(self) -> io::Result<std::net::TcpStream> {
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

    /// Reads and leaves the bytes in the stream.
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

    /// The poll behind [`peek`](Self::peek).
    ///
    /// # Errors
    ///
    /// Those of the system.
    pub fn poll_peek(
        &self,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<usize>> {
        let count = ready!(
            self.inner
                .poll_peek(cx, buf.initialize_unfilled())
                .in_tokio_words()
        )?;
        buf.advance(count);
        Poll::Ready(Ok(count))
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
        /// This end's address.
        local_addr() -> io::Result<SocketAddr>;
        /// The other end's address.
        peer_addr() -> io::Result<SocketAddr>;
        /// Takes the error that the system keeps for the socket.
        take_error() -> io::Result<Option<io::Error>>;
        /// Whether small packets are sent at once (`TCP_NODELAY`).
        nodelay() -> io::Result<bool>;
        /// Sets whether small packets are sent at once (`TCP_NODELAY`).
        set_nodelay(nodelay: bool) -> io::Result<()>;
        /// Whether packets are acknowledged at once (`TCP_QUICKACK`).
        quickack() -> io::Result<bool>;
        /// Sets whether packets are acknowledged at once (`TCP_QUICKACK`).
        set_quickack(quickack: bool) -> io::Result<()>;
        /// How long the system goes on with bytes that were not sent at the close (`SO_LINGER`).
        linger() -> io::Result<Option<Duration>>;
        /// Sets how long the system goes on with bytes that were not sent at the close.
        #[deprecated = "with a time above zero a close may wait: use set_zero_linger"]
        set_linger(dur: Option<Duration>) -> io::Result<()>;
        /// Makes the close a reset.
        set_zero_linger() -> io::Result<()>;
        /// The time to live of its packets.
        ttl() -> io::Result<u32>;
        /// Sets the time to live of its packets.
        set_ttl(ttl: u32) -> io::Result<()>;
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

impl TryFrom<std::net::TcpStream> for TcpStream {
    type Error = io::Error;

    #[track_caller]
    fn try_from(stream: std::net::TcpStream) -> io::Result<Self> {
        Self::from_std(stream)
    }
}

impl fmt::Debug for TcpStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

descriptor!(TcpStream);
stream!(TcpStream);
