//! Waiting with a whole thread.
//!
//! Place: called by every `blocking_*` function; asks `oneloop` whether this thread drives tasks.

use std::future::Future;

use crate::primitive;

/// Polls `future` to its end; this thread sleeps meanwhile.
///
/// # Panics
///
/// On a thread that drives tasks: they would all stop.
#[track_caller]
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    assert!(
        !oneloop::runtime::is_driving_tasks(),
        "Cannot block the current thread from within a runtime. This happens because a function \
         attempted to block the current thread while the thread is being used to drive \
         asynchronous tasks."
    );
    primitive::block_on(future)
}
