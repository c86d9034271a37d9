//! What an application holds: the runtime, its handles and its options.
//!
//! Place: called by applications on any thread; starts workers and the blocking pool, and drives
//! the main loop inside `block_on`.
//!
//! ```text
//!   Runtime --owns--> threads of the workers          multi-thread: N loops, and a main loop for
//!      |                                              each `block_on` that is going on
//!      +--> Shared <--- Handle, EnterGuard            current-thread: one loop, driven by whoever
//!             |                                       is inside `block_on`
//!             +--> Remote of each loop, blocking pool, options
//! ```

mod block_on;
mod builder;
pub(crate) mod context;
mod handle;
mod load;
mod local_runtime;
pub(crate) mod placement;
mod shared;
mod shutdown;

pub use builder::Builder;
pub use context::{EnterGuard, TryCurrentError, is_driving_tasks, wake_at_turn_end};
pub use handle::{Handle, RuntimeFlavor};
pub use load::LoopLoad;
pub use local_runtime::{LocalOptions, LocalRuntime};
pub use placement::Placement;
pub(crate) use shared::{Config, Hooks, Shared, refuse_forked};
pub use shutdown::is_shutdown_error;
pub(crate) use shutdown::{WorkerExit, runtime_is_gone};

pub use crate::metrics::{LoopMetrics, RuntimeMetrics};
pub use crate::worker::LoopId;

use std::io;
use std::time::Duration;

use crate::task::JoinHandle;
use block_on::Core;
use shutdown::Workers;

/// Loops, their threads and the blocking pool.
///
/// Dropping the runtime ends its tasks, each on its own loop, waits for the workers, and waits for
/// functions of [`spawn_blocking`](crate::task::spawn_blocking) that have begun. See
/// [`shutdown_timeout`](Self::shutdown_timeout) and
/// [`shutdown_background`](Self::shutdown_background) for ends that wait less.
///
/// # Panics
///
/// Dropped inside async code, where waiting would block a loop: the runtime is shut down in the
/// background, and then the drop panics (unless the thread panics already). Use
/// `shutdown_background` there.
///
/// # Threads
///
/// May be dropped on any other thread. On one of its own (a function of `spawn_blocking` or
/// `block_in_place` that held the last reference), which it cannot wait for, it is shut down in the
/// background.
///
/// # Aborts
///
/// If other code closes a loop's descriptors (closefrom(3), a number that is closed twice), or has the
/// system deny the loop's calls, the process is aborted after a panic message: the loop could neither
/// run its tasks nor end them.
///
/// # Fork
///
/// A child of fork(2) that does not call exec(2) has a copy of the runtime, but none of its threads, and
/// the descriptors of its loops are the parent's. `block_on`, and a spawn on it from a thread that
/// drives no loop of it, panic there. To drop or to shut down the copy frees nothing, drops
/// no task and waits for nothing. Fork before making a runtime, or make another one in the child.
///
/// Not found out: a child of a thread that drives a loop (a fork inside async code) must
/// call exec(2) or `_exit(2)` before it returns to the loop; a child must not drop sockets and other
/// sources of the parent's runtime, which would take the parent's registrations away (to leave the
/// child by exec(2) or `_exit(2)` closes them without harm); what waits for a timer or a source of the
/// parent's runtime in the child waits for ever; and process 1 of a new namespace is not told from
/// process 1 of another.
#[derive(Debug)]
pub struct Runtime {
    handle: Handle,
    kind: Kind,
}

#[derive(Debug)]
enum Kind {
    CurrentThread(Box<Core>),
    MultiThread(Workers),
}

// After a panic nothing behind a runtime is half done: see the invariants of the loop.
impl std::panic::UnwindSafe for Runtime {}
impl std::panic::RefUnwindSafe for Runtime {}

impl Runtime {
    /// A multi-thread runtime with default options: one loop for each available core.
    ///
    /// # Errors
    ///
    /// See [`Builder::build`].
    pub fn new() -> io::Result<Self> {
        Builder::new_multi_thread().build()
    }

    /// A handle to this runtime, for any thread.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Spawns a task: see [`task::spawn`](crate::task::spawn). On a current-thread runtime it runs
    /// while somebody is inside [`block_on`](Self::block_on).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Runs a blocking function on the pool: see
    /// [`task::spawn_blocking`](crate::task::spawn_blocking).
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, function: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle.spawn_blocking(function)
    }

    /// Runs a future to completion on this thread, which is a loop of its own meanwhile: the
    /// future's sockets and timers and its local tasks live on it. The future need not be `Send`.
    ///
    /// On a current-thread runtime this drives the runtime's one loop. If another thread does so
    /// already, this thread runs its future beside it; when the other leaves, a thread of the
    /// runtime's own drives the loop until those beside are done, or the other itself if the system
    /// has no thread to give.
    ///
    /// # Panics
    ///
    /// On a thread that drives async code already: a task, or inside another `block_on`. Panics of
    /// the future go through. If the system refuses the descriptors of a main loop. In a child of
    /// fork(2).
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        match &self.kind {
            Kind::CurrentThread(core) => core.block_on(&self.handle, future),
            Kind::MultiThread(_) => self.handle.block_on(future),
        }
    }

    /// Enters the runtime on this thread: `spawn`, sockets and timers find it.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// The state of the loops.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }

    /// Shuts down and waits at most this long. Threads that have not ended by then (a task or a
    /// blocking function does not return) are left to themselves.
    pub fn shutdown_timeout(mut self, timeout: Duration) {
        self.shut_down(Some(timeout));
    }

    /// Shuts down and waits for nothing. May be called inside async code.
    pub fn shutdown_background(self) {
        self.shutdown_timeout(Duration::ZERO);
    }

    fn shut_down(&mut self, timeout: Option<Duration>) {
        if self.handle.shared().was_forked() {
            return self.leak();
        }
        let deadline = timeout.and_then(shutdown::deadline);
        match &mut self.kind {
            Kind::CurrentThread(core) => core.close(&self.handle, deadline),
            Kind::MultiThread(workers) => workers.stop(self.handle.shared()),
        }
        self.handle.shared().blocking.shut_down();
        if let Kind::MultiThread(workers) = &mut self.kind {
            workers.join(self.handle.shared(), deadline);
        }
        if timeout.is_none_or(|timeout| !timeout.is_zero()) {
            self.handle.shared().blocking.join(deadline);
        }
    }
}

impl Drop for Runtime {
    fn drop(&mut self) {
        if self.handle.shared().was_forked() {
            return self.leak();
        }
        if self.is_shut_down() {
            return;
        }
        let in_async_code = is_driving_tasks();
        let cannot_wait = in_async_code || context::is_thread_of(self.handle.shared());
        self.shut_down(cannot_wait.then_some(Duration::ZERO));
        assert!(
            !in_async_code || std::thread::panicking(),
            "Cannot drop a runtime in a context where blocking is not allowed. This happens when \
             a runtime is dropped inside async code. It has been shut down in the background; \
             call `shutdown_background` to do that without this panic, or drop it elsewhere."
        );
    }
}

impl Runtime {
    /// What a child of a fork does with its copy.
    fn leak(&mut self) {
        self.handle.leak();
        match &mut self.kind {
            Kind::CurrentThread(core) => core.leak(),
            Kind::MultiThread(workers) => workers.leak(),
        }
    }

    fn is_shut_down(&self) -> bool {
        match &self.kind {
            Kind::CurrentThread(core) => core.is_closed(),
            Kind::MultiThread(workers) => workers.are_stopped(),
        }
    }
}
