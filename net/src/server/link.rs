//! What a server knows of one connection.
//!
//! Place: shared by the [`Connection`](super::Connection), the task that serves it and the registry
//! of its loop; plain memory of that loop's thread.
//!
//! ```text
//!             a read waits, nothing is half done
//!   Busy -------------------------------------------> Idle --+-- idle timeout, shed, drain
//!    ^  |                                               |    |
//!    |  | deadline of a drain                           |    v
//!    |  +------------------------> ended <--------------|----+
//!    +--------------------------------------------------+
//!             a byte moves, or the read is given up
//! ```
//!
//! # Invariants
//! - A connection that has ended is in no list, holds no place in the server's limit, and every
//!   operation on it fails; the task that serves it drops the handler's future at its next poll.
//! - It is in the registry until its socket is closed and its handler is gone, or until it has
//!   ended.
//! - An idle connection is closed only if its socket holds nothing, whatever the reason is: a
//!   request that is in the kernel's buffer already is answered, also if its read waits for memory
//!   or the loop has not seen the event.
//! - A limit has a timer only while it runs, and until that fires: a connection at rest wakes its
//!   loop once more at most.
//! - I5: wakers are woken with no borrow held.

use std::cell::Cell;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::rc::{Rc, Weak};
use std::task::{Poll, Waker};
use std::time::Duration;

use oneloop_runtime::time::{Deadline, Instant};

use super::config::Config;
use super::registry::Registry;
use super::waiters::WakerSlot;
use crate::{TcpStream, sys};

/// One connection.
pub(super) struct Link {
    pub(super) registry: Rc<Registry>,
    pub(super) id: u64,
    pub(super) peer: SocketAddr,
    pub(super) accepted: Instant,
    /// The socket, until the [`Connection`](super::Connection) closes it.
    stream: Weak<TcpStream>,
    /// Where it is listed in the registry.
    key: usize,
    /// The parts that keep it listed.
    parts: Cell<u8>,
    end: Cell<Option<End>>,
    is_released: Cell<bool>,
    traffic: Traffic,
    pub(super) reserved_bytes: Cell<usize>,
    /// Handlers that wait for the drain, and so end by themselves.
    pub(super) drain_waits: Cell<u32>,
    /// It has done something since the drain began.
    was_busy_in_drain: Cell<bool>,
    task: WakerSlot,
    reader: WakerSlot,
    writer: WakerSlot,
    idle: Option<Deadline>,
    reading: Option<Limit>,
    writing: Option<Limit>,
}

/// What moves, and what waits.
struct Traffic {
    bytes_in: Cell<u64>,
    bytes_out: Cell<u64>,
    is_idle: Cell<bool>,
    idle_since: Cell<Instant>,
    /// Whether a byte has moved since it was idle last.
    has_moved: Cell<bool>,
    /// Guards of requests.
    marks: Cell<u32>,
    /// A request has begun and is not known to have arrived as a whole.
    is_reading: Cell<bool>,
    /// Its handler has waited for more of it.
    read_waits: Cell<bool>,
    /// Reads that have got a part of what they want.
    partial_reads: Cell<u32>,
    write_waits: Cell<bool>,
}

impl Traffic {
    /// No limit runs until the handler waits for more of the next one.
    fn end_request(&self) {
        self.is_reading.set(false);
        self.read_waits.set(false);
    }
}

/// Why a connection was ended from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    IdleTimeout,
    Shed,
    DrainedIdle,
    Cut,
}

/// A time limit of one direction.
struct Limit {
    deadline: Deadline,
    is_over: Cell<bool>,
    /// Its watch has no timer, and waits to be told that it begins.
    is_at_rest: Cell<bool>,
}

/// The socket is open.
pub(super) const SOCKET: u8 = 1;
/// The handler has not ended.
pub(super) const HANDLER: u8 = 2;

impl Link {
    pub(super) fn new(
        registry: &Rc<Registry>,
        key: usize,
        stream: &Rc<TcpStream>,
        peer: SocketAddr,
    ) -> Self {
        let now = Instant::now();
        let config: &Config = &registry.shared.config;
        Self {
            registry: Rc::clone(registry),
            id: registry.shared.next_id(),
            peer,
            accepted: now,
            stream: Rc::downgrade(stream),
            key,
            parts: Cell::new(SOCKET | HANDLER),
            end: Cell::new(None),
            is_released: Cell::new(false),
            traffic: Traffic {
                bytes_in: Cell::new(0),
                bytes_out: Cell::new(0),
                is_idle: Cell::new(false),
                idle_since: Cell::new(now),
                has_moved: Cell::new(true),
                marks: Cell::new(0),
                is_reading: Cell::new(false),
                read_waits: Cell::new(false),
                partial_reads: Cell::new(0),
                write_waits: Cell::new(false),
            },
            reserved_bytes: Cell::new(0),
            drain_waits: Cell::new(0),
            was_busy_in_drain: Cell::new(false),
            task: WakerSlot::default(),
            reader: WakerSlot::default(),
            writer: WakerSlot::default(),
            idle: config.idle_timeout.map(Deadline::new),
            reading: config.read_timeout.map(Limit::new),
            writing: config.write_timeout.map(Limit::new),
        }
    }

    pub(super) fn has_ended(&self) -> bool {
        self.end.get().is_some()
    }

    pub(super) fn end_reason(&self) -> Option<End> {
        self.end.get()
    }

    pub(super) fn is_idle(&self) -> bool {
        self.traffic.is_idle.get()
    }

    /// Since when it is idle.
    pub(super) fn idle_since(&self) -> Instant {
        self.traffic.idle_since.get()
    }

    pub(super) fn bytes(&self) -> (u64, u64) {
        (self.traffic.bytes_in.get(), self.traffic.bytes_out.get())
    }

    pub(super) fn was_busy_in_drain(&self) -> bool {
        self.was_busy_in_drain.get()
    }

    /// The drain begins.
    pub(super) fn drain_begins(&self) {
        self.was_busy_in_drain.set(!self.is_idle());
        self.look_again();
    }

    /// Lets an idle read find out whether it is to be closed.
    pub(super) fn look_again(&self) {
        if self.is_idle() {
            self.reader.wake();
        }
    }

    /// Ends the connection from outside.
    pub(super) fn end(&self, reason: End) {
        if self.has_ended() || self.is_released.get() {
            return;
        }
        self.end.set(Some(reason));
        self.release();
        self.task.wake();
        self.reader.wake();
        self.writer.wake();
    }

    /// Ends an idle connection, unless its socket holds something: then it is not idle, whether the
    /// loop has seen the event or not. Tells whether it has ended.
    pub(super) fn end_if_empty(&self, reason: End) -> bool {
        if self.holds_nothing() {
            self.end(reason);
        } else {
            self.leave_idle();
        }
        self.has_ended()
    }

    /// Whether no byte and no end of the stream waits in the socket.
    fn holds_nothing(&self) -> bool {
        self.stream.upgrade().is_none_or(|stream| {
            let peeked = sys::peek(stream.as_fd(), &mut [0]);
            peeked.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock)
        })
    }

    /// One part is gone by itself.
    pub(super) fn leave(&self, part: u8) {
        self.parts.set(self.parts.get() & !part);
        if part == HANDLER {
            self.task.clear();
        }
        if self.parts.get() == 0 {
            self.release();
        }
    }

    fn release(&self) {
        if !self.is_released.replace(true) {
            self.leave_idle();
            self.registry.remove(self.key, self);
        }
    }

    pub(super) fn keep_task(&self, waker: &Waker) {
        self.task.keep(waker);
    }

    fn leave_idle(&self) {
        if self.traffic.is_idle.replace(false) {
            self.registry.counts().idle.subtract(1);
        }
    }

    fn error_after_end() -> io::Error {
        let text = "the server has ended this connection";
        io::Error::new(io::ErrorKind::ConnectionAborted, text)
    }

    /// Nothing while the connection is served.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.has_ended() {
            return Err(Self::error_after_end());
        }
        Ok(())
    }
}

/// Reading.
impl Link {
    /// A read has brought so many bytes, or the end of the stream.
    pub(super) fn received(&self, count: usize) {
        let traffic = &self.traffic;
        let bytes = traffic.bytes_in.get().wrapping_add(count as u64);
        traffic.bytes_in.set(bytes);
        traffic.has_moved.set(true);
        self.leave_idle();
        self.begin_request();
    }

    /// Whether a request is under way.
    pub(super) fn is_in_request(&self) -> bool {
        self.traffic.is_reading.get() || self.traffic.marks.get() > 0
    }

    /// A read waits for memory, with a request in the socket: it is not idle.
    pub(super) fn turn_waits(&self, waker: &Waker) {
        self.reader.keep(waker);
        self.leave_idle();
    }

    /// The turn for which a read waits was taken from it.
    pub(super) fn turn_is_lost(&self) {
        self.reader.wake();
    }

    /// A read waits for bytes. If nothing is half done the connection is idle, and may be closed
    /// for it.
    ///
    /// # Errors
    ///
    /// `TimedOut` if the request has taken too long.
    pub(super) fn read_waits(&self, waker: &Waker) -> io::Result<()> {
        self.reader.keep(waker);
        let traffic = &self.traffic;
        if traffic.is_reading.get()
            && let Some(limit) = &self.reading
        {
            if !traffic.read_waits.replace(true) {
                self.begin(limit);
            } else if limit.take_over() {
                self.registry.counts().read_timeouts.add(1);
                let text = "the request did not arrive in time";
                return Err(io::Error::new(io::ErrorKind::TimedOut, text));
            }
        }
        let half_done = traffic.marks.get() + traffic.partial_reads.get() > 0;
        if half_done || traffic.write_waits.get() {
            return Ok(());
        }
        self.become_idle();
        if self.registry.wants_room() {
            // Whoever waits found nobody idle: this is the first.
            self.end_if_empty(End::Shed);
        } else if self.is_closed_when_idle() {
            self.end_if_empty(End::DrainedIdle);
        }
        Ok(())
    }

    fn is_closed_when_idle(&self) -> bool {
        let registry = &self.registry;
        let has_grace = self.traffic.bytes_in.get() == 0 && !registry.grace_is_over.get();
        registry.draining.is_set() && self.drain_waits.get() == 0 && !has_grace
    }

    fn become_idle(&self) {
        let traffic = &self.traffic;
        if self.is_released.get() || traffic.is_idle.replace(true) {
            return;
        }
        self.registry.counts().idle.add(1);
        if traffic.has_moved.replace(false) {
            let now = Instant::now();
            traffic.idle_since.set(now);
            if let Some(idle) = &self.idle {
                idle.touch_at(now);
            }
        }
    }

    /// A read that waited was dropped: the handler does something else now.
    pub(super) fn read_given_up(&self) {
        self.leave_idle();
    }

    pub(super) fn partial_read_begins(&self) {
        let reads = &self.traffic.partial_reads;
        reads.set(reads.get() + 1);
    }

    pub(super) fn partial_read_ends(&self) {
        let reads = &self.traffic.partial_reads;
        reads.set(reads.get() - 1);
    }

    /// The handler marks the beginning of a request.
    pub(super) fn mark(&self) {
        self.traffic.marks.set(self.traffic.marks.get() + 1);
        self.was_busy_in_drain.set(true);
        self.leave_idle();
        self.begin_request();
    }

    pub(super) fn unmark(&self) {
        let marks = self.traffic.marks.get() - 1;
        self.traffic.marks.set(marks);
        if marks == 0 {
            self.traffic.end_request();
        }
    }

    fn begin_request(&self) {
        self.was_busy_in_drain.set(true);
        self.traffic.is_reading.set(true);
    }
}

/// Writing.
impl Link {
    /// A write has moved so many bytes.
    pub(super) fn sent(&self, count: usize) {
        let traffic = &self.traffic;
        let bytes = traffic.bytes_out.get().wrapping_add(count as u64);
        traffic.bytes_out.set(bytes);
        traffic.has_moved.set(true);
        traffic.write_waits.set(false);
        self.leave_idle();
        if traffic.marks.get() == 0 {
            // It answers, so it has got the request.
            traffic.end_request();
        }
    }

    /// A write waits.
    ///
    /// # Errors
    ///
    /// `TimedOut` if the peer has taken nothing for too long.
    pub(super) fn write_waits(&self, waker: &Waker) -> io::Result<()> {
        self.writer.keep(waker);
        self.leave_idle();
        let Some(limit) = &self.writing else {
            self.traffic.write_waits.set(true);
            return Ok(());
        };
        if !self.traffic.write_waits.replace(true) {
            self.begin(limit);
        } else if limit.take_over() {
            self.traffic.write_waits.set(false);
            self.registry.counts().write_timeouts.add(1);
            let text = "the peer did not take the bytes in time";
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
        Ok(())
    }

    /// A write that waited was dropped, or has failed.
    pub(super) fn write_given_up(&self) {
        self.traffic.write_waits.set(false);
    }
}

/// The watches over the limits, polled by the task that serves the connection.
impl Link {
    /// Ends the connection when it has been idle for too long.
    pub(super) async fn watch_idle(&self) {
        let Some(idle) = &self.idle else {
            return pending().await;
        };
        loop {
            idle.expired().await;
            if self.is_idle() && self.end_if_empty(End::IdleTimeout) {
                return;
            }
            idle.touch();
        }
    }

    /// Makes reads fail when a request takes too long.
    pub(super) async fn watch_reading(&self) {
        let Some(limit) = &self.reading else {
            return pending().await;
        };
        limit.watch(&self.traffic.read_waits, &self.reader).await;
    }

    /// Makes writes fail when the peer takes nothing for too long.
    pub(super) async fn watch_writing(&self) {
        let Some(limit) = &self.writing else {
            return pending().await;
        };
        limit.watch(&self.traffic.write_waits, &self.writer).await;
    }

    /// A limit begins. Another task than the one that watches may say so.
    fn begin(&self, limit: &Limit) {
        limit.begin();
        if limit.is_at_rest.replace(false) {
            self.task.wake();
        }
    }
}

impl Limit {
    fn new(limit: Duration) -> Self {
        Self {
            deadline: Deadline::new(limit),
            is_over: Cell::new(false),
            is_at_rest: Cell::new(false),
        }
    }

    fn begin(&self) {
        self.is_over.set(false);
        self.deadline.touch();
    }

    /// Whether it is over; it begins anew then, so that a handler that goes on is told again.
    fn take_over(&self) -> bool {
        let is_over = self.is_over.replace(false);
        if is_over {
            self.deadline.touch();
        }
        is_over
    }

    /// Never ends: while `is_running` it tells the one that waits at each expiry. Otherwise it waits
    /// until the limit begins, without a timer.
    async fn watch(&self, is_running: &Cell<bool>, waiting: &WakerSlot) {
        loop {
            poll_fn(|_| {
                self.is_at_rest.set(!is_running.get());
                match is_running.get() {
                    true => Poll::Ready(()),
                    false => Poll::Pending,
                }
            })
            .await;
            self.deadline.expired().await;
            if is_running.get() {
                self.is_over.set(true);
                waiting.wake();
                self.deadline.touch();
            }
        }
    }
}
