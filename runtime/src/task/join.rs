//! Waiting for a task's result.
//!
//! Place: the handle is held by the spawner, polled and dropped on any thread.
//!
//! # Invariants
//! async-task wakes and drops the joiner's waker where a panic would abort the process, so it gets
//! only wakers that are known not to panic: the loop's own, and others wrapped.
//!
//! # Why it is so
//! A task and its joiner are on one loop for the most part. Then the task's metadata say who waits, in
//! plain memory: the key of a task of the loop, or the place of a waker in a table of the loop's (see
//! `worker::joiners`). async-task's place for a waker costs five atomic operations, and the waker two.

use std::fmt;
use std::marker::PhantomData;
use std::mem::ManuallyDrop;
use std::pin::Pin;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker, ready};

use super::spawned::Outcome;
use super::{AbortHandle, Id, JoinError, Meta, Runnable, coop, vtable};
use crate::contain::{contained, drop_contained};
use crate::context;
use crate::primitive::sync::Mutex;

/// Waits for a task. Dropping it detaches the task, which goes on.
///
/// # Cancel safety
///
/// Awaiting `&mut handle` and dropping the wait loses nothing.
///
/// # Panics
///
/// Polled again after it has given its result.
pub struct JoinHandle<T> {
    task: Option<Joined<T>>,
    /// Of the task's wakers.
    vtable: &'static RawWakerVTable,
    // Send and Sync if the result may be sent, as in tokio: a shared handle shows no result.
    result: PhantomData<Mutex<T>>,
}

type Joined<T> = async_task::Task<Outcome<T>, Meta>;

/// The data of the task's wakers: async-task has one pointer for both. (A word of its own in the
/// handle would be the third, and three are returned by way of memory.)
fn waker_data<T>(task: &Joined<T>) -> *const () {
    const { assert!(size_of::<Joined<T>>() == size_of::<*const ()>()) };
    // SAFETY: of the same size, and without padding. What is read is used as a waker's data only
    // because `JoinHandle::new` has found, for a task of the same type, that it is that.
    unsafe { std::mem::transmute_copy(task) }
}

impl<T> JoinHandle<T> {
    /// For the task of this `Runnable`, whose future is an `F`.
    #[inline]
    pub(super) fn new<F>(task: Joined<T>, runnable: &Runnable) -> Self
    where
        F: Future<Output = T> + 'static,
    {
        Self {
            vtable: vtable::of::<F>(runnable, waker_data(&task)),
            task: Some(task),
            result: PhantomData,
        }
    }

    fn task(&self) -> &Joined<T> {
        self.task.as_ref().expect(HAS_TASK)
    }

    /// Calls `f` with a waker of the task, which has no count of its own.
    fn with_waker<R>(&self, f: impl FnOnce(&Waker) -> R) -> R {
        let parts = RawWaker::new(waker_data(self.task()), self.vtable);
        // SAFETY: they are the parts of a waker of this task (see `waker_data`), which `self.task` keeps
        // allocated. This one is not dropped, so no count is given up that was never taken.
        let waker = ManuallyDrop::new(unsafe { Waker::from_raw(parts) });
        f(&waker)
    }

    /// Aborts the task: its home loop drops the future, and awaiting this handle gives a cancelled
    /// [`JoinError`]. A task that finishes before that gives its value.
    ///
    /// A function of [`spawn_blocking`](super::spawn_blocking) is aborted only before it starts.
    pub fn abort(&self) {
        if self.task().metadata().control.request_abort() {
            self.with_waker(Waker::wake_by_ref);
        }
    }

    /// A handle that aborts the task and does not join it.
    #[must_use]
    pub fn abort_handle(&self) -> AbortHandle {
        AbortHandle::new(self.with_waker(Waker::clone), self.task().metadata())
    }

    /// Whether the task has ended and its result is there.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task().is_finished()
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.task().metadata().id
    }

    /// Waits on the loop of this thread, if the task lives here. False if it lives elsewhere or has
    /// ended. The waker is known not to panic.
    fn waits_at_home(&self, waker: &Waker) -> bool {
        let meta = self.task().metadata();
        // Not finished: then its home exists, as does the loop of this thread, and two loops that exist
        // have two addresses. Who reads otherwise may be where another loop was.
        if meta.control.is_finished() {
            return false;
        }
        context::with_local(|local| match local {
            Some(local) if meta.is_at(local) => {
                meta.wait_at_home(local, waker);
                true
            }
            _ => false,
        })
    }

    /// As `poll`, with a waker that is known not to panic.
    pub(super) fn poll_trusted(&mut self, cx: &mut Context<'_>) -> Poll<Result<T, JoinError>> {
        let task = self.task.as_mut().expect(HAS_TASK);
        Pin::new(task).poll(cx).map(Outcome::into_result)
    }
}

const HAS_TASK: &str = "the task is taken out by the drop alone";

impl<T> Unpin for JoinHandle<T> {}
// The result is taken out whole or not at all.
impl<T> std::panic::UnwindSafe for JoinHandle<T> {}
impl<T> std::panic::RefUnwindSafe for JoinHandle<T> {}

impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        ready!(coop::poll_may_proceed(cx));
        let result = if context::is_own_waker(cx.waker()) {
            if self.waits_at_home(cx.waker()) {
                return Poll::Pending;
            }
            ready!(self.poll_trusted(cx))
        } else {
            let contained = contain(cx.waker().clone());
            ready!(self.poll_trusted(&mut Context::from_waker(&contained)))
        };
        coop::charge();
        Poll::Ready(result)
    }
}

/// A waker that keeps the panics of a foreign one to itself.
fn contain(waker: Waker) -> Waker {
    struct Fenced(Option<Waker>);

    impl Drop for Fenced {
        fn drop(&mut self) {
            drop_contained(self.0.take());
        }
    }

    let fenced = Fenced(Some(waker));
    waker_fn::waker_fn(move || {
        if let Some(waker) = &fenced.0 {
            contained(|| waker.wake_by_ref());
        }
    })
}

impl<T> Drop for JoinHandle<T> {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            Outcome::<T>::belongs_to(task.metadata().id);
            task.detach();
        }
    }
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinHandle")
            .field("id", &self.id())
            .finish()
    }
}
