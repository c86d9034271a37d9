//! Tasks of one loop that wait for something to change.
//!
//! Place: used by the parts of a server that live on one loop; runs on that loop's thread alone.
//!
//! # Invariants
//! I5. No borrow is held while a waker is woken or dropped.

use std::cell::{Cell, RefCell};
use std::mem;
use std::task::{Context, Poll, Waker};

use slab::Slab;

/// Wakers of one loop's tasks. Each waiting future keeps the key of its own.
#[derive(Debug, Default)]
pub(super) struct Waiters(RefCell<Slab<Waker>>);

impl Waiters {
    /// Wakes whoever waits. They stay listed until they remove themselves.
    pub(super) fn wake_all(&self) {
        let wakers: Vec<Waker> = {
            let list = self.0.borrow();
            list.iter().map(|(_, waker)| waker.clone()).collect()
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Waits until `is_over` says so; it is asked at each wake-up.
    pub(super) async fn until(&self, is_over: impl Fn() -> bool) {
        let mut place = Place {
            waiters: self,
            key: None,
        };
        std::future::poll_fn(|cx| {
            if is_over() {
                return Poll::Ready(());
            }
            place.keep(cx);
            Poll::Pending
        })
        .await;
    }
}

/// A place in the list, given up when it is dropped.
struct Place<'a> {
    waiters: &'a Waiters,
    key: Option<usize>,
}

impl Place<'_> {
    fn keep(&mut self, cx: &Context<'_>) {
        let waker = cx.waker().clone();
        let mut list = self.waiters.0.borrow_mut();
        let Some(key) = self.key else {
            self.key = Some(list.insert(waker));
            return;
        };
        let old = mem::replace(&mut list[key], waker);
        drop(list);
        drop(old);
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let waker = self.waiters.0.borrow_mut().try_remove(key);
            drop(waker);
        }
    }
}

/// Something that happens once.
#[derive(Debug, Default)]
pub(super) struct Flag {
    is_set: Cell<bool>,
    waiters: Waiters,
}

impl Flag {
    pub(super) fn is_set(&self) -> bool {
        self.is_set.get()
    }

    pub(super) fn set(&self) {
        if !self.is_set.replace(true) {
            self.waiters.wake_all();
        }
    }

    /// Waits until it is set.
    pub(super) async fn wait(&self) {
        self.waiters.until(|| self.is_set()).await;
    }
}

/// The waker of the one task that does something: of two, the one that came last.
#[derive(Default)]
pub(super) struct WakerSlot(Cell<Option<Waker>>);

impl WakerSlot {
    pub(super) fn keep(&self, waker: &Waker) {
        let kept = self.0.take().filter(|kept| kept.will_wake(waker));
        self.0.set(Some(kept.unwrap_or_else(|| waker.clone())));
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = self.0.take() {
            waker.wake();
        }
    }

    pub(super) fn clear(&self) {
        drop(self.0.take());
    }
}
