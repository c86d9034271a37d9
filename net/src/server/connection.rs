//! A connection as its handler has it.
//!
//! Place: made by the task that serves it, used by the handler; stays on the loop's thread.
//!
//! # Invariants
//! - Every byte that moves is told to the [`Link`], and so is every wait.
//! - A read waits for memory only if a request is in the socket: it is told apart from a read that
//!   waits for one.

use std::cell::Cell;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use super::gate::Take;
use super::guards::{DrainWait, PartialRead, ReadWait, RequestGuard, Reservation, WriteWait};
use super::link::{Link, SOCKET};
use crate::TcpStream;
use crate::zero_copy::{AsSocket as _, SendFile};

/// A connection that a [`Server`](super::Server) has accepted.
///
/// It reads and writes as [`TcpStream`] does, under the same names; all methods take `&self`, so
/// one task can read and write at once. Of two tasks that read, or two that write, only the one
/// that polled last is woken. Dropping it closes the connection.
///
/// The server knows from the reads and writes whether the connection is
/// [idle](super::ConnectionState::Idle): its handler waits in a read, and nothing is half done. An
/// idle connection may be closed at any time, by the idle timeout, by a drain, or in favour of a
/// new one: the handler's future is then dropped where it waits. What must happen in every case
/// belongs into a `Drop`. A handler whose requests come in several reads marks them with
/// [`request_guard`](Self::request_guard), or reads them with [`read_exact`](Self::read_exact); one
/// that wants to take leave waits for [`draining`](Self::draining) beside its read.
pub struct Connection {
    /// The only strong reference but for a moment: the link has a weak one.
    pub(super) stream: Rc<TcpStream>,
    pub(super) link: Rc<Link>,
    /// The turn of a read that waits because of the memory cap.
    turn: Cell<Option<Box<Take>>>,
}

impl Connection {
    pub(super) fn new(stream: Rc<TcpStream>, link: &Rc<Link>) -> Self {
        Self {
            stream,
            link: Rc::clone(link),
            turn: Cell::new(None),
        }
    }

    /// The stream below: for its options. What is read or written there is not counted, and the
    /// server does not know of it.
    #[must_use]
    pub fn get_ref(&self) -> &TcpStream {
        &self.stream
    }

    /// The number of the connection, as in
    /// [`ConnectionInfo`](super::ConnectionInfo::id).
    #[must_use]
    pub fn id(&self) -> u64 {
        self.link.id
    }

    /// The peer's address.
    #[must_use]
    pub fn peer_addr(&self) -> SocketAddr {
        self.link.peer
    }

    /// The address that the peer has connected to.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.stream.local_addr()
    }

    /// Says that a request has begun. Until the guard is dropped the connection counts as busy, and
    /// the read timeout runs from the first read that waits.
    #[must_use = "the request ends when the guard is dropped"]
    pub fn request_guard(&self) -> RequestGuard<'_> {
        RequestGuard::new(&self.link)
    }

    /// Whether the server drains: what is left to do is to answer the request at hand.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.link.registry.draining.is_set()
    }

    /// Waits until the server drains. While a handler waits for this, a drain does not close its
    /// idle connection: it is told and ends by itself, by the drain's deadline.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn draining(&self) {
        let _wait = DrainWait::new(&self.link);
        self.link.registry.draining.wait().await;
    }

    /// Reserves memory for a buffer under the server's
    /// [`memory_cap`](super::ServerBuilder::memory_cap), and waits while there is no room. First
    /// come, first served.
    ///
    /// A handler that waits for a second reservation while it holds one can wait for others who do
    /// the same: reserve at once what a request needs.
    ///
    /// # Errors
    ///
    /// `InvalidInput` for more than the cap; `ConnectionAborted` if the server has ended the
    /// connection (of one that waits, when its turn comes).
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is reserved, and the place in the queue is given up.
    pub async fn reserve(&self, bytes: usize) -> io::Result<Reservation<'_>> {
        self.link.check()?;
        let memory = &self.link.registry.shared.memory;
        if bytes > memory.limit() {
            let problem = "more bytes than the memory cap of the server";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        // A poll to read may have been given up while it waited for its turn, which would stand before
        // this, and then hold what this waits for. If it was not, it takes its turn anew, and needs
        // none once this has its memory.
        self.lose_turn();
        memory.take(bytes).await;
        let reservation = Reservation::new(&self.link, bytes);
        self.lose_turn();
        // Perhaps that was what made the room.
        self.link.check()?;
        Ok(reservation)
    }

    /// As [`TcpStream::close_gracefully`].
    ///
    /// # Errors
    ///
    /// As there.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the connection is closed at once.
    pub async fn close_gracefully(self, limit: Duration) -> io::Result<()> {
        self.shutdown().await?;
        let discard = async {
            let mut buf = [0; DISCARD_BYTES];
            while self.read(&mut buf).await? > 0 {}
            Ok(())
        };
        let _busy = self.request_guard();
        match oneloop_runtime::time::timeout(limit, discard).await {
            Ok(outcome) => outcome,
            Err(_elapsed) => Err(io::Error::new(
                io::ErrorKind::TimedOut,
                "peer did not close in time",
            )),
        }
    }
}

/// What one read discards: it lies in the future, so it is small.
const DISCARD_BYTES: usize = 512;

/// Polling: of the tasks that poll one direction only the one that polled last is woken. A poll that
/// was pending and is not repeated is not known to be given up: the connection counts as one that
/// waits to read (so it may be idle) or to write until it is polled again or moves a byte, and at the
/// memory cap keeps its turn. The futures of the async methods tell when they are dropped.
impl Connection {
    /// Polls to read into `buf`. 0 bytes are the end of the stream, unless `buf` is empty.
    ///
    /// # Errors
    ///
    /// Those of recv(2); `TimedOut` after the server's
    /// [`read_timeout`](super::ServerBuilder::read_timeout); `ConnectionAborted` once the server has
    /// ended the connection.
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_reading(cx, |cx| self.stream.poll_read(cx, buf), |&count| count)
    }

    /// Polls to read into several buffers, filling one after the other.
    ///
    /// # Errors
    ///
    /// As [`poll_read`](Self::poll_read).
    pub fn poll_read_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &mut [IoSliceMut<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        self.poll_reading(
            cx,
            |cx| self.stream.poll_read_vectored(cx, bufs),
            |&count| count,
        )
    }

    /// Polls for bytes that can be read, copies the first of them into `buf` and leaves them to be
    /// read.
    ///
    /// # Errors
    ///
    /// As [`poll_read`](Self::poll_read).
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        // They are counted when they are read.
        self.poll_reading(cx, |cx| self.stream.poll_peek(cx, buf), |_| 0)
    }

    /// Polls to write from `buf` and returns how many of its bytes the kernel took.
    ///
    /// # Errors
    ///
    /// Those of send(2); `TimedOut` after the server's
    /// [`write_timeout`](super::ServerBuilder::write_timeout); `ConnectionAborted` once the server
    /// has ended the connection.
    pub fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.poll_writing(cx, |cx| self.stream.poll_write(cx, buf))
    }

    /// Polls to write from several buffers as if they were one.
    ///
    /// # Errors
    ///
    /// As [`poll_write`](Self::poll_write).
    pub fn poll_write_vectored(
        &self,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.poll_writing(cx, |cx| self.stream.poll_write_vectored(cx, bufs))
    }

    /// Shuts down the write direction. It is never pending.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2).
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.stream.poll_shutdown(cx)
    }

    pub(super) fn poll_reading<R>(
        &self,
        cx: &mut Context<'_>,
        read: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<R>>,
        count: impl FnOnce(&R) -> usize,
    ) -> Poll<io::Result<R>> {
        self.link.check()?;
        if self.poll_turn(cx).is_pending() {
            self.link.turn_waits(cx.waker());
            return Poll::Pending;
        }
        match read(cx) {
            Poll::Ready(Ok(result)) => {
                self.link.received(count(&result));
                Poll::Ready(Ok(result))
            }
            Poll::Ready(error) => Poll::Ready(error),
            Poll::Pending => {
                self.link.read_waits(cx.waker())?;
                Poll::Pending
            }
        }
    }

    /// Waits for its turn if the server is at its memory cap and a new request would begin. A read
    /// that finds no byte needs none: it waits for a request, or ends. Nor does one of a connection
    /// that holds memory: others may wait for just that.
    fn poll_turn(&self, cx: &mut Context<'_>) -> Poll<()> {
        let registry = &self.link.registry;
        let memory = &registry.shared.memory;
        let mut turn = self.turn.take();
        if self.link.reserved_bytes.get() > 0 {
            return Poll::Ready(());
        }
        if turn.is_none()
            && memory.is_waited_for()
            && !self.link.is_in_request()
            && matches!(self.stream.poll_peek(cx, &mut [0]), Poll::Ready(Ok(1)))
        {
            registry.counts().memory_waits.add(1);
            turn = Some(Box::new(memory.take(1)));
        }
        if let Some(mut turn) = turn {
            if Pin::new(&mut *turn).poll(cx).is_pending() {
                self.turn.set(Some(turn));
                return Poll::Pending;
            }
            memory.give(1);
        }
        Poll::Ready(())
    }

    fn poll_writing(
        &self,
        cx: &mut Context<'_>,
        write: impl FnOnce(&mut Context<'_>) -> Poll<io::Result<usize>>,
    ) -> Poll<io::Result<usize>> {
        self.link.check()?;
        match write(cx) {
            Poll::Ready(Ok(count)) => {
                self.link.sent(count);
                Poll::Ready(Ok(count))
            }
            Poll::Ready(error) => {
                self.link.write_given_up();
                Poll::Ready(error)
            }
            Poll::Pending => {
                self.link.write_waits(cx.waker())?;
                Poll::Pending
            }
        }
    }
}

/// Attempts: they never wait.
impl Connection {
    /// Reads what is there into `buf`. 0 bytes are the end of the stream, unless `buf` is empty.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is there; otherwise those of recv(2).
    pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
        self.link.check()?;
        let count = self.stream.try_read(buf)?;
        self.link.received(count);
        Ok(count)
    }

    /// Writes as much of `buf` as there is room for.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is no room; otherwise those of send(2).
    pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
        self.link.check()?;
        let count = self.stream.try_write(buf)?;
        self.link.sent(count);
        Ok(count)
    }
}

/// Waiting.
impl Connection {
    /// Waits for bytes and reads them into `buf`. 0 bytes are the end of the stream, unless `buf` is
    /// empty.
    ///
    /// # Errors
    ///
    /// As [`poll_read`](Self::poll_read).
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was read.
    pub async fn read(&self, buf: &mut [u8]) -> io::Result<usize> {
        let wait = ReadWait::new(self);
        poll_fn(|cx| wait.note(self.poll_read(cx, buf))).await
    }

    /// Waits for bytes and reads them into several buffers, filling one after the other.
    ///
    /// # Errors
    ///
    /// As [`poll_read`](Self::poll_read).
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was read.
    pub async fn read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
        let wait = ReadWait::new(self);
        poll_fn(|cx| wait.note(self.poll_read_vectored(cx, bufs))).await
    }

    /// Waits for bytes that can be read, copies the first of them into `buf` and leaves them to be
    /// read.
    ///
    /// # Errors
    ///
    /// As [`poll_read`](Self::poll_read).
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is taken out of the stream.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        let wait = ReadWait::new(self);
        poll_fn(|cx| wait.note(self.poll_peek(cx, buf))).await
    }

    /// Reads until `buf` is full. Returns its length. From its first byte on the connection is busy.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the stream ends before; otherwise as [`poll_read`](Self::poll_read).
    ///
    /// # Cancel safety
    ///
    /// **Not safe**: if the future is dropped, an unknown number of bytes has been read.
    pub async fn read_exact(&self, buf: &mut [u8]) -> io::Result<usize> {
        let (mut filled, mut partial) = (0, None);
        while filled < buf.len() {
            match self.read(&mut buf[filled..]).await? {
                0 => {
                    let text = "the stream ended before the buffer was full";
                    return Err(io::Error::new(io::ErrorKind::UnexpectedEof, text));
                }
                count => filled += count,
            }
            partial.get_or_insert_with(|| PartialRead::new(&self.link));
        }
        Ok(filled)
    }

    /// Waits for room and writes from `buf`. Returns how many of its bytes the kernel took.
    ///
    /// # Errors
    ///
    /// As [`poll_write`](Self::poll_write).
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was written.
    pub async fn write(&self, buf: &[u8]) -> io::Result<usize> {
        let _wait = WriteWait(&self.link);
        poll_fn(|cx| self.poll_write(cx, buf)).await
    }

    /// Waits for room and writes from several buffers as if they were one.
    ///
    /// # Errors
    ///
    /// As [`poll_write`](Self::poll_write).
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was written.
    pub async fn write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        let _wait = WriteWait(&self.link);
        poll_fn(|cx| self.poll_write_vectored(cx, bufs)).await
    }

    /// Writes all of `buf`.
    ///
    /// # Errors
    ///
    /// As [`poll_write`](Self::poll_write). How much was written until then is not known.
    ///
    /// # Cancel safety
    ///
    /// **Not safe**: if the future is dropped, an unknown part of `buf` has been written.
    pub async fn write_all(&self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            match self.write(buf).await? {
                0 => {
                    let text = "the socket took no bytes and gave no reason";
                    return Err(io::Error::new(io::ErrorKind::WriteZero, text));
                }
                count => buf = &buf[count..],
            }
        }
        Ok(())
    }

    /// Sends `length` bytes of a file from `offset` on, as [`TcpStream::send_file`] does: without a
    /// copy in user memory, and what is not in the kernel's cache is read from the disk on this loop.
    /// Returns the length.
    ///
    /// # Errors
    ///
    /// As [`poll_write`](Self::poll_write); `UnexpectedEof` if the file ends before; those of read(2)
    /// on the file. How much was sent until then is not known.
    ///
    /// # Cancel safety
    ///
    /// **Not safe**: if the future is dropped, an unknown part has been sent.
    pub async fn send_file(&self, file: impl AsFd, offset: u64, length: u64) -> io::Result<u64> {
        let _wait = WriteWait(&self.link);
        let mut sending = SendFile::new(self.stream.as_socket(), file, offset, length);
        poll_fn(|cx| {
            self.link.check()?;
            let before = sending.sent();
            let outcome = Pin::new(&mut sending).poll(cx);
            match usize::try_from(sending.sent() - before) {
                Ok(0) => {}
                moved => self.link.sent(moved.unwrap_or(usize::MAX)),
            }
            if outcome.is_pending() {
                self.link.write_waits(cx.waker())?;
            }
            outcome
        })
        .await
    }

    /// Does nothing: a TCP connection keeps no bytes back.
    ///
    /// # Errors
    ///
    /// None.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn flush(&self) -> io::Result<()> {
        Ok(())
    }

    /// Shuts down the write direction: after what was written, the peer reads the end of the stream.
    /// Reading goes on. Does not wait.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2): `NotConnected` once the connection was reset.
    ///
    /// # Cancel safety
    ///
    /// Safe: it happens at the first poll.
    pub async fn shutdown(&self) -> io::Result<()> {
        poll_fn(|cx| self.poll_shutdown(cx)).await
    }

    /// Takes the turn from the read that waits for it, if one does.
    fn lose_turn(&self) {
        if self.turn.take().is_some() {
            self.link.turn_is_lost();
        }
    }

    /// A read that waited was dropped.
    pub(super) fn read_given_up(&self) {
        drop(self.turn.take());
        self.link.read_given_up();
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }
}

impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("id", &self.id())
            .field("peer", &self.peer_addr())
            .finish_non_exhaustive()
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.link.leave(SOCKET);
    }
}
