//! The table of a loop's live tasks: what shutdown has to end.
//!
//! Place: entered when a task arrives at its home, left when its future has been dropped; runs on
//! the loop's own thread.
//!
//! # Invariants
//! A task is in the table from its first arrival until its future is dropped, so an empty table
//! means that no future of this loop exists, in no queue and in no other thread's hand. What memory
//! the table keeps after a burst: see `table`.
//!
//! # Why it is so
//! The entry is a waker, which keeps the task allocated: a task that nobody can wake any more
//! stays until shutdown, as in tokio. The alternative, a bare pointer, races with async-task's own
//! last drop of a waker.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use super::table::Table;

/// Where a task stands in the table.
pub(crate) type LiveKey = u32;
/// The key of a task that is in no table: before its arrival and after its end.
pub(crate) const NOT_LIVE: LiveKey = LiveKey::MAX;

/// Tasks that may leave this thread, and those that may not, in tables of their own: so an entry is
/// a waker and nothing else.
#[derive(Debug, Default)]
pub(crate) struct LiveTasks {
    movable: RefCell<Table<Waker>>,
    local: RefCell<Table<Waker>>,
    len: Cell<usize>,
}

impl LiveTasks {
    #[inline]
    pub(crate) fn insert(&self, waker: Waker, is_local: bool) -> LiveKey {
        let key = self.table(is_local).borrow_mut().insert(waker);
        self.len.set(self.len.get() + 1);
        LiveKey::try_from(key).expect("fewer than 2^32 tasks live on one loop")
    }

    /// Takes out what was entered as local, or not, under this key.
    #[inline]
    pub(crate) fn remove(&self, key: LiveKey, is_local: bool) {
        let waker = self.table(is_local).borrow_mut().remove(key as usize);
        self.len.set(self.len.get() - 1);
        // The borrow is over: the drop of the waker may free the task (I5).
        drop(waker);
    }

    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len.get()
    }

    /// Tasks that may not leave this thread.
    pub(crate) fn local_count(&self) -> usize {
        self.local.borrow().len()
    }

    /// Wakes all tasks, or the local ones, so that each is polled once more.
    pub(crate) fn wake_all(&self, only_local: bool) {
        let mut wakers = self.wakers(true);
        if !only_local {
            wakers.extend(self.wakers(false));
        }
        for waker in wakers {
            waker.wake();
        }
    }

    fn table(&self, is_local: bool) -> &RefCell<Table<Waker>> {
        if is_local { &self.local } else { &self.movable }
    }

    fn wakers(&self, is_local: bool) -> Vec<Waker> {
        let table = self.table(is_local).borrow();
        table.iter().map(|(_, waker)| waker.clone()).collect()
    }
}
