//! `std`, in the shape that loom dictates.

#![expect(clippy::disallowed_types, reason = "this is the place that names std")]

pub(crate) use std::thread_local;

pub(crate) mod atomic {
    /// A value to begin a loop of compare-and-exchange with.
    #[inline]
    pub(crate) fn first_guess(word: &AtomicU64) -> u64 {
        word.load(Ordering::Relaxed)
    }

    /// As [`first_guess`], for a pointer.
    #[inline]
    pub(crate) fn first_guess_of<T>(pointer: &AtomicPtr<T>) -> *mut T {
        pointer.load(Ordering::Relaxed)
    }

    /// Whether a count of owners is known to be one, so that the caller need not exchange it.
    #[inline]
    pub(crate) fn is_sole(owners: &AtomicU32) -> bool {
        // ORDERING: Acquire, pairs with the Release of the owners that have left: what they did
        // with the thing is done.
        owners.load(Ordering::Acquire) == 1
    }

    pub(crate) use std::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence,
    };
}

pub(crate) mod cell {
    /// A cell in the shape of loom's, which reports accesses that race.
    #[derive(Debug)]
    #[repr(transparent)]
    pub(crate) struct UnsafeCell<T>(std::cell::UnsafeCell<T>);

    impl<T> UnsafeCell<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::cell::UnsafeCell::new(value))
        }

        #[inline]
        pub(crate) fn with_mut<R>(&self, f: impl FnOnce(*mut T) -> R) -> R {
            f(self.0.get())
        }
    }
}

pub(crate) mod sync {
    use std::sync::PoisonError;

    /// Nothing: async-task and the reference counts order what wakers publish.
    #[inline]
    pub(crate) fn order_of_wakers() {}
    /// Where `Waker` or a trait object asks for std's.
    pub(crate) use std::sync::Arc as StdArc;
    pub(crate) use std::sync::{Arc, MutexGuard};

    /// A mutex without poison: what it guards is valid after every statement, so that a panic
    /// under the lock (which only an allocation failure could cause) leaves nothing half done.
    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(std::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) const fn new(value: T) -> Self {
            Self(std::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn into_inner(self) -> T {
            self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(std::sync::Condvar);

    impl Condvar {
        pub(crate) const fn new() -> Self {
            Self(std::sync::Condvar::new())
        }

        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            timeout: std::time::Duration,
        ) -> (MutexGuard<'a, T>, bool) {
            let (guard, result) = self
                .0
                .wait_timeout(guard, timeout)
                .unwrap_or_else(PoisonError::into_inner);
            (guard, result.timed_out())
        }

        pub(crate) fn notify_one(&self) {
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            self.0.notify_all();
        }
    }
}

pub(crate) mod thread {
    pub(crate) use std::thread::{JoinHandle, ThreadId, yield_now};

    pub(crate) fn current_id() -> ThreadId {
        std::thread::current().id()
    }

    /// Starts a thread with the given name and, where given, stack size in bytes.
    pub(crate) fn spawn_named<F>(
        name: String,
        stack_size: Option<usize>,
        f: F,
    ) -> std::io::Result<JoinHandle<()>>
    where
        F: FnOnce() + Send + 'static,
    {
        let mut builder = std::thread::Builder::new().name(name);
        if let Some(bytes) = stack_size {
            builder = builder.stack_size(bytes);
        }
        builder.spawn(f)
    }
}
