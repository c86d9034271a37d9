//! The guards of writers.
//!
//! Place: made by `RwLock`; what holds the lock is `guard::Held`. Downgrading keeps one permit of
//! all, so that nobody writes between the two guards.

use std::marker::PhantomData;
use std::ptr::NonNull;
use std::sync::Arc;

use super::{OwnedRwLockReadGuard, RwLock, RwLockReadGuard};
use crate::sync::guard::{Held, OwnedHeld, guard_access};

/// Changes the value of an [`RwLock`], until dropped.
#[clippy::has_significant_drop]
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    held: Held<'a>,
    data: NonNull<T>,
    marker: PhantomData<&'a mut T>,
}

// SAFETY: the guard is used like the `&mut T` that `data` stands for, and may be turned into one
// for readers, which asks for `Sync`.
unsafe impl<T: ?Sized + Send + Sync> Send for RwLockWriteGuard<'_, T> {}
// SAFETY: a shared guard gives `&T`. `Send` is asked for as tokio does.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLockWriteGuard<'_, T> {}

guard_access!(['a, T: ?Sized] RwLockWriteGuard<'a, T> => T, mut);

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    pub(super) fn new(data: NonNull<T>, held: Held<'a>) -> Self {
        Self {
            held,
            data,
            marker: PhantomData,
        }
    }

    /// A guard of a part of the value.
    pub fn map<F, U: ?Sized>(mut this: Self, f: F) -> RwLockMappedWriteGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        let data = NonNull::from(f(&mut *this));
        RwLockMappedWriteGuard::new(data, this.held)
    }

    /// A guard of a part of the value that reads only: other readers are let in.
    pub fn downgrade_map<F, U: ?Sized>(this: Self, f: F) -> RwLockReadGuard<'a, U>
    where
        F: FnOnce(&T) -> &U,
    {
        let data = NonNull::from(f(&*this));
        let mut held = this.held;
        held.keep_one();
        RwLockReadGuard::new(data, held)
    }

    /// A guard of a part of the value, if `f` finds it.
    ///
    /// # Errors
    ///
    /// Gives the guard back if `f` gives None.
    pub fn try_map<F, U: ?Sized>(
        mut this: Self,
        f: F,
    ) -> Result<RwLockMappedWriteGuard<'a, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        match f(&mut *this).map(NonNull::from) {
            Some(data) => Ok(RwLockMappedWriteGuard::new(data, this.held)),
            None => Err(this),
        }
    }

    /// A guard of a part of the value that reads only, if `f` finds it: other readers are let in.
    ///
    /// # Errors
    ///
    /// Gives the guard back, still for writing, if `f` gives None.
    pub fn try_downgrade_map<F, U: ?Sized>(this: Self, f: F) -> Result<RwLockReadGuard<'a, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
    {
        let Some(data) = f(&*this).map(NonNull::from) else {
            return Err(this);
        };
        let mut held = this.held;
        held.keep_one();
        Ok(RwLockReadGuard::new(data, held))
    }

    /// A mapped guard of the whole value.
    pub fn into_mapped(this: Self) -> RwLockMappedWriteGuard<'a, T> {
        Self::map(this, |value| value)
    }

    /// Goes on as a reader: other readers are let in, and nobody writes before.
    pub fn downgrade(self) -> RwLockReadGuard<'a, T> {
        Self::downgrade_map(self, |value| value)
    }
}

/// Changes a part of the value of an [`RwLock`], until dropped. Made by [`RwLockWriteGuard::map`].
#[clippy::has_significant_drop]
pub struct RwLockMappedWriteGuard<'a, T: ?Sized> {
    held: Held<'a>,
    data: NonNull<T>,
    marker: PhantomData<&'a mut T>,
}

// SAFETY: the guard is used like the `&mut T` that `data` stands for.
unsafe impl<T: ?Sized + Send + Sync> Send for RwLockMappedWriteGuard<'_, T> {}
// SAFETY: a shared guard gives `&T`. `Send` is asked for as tokio does.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLockMappedWriteGuard<'_, T> {}

guard_access!(['a, T: ?Sized] RwLockMappedWriteGuard<'a, T> => T, mut);

impl<'a, T: ?Sized> RwLockMappedWriteGuard<'a, T> {
    fn new(data: NonNull<T>, held: Held<'a>) -> Self {
        Self {
            held,
            data,
            marker: PhantomData,
        }
    }

    /// A guard of a part of this part.
    pub fn map<F, U: ?Sized>(mut this: Self, f: F) -> RwLockMappedWriteGuard<'a, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        let data = NonNull::from(f(&mut *this));
        RwLockMappedWriteGuard::new(data, this.held)
    }

    /// A guard of a part of this part, if `f` finds it.
    ///
    /// # Errors
    ///
    /// Gives the guard back if `f` gives None.
    pub fn try_map<F, U: ?Sized>(
        mut this: Self,
        f: F,
    ) -> Result<RwLockMappedWriteGuard<'a, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        match f(&mut *this).map(NonNull::from) {
            Some(data) => Ok(RwLockMappedWriteGuard::new(data, this.held)),
            None => Err(this),
        }
    }
}

/// Changes the value of an [`RwLock`], until dropped, and keeps the lock alive.
#[clippy::has_significant_drop]
pub struct OwnedRwLockWriteGuard<T: ?Sized> {
    held: OwnedHeld<RwLock<T>>,
    data: NonNull<T>,
}

// SAFETY: as for `RwLockWriteGuard`; the lock that it keeps alive may drop its `T` here.
unsafe impl<T: ?Sized + Send + Sync> Send for OwnedRwLockWriteGuard<T> {}
// SAFETY: as for `RwLockWriteGuard`.
unsafe impl<T: ?Sized + Send + Sync> Sync for OwnedRwLockWriteGuard<T> {}

guard_access!([T: ?Sized] OwnedRwLockWriteGuard<T> => T, mut);

impl<T: ?Sized> OwnedRwLockWriteGuard<T> {
    pub(super) fn new(data: NonNull<T>, held: OwnedHeld<RwLock<T>>) -> Self {
        Self { held, data }
    }

    /// A guard of a part of the value.
    pub fn map<F, U: ?Sized>(mut this: Self, f: F) -> OwnedRwLockMappedWriteGuard<T, U>
    where
        F: FnOnce(&mut T) -> &mut U,
    {
        let data = NonNull::from(f(&mut *this));
        OwnedRwLockMappedWriteGuard::new(data, this.held)
    }

    /// A guard of a part of the value that reads only: other readers are let in.
    pub fn downgrade_map<F, U: ?Sized>(this: Self, f: F) -> OwnedRwLockReadGuard<T, U>
    where
        F: FnOnce(&T) -> &U,
    {
        let data = NonNull::from(f(&*this));
        let mut held = this.held;
        held.keep_one();
        OwnedRwLockReadGuard::new(data, held)
    }

    /// A guard of a part of the value, if `f` finds it.
    ///
    /// # Errors
    ///
    /// Gives the guard back if `f` gives None.
    pub fn try_map<F, U: ?Sized>(
        mut this: Self,
        f: F,
    ) -> Result<OwnedRwLockMappedWriteGuard<T, U>, Self>
    where
        F: FnOnce(&mut T) -> Option<&mut U>,
    {
        match f(&mut *this).map(NonNull::from) {
            Some(data) => Ok(OwnedRwLockMappedWriteGuard::new(data, this.held)),
            None => Err(this),
        }
    }

    /// A guard of a part of the value that reads only, if `f` finds it: other readers are let in.
    ///
    /// # Errors
    ///
    /// Gives the guard back, still for writing, if `f` gives None.
    pub fn try_downgrade_map<F, U: ?Sized>(
        this: Self,
        f: F,
    ) -> Result<OwnedRwLockReadGuard<T, U>, Self>
    where
        F: FnOnce(&T) -> Option<&U>,
    {
        let Some(data) = f(&*this).map(NonNull::from) else {
            return Err(this);
        };
        let mut held = this.held;
        held.keep_one();
        Ok(OwnedRwLockReadGuard::new(data, held))
    }

    /// A mapped guard of the whole value.
    pub fn into_mapped(this: Self) -> OwnedRwLockMappedWriteGuard<T> {
        Self::map(this, |value| value)
    }

    /// Goes on as a reader: other readers are let in, and nobody writes before.
    pub fn downgrade(self) -> OwnedRwLockReadGuard<T> {
        Self::downgrade_map(self, |value| value)
    }

    /// The lock.
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        &this.held.lock
    }
}

/// Changes a part of the value of an [`RwLock`], until dropped, and keeps the lock alive. Made by
/// [`OwnedRwLockWriteGuard::map`].
#[clippy::has_significant_drop]
pub struct OwnedRwLockMappedWriteGuard<T: ?Sized, U: ?Sized = T> {
    held: OwnedHeld<RwLock<T>>,
    data: NonNull<U>,
    // What is changed through `data` may not be taken for a subtype.
    marker: PhantomData<*mut U>,
}

// SAFETY: the guard is used like the `&mut U` that `data` stands for; the lock that it keeps alive
// may drop its `T` here.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Send + Sync> Send
    for OwnedRwLockMappedWriteGuard<T, U>
{
}
// SAFETY: a shared guard gives `&U`. `Send` is asked for as tokio does.
unsafe impl<T: ?Sized + Send + Sync, U: ?Sized + Send + Sync> Sync
    for OwnedRwLockMappedWriteGuard<T, U>
{
}

guard_access!([T: ?Sized, U: ?Sized] OwnedRwLockMappedWriteGuard<T, U> => U, mut);

impl<T: ?Sized, U: ?Sized> OwnedRwLockMappedWriteGuard<T, U> {
    fn new(data: NonNull<U>, held: OwnedHeld<RwLock<T>>) -> Self {
        Self {
            held,
            data,
            marker: PhantomData,
        }
    }

    /// A guard of a part of this part.
    pub fn map<F, V: ?Sized>(mut this: Self, f: F) -> OwnedRwLockMappedWriteGuard<T, V>
    where
        F: FnOnce(&mut U) -> &mut V,
    {
        let data = NonNull::from(f(&mut *this));
        OwnedRwLockMappedWriteGuard::new(data, this.held)
    }

    /// A guard of a part of this part, if `f` finds it.
    ///
    /// # Errors
    ///
    /// Gives the guard back if `f` gives None.
    pub fn try_map<F, V: ?Sized>(
        mut this: Self,
        f: F,
    ) -> Result<OwnedRwLockMappedWriteGuard<T, V>, Self>
    where
        F: FnOnce(&mut U) -> Option<&mut V>,
    {
        match f(&mut *this).map(NonNull::from) {
            Some(data) => Ok(OwnedRwLockMappedWriteGuard::new(data, this.held)),
            None => Err(this),
        }
    }

    /// The lock.
    pub fn rwlock(this: &Self) -> &Arc<RwLock<T>> {
        &this.held.lock
    }
}
