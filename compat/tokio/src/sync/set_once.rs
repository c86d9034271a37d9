//! A value that is set once, and that tasks wait for.
//!
//! Place: called by tasks and threads; calls `notify`.
//!
//! # Invariants
//! O2. `value` is written under `setting`, once, before `is_set`; then it is only read.

use std::cell::UnsafeCell;
use std::fmt;

use super::notify::Notify;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::{Mutex, constructor};

/// A value that is set once. Tasks may wait until it is.
///
/// # Examples
///
/// ```
/// # oneloop::block_on(async {
/// static READY: tokio::sync::SetOnce<u32> = tokio::sync::SetOnce::const_new();
/// let setter = oneloop::spawn(async { READY.set(42) });
/// assert_eq!(*READY.wait().await, 42);
/// assert!(setter.await.unwrap().is_ok());
/// # });
/// ```
pub struct SetOnce<T> {
    is_set: AtomicBool,
    value: UnsafeCell<Option<T>>,
    setting: Mutex<()>,
    was_set: Notify,
}

// SAFETY: the value goes with the cell.
unsafe impl<T: Send> Send for SetOnce<T> {}
// SAFETY: the value is shared once it is set, and may be set by another thread than the one that
// drops it.
unsafe impl<T: Send + Sync> Sync for SetOnce<T> {}

impl<T> SetOnce<T> {
    /// A cell without a value.
    pub fn new() -> Self {
        Self::const_new()
    }

    constructor! {
        /// A cell without a value, for a `static`.
        pub const fn const_new() -> Self {
            Self {
                is_set: AtomicBool::new(false),
                value: UnsafeCell::new(None),
                setting: Mutex::new(()),
                was_set: Notify::const_new(),
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
                value: UnsafeCell::new(Some(value)),
                setting: Mutex::new(()),
                was_set: Notify::const_new(),
            }
        }
    }

    /// Whether the value is set.
    pub fn initialized(&self) -> bool {
        // ORDERING: Acquire, pairs with the Release in `set`: the value is visible (O2).
        self.is_set.load(Ordering::Acquire)
    }

    /// The value, if it is set.
    pub fn get(&self) -> Option<&T> {
        if !self.initialized() {
            return None;
        }
        // SAFETY: the value is set, and only read from now on (O2).
        unsafe { &*self.value.get() }.as_ref()
    }

    /// Sets the value, and wakes those who wait for it.
    ///
    /// # Errors
    ///
    /// Gives it back if there is one already.
    pub fn set(&self, value: T) -> Result<(), SetOnceError<T>> {
        if self.initialized() {
            return Err(SetOnceError(value));
        }
        {
            let _setting = self.setting.lock();
            if self.initialized() {
                return Err(SetOnceError(value));
            }
            // SAFETY: this is the first who has the lock, and nobody reads yet (O2). There is no
            // value to drop.
            unsafe { self.value.get().write(Some(value)) };
            // ORDERING: Release, pairs with the Acquire in `initialized`.
            self.is_set.store(true, Ordering::Release);
        }
        self.was_set.notify_waiters();
        Ok(())
    }

    /// The value, if it is set, without the cell.
    pub fn into_inner(self) -> Option<T> {
        self.value.into_inner()
    }

    /// Waits until the value is set.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn wait(&self) -> &T {
        loop {
            // Made before the look at the value: a set after the look is not missed.
            let was_set = self.was_set.notified();
            if let Some(value) = self.get() {
                return value;
            }
            was_set.await;
        }
    }
}

impl<T> Default for SetOnce<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: fmt::Debug> fmt::Debug for SetOnce<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SetOnce")
            .field("value", &self.get())
            .finish()
    }
}

impl<T: Clone> Clone for SetOnce<T> {
    fn clone(&self) -> Self {
        Self::new_with(self.get().cloned())
    }
}

impl<T: PartialEq> PartialEq for SetOnce<T> {
    fn eq(&self, other: &Self) -> bool {
        self.get() == other.get()
    }
}

impl<T: Eq> Eq for SetOnce<T> {}

impl<T> From<T> for SetOnce<T> {
    fn from(value: T) -> Self {
        Self::const_new_with(value)
    }
}

/// The value is set already. Has the one that was to be set.
#[derive(Debug, PartialEq, Eq)]
pub struct SetOnceError<T>(pub T);

impl<T> fmt::Display for SetOnceError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SetOnceError")
    }
}

impl<T: fmt::Debug> std::error::Error for SetOnceError<T> {}
