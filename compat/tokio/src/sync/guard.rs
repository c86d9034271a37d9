//! What the guards of `Mutex` and `RwLock` have in common.
//!
//! Place: inside every guard; calls `permits`.
//!
//! # Invariants
//! G1. A guard holds permits of its lock until it is dropped; its pointer into the guarded value is
//! valid so long, and alone if it may write. Mapping moves the held permits from guard to guard.
//!
//! # Why it is so
//! The permits are a field that releases itself, so that no guard needs a `Drop` of its own, and one
//! guard is made from another by moving fields.

use std::sync::Arc;

use super::permits::Permits;

/// Permits that are given back when dropped.
pub(super) struct Held<'a> {
    permits: &'a Permits,
    count: usize,
}

impl<'a> Held<'a> {
    /// The caller has just taken them.
    pub(super) fn new(permits: &'a Permits, count: usize) -> Self {
        Self { permits, count }
    }

    /// Gives back all but one.
    pub(super) fn keep_one(&mut self) {
        let rest = self.count - 1;
        self.count = 1;
        self.permits.give(rest);
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        self.permits.give(self.count);
    }
}

/// A lock that counts its holders in permits.
pub(super) trait Lock {
    fn permits(&self) -> &Permits;
}

/// As [`Held`], and keeps the lock alive.
pub(super) struct OwnedHeld<L: Lock + ?Sized> {
    pub(super) lock: Arc<L>,
    count: usize,
}

impl<L: Lock + ?Sized> OwnedHeld<L> {
    /// The caller has just taken them.
    pub(super) fn new(lock: Arc<L>, count: usize) -> Self {
        Self { lock, count }
    }

    /// Gives back all but one.
    pub(super) fn keep_one(&mut self) {
        let rest = self.count - 1;
        self.count = 1;
        self.lock.permits().give(rest);
    }
}

impl<L: Lock + ?Sized> Drop for OwnedHeld<L> {
    fn drop(&mut self) {
        self.lock.permits().give(self.count);
    }
}

/// Access through a guard that has a `data: NonNull<Target>`; with `mut`, to change it too.
macro_rules! guard_access {
    ([$($generics:tt)*] $guard:ty => $target:ty, mut) => {
        guard_access!([$($generics)*] $guard => $target);

        impl<$($generics)*> std::ops::DerefMut for $guard {
            fn deref_mut(&mut self) -> &mut $target {
                // SAFETY: the guard holds the lock alone (G1), and is borrowed to change.
                unsafe { self.data.as_mut() }
            }
        }
    };
    ([$($generics:tt)*] $guard:ty => $target:ty) => {
        impl<$($generics)*> std::ops::Deref for $guard {
            type Target = $target;

            fn deref(&self) -> &$target {
                // SAFETY: the guard holds the lock (G1), and is borrowed.
                unsafe { self.data.as_ref() }
            }
        }

        impl<$($generics)*> std::fmt::Debug for $guard
        where
            $target: std::fmt::Debug,
        {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        }

        impl<$($generics)*> std::fmt::Display for $guard
        where
            $target: std::fmt::Display,
        {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                (**self).fmt(f)
            }
        }
    };
}
pub(super) use guard_access;
