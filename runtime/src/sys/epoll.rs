//! Linux: one `epoll_pwait2` a turn, and nothing else.
//!
//! Place: see `sys`.
//!
//! # Why it is so
//! `polling::Poller` owns the epoll instance, but its `wait` makes three to five system calls
//! (it reads and re-arms its eventfd, and sets a timerfd when there is a deadline). So the wait is
//! done here, on the poller's descriptor, with a time-out in nanoseconds. The doorbell is an
//! eventfd of our own, edge-triggered and never read: each write is a new edge, and 2^64 of them
//! do not happen. Registration is done here too, because `polling` cannot ask for `EPOLLRDHUP`,
//! without which a short read must not end the drain: data and FIN may come as one event.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{EventfdFlags, Timespec, eventfd};
use rustix::io::Errno;

use super::{DOORBELL_KEY, EVENTS_PER_WAIT_MAX, end_process, process_id};
use crate::reactor::readiness::{ERROR, PRIORITY, READ_CLOSED, READABLE, WRITABLE, WRITE_CLOSED};

/// An epoll instance and the doorbell in it.
#[derive(Debug)]
pub(crate) struct Poller {
    poller: polling::Poller,
    doorbell: OwnedFd,
    /// Where the loop is, and not in a child of fork(2).
    process_id: u32,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        let poller = polling::Poller::new()?;
        let doorbell = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        let flags = EventFlags::IN | EventFlags::ET;
        epoll::add(&poller, &doorbell, EventData::new_u64(DOORBELL_KEY), flags)?;
        let poller = Self {
            poller,
            doorbell,
            process_id: process_id(),
        };
        // Told here, once: a loop that cannot wait would do nothing else for ever.
        match poller.wait(&mut Events::new(), Some(Duration::ZERO)) {
            Err(error) if is_refusal(&error) => {
                Err(io::Error::new(io::ErrorKind::Unsupported, REFUSED))
            }
            tried => tried.map(|()| poller),
        }
    }

    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        let flags =
            EventFlags::IN | EventFlags::OUT | EventFlags::RDHUP | EventFlags::PRI | EventFlags::ET;
        Ok(epoll::add(
            &self.poller,
            fd,
            EventData::new_u64(key),
            flags,
        )?)
    }

    pub(crate) fn add_exclusive(&self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        // epoll_ctl(2): nothing but these may stand beside EPOLLEXCLUSIVE.
        let flags = EventFlags::IN | EventFlags::ET | EventFlags::EXCLUSIVE;
        let data = EventData::new_u64(key);
        Ok(epoll::add(&self.poller, fd, data, flags)?)
    }

    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(epoll::delete(&self.poller, fd)?)
    }

    pub(crate) fn ring(&self) {
        // The write fails only when the counter is full (EAGAIN), and then the loop has an edge
        // that it has not yet taken; EINTR does not happen to a non-blocking eventfd.
        match rustix::io::write(&self.doorbell, &1_u64.to_ne_bytes()) {
            Ok(_) | Err(Errno::AGAIN) => {}
            // A child of fork(2) has nobody to ring for, and may have closed what it does not need.
            Err(_) if process_id() != self.process_id => {}
            Err(error) => end_process("cannot be woken", error),
        }
    }

    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.list.clear();
        // A time-out that does not fit waits for ever: the next turn computes it anew.
        let timeout = timeout.and_then(|timeout| Timespec::try_from(timeout).ok());
        let buffer = spare_capacity(&mut events.list);
        match epoll::wait(self.poller.as_fd(), buffer, timeout.as_ref()) {
            // A signal is a spurious wake-up.
            Ok(_) | Err(Errno::INTR) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether the kernel does not know a call, or a filter of system calls (seccomp(2)) denies it.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::NOSYS | Errno::PERM)
    )
}

const REFUSED: &str = "the system refuses epoll_pwait2(2): this needs Linux 5.11 or newer, and no \
                       filter of system calls that denies it";

/// `EPOLLRDHUP` is asked for, so the end of input is known beside the last data.
pub(crate) const SHORT_TRANSFER_DRAINS: bool = true;

/// The events of one wait.
pub(crate) struct Events {
    list: Vec<epoll::Event>,
}

// SAFETY: `list`, the only field, holds a pointer in its union of user data, and what stands there
// is always a key, a number: `Poller::add` and `add_exclusive` write nothing else.
unsafe impl Send for Events {}

impl Events {
    pub(crate) fn new() -> Self {
        Self {
            list: Vec::with_capacity(EVENTS_PER_WAIT_MAX),
        }
    }

    /// Key and readiness bits of each event, the doorbell's included.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.list
            .iter()
            .map(|event| (event.data.u64(), readiness_bits(event.flags)))
    }
}

/// epoll(7)'s flags in our words. `EPOLLERR` and `EPOLLHUP` make both directions ready: the next
/// system call of either tells what happened.
#[inline]
fn readiness_bits(flags: EventFlags) -> u64 {
    // What nearly all events of a connection say.
    if flags == EventFlags::IN.union(EventFlags::OUT) {
        return READABLE | WRITABLE;
    }
    readiness_bits_of_any(flags)
}

fn readiness_bits_of_any(flags: EventFlags) -> u64 {
    let mut bits = 0;
    if flags.intersects(EventFlags::IN | EventFlags::PRI | EventFlags::ERR) {
        bits |= READABLE;
    }
    if flags.intersects(EventFlags::OUT | EventFlags::ERR) {
        bits |= WRITABLE;
    }
    if flags.contains(EventFlags::PRI) {
        bits |= PRIORITY;
    }
    if flags.contains(EventFlags::ERR) {
        bits |= ERROR;
    }
    if flags.contains(EventFlags::HUP)
        || flags.contains(EventFlags::IN | EventFlags::RDHUP)
        || flags == EventFlags::RDHUP
    {
        bits |= READ_CLOSED;
    }
    if flags.contains(EventFlags::HUP) {
        bits |= WRITE_CLOSED;
    }
    bits
}
