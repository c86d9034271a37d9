//! The guards of readers.
//!
//! Place: made by `RwLock` and by the guards of writers; what holds the lock is `guard::Held`.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use super::RwLock;
use crate::sync::guard::{Held, OwnedHeld, guard_access};

/// Reads the value of an [`RwLock`], or a part of it, until dropped.
#[clippy::has_significant_drop]
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    held: Held<'a>,
    data: NonNull<T>,
    marker: PhantomData<&'a T>,
}

// SAFETY: the guard is used like the `&T` that `data` stands for.
unsafe impl<T: ?Sized + Sync> Send for RwLockReadGuard<'_, T> {}
// SAFETY: a shared guard gives `&T`. `Send` is asked for as tokio does.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLockReadGuard<'_, T> {}

guard_access!(['a, T: ?Sized] RwLockReadGuard<'a, T> => T);

impl<'a, T: ?Sized> RwLockReadGuard<'a, T> {
    pub(super) fn new(data: NonNull<T>, held: Held<'a>) -> Self {
        Self {
            held,
            data,
            marker: PhantomData,
        }
    }

    /// A guard of a part of the value.
    pub fn map<F, U: ?Sized>(this: Self, f: F) -> RwLockReadGuard<'a, U>
    where
        F: FnOnce(&T) -> &U,
    {
        let data = NonNull::from(f(&*this));
        RwLockReadGuard::new(data, this.held)
    }

    /// A guard of a part of the value, if `f` finds it.
    ///
    /// # Errors
    ///
    /// Gives the guard back if `f` gives None.
    pub fn try_map<F, U: ?Sized>(this: Self, f: F) -> Result<RwLockReadGuard<'a, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
    {
        match f(&*this).map(NonNull::from) {
            Some(data) => Ok(RwLockReadGuard::new(data, this.held)),
            None => Err(this),
        }
    }
}

/// Reads the value of an [`RwLock`], or a part of it, until dropped, and keeps the lock alive.
#[clippy::has_significant_drop]
pub struct OwnedRwLockReadGuard<T: ?Sized, U: ?Sized = T> {
    held: OwnedHeld<RwLock<T>>,
    data: NonNull<U>,
}

// SAFETY: the guard is used like the `&U` that `data` stands for; the lock that it keeps alive may
// drop its `T` here.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Sync> Send for OwnedRwLockReadGuard<T, U> {}
// SAFETY: a shared guard gives `&U`. `Send` is asked for as tokio does.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Send + Sync> Sync for OwnedRwLockReadGuard<T, U> {}

guard_access!([T: ?Sized, U: ?Sized] OwnedRwLockReadGuard<T, U> => U);

impl<T: ?Sized, U: ?Sized> OwnedRwLockReadGuard<T, U> {
    pub(super) fn new(data: NonNull<U>, held: OwnedHeld<RwLock<T>>) -> Self {
        Self { held, data }
    }

    /// A guard of a part of the value.
    pub fn map<F, V: ?Sized>(this: Self, f: F) -> OwnedRwLockReadGuard<T, V>
    where
        F: FnOnce(&U) -> &V,
    {
        let data = NonNull::from(f(&*this));
        OwnedRwLockReadGuard::new(data, this.held)
    }

    /// A guard of a part of the value, if `f` finds it.
    ///
    /// # Errors
    ///
    /// Gives the guard back if `f` gives None.
    pub fn try_map<F, V: ?Sized>(this: Self, f: F) -> Result<OwnedRwLockReadGuard<T, V>, Self>
    where
        F: FnOnce(&U) -> Option<&V>,
    {
        match f(&*this).map(NonNull::from) {
            Some(data) => Ok(OwnedRwLockReadGuard::new(data, this.held)),
            None => Err(this),
        }
    }

    /// The lock.
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        &this.held.lock
    }
}
