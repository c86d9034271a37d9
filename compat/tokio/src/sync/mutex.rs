//! A lock whose guard may be held across an `.await`.
//!
//! Place: called by tasks and threads; calls `permits`, of which it has one.

mod guards;

use std::cell::UnsafeCell;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

pub use guards::{MappedMutexGuard, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard};

use super::blocking::block_on;
use super::guard::{Held, Lock, OwnedHeld};
use super::permits::Permits;
use crate::primitive::constructor;

/// Lets one task at a time use a value. First come, first served.
///
/// A plain `std::sync::Mutex` is the better choice where the guard is not held across an `.await`.
/// There is no poison: a panic under the lock opens it.
///
/// # Examples
///
/// ```
/// # oneloop::block_on(async {
/// let names = tokio::sync::Mutex::new(Vec::new());
/// names.lock().await.push("one");
/// assert_eq!(*names.lock().await, ["one"]);
/// # });
/// ```
pub struct Mutex<T: ?Sized> {
    permits: Permits,
    value: UnsafeCell<T>,
}

// SAFETY: `value` goes with the lock.
unsafe impl<T: ?Sized + Send> Send for Mutex<T> {}
// SAFETY: `value` is reached through guards, one at a time: sharing the lock moves the value
// between threads, and never shares it.
unsafe impl<T: ?Sized + Send> Sync for Mutex<T> {}

impl<T: ?Sized> Lock for Mutex<T> {
    fn permits(&self) -> &Permits {
        &self.permits
    }
}

impl<T: ?Sized> Mutex<T> {
    /// A lock that is open.
    #[track_caller]
    pub fn new(t: T) -> Self
    where
        T: Sized,
    {
        Self::const_new(t)
    }

    constructor! {
        /// A lock for a `static`.
        pub const fn const_new(t: T) -> Self
        where
            T: Sized,
        {
            Self {
                permits: Permits::const_new(1),
                value: UnsafeCell::new(t),
            }
        }
    }

    /// Waits for the lock.
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost.
    pub async fn lock(&self) -> MutexGuard<'_, T> {
        self.acquire().await;
        self.guard()
    }

    /// Waits for the lock; the thread sleeps meanwhile.
    ///
    /// # Panics
    ///
    /// On a thread that drives tasks.
    #[track_caller]
    pub fn blocking_lock(&self) -> MutexGuard<'_, T> {
        block_on(self.lock())
    }

    /// As [`blocking_lock`](Self::blocking_lock), with a guard that keeps the lock alive.
    ///
    /// # Panics
    ///
    /// On a thread that drives tasks.
    #[track_caller]
    pub fn blocking_lock_owned(self: Arc<Self>) -> OwnedMutexGuard<T> {
        block_on(self.lock_owned())
    }

    /// Waits for the lock, with a guard that keeps the lock alive.
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost.
    pub async fn lock_owned(self: Arc<Self>) -> OwnedMutexGuard<T> {
        self.acquire().await;
        self.owned_guard()
    }

    /// Takes the lock if it is open.
    ///
    /// # Errors
    ///
    /// If it is taken, or somebody waits for it.
    pub fn try_lock(&self) -> Result<MutexGuard<'_, T>, TryLockError> {
        self.permits.try_take(1).map_err(|_| TryLockError::new())?;
        Ok(self.guard())
    }

    /// The value, of which nobody else can have a guard.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// As [`try_lock`](Self::try_lock), with a guard that keeps the lock alive.
    ///
    /// # Errors
    ///
    /// If it is taken, or somebody waits for it.
    pub fn try_lock_owned(self: Arc<Self>) -> Result<OwnedMutexGuard<T>, TryLockError> {
        self.permits.try_take(1).map_err(|_| TryLockError::new())?;
        Ok(self.owned_guard())
    }

    /// The value, without the lock.
    pub fn into_inner(self) -> T
    where
        T: Sized,
    {
        self.value.into_inner()
    }

    async fn acquire(&self) {
        // The permits of a lock are never closed.
        let taken = self.permits.take(1).await;
        debug_assert!(taken.is_ok());
    }

    /// The caller has taken the permit.
    fn guard(&self) -> MutexGuard<'_, T> {
        MutexGuard::new(self, self.data(), Held::new(&self.permits, 1))
    }

    /// The caller has taken the permit.
    fn owned_guard(self: Arc<Self>) -> OwnedMutexGuard<T> {
        let data = self.data();
        OwnedMutexGuard::new(data, OwnedHeld::new(self, 1))
    }

    fn data(&self) -> NonNull<T> {
        // SAFETY: the address of a cell is not null.
        unsafe { NonNull::new_unchecked(self.value.get()) }
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(s: T) -> Self {
        Self::new(s)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("Mutex");
        match self.try_lock() {
            Ok(value) => output.field("data", &&*value),
            Err(_) => output.field("data", &format_args!("<locked>")),
        };
        output.finish()
    }
}

/// The lock is taken.
#[derive(Debug)]
pub struct TryLockError(());

impl TryLockError {
    pub(super) fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for TryLockError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("operation would block")
    }
}

impl std::error::Error for TryLockError {}
