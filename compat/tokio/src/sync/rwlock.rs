//! A lock for many readers or one writer.
//!
//! Place: called by tasks and threads; calls `permits`. A reader takes one permit, a writer all.
//!
//! # Why it is so
//! The queue of the permits is fair: a writer that waits is not overtaken by readers.

mod read;
mod write;

use std::cell::UnsafeCell;
use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;

pub use read::{OwnedRwLockReadGuard, RwLockReadGuard};
pub use write::{
    OwnedRwLockMappedWriteGuard, OwnedRwLockWriteGuard, RwLockMappedWriteGuard, RwLockWriteGuard,
};

use super::TryLockError;
use super::blocking::block_on;
use super::guard::{Held, Lock, OwnedHeld};
use super::permits::Permits;
use crate::primitive::constructor;

/// Readers at once, unless a lock is made for fewer.
const READERS_MAX: u32 = u32::MAX >> 3;

/// Lets many tasks read a value, or one change it. First come, first served: who wants to read
/// waits behind a writer that waits.
///
/// There is no poison: a panic under the lock opens it.
///
/// # Examples
///
/// ```
/// # oneloop::block_on(async {
/// let lock = tokio::sync::RwLock::new(1);
/// {
///     let one = lock.read().await;
///     let other = lock.read().await;
///     assert_eq!(*one + *other, 2);
/// }
/// *lock.write().await += 1;
/// assert_eq!(*lock.read().await, 2);
/// # });
/// ```
pub struct RwLock<T: ?Sized> {
    /// How many permits there are: what a writer takes.
    readers_max: u32,
    permits: Permits,
    value: UnsafeCell<T>,
}

// SAFETY: `value` goes with the lock.
unsafe impl<T: ?Sized + Send> Send for RwLock<T> {}
// SAFETY: `value` is reached through guards: shared by readers, moved by a writer.
unsafe impl<T: ?Sized + Send + Sync> Sync for RwLock<T> {}

impl<T: ?Sized> Lock for RwLock<T> {
    fn permits(&self) -> &Permits {
        &self.permits
    }
}

impl<T: ?Sized> RwLock<T> {
    /// A lock that is open.
    #[track_caller]
    pub fn new(value: T) -> Self
    where
        T: Sized,
    {
        Self::const_new(value)
    }

    /// A lock for at most so many readers at once.
    ///
    /// # Panics
    ///
    /// If `max_reads` is zero or exceeds `u32::MAX >> 3`.
    #[track_caller]
    pub fn with_max_readers(value: T, max_reads: u32) -> Self
    where
        T: Sized,
    {
        assert_ne!(max_reads, 0, "a RwLock may not be created with 0 readers");
        assert!(
            max_reads <= READERS_MAX,
            "a RwLock may not be created with more than {READERS_MAX} readers"
        );
        Self::const_with_max_readers(value, max_reads)
    }

    constructor! {
        /// A lock for a `static`.
        pub const fn const_new(value: T) -> Self
        where
            T: Sized,
        {
            Self::const_with_max_readers(value, READERS_MAX)
        }
    }

    constructor! {
        /// A lock for a `static`, and for at most so many readers at once.
        ///
        /// # Panics
        ///
        /// If `max_reads` is zero or exceeds `u32::MAX >> 3`.
        pub const fn const_with_max_readers(value: T, max_reads: u32) -> Self
        where
            T: Sized,
        {
            assert!(max_reads != 0, "a RwLock may not be created with 0 readers");
            assert!(max_reads <= READERS_MAX, "a RwLock may not be created with so many readers");
            Self {
                readers_max: max_reads,
                permits: Permits::const_new(max_reads as usize),
                value: UnsafeCell::new(value),
            }
        }
    }

    /// Waits to read.
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost.
    pub async fn read(&self) -> RwLockReadGuard<'_, T> {
        self.acquire(1).await;
        self.read_guard()
    }

    /// Waits to read; the thread sleeps meanwhile.
    ///
    /// # Panics
    ///
    /// On a thread that drives tasks.
    #[track_caller]
    pub fn blocking_read(&self) -> RwLockReadGuard<'_, T> {
        block_on(self.read())
    }

    /// Waits to read, with a guard that keeps the lock alive.
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost.
    pub async fn read_owned(self: Arc<Self>) -> OwnedRwLockReadGuard<T> {
        self.acquire(1).await;
        self.owned_read_guard()
    }

    /// Reads if nobody writes.
    ///
    /// # Errors
    ///
    /// If somebody does, or waits to, or there are as many readers as may be.
    pub fn try_read(&self) -> Result<RwLockReadGuard<'_, T>, TryLockError> {
        self.permits.try_take(1).map_err(|_| TryLockError::new())?;
        Ok(self.read_guard())
    }

    /// As [`try_read`](Self::try_read), with a guard that keeps the lock alive.
    ///
    /// # Errors
    ///
    /// If somebody writes, or waits to, or there are as many readers as may be.
    pub fn try_read_owned(self: Arc<Self>) -> Result<OwnedRwLockReadGuard<T>, TryLockError> {
        self.permits.try_take(1).map_err(|_| TryLockError::new())?;
        Ok(self.owned_read_guard())
    }

    /// Waits to write.
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost.
    pub async fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.acquire(self.all()).await;
        self.write_guard()
    }

    /// Waits to write; the thread sleeps meanwhile.
    ///
    /// # Panics
    ///
    /// On a thread that drives tasks.
    #[track_caller]
    pub fn blocking_write(&self) -> RwLockWriteGuard<'_, T> {
        block_on(self.write())
    }

    /// Waits to write, with a guard that keeps the lock alive.
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost.
    pub async fn write_owned(self: Arc<Self>) -> OwnedRwLockWriteGuard<T> {
        self.acquire(self.all()).await;
        self.owned_write_guard()
    }

    /// Writes if nobody reads or writes.
    ///
    /// # Errors
    ///
    /// If somebody does, or waits to.
    pub fn try_write(&self) -> Result<RwLockWriteGuard<'_, T>, TryLockError> {
        self.permits
            .try_take(self.all())
            .map_err(|_| TryLockError::new())?;
        Ok(self.write_guard())
    }

    /// As [`try_write`](Self::try_write), with a guard that keeps the lock alive.
    ///
    /// # Errors
    ///
    /// If somebody reads or writes, or waits to.
    pub fn try_write_owned(self: Arc<Self>) -> Result<OwnedRwLockWriteGuard<T>, TryLockError> {
        self.permits
            .try_take(self.all())
            .map_err(|_| TryLockError::new())?;
        Ok(self.owned_write_guard())
    }

    /// The value, of which nobody else can have a guard.
    pub fn get_mut(&mut self) -> &mut T {
        self.value.get_mut()
    }

    /// The value, without the lock.
    pub fn into_inner(self) -> T
    where
        T: Sized,
    {
        self.value.into_inner()
    }

    fn all(&self) -> usize {
        self.readers_max as usize
    }

    async fn acquire(&self, permits: usize) {
        // The permits of a lock are never closed.
        let taken = self.permits.take(permits).await;
        debug_assert!(taken.is_ok());
    }

    fn data(&self) -> NonNull<T> {
        // SAFETY: the address of a cell is not null.
        unsafe { NonNull::new_unchecked(self.value.get()) }
    }

    // The callers of these have taken the permits.

    fn read_guard(&self) -> RwLockReadGuard<'_, T> {
        RwLockReadGuard::new(self.data(), Held::new(&self.permits, 1))
    }

    fn owned_read_guard(self: Arc<Self>) -> OwnedRwLockReadGuard<T> {
        let data = self.data();
        OwnedRwLockReadGuard::new(data, OwnedHeld::new(self, 1))
    }

    fn write_guard(&self) -> RwLockWriteGuard<'_, T> {
        RwLockWriteGuard::new(self.data(), Held::new(&self.permits, self.all()))
    }

    fn owned_write_guard(self: Arc<Self>) -> OwnedRwLockWriteGuard<T> {
        let (data, all) = (self.data(), self.all());
        OwnedRwLockWriteGuard::new(data, OwnedHeld::new(self, all))
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(s: T) -> Self {
        Self::new(s)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut output = f.debug_struct("RwLock");
        match self.try_read() {
            Ok(value) => output.field("data", &&*value),
            Err(_) => output.field("data", &format_args!("<locked>")),
        };
        output.finish()
    }
}
