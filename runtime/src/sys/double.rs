//! In memory, for the models: a bell, and events that a model injects.
//!
//! Place: see `sys`; exists only under `--cfg loom`, where descriptors are opaque numbers.
//!
//! # Why it is so
//! loom does not see the kernel. A wait without limit that nobody rings is a deadlock here, which
//! loom reports: that is how a lost wake-up shows. Time stands still, so a wait with a time-out
//! returns at once.

use std::collections::VecDeque;
use std::io;
use std::os::fd::BorrowedFd;
use std::time::Duration;

use super::EVENTS_PER_WAIT_MAX;
use crate::primitive::sync::{Condvar, Mutex};

#[derive(Debug)]
pub(crate) struct Poller {
    state: Mutex<State>,
    bell: Condvar,
}

#[derive(Debug, Default)]
struct State {
    rung: bool,
    pending: VecDeque<(u64, u64)>,
}

impl Poller {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            state: Mutex::new(State::default()),
            bell: Condvar::new(),
        })
    }

    /// A new registration reports what the descriptor is ready for: everything, here.
    pub(crate) fn add(&self, _fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        self.state.lock().pending.push_back((key, 0));
        Ok(())
    }

    pub(crate) fn add_exclusive(&self, fd: BorrowedFd<'_>, key: u64) -> io::Result<()> {
        self.add(fd, key)
    }

    pub(crate) fn delete(&self, _fd: BorrowedFd<'_>) -> io::Result<()> {
        Ok(())
    }

    pub(crate) fn ring(&self) {
        self.state.lock().rung = true;
        self.bell.notify_one();
    }

    pub(crate) fn wait(&self, events: &mut Events, timeout: Option<Duration>) -> io::Result<()> {
        events.list.clear();
        let mut state = self.state.lock();
        while timeout.is_none() && !state.rung && state.pending.is_empty() {
            state = self.bell.wait(state);
        }
        state.rung = false;
        let count = state.pending.len().min(EVENTS_PER_WAIT_MAX);
        events.list.extend(state.pending.drain(..count));
        Ok(())
    }
}

pub(crate) const SHORT_TRANSFER_DRAINS: bool = true;

pub(crate) struct Events {
    list: Vec<(u64, u64)>,
}

impl Events {
    pub(crate) fn new() -> Self {
        Self { list: Vec::new() }
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (u64, u64)> + '_ {
        self.list.iter().copied()
    }
}
