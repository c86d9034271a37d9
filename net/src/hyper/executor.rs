//! Tasks for hyper: the streams of an HTTP/2 connection each run in one.
//!
//! Place: called by hyper on the thread that polls the connection, calls `task`.
//!
//! # Why it is so
//! The tasks of one connection talk to it all the time, so they belong on its loop.

use ::hyper::rt::Executor;
use oneloop_runtime::task;

/// Spawns on the loop of this thread, and takes futures that are not `Send`: handlers may keep
/// what belongs to their loop in an `Rc`.
///
/// # Panics
///
/// `execute` panics on a thread that runs no loop: a connection that uses it has to be polled in
/// a task, or inside `block_on`.
#[derive(Debug, Clone, Copy, Default)]
pub struct LocalExecutor;

impl<F> Executor<F> for LocalExecutor
where
    F: Future<Output: 'static> + 'static,
{
    #[track_caller]
    fn execute(&self, future: F) {
        // Detached: hyper ends its tasks with their connection.
        drop(task::spawn_on_this_loop(future));
    }
}

/// Spawns as [`task::spawn`] does, which may place a task on another loop if this one is
/// busy: for handlers that compute for long.
///
/// # Panics
///
/// `execute` panics outside a runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct SendExecutor;

impl<F> Executor<F> for SendExecutor
where
    F: Future<Output: Send + 'static> + Send + 'static,
{
    #[track_caller]
    fn execute(&self, future: F) {
        // Detached, as above.
        drop(task::spawn(future));
    }
}
