//! Abort and completion of a task, as its handles on other threads see them.
//!
//! Place: in each task's metadata; `request_abort` and `is_finished` on any thread, `is_aborted`
//! and `finish` on the home loop's thread, around each poll. Protocol file.
//!
//! ```text
//!   request_abort(): set is_aborted, then wake the task      (any thread, any number of times)
//!   poll():          is_aborted seen => drop the future, result "cancelled", finish()
//! ```
//!
//! # Invariants
//! I1. Abort never touches the future: it marks the task and wakes it, and the home loop drops the
//! future. An abort that comes after the last look at the flag reaches a later poll, because the
//! wake-up that follows the mark schedules one more poll of any task that is not finished.
//!
//! # Why it is so
//! Two words, as one thread alone writes the second: a store costs a tenth of an exchange, and each
//! task pays it. `async_task::Task::cancel` would do, but it consumes the handle, leaves no result for the
//! joiner, and loses a panic in the future's drop.

#![allow(unreachable_pub, reason = "the models import protocol types")]

use crate::primitive::atomic::{AtomicBool, Ordering};

/// The control words of a task.
#[derive(Debug)]
pub struct Control {
    is_aborted: AtomicBool,
    /// Set by who drops the future, once.
    is_finished: AtomicBool,
}

impl Control {
    /// A task that runs.
    #[allow(
        clippy::new_without_default,
        reason = "part of a task's metadata, never alone"
    )]
    pub fn new() -> Self {
        Self {
            is_aborted: AtomicBool::new(false),
            is_finished: AtomicBool::new(false),
        }
    }

    /// Asks for the task's end. True if this call was the first: the caller then wakes the task.
    #[inline]
    pub fn request_abort(&self) -> bool {
        // ORDERING: Release, pairs with the Acquire in `is_aborted`: what the aborting thread did
        // before is seen by the drops of the future. Relaxed for the other word: to wake a task
        // that has just finished does nothing.
        !self.is_aborted.swap(true, Ordering::Release) && !self.is_finished.load(Ordering::Relaxed)
    }

    /// Whether the next poll has to end the task. Home loop's thread.
    #[inline]
    pub fn is_aborted(&self) -> bool {
        // ORDERING: Acquire, pairs with `request_abort`.
        self.is_aborted.load(Ordering::Acquire)
    }

    /// The future has been dropped and the result is about to be published.
    #[inline]
    pub fn finish(&self) {
        // ORDERING: Release, pairs with the Acquire in `is_finished`: who sees the task finished
        // sees what it and its destructors did.
        self.is_finished.store(true, Ordering::Release);
    }

    /// Whether the future has been dropped. Any thread.
    #[inline]
    pub fn is_finished(&self) -> bool {
        // ORDERING: Acquire, pairs with `finish`.
        self.is_finished.load(Ordering::Acquire)
    }
}
