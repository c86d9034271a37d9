//! Output that is gathered during a turn of the loop and sent once at its end.
//!
//! Place: wraps a stream; written to by its task, flushed by the loop at the end of the turn and when
//! the socket has room again; runs on any thread that polls a task.
//!
//! ```text
//! write -> unsent --end of the turn--> send
//!            |                          | socket full
//!            |<------ room again -------+
//!            +-- bytes_max reached: send at once, then wait for room
//! ```
//!
//! # Invariants
//! - Whenever something is unsent, a wake-up of the `Flusher` is due: at the end of this turn, or
//!   when the socket is writable. It does not depend on the task being polled.
//! - The socket's one waiter for writing is always the flusher, never the task, while something is
//!   unsent: so a flush that is dropped takes no wake-up with it. The task waits in `waiter`.
//! - The lock is held over the socket's own operations, and no task is woken under it (I5).
//! - An idle stream holds no buffer.
//!
//! # Why it is so
//! The alternative, a task for each stream that flushes it, costs a poll and a place in the queue; and
//! to flush when the task next waits would need to know when that is.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::{Context, Poll, Wake, Waker, ready};

use oneloop_runtime::runtime::wake_at_turn_end;
use oneloop_runtime::task::{coop, yield_now};

use crate::zero_copy::AsSocket;

/// A stream whose small writes are gathered and sent together at the end of the loop's turn: many
/// writes, one system call and as few packets as they fit into.
///
/// For protocols that write an answer in pieces, or several answers to pipelined requests. Nothing is
/// held back longer than the turn, so a single small write is as soon with its peer as without, but
/// for the other tasks of the turn. A write of [`bytes_max`](Self::bytes_max) or more, if nothing is
/// gathered, goes to the socket as it is.
///
/// Since a write succeeds before its bytes are sent, **an error comes out of a later write, flush or
/// shutdown**. A read reports its own.
///
/// # Drop
///
/// What is gathered is sent as far as the socket has room, without waiting; the rest is lost. To be
/// sure, [`flush`](Self::flush) or [`shutdown`](Self::shutdown) first.
///
/// # Threads
///
/// The flush happens on the loop that polled the last write. Where no loop runs, each write is sent at
/// once.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use oneloop_net::{Coalesced, TcpStream};
///
/// let mut stream = Coalesced::new(TcpStream::connect("127.0.0.1:6379").await?);
/// for key in ["one", "two", "three"] {
///     stream.write_all(format!("GET {key}\r\n").as_bytes()).await?;
/// }
/// // One send for all three, while this waits.
/// let mut answer = [0; 512];
/// let count = stream.read(&mut answer).await?;
/// # drop(count);
/// # Ok(())
/// # }
/// ```
pub struct Coalesced<S: AsSocket> {
    /// `None` only between `into_inner` and the drop that follows.
    shared: Option<Arc<Shared<S>>>,
}

struct Shared<S> {
    stream: S,
    bytes_max: usize,
    output: Mutex<Output>,
    /// Wakes the `Flusher`.
    flusher: Waker,
}

#[derive(Default)]
struct Output {
    /// Gathered; those before `start` are sent.
    bytes: Vec<u8>,
    start: usize,
    /// A wake-up at the end of the turn is due.
    is_due: bool,
    /// Of the last send, not yet reported.
    error: Option<io::Error>,
    /// The task that waits for room, or for the end of the output.
    waiter: Option<Waker>,
}

/// Sends when it is woken. Holds the stream weakly: the socket's own registration holds the waker,
/// and must not keep the socket open.
struct Flusher<S>(Weak<Shared<S>>);

impl<S: AsSocket + Send + Sync + 'static> Coalesced<S> {
    /// Bytes that are gathered at most, unless told otherwise.
    pub const DEFAULT_BYTES_MAX: usize = 16 * 1024;

    /// Wraps a stream. Up to 16 KiB are gathered.
    pub fn new(stream: S) -> Self {
        Self::with_bytes_max(stream, Self::DEFAULT_BYTES_MAX)
    }

    /// As [`new`](Self::new); up to `bytes_max` bytes are gathered, and then sent before the end of
    /// the turn. With 0 every write goes to the socket as it is.
    pub fn with_bytes_max(stream: S, bytes_max: usize) -> Self {
        let shared = Arc::new_cyclic(|weak| Shared {
            stream,
            bytes_max,
            output: Mutex::default(),
            flusher: Waker::from(Arc::new(Flusher(Weak::clone(weak)))),
        });
        Self {
            shared: Some(shared),
        }
    }

    /// The stream: for its options, addresses, and to wait. What is written to it directly overtakes
    /// what is gathered.
    #[must_use]
    pub fn get_ref(&self) -> &S {
        &self.shared().stream
    }

    /// Bytes that are gathered at most.
    #[must_use]
    pub fn bytes_max(&self) -> usize {
        self.shared().bytes_max
    }

    /// Bytes that were written and that the socket has not taken yet.
    #[must_use]
    pub fn unsent(&self) -> usize {
        self.shared().lock().unsent()
    }

    /// Flushes, and gives the stream back.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush); the stream is closed then.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the stream is closed, as by a drop.
    pub async fn into_inner(mut self) -> io::Result<S> {
        self.flush().await?;
        let Some(mut shared) = self.shared.take() else {
            unreachable!("only this empties it, and it consumes the value");
        };
        loop {
            // A flusher on another thread may hold it for a moment.
            match Arc::try_unwrap(shared) {
                Ok(shared) => return Ok(shared.stream),
                Err(still_shared) => shared = still_shared,
            }
            yield_now().await;
        }
    }

    /// Polls to read into `buf`: as the stream's. What is gathered does not wait for it.
    ///
    /// # Errors
    ///
    /// Those of recv(2).
    pub fn poll_read(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.get_ref().as_socket().poll_read(cx, buf)
    }

    /// Polls to take bytes of `buf`, and returns how many. Pending only if `bytes_max` are gathered
    /// and the socket is full. Of the tasks that poll this or a flush only the last one is woken.
    ///
    /// # Errors
    ///
    /// That of a send of bytes that were written before: `buf` was not taken. The stream's.
    pub fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let shared = self.shared();
        let coop = ready!(coop::poll_proceed(cx));
        let mut output = shared.lock();
        if let Some(error) = output.error.take() {
            return Poll::Ready(Err(error));
        }
        let unsent = output.unsent();
        if unsent == 0 && buf.len() >= shared.bytes_max {
            drop(output);
            // The stream takes it from the budget.
            drop(coop);
            return shared.stream.as_socket().poll_write(cx, buf);
        }
        let count = buf.len().min(shared.bytes_max - unsent);
        if count == 0 {
            // The send that filled it up has left the flusher waiting for room.
            let former = output.waiter.replace(cx.waker().clone());
            drop(output);
            drop(former);
            return Poll::Pending;
        }
        output.gather(&buf[..count]);
        if output.unsent() == shared.bytes_max {
            shared.send(&mut output);
        }
        let is_new = !output.is_due && output.unsent() > 0;
        output.is_due |= is_new;
        drop(output);
        if is_new {
            wake_at_turn_end(&shared.flusher);
        }
        coop.made_progress();
        Poll::Ready(Ok(count))
    }

    /// Polls until the socket has taken all that was written.
    ///
    /// # Errors
    ///
    /// That of a send of bytes that were written before; they are lost.
    pub fn poll_flush(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shared = self.shared();
        let mut output = shared.lock();
        shared.send(&mut output);
        if let Some(error) = output.error.take() {
            return Poll::Ready(Err(error));
        }
        if output.unsent() == 0 {
            return Poll::Ready(Ok(()));
        }
        let former = output.waiter.replace(cx.waker().clone());
        drop(output);
        drop(former);
        Poll::Pending
    }

    /// Flushes, then shuts down the write direction.
    ///
    /// # Errors
    ///
    /// As [`poll_flush`](Self::poll_flush); those of shutdown(2).
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_flush(cx))?;
        self.get_ref().as_socket().poll_shutdown(cx)
    }

    /// Waits for bytes and reads them into `buf`. 0 bytes are the end of the stream, unless `buf` is
    /// empty.
    ///
    /// # Errors
    ///
    /// Those of recv(2).
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was read.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_read(cx, buf)).await
    }

    /// Reads until `buf` is full. Returns its length.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the stream ends before; otherwise as [`read`](Self::read).
    ///
    /// # Cancel safety
    ///
    /// **Not safe**: an unknown number of bytes has been read into `buf`.
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.read(&mut buf[filled..]).await? {
                0 => {
                    return Err(io::Error::new(
                        io::ErrorKind::UnexpectedEof,
                        "the stream ended before the buffer was full",
                    ));
                }
                count => filled += count,
            }
        }
        Ok(filled)
    }

    /// Takes bytes of `buf` to be sent at the end of the turn. Returns how many.
    ///
    /// # Errors
    ///
    /// As [`poll_write`](Self::poll_write).
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was taken.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| self.poll_write(cx, buf)).await
    }

    /// Takes all of `buf` to be sent at the end of the turn.
    ///
    /// # Errors
    ///
    /// As [`poll_write`](Self::poll_write). How much was taken until then is not known.
    ///
    /// # Cancel safety
    ///
    /// **Not safe**: an unknown part of `buf` has been taken.
    pub async fn write_all(&mut self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            let count = self.write(buf).await?;
            buf = &buf[count..];
        }
        Ok(())
    }

    /// Sends what is gathered now, and waits until the socket has taken all of it.
    ///
    /// # Errors
    ///
    /// As [`poll_flush`](Self::poll_flush).
    ///
    /// # Cancel safety
    ///
    /// Safe: what is not sent yet is sent later, without anybody waiting.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }

    /// Flushes, then shuts down the write direction.
    ///
    /// # Errors
    ///
    /// As [`poll_shutdown`](Self::poll_shutdown).
    ///
    /// # Cancel safety
    ///
    /// Safe: it is shut down or not.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_shutdown(cx)).await
    }
}

impl<S: AsSocket> Coalesced<S> {
    fn shared(&self) -> &Arc<Shared<S>> {
        match &self.shared {
            Some(shared) => shared,
            None => unreachable!("only into_inner empties it, and it consumes the value"),
        }
    }
}

impl<S: AsSocket> Shared<S> {
    fn lock(&self) -> MutexGuard<'_, Output> {
        // Nothing panics between two changes that belong together.
        self.output.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends what is gathered, as far as the socket takes it. If that is not all, the flusher is
    /// woken when there is room.
    fn send(&self, output: &mut Output) {
        let socket = self.stream.as_socket();
        let mut cx = Context::from_waker(&self.flusher);
        while output.unsent() > 0 {
            match socket.poll_write(&mut cx, &output.bytes[output.start..]) {
                Poll::Pending => return,
                Poll::Ready(sent) => output.sent(sent),
            }
        }
    }

    /// The flusher was woken: sends, and wakes the task that waits for it.
    fn flush(&self) {
        let mut output = self.lock();
        output.is_due = false;
        self.send(&mut output);
        let waiter = match output.unsent() < self.bytes_max || output.error.is_some() {
            true => output.waiter.take(),
            false => None,
        };
        drop(output);
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }
}

impl Output {
    fn unsent(&self) -> usize {
        self.bytes.len() - self.start
    }

    fn gather(&mut self, bytes: &[u8]) {
        self.bytes.drain(..self.start);
        self.start = 0;
        self.bytes.extend_from_slice(bytes);
    }

    /// What became of a send.
    fn sent(&mut self, outcome: io::Result<usize>) {
        match outcome {
            Ok(0) => self.fail(io::ErrorKind::WriteZero.into()),
            Ok(count) => self.start += count,
            Err(error) => self.fail(error),
        }
        if self.unsent() == 0 {
            self.bytes = Vec::new();
            self.start = 0;
        }
    }

    fn fail(&mut self, error: io::Error) {
        self.error = Some(error);
        self.start = self.bytes.len();
    }
}

impl<S: AsSocket + Send + Sync + 'static> Wake for Flusher<S> {
    fn wake(self: Arc<Self>) {
        Self::wake_by_ref(&self);
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if let Some(shared) = self.0.upgrade() {
            shared.flush();
        }
    }
}

impl<S: AsSocket> Drop for Coalesced<S> {
    fn drop(&mut self) {
        let Some(shared) = &self.shared else {
            return;
        };
        let mut output = shared.lock();
        while output.unsent() > 0 {
            let sent = shared
                .stream
                .as_socket()
                .try_write(&output.bytes[output.start..]);
            // Full or broken: nobody is left to wait or to be told.
            if sent.is_err() {
                return;
            }
            output.sent(sent);
        }
    }
}

impl<S: AsSocket + AsFd> AsFd for Coalesced<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.shared().stream.as_fd()
    }
}

impl<S: AsSocket + fmt::Debug> fmt::Debug for Coalesced<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Coalesced")
            .field("stream", &self.shared().stream)
            .field("bytes_max", &self.shared().bytes_max)
            .finish_non_exhaustive()
    }
}
