//! A queue of futures that wait, linked through the futures themselves.
//!
//! Place: a list lies inside a lock of `permits`, `notify` or `broadcast`; a waiter lies inside a
//! future; whoever holds the lock may touch both, from any thread.
//!
//! ```text
//!   waiter:  off the list --push_back--> linked --pop or remove--> off the list
//!            (owner alone)               (under the lock)          (owner alone)
//! ```
//!
//! # Invariants
//! L1. While `linked` is set, the fields belong to the holder of the lock; while it is clear, to the
//! owner of the waiter. Clearing it is the last thing that a pop does to a waiter.
//! L2. A linked waiter is neither moved nor freed: it is pinned, and its owner's drop removes it.
//!
//! # Why it is so
//! A list of boxed nodes costs an allocation for each wait. The flag costs one atomic byte and saves
//! the second lock of each wake-up: a future that finds it clear is done.

use std::marker::PhantomPinned;
use std::pin::Pin;
use std::ptr::{self, NonNull};
use std::task::Waker;

use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicBool, Ordering};

/// A place in a queue, with what the queue has to say to it.
#[derive(Debug)]
pub(super) struct Waiter<E> {
    linked: AtomicBool,
    fields: UnsafeCell<Fields<E>>,
    _pinned: PhantomPinned,
}

#[derive(Debug)]
struct Fields<E> {
    previous: Option<NonNull<Waiter<E>>>,
    next: Option<NonNull<Waiter<E>>>,
    waker: Option<Waker>,
    entry: E,
}

// SAFETY: `fields` holds links that are followed under the lock alone, a waker, and the entry; one
// party at a time has them (L1).
unsafe impl<E: Send> Send for Waiter<E> {}
// SAFETY: as for `Send`: a shared reference gives access to `linked`, and to the fields only under
// the contract of the functions below.
unsafe impl<E: Send> Sync for Waiter<E> {}

impl<E> Waiter<E> {
    pub(super) fn new(entry: E) -> Self {
        Self {
            linked: AtomicBool::new(false),
            fields: UnsafeCell::new(Fields {
                previous: None,
                next: None,
                waker: None,
                entry,
            }),
            _pinned: PhantomPinned,
        }
    }

    /// Whether the waiter stands in its list. `false` is final for a waiter that was put in once.
    pub(super) fn is_linked(&self) -> bool {
        // ORDERING: Acquire, pairs with the Release in `unlink`: the fields are the owner's again.
        // If weaker: notify::one_of_two_is_woken fails.
        self.linked.load(Ordering::Acquire)
    }

    /// The owner's look at the entry of a waiter that is off its list.
    ///
    /// # Safety
    ///
    /// The caller owns the waiter, and `is_linked` was false.
    pub(super) unsafe fn entry_off_list<R>(&self, f: impl FnOnce(&mut E) -> R) -> R {
        // SAFETY: the fields are the owner's (L1).
        unsafe { self.fields(|fields| f(&mut fields.entry)) }
    }

    /// # Safety
    ///
    /// The caller holds the lock of the list, or owns the waiter while it is off the list.
    unsafe fn fields<R>(&self, f: impl FnOnce(&mut Fields<E>) -> R) -> R {
        self.fields.with_mut(|fields| {
            // SAFETY: nobody else has access (L1), by the contract of this function; `f` is code of
            // this file and of its callers, and does not come back here for the same waiter.
            f(unsafe { &mut *fields })
        })
    }

    /// # Safety
    ///
    /// The waiter is linked, and the caller holds the lock of the list.
    unsafe fn at<R>(node: NonNull<Self>, f: impl FnOnce(&mut Fields<E>) -> R) -> R {
        // SAFETY: a linked waiter is neither moved nor freed (L2), and is only shared.
        let waiter = unsafe { node.as_ref() };
        // SAFETY: the caller holds the lock.
        unsafe { waiter.fields(f) }
    }
}

/// A queue of waiters, first in, first out. Lies inside a lock.
#[derive(Debug)]
pub(super) struct WaitList<E> {
    first: Option<NonNull<Waiter<E>>>,
    last: Option<NonNull<Waiter<E>>>,
}

// SAFETY: the pointers are to waiters, which may be touched from any thread by the holder of the
// lock (L1).
unsafe impl<E: Send> Send for WaitList<E> {}

impl<E> WaitList<E> {
    pub(super) const fn new() -> Self {
        Self {
            first: None,
            last: None,
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Puts the waiter at the end.
    ///
    /// # Safety
    ///
    /// The waiter is off the list, always used with this list, and its owner calls `remove` before
    /// it goes away (L2).
    pub(super) unsafe fn push_back(&mut self, waiter: Pin<&Waiter<E>>, waker: Option<Waker>) {
        let node = NonNull::from(waiter.get_ref());
        let last = self.last.replace(node);
        // SAFETY: the waiter is off the list, and the caller is its owner.
        unsafe {
            waiter.fields(|fields| {
                fields.previous = last;
                fields.next = None;
                fields.waker = waker;
            });
        }
        match last {
            // SAFETY: the caller holds the lock, and a linked waiter is alive (L2).
            Some(last) => unsafe { Waiter::at(last, |fields| fields.next = Some(node)) },
            None => self.first = Some(node),
        }
        waiter.linked.store(true, Ordering::Relaxed);
    }

    /// Lets `f` work on the entry of the first waiter.
    pub(super) fn first<R>(&mut self, f: impl FnOnce(&mut E) -> R) -> Option<R> {
        let first = self.first?;
        // SAFETY: the caller holds the lock, and a linked waiter is alive (L2).
        Some(unsafe { Waiter::at(first, |fields| f(&mut fields.entry)) })
    }

    /// Takes the first waiter off the list, after `tell` has written into its entry. Gives its waker.
    pub(super) fn pop_front(&mut self, tell: impl FnOnce(&mut E)) -> Option<Option<Waker>> {
        self.first.map(|node| self.take(node, tell))
    }

    /// Takes the last waiter off the list, as `pop_front`.
    pub(super) fn pop_back(&mut self, tell: impl FnOnce(&mut E)) -> Option<Option<Waker>> {
        self.last.map(|node| self.take(node, tell))
    }

    fn take(&mut self, node: NonNull<Waiter<E>>, tell: impl FnOnce(&mut E)) -> Option<Waker> {
        // SAFETY: the caller holds the lock, and a linked waiter is alive (L2).
        let waker = unsafe {
            Waiter::at(node, |fields| {
                tell(&mut fields.entry);
                fields.waker.take()
            })
        };
        self.unlink(node);
        waker
    }

    /// Takes this waiter off the list. Its waker and its entry, or None if it was off already.
    pub(super) fn remove(&mut self, waiter: Pin<&Waiter<E>>) -> Option<Option<Waker>> {
        waiter
            .linked
            .load(Ordering::Relaxed)
            .then(|| self.take(NonNull::from(waiter.get_ref()), |_| ()))
    }

    /// Gives a linked waiter another waker, and gives the former one back to be dropped after the
    /// lock. None: the waiter is off the list.
    pub(super) fn change_waker(
        &mut self,
        waiter: Pin<&Waiter<E>>,
        waker: Waker,
    ) -> Option<Option<Waker>> {
        if !waiter.linked.load(Ordering::Relaxed) {
            return None;
        }
        // SAFETY: the caller holds the lock, and the waiter is linked.
        Some(unsafe { waiter.fields(|fields| fields.waker.replace(waker)) })
    }

    fn unlink(&mut self, node: NonNull<Waiter<E>>) {
        // SAFETY: the caller holds the lock, and a linked waiter is alive (L2).
        let (previous, next) =
            unsafe { Waiter::at(node, |fields| (fields.previous.take(), fields.next.take())) };
        match previous {
            // SAFETY: as above: the neighbours of a linked waiter are linked.
            Some(previous) => unsafe { Waiter::at(previous, |fields| fields.next = next) },
            None => {
                debug_assert!(
                    self.first
                        .is_some_and(|first| ptr::eq(first.as_ptr(), node.as_ptr()))
                );
                self.first = next;
            }
        }
        match next {
            // SAFETY: as above.
            Some(next) => unsafe { Waiter::at(next, |fields| fields.previous = previous) },
            None => self.last = previous,
        }
        // SAFETY: the waiter is alive until the flag is clear: its owner finds it set, and waits for
        // the lock (L2).
        let node = unsafe { node.as_ref() };
        // ORDERING: Release, pairs with the Acquire in `is_linked`: gives the fields back (L1).
        node.linked.store(false, Ordering::Release);
    }
}
