//! A value that is made once, by a future.
//!
//! Place: called by tasks; calls `semaphore`. Who has its one permit makes the value, and closes it.
//!
//! # Invariants
//! O1. `value` is written by who holds the permit, once, before `is_set`; then it is only read.

use std::fmt;
use std::future::Future;

use super::permits::TryAcquireError;
use super::semaphore::{Semaphore, SemaphorePermit};
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::constructor;

/// A value that is set once. Tasks that need it wait while one of them makes it.
///
/// # Examples
///
/// ```
/// # oneloop::block_on(async {
/// static ANSWER: tokio::sync::OnceCell<u32> = tokio::sync::OnceCell::const_new();
/// assert_eq!(*ANSWER.get_or_init(|| async { 42 }).await, 42);
/// assert_eq!(ANSWER.get(), Some(&42));
/// # });
/// ```
pub struct OnceCell<T> {
    is_set: AtomicBool,
    value: std::cell::UnsafeCell<Option<T>>,
    permit: Semaphore,
}

// SAFETY: the value goes with the cell.
unsafe impl<T: Send> Send for OnceCell<T> {}
// SAFETY: the value is shared once it is set, and may be set by another thread than the one that
// drops it.
unsafe impl<T: Send + Sync> Sync for OnceCell<T> {}

impl<T> OnceCell<T> {
    /// A cell without a value.
    pub fn new() -> Self {
        Self::const_new()
    }

    constructor! {
        /// A cell without a value, for a `static`.
        pub const fn const_new() -> Self {
            Self {
                is_set: AtomicBool::new(false),
                value: std::cell::UnsafeCell::new(None),
                permit: Semaphore::const_new(1),
            }
        }
    }

    /// A cell with this value, or without one.
    pub fn new_with(value: Option<T>) -> Self {
        value.map_or_else(Self::new, Self::const_new_with)
    }

    constructor! {
        /// A cell with a value, for a `static`.
        pub const fn const_new_with(value: T) -> Self {
            Self {
                is_set: AtomicBool::new(true),
                value: std::cell::UnsafeCell::new(Some(value)),
                permit: Semaphore::const_new_closed(),
            }
        }
    }

    /// Whether there is a value.
    pub fn initialized(&self) -> bool {
        // ORDERING: Acquire, pairs with the Release in `store`: the value is visible (O1).
        self.is_set.load(Ordering::Acquire)
    }

    /// The value, if there is one.
    pub fn get(&self) -> Option<&T> {
        if !self.initialized() {
            return None;
        }
        // SAFETY: the value is set, and only read from now on (O1).
        unsafe { &*self.value.get() }.as_ref()
    }

    /// The value, if there is one, to change.
    pub fn get_mut(&mut self) -> Option<&mut T> {
        self.value.get_mut().as_mut()
    }

    /// Sets the value.
    ///
    /// # Errors
    ///
    /// Gives it back if there is one already, or a task is making one.
    pub fn set(&self, value: T) -> Result<(), SetError<T>> {
        if self.initialized() {
            return Err(SetError::AlreadyInitializedError(value));
        }
        match self.permit.try_acquire() {
            Ok(permit) => {
                self.store(value, permit);
                Ok(())
            }
            Err(TryAcquireError::NoPermits) => Err(SetError::InitializingError(value)),
            Err(TryAcquireError::Closed) => Err(SetError::AlreadyInitializedError(value)),
        }
    }

    /// The value. If there is none, the future of `f` makes it; others wait meanwhile.
    ///
    /// # Cancel safety
    ///
    /// The future of `f` is dropped; the next that waits calls its own `f`. The same goes for a
    /// panic.
    pub async fn get_or_init<F, Fut>(&self, f: F) -> &T
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = T>,
    {
        if let Some(value) = self.get() {
            return value;
        }
        match self.permit.acquire().await {
            Ok(permit) => {
                let value = f().await;
                self.store(value, permit)
            }
            Err(_) => self.value_of_closed(),
        }
    }

    /// The value. If there is none, the future of `f` makes it, or fails; others wait meanwhile.
    ///
    /// # Errors
    ///
    /// Those of `f`; the cell stays without a value.
    ///
    /// # Cancel safety
    ///
    /// The future of `f` is dropped; the next that waits calls its own `f`. The same goes for a
    /// panic.
    pub async fn get_or_try_init<E, F, Fut>(&self, f: F) -> Result<&T, E>
    where
        F: FnOnce() -> Fut,
        Fut: Future<Output = Result<T, E>>,
    {
        if let Some(value) = self.get() {
            return Ok(value);
        }
        match self.permit.acquire().await {
            Ok(permit) => {
                let value = f().await?;
                Ok(self.store(value, permit))
            }
            Err(_) => Ok(self.value_of_closed()),
        }
    }

    /// The value, if there is one, without the cell.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Takes the value out, and leaves a new cell.
    pub fn take(&mut self) -> Option<T> {
        std::mem::take(self).into_inner()
    }

    fn store(&self, value: T, permit: SemaphorePermit<'_>) -> &T {
        // SAFETY: who holds the permit writes, before anybody reads, and the semaphore is closed
        // before the permit could reach another (O1).
        let value = unsafe { (*self.value.get()).insert(value) };
        // ORDERING: Release, pairs with the Acquire in `initialized`.
        self.is_set.store(true, Ordering::Release);
        self.permit.close();
        permit.forget();
        value
    }

    /// The semaphore is closed: the value was set before.
    fn value_of_closed(&self) -> &T {
        self.get().expect("a closed cell has its value")
    }
}

impl<T> Default for OnceCell<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for OnceCell<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OnceCell")
            .field("value", &self.get())
            .finish()
    }
}

impl<T: Clone> Clone for OnceCell<T> {
    fn clone(&self) -> Self {
        Self::new_with(self.get().cloned())
    }
}

impl<T: PartialEq> PartialEq for OnceCell<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for OnceCell<T> {}

impl<T> From<T> for OnceCell<T> {
    fn from(value: T) -> Self {
        Self::const_new_with(value)
    }
}

/// Why [`OnceCell::set`] did not set the value, and the value.
#[derive(Debug, PartialEq, Eq)]
pub enum SetError<T> {
    /// The cell has a value.
    AlreadyInitializedError(T),
    /// A task is making the value.
    InitializingError(T),
}

impl<T> SetError<T> {
    /// Whether the cell has a value.
    pub fn is_already_init_err(&self) -> bool {
        matches!(self, Self::AlreadyInitializedError(_))
    }

    /// Whether a task is making the value.
    pub fn is_initializing_err(&self) -> bool {
        matches!(self, Self::InitializingError(_))
    }
}

impl<T> fmt::Display for SetError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyInitializedError(_) => "AlreadyInitializedError",
            Self::InitializingError(_) => "InitializingError",
        })
    }
}

impl<T: fmt::Debug> std::error::Error for SetError<T> {}
