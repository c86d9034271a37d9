//! Wakers that were collected under a lock, to be called after it.
//!
//! Place: filled by `permits`, `notify` and `broadcast` under their locks; emptied on the same
//! thread once the lock is open (U1).

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::task::Waker;

/// So many wakers need no allocation.
const INLINE: usize = 8;

#[derive(Debug, Default)]
pub(super) struct Wakers {
    first: [Option<Waker>; INLINE],
    len: usize,
    rest: Vec<Waker>,
}

impl Wakers {
    pub(super) fn new() -> Self {
        Self::default()
    }

    /// Adds the waker, if there is one: a future that is enabled and not polled has none.
    pub(super) fn push(&mut self, waker: Option<Waker>) {
        let Some(waker) = waker else { return };
        if let Some(place) = self.first.get_mut(self.len) {
            *place = Some(waker);
            self.len += 1;
        } else {
            self.rest.push(waker);
        }
    }

    /// Calls all of them, oldest first. A panic of one goes through after the others were called.
    pub(super) fn wake_all(self) {
        let mut panic = None;
        for waker in self
            .first
            .into_iter()
            .take(self.len)
            .flatten()
            .chain(self.rest)
        {
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| waker.wake())) {
                panic = panic.or(Some(payload));
            }
        }
        if let Some(payload) = panic {
            resume_unwind(payload);
        }
    }
}
