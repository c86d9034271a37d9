//! The waker of a single waiter whom many may wake.
//!
//! Place: the receiver of an `mpsc` registers, every sender wakes; any thread.
//!
//! # Invariants
//! W1. Who registers and then looks sees what was published before every `wake` that it missed.
//! Kept by the exchanges on `armed`: of two on one word, the later one sees what came before the
//! earlier one.
//!
//! # Why it is so
//! A wake-up with nobody waiting is one exchange. The lock is taken when somebody waits, which is
//! when a system call or a trip through a queue is due anyway.

use std::task::Waker;

use crate::primitive::Mutex;
use crate::primitive::atomic::{AtomicBool, Ordering};

#[derive(Debug)]
pub(super) struct WakerSlot {
    armed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

impl WakerSlot {
    pub(super) fn new() -> Self {
        Self {
            armed: AtomicBool::new(false),
            waker: Mutex::new(None),
        }
    }

    /// Lets the next `wake` call this waker. The caller then looks again at what it waits for.
    pub(super) fn register(&self, waker: &Waker) {
        if !self.holds(waker) {
            let new = waker.clone();
            let old = self.waker.lock().replace(new);
            drop(old);
        }
        // ORDERING: AcqRel. Acquire sees what was published before the wake-ups that found the slot
        // unarmed; Release hands the waker to the next one (W1). If weaker:
        // mpsc::a_send_wakes_the_receiver fails.
        self.armed.swap(true, Ordering::AcqRel);
    }

    fn holds(&self, waker: &Waker) -> bool {
        self.waker
            .lock()
            .as_ref()
            .is_some_and(|held| held.will_wake(waker))
    }

    /// Wakes who is registered.
    pub(super) fn wake(&self) {
        // ORDERING: AcqRel, see `register`: Release publishes what the waker is to look at.
        if self.armed.swap(false, Ordering::AcqRel) {
            self.wake_armed();
        }
    }

    #[cold]
    fn wake_armed(&self) {
        let waker = self.waker.lock().take();
        // None: another wake-up took a waker that was registered meanwhile. Its task looks at
        // everything published until it registers again.
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Forgets who is registered.
    pub(super) fn clear(&self) {
        let waker = self.waker.lock().take();
        drop(waker);
    }
}
