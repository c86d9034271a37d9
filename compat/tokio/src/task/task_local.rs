//! Values that a task carries along.
//!
//! ```text
//!   scope(value, future):  [value in the future] --poll--> [value in the thread's slot]
//!                                                <--end--
//! ```
//!
//! Around each poll, and around the drop of the future, the value changes places with what is in
//! the slot of the thread; so it follows the task, and scopes nest.

use std::cell::RefCell;
use std::error::Error;
use std::fmt;
use std::marker::PhantomPinned;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::thread;

use pin_project_lite::pin_project;

type Slot<T> = RefCell<Option<T>>;

/// A key of values that tasks carry along. Declared by [`task_local!`](crate::task_local).
pub struct LocalKey<T: 'static> {
    slot: thread::LocalKey<Slot<T>>,
}

impl<T: 'static> LocalKey<T> {
    #[doc(hidden)]
    #[must_use]
    pub const fn __new(slot: thread::LocalKey<Slot<T>>) -> Self {
        Self { slot }
    }

    /// Gives a future a value of this key.
    pub fn scope<F: Future>(&'static self, value: T, f: F) -> TaskLocalFuture<T, F> {
        TaskLocalFuture {
            key: self,
            value: Some(value),
            future: Some(f),
            pinned: PhantomPinned,
        }
    }

    /// Gives a function a value of this key.
    ///
    /// # Panics
    ///
    /// Inside [`with`](Self::with) of the same key, and while the thread ends.
    #[track_caller]
    pub fn sync_scope<F: FnOnce() -> R, R>(&'static self, value: T, f: F) -> R {
        match Exchanged::begin(self, &mut Some(value)) {
            Ok(exchanged) => {
                let result = f();
                drop(exchanged);
                result
            }
            Err(error) => error.panic(),
        }
    }

    /// Calls `f` with the value.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn with<F: FnOnce(&T) -> R, R>(&'static self, f: F) -> R {
        match self.try_with(f) {
            Ok(result) => result,
            Err(_) => panic!("cannot access a task-local storage value without setting it first"),
        }
    }

    /// Calls `f` with the value.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn try_with<F: FnOnce(&T) -> R, R>(&'static self, f: F) -> Result<R, AccessError> {
        let found = self.slot.try_with(|slot| slot.borrow().as_ref().map(f));
        found.ok().flatten().ok_or(AccessError { _private: () })
    }
}

impl<T: Clone + 'static> LocalKey<T> {
    /// A clone of the value.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[track_caller]
    pub fn get(&'static self) -> T {
        self.with(T::clone)
    }

    /// A clone of the value.
    ///
    /// # Errors
    ///
    /// There is none.
    pub fn try_get(&'static self) -> Result<T, AccessError> {
        self.try_with(T::clone)
    }
}

impl<T: 'static> fmt::Debug for LocalKey<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("LocalKey { .. }")
    }
}

/// While it lives, the value is in the thread's slot, and what was there is where the value was.
struct Exchanged<'a, T: 'static> {
    key: &'static LocalKey<T>,
    value: &'a mut Option<T>,
}

impl<'a, T: 'static> Exchanged<'a, T> {
    fn begin(key: &'static LocalKey<T>, value: &'a mut Option<T>) -> Result<Self, ScopeError> {
        let exchange = |slot: &Slot<T>| match slot.try_borrow_mut() {
            Ok(mut there) => {
                mem::swap(&mut *there, value);
                Ok(())
            }
            Err(_) => Err(ScopeError::Borrowed),
        };
        let exchanged = key.slot.try_with(exchange);
        exchanged.unwrap_or(Err(ScopeError::ThreadIsEnding))?;
        Ok(Self { key, value })
    }
}

impl<T: 'static> Drop for Exchanged<'_, T> {
    fn drop(&mut self) {
        // Nobody can hold a borrow of the slot: `with` has returned. And the slot was alive when
        // this was made, on this thread.
        self.key
            .slot
            .with(|slot| mem::swap(&mut *slot.borrow_mut(), self.value));
    }
}

enum ScopeError {
    Borrowed,
    ThreadIsEnding,
}

impl ScopeError {
    #[track_caller]
    fn panic(&self) -> ! {
        match self {
            Self::Borrowed => {
                panic!("cannot enter a task-local scope while the task-local storage is borrowed")
            }
            Self::ThreadIsEnding => panic!(
                "cannot enter a task-local scope during or after destruction of the underlying \
                 thread-local"
            ),
        }
    }
}

pin_project! {
    /// A future with a value of a [`LocalKey`]. Made by [`LocalKey::scope`].
    pub struct TaskLocalFuture<T, F>
    where
        T: 'static,
    {
        key: &'static LocalKey<T>,
        value: Option<T>,
        #[pin]
        future: Option<F>,
        #[pin]
        pinned: PhantomPinned,
    }

    impl<T: 'static, F> PinnedDrop for TaskLocalFuture<T, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if mem::needs_drop::<F>() && this.future.is_some() {
                // The future's destructors see the value; if that cannot be, they run without.
                if let Ok(_exchanged) = Exchanged::begin(this.key, this.value) {
                    this.future.set(None);
                }
            }
        }
    }
}

impl<T: 'static, F> TaskLocalFuture<T, F> {
    /// Takes the value out of the future.
    pub fn take_value(self: Pin<&mut Self>) -> Option<T> {
        self.project().value.take()
    }
}

impl<T: 'static, F: Future> Future for TaskLocalFuture<T, F> {
    type Output = F::Output;

    #[track_caller]
    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let exchanged = match Exchanged::begin(this.key, this.value) {
            Ok(exchanged) => exchanged,
            Err(error) => error.panic(),
        };
        let polled = this.future.as_mut().as_pin_mut().map(|future| {
            let polled = future.poll(cx);
            (polled.is_ready(), polled)
        });
        let polled = match polled {
            Some((true, polled)) => {
                this.future.set(None);
                Some(polled)
            }
            Some((false, polled)) => Some(polled),
            None => None,
        };
        drop(exchanged);
        polled.expect("`TaskLocalFuture` polled after completion")
    }
}

impl<T: fmt::Debug + 'static, F> fmt::Debug for TaskLocalFuture<T, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = f.debug_struct("TaskLocalFuture");
        match &self.value {
            Some(value) => text.field("value", value),
            None => text.field("value", &format_args!("<missing>")),
        };
        text.finish()
    }
}

/// The task has no value of the key.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AccessError {
    _private: (),
}

impl fmt::Debug for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AccessError").finish()
    }
}

impl fmt::Display for AccessError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad("task-local value not set")
    }
}

impl Error for AccessError {}
