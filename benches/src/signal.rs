//! The smallest channel between two tasks: a flag and a waker.
//!
//! Place: used by the workloads identically on every runtime, so that a round trip measures the
//! runtime's wake-up and not its channel.

use std::future::poll_fn;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Poll, Waker};

/// A flag that one task raises and another waits for.
#[derive(Debug, Default)]
pub struct Signal {
    raised: AtomicBool,
    waiter: Mutex<Option<Waker>>,
}

impl Signal {
    /// Raises the flag, and wakes the task that waits.
    pub fn raise(&self) {
        self.raised.store(true, Ordering::Release);
        let waiter = self.waiter.lock().expect(NOT_POISONED).take();
        if let Some(waiter) = waiter {
            waiter.wake();
        }
    }

    /// Waits for the flag, and lowers it. One task at a time.
    pub async fn wait(&self) {
        poll_fn(|cx| {
            if self.lower() {
                return Poll::Ready(());
            }
            *self.waiter.lock().expect(NOT_POISONED) = Some(cx.waker().clone());
            // The other side may have raised it before it could see the waker.
            if self.lower() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn lower(&self) -> bool {
        self.raised.swap(false, Ordering::AcqRel)
    }
}

const NOT_POISONED: &str = "nothing panics while it holds the lock";
