//! Who waits on this loop for the end of one of its tasks, and is not found by a key of the loop's own: the
//! root of a `block_on`, a task of a set. (For the loop's tasks see `live`. One that waits where another
//! one of these did before is entered here, too.)
//!
//! Place: entered by `JoinHandle::poll` on the task's home loop, woken when the task's future has been
//! dropped there; runs on the loop's own thread.
//!
//! # Invariants
//! I2. Plain memory. I5. No waker is cloned, woken or dropped while the table is borrowed. The wakers
//! are those that loops and sets have made, so that none panics. An entry stays until the task that
//! is waited for ends, also if its handle is dropped: one for each live task at most. What memory the
//! table keeps after that: see `table`.
//!
//! # Why it is so
//! Few tasks are waited for at any time, so that a table is better than a waker's room in each task.

use std::cell::RefCell;
use std::task::Waker;

use super::table::Table;

/// Where a task's joiner stands in the table.
pub(crate) type JoinKey = u32;

#[derive(Debug, Default)]
pub(crate) struct Joiners {
    wakers: RefCell<Table<Waker>>,
}

impl Joiners {
    /// Enters a waker under a new key, or in the place of the one under this key.
    pub(crate) fn register(&self, key: Option<JoinKey>, waker: &Waker) -> JoinKey {
        let Some(key) = key else {
            let waker = waker.clone();
            let key = self.wakers.borrow_mut().insert(waker);
            return JoinKey::try_from(key).expect("fewer than 2^32 tasks are waited for");
        };
        if let Some(registered) = self.wakers.borrow().get(key as usize)
            && registered.will_wake(waker)
        {
            return key;
        }
        let waker = waker.clone();
        let replaced = self
            .wakers
            .borrow_mut()
            .get_mut(key as usize)
            .map(|registered| std::mem::replace(registered, waker));
        debug_assert!(replaced.is_some(), "the entry stays until the task ends");
        drop(replaced);
        key
    }

    /// Takes out what was entered under this key, and wakes it.
    pub(crate) fn wake(&self, key: JoinKey) {
        let waker = self.wakers.borrow_mut().remove(key as usize);
        waker.wake();
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.wakers.borrow().is_empty()
    }
}
