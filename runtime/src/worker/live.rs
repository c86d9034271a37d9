//! The table of a loop's live tasks: what shutdown has to end.
//!
//! Place: entered when a task arrives at its home, left when its future has been dropped; runs on
//! the loop's own thread.
//!
//! # Invariants
//! A task is in the table from its first arrival until its future is dropped, so an empty table
//! means that no future of this loop exists, in no queue and in no other thread's hand.
//!
//! # Why it is so
//! The entry is a waker, which keeps the task allocated: a task that nobody can wake any more
//! stays until shutdown, as in tokio. The alternative, a bare pointer, races with async-task's own
//! last drop of a waker.

use std::cell::{Cell, RefCell};
use std::task::Waker;

use slab::Slab;

/// Where a task stands in the table.
pub(crate) type LiveKey = u32;
/// The key of a task that is in no table: before its arrival and after its end.
pub(crate) const NOT_LIVE: LiveKey = LiveKey::MAX;

#[derive(Debug)]
struct Entry {
    waker: Waker,
    is_local: bool,
}

#[derive(Debug, Default)]
pub(crate) struct LiveTasks {
    entries: RefCell<Slab<Entry>>,
    local_count: Cell<usize>,
}

impl LiveTasks {
    pub(crate) fn insert(&self, waker: Waker, is_local: bool) -> LiveKey {
        let key = self.entries.borrow_mut().insert(Entry { waker, is_local });
        self.local_count
            .set(self.local_count.get() + usize::from(is_local));
        LiveKey::try_from(key).expect("fewer than 2^32 tasks live on one loop")
    }

    pub(crate) fn remove(&self, key: LiveKey) {
        let entry = self.entries.borrow_mut().remove(key as usize);
        self.local_count
            .set(self.local_count.get() - usize::from(entry.is_local));
        // The borrow is over: the drop of the waker may free the task (I5).
        drop(entry);
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.borrow().len()
    }

    /// Tasks that may not leave this thread.
    pub(crate) fn local_count(&self) -> usize {
        self.local_count.get()
    }

    /// Wakes all tasks, or the local ones, so that each is polled once more.
    pub(crate) fn wake_all(&self, only_local: bool) {
        let wakers: Vec<Waker> = self
            .entries
            .borrow()
            .iter()
            .filter(|(_, entry)| entry.is_local || !only_local)
            .map(|(_, entry)| entry.waker.clone())
            .collect();
        for waker in wakers {
            waker.wake();
        }
    }
}
