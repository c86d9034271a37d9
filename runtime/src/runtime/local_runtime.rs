//! A runtime that stays on one thread, for tasks that are not `Send`.

use std::io;
use std::marker::PhantomData;
use std::time::Duration;

use super::block_on::Core;
use super::{EnterGuard, Handle, RuntimeMetrics};
use crate::context;
use crate::task::{self, JoinHandle};

/// Options of a [`LocalRuntime`]. There are none yet.
#[derive(Debug, Default, Clone)]
#[non_exhaustive]
pub struct LocalOptions {
    // What it may hold one day need not be `Send`.
    not_send: PhantomData<*mut ()>,
}

/// A current-thread runtime that cannot leave its thread, so that
/// [`spawn_local`](Self::spawn_local) works outside `block_on` too, and local tasks live from one
/// `block_on` to the next. Made by [`Builder::build_local`](super::Builder::build_local).
///
/// Dropping it ends its tasks and waits for blocking functions that have begun.
///
/// # Panics
///
/// Dropped inside async code: as [`Runtime`](super::Runtime). Used in a child of fork(2):
/// [as there](super::Runtime#fork).
#[derive(Debug)]
pub struct LocalRuntime {
    handle: Handle,
    core: Core,
    // The core's tasks belong to this thread.
    not_send: PhantomData<*mut ()>,
}

impl LocalRuntime {
    pub(super) fn from_parts(handle: Handle, core: Core) -> Self {
        Self {
            handle,
            core,
            not_send: PhantomData,
        }
    }

    /// A runtime with default options.
    ///
    /// # Errors
    ///
    /// See [`Builder::build_local`](super::Builder::build_local).
    pub fn new() -> io::Result<Self> {
        super::Builder::new_current_thread().build_local(LocalOptions::default())
    }

    /// A handle to this runtime, for any thread.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Spawns a task that need not be `Send`. It runs while somebody is inside `block_on`.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        task::spawn_on_local_runtime(&self.handle, future)
    }

    /// Runs a blocking function on the pool: see
    /// [`task::spawn_blocking`].
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, function: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle.spawn_blocking(function)
    }

    /// Runs a future to completion on this thread, and the runtime's tasks meanwhile.
    ///
    /// # Panics
    ///
    /// On a thread that drives async code already. Panics of the future go through.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.core.block_on(&self.handle, future)
    }

    /// Enters the runtime on this thread.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// The state of the loop.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }

    /// Shuts down and waits at most this long for blocking functions that have begun.
    pub fn shutdown_timeout(self, timeout: Duration) {
        self.shut_down(Some(timeout));
    }

    /// Shuts down and waits for nothing. May be called inside async code.
    pub fn shutdown_background(self) {
        self.shutdown_timeout(Duration::ZERO);
    }

    fn shut_down(&self, timeout: Option<Duration>) {
        if self.handle.shared().was_forked() {
            self.handle.leak();
            self.core.leak();
            return;
        }
        let deadline = timeout.and_then(super::shutdown::deadline);
        self.core.close(&self.handle, deadline);
        self.handle.shared().blocking.shut_down();
        if timeout.is_none_or(|timeout| !timeout.is_zero()) {
            self.handle.shared().blocking.join(deadline);
        }
    }
}

impl Drop for LocalRuntime {
    fn drop(&mut self) {
        if self.handle.shared().was_forked() {
            return self.shut_down(None);
        }
        if self.core.is_closed() {
            return;
        }
        let in_async_code = context::is_driving_tasks();
        self.shut_down(in_async_code.then_some(Duration::ZERO));
        assert!(
            !in_async_code || std::thread::panicking(),
            "Cannot drop a runtime in a context where blocking is not allowed. This happens when \
             a runtime is dropped inside async code. It has been shut down; call \
             `shutdown_background` to do that without this panic, or drop it elsewhere."
        );
    }
}
