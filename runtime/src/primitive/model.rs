//! `loom`, in the same shape.

/// All threads of a model run on one thread of the system, whose locals they would share.
macro_rules! model_local {
    ($($visibility:vis static $name:ident: $type:ty = const $init:block;)*) => {
        loom::thread_local! { $($visibility static $name: $type = $init;)* }
    };
}
pub(crate) use model_local as thread_local;

pub(crate) mod atomic {
    /// A value to begin a loop of compare-and-exchange with. Not a load: loom misses interleavings
    /// of a load that is followed by an exchange on the same word (loom issues 166 and 392).
    pub(crate) fn first_guess(_word: &AtomicU64) -> u64 {
        0
    }

    /// As [`first_guess`].
    pub(crate) fn first_guess_of<T>(_pointer: &AtomicPtr<T>) -> *mut T {
        std::ptr::null_mut()
    }

    /// Not a load, as with [`first_guess`]: the caller exchanges.
    pub(crate) fn is_sole(_owners: &AtomicU32) -> bool {
        false
    }

    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicPtr, AtomicU32, AtomicU64, Ordering, fence,
    };
}

pub(crate) mod cell {
    pub(crate) use loom::cell::UnsafeCell;
}

pub(crate) mod sync {
    use std::sync::PoisonError;

    pub(crate) use loom::sync::{Arc, MutexGuard};
    pub(crate) use std::sync::Arc as StdArc;

    /// Stands for an order that async-task and std's reference counts give, which loom does not
    /// see: a waker that reaches another thread brings along what was written before its making.
    /// It stands at both ends of that way, and nowhere inside a protocol.
    pub(crate) fn order_of_wakers() {
        // ORDERING: SeqCst, which loom takes for an order between all that pass it.
        super::atomic::fence(super::atomic::Ordering::SeqCst);
    }

    #[derive(Debug, Default)]
    pub(crate) struct Mutex<T>(loom::sync::Mutex<T>);

    impl<T> Mutex<T> {
        pub(crate) fn new(value: T) -> Self {
            Self(loom::sync::Mutex::new(value))
        }

        pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
            self.0.lock().unwrap_or_else(PoisonError::into_inner)
        }

        pub(crate) fn into_inner(self) -> T {
            self.0.into_inner().unwrap_or_else(PoisonError::into_inner)
        }
    }

    #[derive(Debug, Default)]
    pub(crate) struct Condvar(loom::sync::Condvar);

    impl Condvar {
        pub(crate) fn new() -> Self {
            Self(loom::sync::Condvar::new())
        }

        pub(crate) fn wait<'a, T>(&self, guard: MutexGuard<'a, T>) -> MutexGuard<'a, T> {
            self.0.wait(guard).unwrap_or_else(PoisonError::into_inner)
        }

        /// loom has no clock: waits until notified and never reports a time-out.
        pub(crate) fn wait_timeout<'a, T>(
            &self,
            guard: MutexGuard<'a, T>,
            _timeout: std::time::Duration,
        ) -> (MutexGuard<'a, T>, bool) {
            (self.wait(guard), false)
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
    pub(crate) use loom::thread::{JoinHandle, ThreadId, yield_now};

    pub(crate) fn current_id() -> ThreadId {
        loom::thread::current().id()
    }

    pub(crate) fn spawn_named<F>(
        _name: String,
        _stack_size: Option<usize>,
        f: F,
    ) -> std::io::Result<JoinHandle<()>>
    where
        F: FnOnce() + Send + 'static,
    {
        Ok(loom::thread::spawn(f))
    }
}
