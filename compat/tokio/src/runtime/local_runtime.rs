//! A runtime that stays on one thread.

use std::io;
use std::time::Duration;

use super::{Builder, EnterGuard, Handle, RuntimeMetrics, context};
use crate::task::JoinHandle;

pub use oneloop::runtime::LocalOptions;

/// A current-thread runtime that cannot leave its thread, so that its tasks need not be `Send`.
///
/// # Panics
///
/// Dropped inside async code.
#[derive(Debug)]
pub struct LocalRuntime {
    inner: oneloop::runtime::LocalRuntime,
    handle: Handle,
}

impl LocalRuntime {
    pub(super) fn from_inner(inner: oneloop::runtime::LocalRuntime) -> Self {
        let handle = Handle::new(inner.handle().clone());
        Self { inner, handle }
    }

    /// A runtime with everything enabled.
    ///
    /// # Errors
    ///
    /// The system refuses descriptors.
    pub fn new() -> io::Result<Self> {
        Builder::new_current_thread()
            .enable_all()
            .build_local(LocalOptions::default())
    }

    /// A handle to this runtime, for any thread.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Spawns a task that need not be `Send`.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.inner.spawn_local(future)
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

    /// The state of the loop.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        self.handle.metrics()
    }
}
