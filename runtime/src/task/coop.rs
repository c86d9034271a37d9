//! The cooperative budget: a task that always finds work still lets others run.
//!
//! Place: a poll begins with it in `PolledTask`; `poll_proceed` in every leaf future; runs on the
//! thread that polls.
//!
//! Each poll of a task may complete 128 operations (as in tokio). Then every leaf future answers
//! `Pending` and wakes the task at once, so that it goes to the back of its queue. The time slice
//! of the loop works beside it: the budget limits one task, the slice limits one turn.

use std::cell::Cell;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use crate::context::{budget, replace_budget};

/// Operations that one poll of a task may complete.
pub const OPERATIONS_PER_POLL: u8 = 128;

/// Operations that a poll may still complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Budget(u8);

impl Budget {
    /// Of a poll that begins.
    pub(crate) const FULL: Self = Self(OPERATIONS_PER_POLL);
    /// Outside a task, or under `unconstrained`.
    pub(crate) const UNLIMITED: Self = Self(u8::MAX);
    const USED_UP: Self = Self(0);

    /// One operation less.
    #[inline]
    fn charged(self) -> Self {
        match self {
            Self::UNLIMITED | Self::USED_UP => self,
            Self(left) => Self(left - 1),
        }
    }
}

/// Puts the budget of the enclosing poll back when dropped.
#[derive(Debug)]
pub(crate) struct Enclosing(Budget);

impl Drop for Enclosing {
    #[inline]
    fn drop(&mut self) {
        replace_budget(self.0);
    }
}

/// Polls without a budget until dropped.
#[inline]
pub(crate) fn unlimited() -> Enclosing {
    Enclosing(replace_budget(Budget::UNLIMITED))
}

/// Whether a leaf future on this thread may complete now. Outside a task it always may.
#[must_use]
#[inline]
pub fn has_budget_remaining() -> bool {
    budget() != Budget::USED_UP
}

/// Takes one operation from the budget of the task that is being polled.
///
/// `Pending` means that the budget is used up: the task has been woken, and is polled again after
/// the others. The value must be told [`made_progress`](RestoreOnPending::made_progress) when the
/// operation completes; dropped before, it gives the operation back.
#[inline]
pub fn poll_proceed(cx: &mut Context<'_>) -> Poll<RestoreOnPending> {
    let before = budget();
    if before == Budget::USED_UP {
        crate::context::defer(cx.waker());
        return Poll::Pending;
    }
    replace_budget(before.charged());
    let restored = (before != Budget::UNLIMITED).then_some(before);
    Poll::Ready(RestoreOnPending(Cell::new(restored), PhantomData))
}

/// As [`poll_proceed`] for an operation that is over within the poll: takes nothing yet, so that
/// there is nothing to give back. [`charge`] takes the operation when it has completed.
#[inline]
pub(crate) fn poll_may_proceed(cx: &Context<'_>) -> Poll<()> {
    if has_budget_remaining() {
        return Poll::Ready(());
    }
    crate::context::defer(cx.waker());
    Poll::Pending
}

/// Takes one operation from the budget of the task that is being polled.
#[inline]
pub(crate) fn charge() {
    replace_budget(budget().charged());
}

/// An operation taken from the budget, given back when dropped unless progress was made.
#[derive(Debug)]
#[must_use = "dropped at once, it gives the operation back"]
pub struct RestoreOnPending(
    Cell<Option<Budget>>,
    // The budget is this thread's.
    PhantomData<*mut ()>,
);

impl RestoreOnPending {
    /// The operation completed: it stays charged.
    #[inline]
    pub fn made_progress(&self) {
        self.0.set(None);
    }
}

impl Drop for RestoreOnPending {
    #[inline]
    fn drop(&mut self) {
        if let Some(before) = self.0.get() {
            replace_budget(before);
        }
    }
}

/// Waits until the task has budget, and takes one operation.
///
/// For loops over data that is always ready: `loop { consume_budget().await; ... }`.
///
/// # Cancel safety
///
/// Nothing is lost.
pub async fn consume_budget() {
    std::future::poll_fn(|cx| {
        ready!(poll_proceed(cx)).made_progress();
        Poll::Ready(())
    })
    .await;
}

pin_project! {
    /// A future that charges the budget for its result. Made by [`cooperative`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Coop<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Coop<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let budget = ready!(poll_proceed(cx));
        let output = ready!(self.project().future.poll(cx));
        budget.made_progress();
        Poll::Ready(output)
    }
}

/// Makes a leaf future of one that does not know the budget: it waits while there is none, and
/// its result takes one operation.
pub fn cooperative<F: Future>(future: F) -> Coop<F> {
    Coop { future }
}

pin_project! {
    /// A future that is polled without a budget. Made by [`unconstrained`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct Unconstrained<F> {
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for Unconstrained<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let _enclosing = unlimited();
        self.project().future.poll(cx)
    }
}

/// Lets `future` run without the cooperative budget. It can then starve its loop; the time slice
/// of the turn still limits how long others wait, once it returns `Pending`.
pub fn unconstrained<F>(future: F) -> Unconstrained<F> {
    Unconstrained { future }
}
