//! What the models share. The models are in `tests/`, and exist only under `--cfg loom`.

#![cfg(loom)]

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use loom::cell::UnsafeCell;
use loom::future::block_on;

pub use loom_tests::{Reached, explore};

/// A number that no lock guards: loom reports it if the code under test lets two threads meet here.
#[derive(Debug)]
pub struct Unguarded(UnsafeCell<usize>);

// SAFETY: loom runs one thread at a time, and reports accesses that are not ordered.
unsafe impl Sync for Unguarded {}
// SAFETY: a number goes where it likes.
unsafe impl Send for Unguarded {}

impl Unguarded {
    /// Zero.
    #[must_use]
    #[allow(
        clippy::new_without_default,
        reason = "loom's objects belong to one execution"
    )]
    pub fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    /// Adds one.
    pub fn count(&self) {
        self.0.with_mut(|number| {
            // SAFETY: loom reports it if another thread has access now.
            unsafe { *number += 1 };
        });
    }

    /// The number.
    #[must_use]
    pub fn get(&self) -> usize {
        self.0.with(|number| {
            // SAFETY: loom reports it if another thread writes now.
            unsafe { *number }
        })
    }
}

/// Waits for a future on this thread, and counts if it was not ready at once.
pub fn wait<F: Future>(future: F, waited: &Reached) -> F::Output {
    let mut future = pin!(future);
    let mut is_first = true;
    block_on(poll_fn(|cx| {
        let outcome = future.as_mut().poll(cx);
        waited.count_if(is_first && outcome.is_pending());
        is_first = false;
        outcome
    }))
}

/// Polls a future once, with a waker that stays valid, and drops it. What it gave, if it was ready.
pub fn poll_and_drop<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    block_on(poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    }))
}
