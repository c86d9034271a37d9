//! Keeping panics of foreign code (hooks, wakers, drops) from the loop.
//!
//! Place: called wherever the loop runs code that is not its own outside a task's poll.
//!
//! A contained panic has been reported by the panic hook; there is nobody else to hand it to.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::task::Waker;

/// Runs `f`, and goes on after a panic. False if it panicked.
pub(crate) fn contained(f: impl FnOnce()) -> bool {
    match catch_unwind(AssertUnwindSafe(f)) {
        Ok(()) => true,
        Err(payload) => {
            drop_contained(payload);
            false
        }
    }
}

/// Wakes, whatever the waker does.
pub(crate) fn wake_contained(waker: Waker) {
    contained(|| waker.wake());
}

/// Drops a value whose drop may panic, such as a panic's payload.
pub(crate) fn drop_contained<T>(value: T) {
    let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(value))) else {
        return;
    };
    if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
        // The payload of a payload's drop: who goes on panicking like this leaks.
        #[expect(clippy::mem_forget, reason = "its drop may panic again, without end")]
        std::mem::forget(payload);
    }
}
