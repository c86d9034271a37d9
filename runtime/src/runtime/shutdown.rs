//! The end of a runtime.
//!
//! Place: called by `Runtime` on the thread that drops it; the workers count themselves out.

use std::fmt;
use std::io;
use std::time::{Duration, Instant};

use super::Shared;
use crate::primitive::sync::{Arc, Condvar, Mutex};
use crate::primitive::thread::JoinHandle;
use crate::worker::Message;

/// The threads of the workers, until they are told to stop.
#[derive(Debug)]
pub(super) struct Workers {
    threads: Vec<JoinHandle<()>>,
    are_stopped: bool,
}

impl Workers {
    pub(super) fn new(threads: Vec<JoinHandle<()>>) -> Self {
        Self {
            threads,
            are_stopped: false,
        }
    }

    pub(super) fn are_stopped(&self) -> bool {
        self.are_stopped
    }

    /// Tells the loops to end. Each ends its own tasks, on its own thread.
    pub(super) fn stop(&mut self, shared: &Shared) {
        self.are_stopped = true;
        shared.begin_shutdown();
        for remote in &shared.loops {
            // Refused: it has ended already.
            let _ = remote.send(Message::Stop);
        }
        shared.close_spare_loops();
    }

    /// Leaves the threads of the parent of a fork alone: their ids mean nothing here.
    #[expect(
        clippy::mem_forget,
        reason = "to drop a handle is to detach the thread"
    )]
    pub(super) fn leak(&mut self) {
        std::mem::forget(std::mem::take(&mut self.threads));
    }

    /// Waits until all have ended, at most until the deadline.
    pub(super) fn join(&mut self, shared: &Shared, deadline: Option<Instant>) {
        if !shared.alive.wait(deadline) {
            return;
        }
        for thread in self.threads.drain(..) {
            // A worker contains the panics of its tasks and hooks.
            let joined = thread.join();
            debug_assert!(joined.is_ok(), "a worker panicked");
        }
    }
}

/// How many workers have not ended.
#[derive(Debug)]
pub(crate) struct Alive {
    count: Mutex<usize>,
    ended: Condvar,
}

impl Alive {
    pub(super) fn new() -> Self {
        Self {
            count: Mutex::new(0),
            ended: Condvar::new(),
        }
    }

    /// Waits until none is left. False if the deadline came first.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> bool {
        let mut count = self.count.lock();
        while *count > 0 {
            let Some(deadline) = deadline else {
                count = self.ended.wait(count);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            count = self.ended.wait_timeout(count, left).0;
        }
        true
    }

    pub(super) fn add(&self) {
        *self.count.lock() += 1;
    }

    pub(super) fn remove(&self) {
        *self.count.lock() -= 1;
        self.ended.notify_all();
    }
}

/// Counts a worker out when its thread ends.
#[derive(Debug)]
pub(crate) struct WorkerExit(Arc<Shared>);

impl WorkerExit {
    /// To be held by a worker's thread for as long as it runs. The builder has counted it in.
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        Self(Arc::clone(shared))
    }
}

impl Drop for WorkerExit {
    fn drop(&mut self) {
        self.0.alive.remove();
    }
}

/// When a wait of this length ends. One that does not fit the clock has no end.
pub(super) fn deadline(timeout: Duration) -> Option<Instant> {
    Instant::now().checked_add(timeout)
}

/// The error of an operation that needs a loop of a runtime that has shut down.
pub(crate) fn runtime_is_gone() -> io::Error {
    io::Error::other(RuntimeIsGone)
}

/// Whether an operation failed because its runtime has shut down.
#[must_use]
pub fn is_shutdown_error(error: &io::Error) -> bool {
    error
        .get_ref()
        .is_some_and(|inner| inner.is::<RuntimeIsGone>())
}

#[derive(Debug)]
struct RuntimeIsGone;

impl fmt::Display for RuntimeIsGone {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the oneloop runtime of this source has shut down")
    }
}

impl std::error::Error for RuntimeIsGone {}
