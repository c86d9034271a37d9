//! Systems with kqueue: `polling::Poller` as it is, in edge mode.
//!
//! Place: see `sys`. Compiled for BSD and macOS; its tests are those of the crate.
//!
//! # Why it is so
//! kqueue takes the time-out and the wake-up in the same call, so `Poller::wait` is already one
//! system call. Each direction is a filter of its own and comes as an event of its own.

use std::io;
use std::num::NonZeroUsize;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use polling::{Event, PollMode};

use super::{EVENTS_PER_WAIT_MAX, end_process, process_id};
use crate::reactor::readiness::{READ_CLOSED, READABLE, WRITABLE, WRITE_CLOSED};

#[derive(Debug)]
pub(crate) struct Poller {
    poller: polling::Poller,
    process_id: u32,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            poller: polling::Poller::new()?,
            process_id: process_id(),
        })
    }

    pub(crate) fn add(&self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        use std::os::fd::AsRawFd;
        let key = usize::try_from(key).expect("slot keys fit a pointer on 64-bit systems");
        // SAFETY: `Source` deletes its descriptor from every poller before it is closed.
        unsafe {
            self.poller
                .add_with_mode(fd.as_raw_fd(), Event::all(key), PollMode::Edge)
        }
    }

    /// kqueue(2) has no such thing: every loop hears of every connection.
    pub(crate) fn add_exclusive(&self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        self.add(fd, key)
    }

    pub(crate) fn delete(&self, fd: BorrowedFd<'_>) -> io::Result<()> {
        self.poller.delete(fd)
    }

    pub(crate) fn ring(&self) {
        match self.poller.notify() {
            Ok(()) => {}
            // A child of fork(2) has nobody to ring for, and does not inherit a kqueue.
            Err(_) if process_id() != self.process_id => {}
            Err(error) => end_process("cannot be woken", error),
        }
    }

    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.list.clear();
        match self.poller.wait(&mut events.list, timeout) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// `polling` does not tell the end of input that comes in one event with the last data.
pub(crate) const SHORT_TRANSFER_DRAINS: bool = false;

pub(crate) struct Events {
    list: polling::Events,
}

impl Events {
    pub(crate) fn new() -> Self {
        let capacity = NonZeroUsize::new(EVENTS_PER_WAIT_MAX).expect("a constant above zero");
        Self {
            list: polling::Events::with_capacity(capacity),
        }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.list.iter().map(|event| {
            let mut bits = 0;
            if event.readable {
                bits |= READABLE;
            }
            if event.writable {
                bits |= WRITABLE;
            }
            if event.is_interrupt() {
                bits |= READ_CLOSED | WRITE_CLOSED;
            }
            (event.key as u64, bits)
        })
    }
}
