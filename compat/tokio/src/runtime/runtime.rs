//! The runtime itself.

use std::time::Duration;

use super::{EnterGuard, Handle, RuntimeMetrics, context};
use crate::task::JoinHandle;

/// Loops, their threads and the blocking pool. Dropping it ends its tasks and waits for the
/// blocking functions that have begun.
///
/// # Panics
///
/// Dropped inside async code.
#[derive(Debug)]
pub struct Runtime {
    // In this order: the handle outlives the loops.
    inner: oneloop::runtime::Runtime,
    handle: Handle,
}

impl Runtime {
    pub(super) fn from_inner(inner: oneloop::runtime::Runtime) -> Self {
        let handle = Handle::new(inner.handle().clone());
        Self { inner, handle }
    }

    /// A multi-thread runtime with everything enabled.
    ///
    /// # Errors
    ///
    /// The system refuses threads or descriptors.
    #[cfg(feature = "rt-multi-thread")]
    pub fn new() -> std::io::Result<Self> {
        super::Builder::new_multi_thread().enable_all().build()
    }

    /// A handle to this runtime, for any thread.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Spawns a task.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.handle.spawn(future)
    }

    /// Runs a function on the blocking pool.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, func: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.handle.spawn_blocking(func)
    }

    /// Runs a future to completion on this thread.
    ///
    /// # Panics
    ///
    /// On a thread that drives async code already. Panics of the future go through.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        context::require_may_block();
        self.inner.block_on(future)
    }

    /// Enters the runtime on this thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard<'_> {
        self.handle.enter()
    }

    /// Shuts down and waits at most this long.
    pub fn shutdown_timeout(self, duration: Duration) {
        self.inner.shutdown_timeout(duration);
    }

    /// Shuts down and waits for nothing.
    pub fn shutdown_background(self) {
        self.inner.shutdown_background();
    }

    /// The state of the loops.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }
}
