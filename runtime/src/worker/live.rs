//! The live tasks of a loop: what shutdown has to end.
//!
//! Place: a task arrives when it comes to its home, is entered in the table when its first poll leaves
//! it pending, and leaves when its future has been dropped; runs on the loop's own thread.
//!
//! # Invariants
//! A task is counted from its arrival until its future is dropped, so a count of zero means that no
//! future of this loop exists, in no queue and in no other thread's hand. One that is counted and not in
//! the table is in the queue, or in its first poll. What memory the table keeps after a burst: see
//! `table`.
//!
//! # Why it is so
//! The entry is a waker, which keeps the task allocated: a task that nobody can wake any more
//! stays until shutdown, as in tokio. The alternative, a bare pointer, races with async-task's own
//! last drop of a waker. A task that ends in its first poll needs no entry, and pays for none.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use super::table::Table;

/// Where a task stands in the table.
pub(crate) type LiveKey = u32;
/// The key of a task that is not counted: before its arrival and after its end.
pub(crate) const NOT_HERE: LiveKey = LiveKey::MAX;
/// The key of a task that is counted and not in the table.
pub(crate) const NOT_ENTERED: LiveKey = LiveKey::MAX - 1;

/// Tasks that may leave this thread, and those that may not, apart: so an entry is a waker and nothing
/// else.
#[derive(Debug, Default)]
pub(crate) struct LiveTasks {
    movable: Tasks,
    local: Tasks,
}

#[derive(Debug, Default)]
struct Tasks {
    wakers: RefCell<Table<Waker>>,
    count: Cell<usize>,
}

impl LiveTasks {
    #[inline]
    pub(crate) fn arrive(&self, is_local: bool) {
        let count = &self.of_kind(is_local).count;
        count.set(count.get() + 1);
    }

    /// A task that has arrived goes on after its first poll.
    pub(crate) fn enter(&self, waker: Waker, is_local: bool) -> LiveKey {
        let key = self.of_kind(is_local).wakers.borrow_mut().insert(waker);
        let key = LiveKey::try_from(key).ok().filter(|&key| key < NOT_ENTERED);
        key.expect("fewer than 2^32 - 2 tasks live on one loop")
    }

    /// A task that has arrived ends.
    #[inline]
    pub(crate) fn leave(&self, key: LiveKey, is_local: bool) {
        let tasks = self.of_kind(is_local);
        tasks.count.set(tasks.count.get() - 1);
        if key != NOT_ENTERED {
            let waker = tasks.wakers.borrow_mut().remove(key as usize);
            // The borrow is over: the drop of the waker may free the task (I5).
            drop(waker);
        }
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.movable.count.get() + self.local.count.get()
    }

    /// Tasks that may not leave this thread.
    pub(crate) fn local_count(&self) -> usize {
        self.local.count.get()
    }

    /// Wakes the task under this key, if there is one.
    #[inline]
    pub(crate) fn wake(&self, key: LiveKey, is_local: bool) {
        // The borrow goes on (I5): to wake a task of this loop is to queue it, and runs no code of others.
        let wakers = self.of_kind(is_local).wakers.borrow();
        if let Some(waker) = wakers.get(key as usize) {
            waker.wake_by_ref();
        }
    }

    /// Wakes all tasks that are in the table, or the local ones of them, so that each is polled once
    /// more. The others are in the queue: it is not called from within the first poll of one of them.
    pub(crate) fn wake_all(&self, only_local: bool) {
        let mut wakers = self.wakers(true);
        if !only_local {
            wakers.extend(self.wakers(false));
        }
        for waker in wakers {
            waker.wake();
        }
    }

    #[inline]
    fn of_kind(&self, is_local: bool) -> &Tasks {
        if is_local { &self.local } else { &self.movable }
    }

    fn wakers(&self, is_local: bool) -> Vec<Waker> {
        let table = self.of_kind(is_local).wakers.borrow();
        table.iter().map(|(_, waker)| waker.clone()).collect()
    }
}
