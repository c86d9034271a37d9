//! A runtime, from any thread.

use std::fmt;
use std::num::NonZeroUsize;

use super::RuntimeMetrics;
use super::context::{self, ContextError, Setup};
use crate::task::JoinHandle;

/// A handle to a runtime. Clones are cheap.
#[derive(Debug, Clone)]
pub struct Handle {
    inner: oneloop::runtime::Handle,
}

/// What kind of runtime a handle belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeFlavor {
    /// One loop, driven inside `block_on`.
    CurrentThread,
    /// Several loops, each on a thread of its own.
    MultiThread,
}

/// Keeps a runtime entered on this thread, until dropped.
///
/// # Panics
///
/// The drop, if a guard that was made later is still alive.
#[derive(Debug)]
#[must_use = "dropped at once, it leaves the runtime at once"]
pub struct EnterGuard<'a> {
    _inner: oneloop::runtime::EnterGuard<'a>,
}

impl Handle {
    pub(super) fn new(inner: oneloop::runtime::Handle) -> Self {
        Self { inner }
    }

    /// Enters the runtime on this thread until the guard is dropped.
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard {
            _inner: self.inner.enter(),
        }
    }

    /// The runtime that was entered last on this thread.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    #[must_use]
    pub fn current() -> Self {
        Self::new(context::current())
    }

    /// The runtime that was entered last on this thread.
    ///
    /// # Errors
    ///
    /// If there is none, or the thread is ending.
    pub fn try_current() -> Result<Self, TryCurrentError> {
        match oneloop::runtime::Handle::try_current() {
            Ok(inner) => Ok(Self::new(inner)),
            Err(error) => Err(TryCurrentError(ContextError::from(&error))),
        }
    }

    /// Spawns a task.
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.inner.spawn(future)
    }

    /// Runs a function on the blocking pool.
    ///
    /// # Panics
    ///
    /// If the system refuses to start the pool's first thread.
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, func: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.inner.spawn_blocking(func)
    }

    /// Runs a future on this thread. A current-thread runtime's tasks are not driven by this.
    ///
    /// # Panics
    ///
    /// On a thread that drives async code already. Panics of the future go through.
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        context::require_may_block();
        self.inner.block_on(future)
    }

    /// What kind of runtime this is.
    #[must_use]
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        match self.inner.runtime_flavor() {
            oneloop::runtime::RuntimeFlavor::CurrentThread => RuntimeFlavor::CurrentThread,
            _ => RuntimeFlavor::MultiThread,
        }
    }

    /// Tells this runtime from the others that exist.
    #[must_use]
    pub fn id(&self) -> Id {
        Id(self.inner.id())
    }

    /// The name that the builder gave to the runtime.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.inner.user_data::<Setup>()?.name.as_deref()
    }

    /// The state of the loops.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        RuntimeMetrics::new(self.inner.clone())
    }
}

/// Identifies a runtime, or a [`LocalSet`](crate::task::LocalSet), among those that exist.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq)]
pub struct Id(NonZeroUsize);

impl Id {
    /// The place of something that is alive as long as what the id stands for.
    pub(crate) fn of_place<T>(place: &T) -> Self {
        let address = NonZeroUsize::from(std::ptr::NonNull::from(place).addr());
        Self(address)
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// There is no runtime on this thread.
#[derive(Debug)]
pub struct TryCurrentError(ContextError);

impl TryCurrentError {
    /// Whether no runtime was entered on this thread.
    #[must_use]
    pub fn is_missing_context(&self) -> bool {
        self.0 == ContextError::Missing
    }

    /// Whether the thread is ending and its locals are gone.
    #[must_use]
    pub fn is_thread_local_destroyed(&self) -> bool {
        self.0 == ContextError::ThreadIsEnding
    }
}

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl std::error::Error for TryCurrentError {}
