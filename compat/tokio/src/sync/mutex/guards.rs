//! The guards of a `Mutex`: borrowed and owned, whole and mapped.
//!
//! Place: made by `Mutex`; what holds the lock is `guard::Held`.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use super::Mutex;
use crate::sync::guard::{Held, OwnedHeld, guard_access};

/// Holds a [`Mutex`], which opens when this is dropped.
#[clippy::has_significant_drop]
#[must_use = "if unused the Mutex will immediately unlock"]
pub struct MutexGuard<'a, T: ?Sized> {
    held: Held<'a>,
    data: NonNull<T>,
    lock: &'a Mutex<T>,
    marker: PhantomData<&'a mut T>,
}

// SAFETY: the guard is used like the `&mut T` that `data` stands for; `held` and `lock` are shared
// by all threads.
unsafe impl<T: ?Sized + Send> Send for MutexGuard<'_, T> {}
// SAFETY: a shared guard gives `&T`, and `&Mutex<T>`, which asks for `T: Send`.
unsafe impl<T: ?Sized + Send + Sync> Sync for MutexGuard<'_, T> {}

guard_access!(['a, T: ?Sized] MutexGuard<'a, T> => T, mut);

impl<'a, T: ?Sized> MutexGuard<'a, T> {
    pub(super) fn new(lock: &'a Mutex<T>, data: NonNull<T>, held: Held<'a>) -> Self {
        Self {
            held,
            data,
            lock,
            marker: PhantomData,
        }
    }

    /// A guard of a part of the value.
    pub fn map<U, F>(mut this: Self, f: F) -> MappedMutexGuard<'a, U>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> &mut U,
    {
        let data = NonNull::from(f(&mut *this));
        MappedMutexGuard::new(data, this.held)
    }

    /// A guard of a part of the value, if `f` finds it.
    ///
    /// # Errors
    ///
    /// Gives the guard back if `f` gives None.
    pub fn try_map<U, F>(mut this: Self, f: F) -> Result<MappedMutexGuard<'a, U>, Self>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        match f(&mut *this).map(NonNull::from) {
            Some(data) => Ok(MappedMutexGuard::new(data, this.held)),
            None => Err(this),
        }
    }

    /// The lock.
    pub fn mutex(this: &Self) -> &'a Mutex<T> {
        this.lock
    }
}

/// Holds a [`Mutex`] and keeps it alive. It opens when this is dropped.
#[clippy::has_significant_drop]
pub struct OwnedMutexGuard<T: ?Sized> {
    held: OwnedHeld<Mutex<T>>,
    data: NonNull<T>,
}

// SAFETY: as for `MutexGuard`; the shared lock asks for `T: Send`.
unsafe impl<T: ?Sized + Send> Send for OwnedMutexGuard<T> {}
// SAFETY: as for `MutexGuard`.
unsafe impl<T: ?Sized + Send + Sync> Sync for OwnedMutexGuard<T> {}

guard_access!([T: ?Sized] OwnedMutexGuard<T> => T, mut);

impl<T: ?Sized> OwnedMutexGuard<T> {
    pub(super) fn new(data: NonNull<T>, held: OwnedHeld<Mutex<T>>) -> Self {
        Self { held, data }
    }

    /// A guard of a part of the value.
    pub fn map<U, F>(mut this: Self, f: F) -> OwnedMappedMutexGuard<T, U>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> &mut U,
    {
        let data = NonNull::from(f(&mut *this));
        OwnedMappedMutexGuard::new(data, this.held)
    }

    /// A guard of a part of the value, if `f` finds it.
    ///
    /// # Errors
    ///
    /// Gives the guard back if `f` gives None.
    pub fn try_map<U, F>(mut this: Self, f: F) -> Result<OwnedMappedMutexGuard<T, U>, Self>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        match f(&mut *this).map(NonNull::from) {
            Some(data) => Ok(OwnedMappedMutexGuard::new(data, this.held)),
            None => Err(this),
        }
    }

    /// The lock.
    pub fn mutex(this: &Self) -> &Arc<Mutex<T>> {
        &this.held.lock
    }
}

/// Holds a [`Mutex`], and gives access to a part of its value. Made by [`MutexGuard::map`].
#[clippy::has_significant_drop]
#[must_use = "if unused the Mutex will immediately unlock"]
pub struct MappedMutexGuard<'a, T: ?Sized> {
    held: Held<'a>,
    data: NonNull<T>,
    marker: PhantomData<&'a mut T>,
}

// SAFETY: the guard is used like the `&mut T` that `data` stands for.
unsafe impl<T: ?Sized + Send> Send for MappedMutexGuard<'_, T> {}
// SAFETY: a shared guard gives `&T`.
unsafe impl<T: ?Sized + Sync> Sync for MappedMutexGuard<'_, T> {}

guard_access!(['a, T: ?Sized] MappedMutexGuard<'a, T> => T, mut);

impl<'a, T: ?Sized> MappedMutexGuard<'a, T> {
    fn new(data: NonNull<T>, held: Held<'a>) -> Self {
        Self {
            held,
            data,
            marker: PhantomData,
        }
    }

    /// A guard of a part of this part.
    pub fn map<U, F>(mut this: Self, f: F) -> MappedMutexGuard<'a, U>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> &mut U,
    {
        let data = NonNull::from(f(&mut *this));
        MappedMutexGuard::new(data, this.held)
    }

    /// A guard of a part of this part, if `f` finds it.
    ///
    /// # Errors
    ///
    /// Gives the guard back if `f` gives None.
    pub fn try_map<U, F>(mut this: Self, f: F) -> Result<MappedMutexGuard<'a, U>, Self>
    where
        U: ?Sized,
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        match f(&mut *this).map(NonNull::from) {
            Some(data) => Ok(MappedMutexGuard::new(data, this.held)),
            None => Err(this),
        }
    }
}

/// Holds a [`Mutex`] and keeps it alive, and gives access to a part of its value. Made by
/// [`OwnedMutexGuard::map`].
#[clippy::has_significant_drop]
#[must_use = "if unused the Mutex will immediately unlock"]
pub struct OwnedMappedMutexGuard<T: ?Sized, U: ?Sized = T> {
    held: OwnedHeld<Mutex<T>>,
    data: NonNull<U>,
    // What is changed through `data` may not be taken for a subtype.
    marker: PhantomData<*mut U>,
}

// SAFETY: the guard is used like the `&mut U` that `data` stands for; the lock that it keeps alive
// may drop its `T` here.
unsafe impl<T: ?Sized + Send, U: ?Sized + Send> Send for OwnedMappedMutexGuard<T, U> {}
// SAFETY: a shared guard gives `&U`.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Send + Sync> Sync for OwnedMappedMutexGuard<T, U> {}

guard_access!([T: ?Sized, U: ?Sized] OwnedMappedMutexGuard<T, U> => U, mut);

impl<T: ?Sized, U: ?Sized> OwnedMappedMutexGuard<T, U> {
    fn new(data: NonNull<U>, held: OwnedHeld<Mutex<T>>) -> Self {
        Self {
            held,
            data,
            marker: PhantomData,
        }
    }

    /// A guard of a part of this part.
    pub fn map<S, F>(mut this: Self, f: F) -> OwnedMappedMutexGuard<T, S>
    where
        S: ?Sized,
        F: FnOnce(&mut U) -> &mut S,
    {
        let data = NonNull::from(f(&mut *this));
        OwnedMappedMutexGuard::new(data, this.held)
    }

    /// A guard of a part of this part, if `f` finds it.
    ///
    /// # Errors
    ///
    /// Gives the guard back if `f` gives None.
    pub fn try_map<S, F>(mut this: Self, f: F) -> Result<OwnedMappedMutexGuard<T, S>, Self>
    where
        S: ?Sized,
        F: FnOnce(&mut U) -> Option<&mut S>,
    {
        match f(&mut *this).map(NonNull::from) {
            Some(data) => Ok(OwnedMappedMutexGuard::new(data, this.held)),
            None => Err(this),
        }
    }
}
