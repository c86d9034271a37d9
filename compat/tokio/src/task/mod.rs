//! Tasks: spawning, joining, aborting, giving way.
//!
//! Place: wraps `oneloop::task`. What is added: tokio's panic texts, and `spawn_local`'s rule that
//! a local task needs a `LocalSet` or a `LocalRuntime`.

#[cfg(feature = "rt")]
mod join_set;
#[cfg(feature = "rt")]
mod local;
#[cfg(feature = "rt")]
mod task_local;

#[cfg(feature = "rt")]
pub use join_set::JoinSet;
#[cfg(feature = "rt")]
pub use local::{LocalEnterGuard, LocalSet, spawn_local};
#[cfg(feature = "rt-multi-thread")]
pub use oneloop::task::block_in_place;
#[cfg(feature = "rt")]
pub use oneloop::task::{
    AbortHandle, Id, JoinError, JoinHandle, Unconstrained, consume_budget, id, try_id,
    unconstrained, yield_now,
};
#[cfg(not(feature = "rt"))]
#[allow(unused_imports, reason = "files and standard streams need them")]
pub(crate) use oneloop::task::{JoinError, JoinHandle};
#[cfg(feature = "rt")]
pub use task_local::LocalKey;

/// Futures of this module that have no better place.
#[cfg(feature = "rt")]
pub mod futures {
    pub use super::task_local::TaskLocalFuture;
}

/// The cooperative budget.
#[cfg(feature = "rt")]
pub mod coop {
    pub use oneloop::task::coop::{
        Coop, RestoreOnPending, Unconstrained, consume_budget, cooperative, has_budget_remaining,
        poll_proceed, unconstrained,
    };
}

/// Spawns a task on the current runtime.
///
/// # Panics
///
/// Outside a runtime.
#[cfg(feature = "rt")]
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    crate::runtime::context::current().spawn(future)
}

/// Runs a function that blocks, or computes for long, on a thread of the blocking pool.
///
/// # Panics
///
/// Outside a runtime.
#[cfg(feature = "rt")]
#[track_caller]
pub fn spawn_blocking<F, R>(f: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    crate::runtime::context::current().spawn_blocking(f)
}
