//! The future that async-task holds: the user's, fenced.
//!
//! Place: polled and dropped by `Runnable::run` on the home loop's thread.
//!
//! # Invariants
//! I1, I8. The future is dropped inside the poll that ends it, before the result is published, and
//! no panic of its own leaves `poll` or `drop`.

use std::any::Any;
use std::mem::ManuallyDrop;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::{Home, Id, JoinError, Joiner, Meta, NOT_ENTERED, NOT_HERE, local_set};
use crate::contain::{contained, drop_contained};
use crate::context::{self, PolledTask};

pin_project! {
    /// A user's future as a task.
    pub(super) struct Spawned<'a, F> {
        #[pin]
        future: Option<F>,
        meta: &'a Meta,
    }

    impl<F> PinnedDrop for Spawned<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            // A task that ended has dropped its future already. Here async-task drops one that
            // nobody can wake any more.
            let mut this = this.project();
            if this.future.is_some() {
                contained(|| this.future.set(None));
                this.meta.end();
            }
        }
    }
}

impl<'a, F> Spawned<'a, F> {
    pub(super) fn new(future: F, meta: &'a Meta) -> Self {
        Self {
            future: Some(future),
            meta,
        }
    }
}

impl<F: Future> Future for Spawned<'_, F> {
    type Output = Outcome<F::Output>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let meta = *this.meta;
        let _polled = PolledTask::enter(Some(meta), cx.waker());

        let polled = if meta.must_end() {
            Poll::Ready(Err(JoinError::cancelled(meta.id)))
        } else {
            let poll = || match this.future.as_mut().as_pin_mut() {
                Some(future) => future.poll(cx),
                None => unreachable!("async-task does not poll a finished task"),
            };
            match catch_unwind(AssertUnwindSafe(poll)) {
                Ok(Poll::Pending) => {
                    meta.go_on(cx.waker());
                    return Poll::Pending;
                }
                Ok(Poll::Ready(value)) => Poll::Ready(Ok(value)),
                Err(payload) => Poll::Ready(Err(JoinError::panic(meta.id, payload))),
            }
        };
        let dropped = catch_unwind(AssertUnwindSafe(|| this.future.set(None)));
        meta.end();
        Outcome::<F::Output>::belongs_to(meta.id);
        polled.map(|result| Outcome(ManuallyDrop::new(result)).or_panic_of_drop(meta.id, dropped))
    }
}

impl Meta {
    /// Whether the task was aborted, or its loop is ending it. (A set asks each task to end.)
    #[inline]
    fn must_end(&self) -> bool {
        self.control.is_aborted()
            || context::with_local(|local| {
                local.is_some_and(|local| local.is_ending(self.is_local) && self.is_at(local))
            })
    }

    /// A poll has left the future pending.
    #[inline]
    fn go_on(&self, waker: &Waker) {
        if self.live_key() == NOT_ENTERED {
            // A task that has arrived is polled at home alone (I1).
            context::with_local(|local| {
                self.enter_table(local.expect("the loop of a task polls it"), waker);
            });
        }
    }

    /// The future has been dropped: leaves the live tasks, and wakes who waits on this
    /// loop for the end. They see the result, which comes a moment later: they are polled by this
    /// thread, after the poll that goes on.
    #[inline]
    fn end(&self) {
        self.control.finish();
        if let Home::Set(remote) = &self.home {
            if let Some(set) = local_set::current().filter(|set| set.is(remote))
                && self.live_key() != NOT_HERE
            {
                set.release(self.live_key());
            }
            return;
        }
        context::with_local(|local| {
            let Some(local) = local.filter(|local| self.is_at(local)) else {
                return;
            };
            if self.live_key() != NOT_HERE {
                local.release(self.live_key(), self.is_local);
                self.set_live_key(NOT_HERE);
            }
            match self.joiner.0.get() {
                Joiner::None => {}
                Joiner::Task { key, is_local } => local.wake_task(key, is_local),
                Joiner::Other(key) => local.joiners.wake(key),
            }
        });
    }
}

/// What a task gives to its joiner. If nobody joins, it is dropped where that becomes known, and a
/// panic in that drop is contained.
pub(super) struct Outcome<T>(ManuallyDrop<Result<T, JoinError>>);

impl<T> Outcome<T> {
    /// Says whose result this thread drops next, if it drops one: the task's id is known while that
    /// happens. (A word in each result would be one in each task.)
    pub(super) fn belongs_to(id: Id) {
        if std::mem::needs_drop::<T>() {
            context::DroppedResult::will_be_of(id);
        }
    }

    /// A panic in the drop of the future replaces the value; of two panics the first is kept.
    fn or_panic_of_drop(self, id: Id, dropped: Result<(), Box<dyn Any + Send>>) -> Self {
        match (dropped, self.0.as_ref()) {
            (Ok(()), _) => self,
            (Err(payload), Err(error)) if error.is_panic() => {
                drop_contained(payload);
                self
            }
            (Err(payload), _) => Self(ManuallyDrop::new(Err(JoinError::panic(id, payload)))),
        }
    }

    pub(super) fn into_result(mut self) -> Result<T, JoinError> {
        // SAFETY: `self` is forgotten on the next line, so its drop does not see the field again.
        let result = unsafe { ManuallyDrop::take(&mut self.0) };
        #[expect(clippy::mem_forget, reason = "the field was moved out")]
        std::mem::forget(self);
        result
    }
}

impl<T> Drop for Outcome<T> {
    fn drop(&mut self) {
        let _known = match &*self.0 {
            Ok(_) => context::DroppedResult::begin(),
            Err(error) => context::DroppedResult::of(error.id()),
        };
        // SAFETY: only `into_result` takes the field out, and it forgets `self`.
        drop_contained(unsafe { ManuallyDrop::take(&mut self.0) });
    }
}
