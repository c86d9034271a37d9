//! The cooperative budget: a task that always finds work still lets others run.
//!
//! Place: `begin` by the loop around each poll; `poll_proceed` in every leaf future; runs on the
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

use crate::primitive::thread_local;

/// Operations that one poll of a task may complete.
pub const OPERATIONS_PER_POLL: u8 = 128;

thread_local! {
    // None: no limit (outside a task, or under `unconstrained`).
    static BUDGET: Cell<Option<u8>> = const { Cell::new(None) };
}

/// Puts the budget of the enclosing poll back when dropped.
#[derive(Debug)]
pub(crate) struct Enclosing(Option<u8>);

impl Drop for Enclosing {
    #[inline]
    fn drop(&mut self) {
        set(self.0);
    }
}

/// Begins a poll with a full budget.
#[inline]
pub(crate) fn begin() -> Enclosing {
    replace(Some(OPERATIONS_PER_POLL))
}

/// Polls without a budget until dropped.
#[inline]
pub(crate) fn unlimited() -> Enclosing {
    replace(None)
}

#[inline]
fn replace(budget: Option<u8>) -> Enclosing {
    // A thread whose locals are gone polls without a limit.
    Enclosing(BUDGET.try_with(|cell| cell.replace(budget)).unwrap_or(None))
}

#[inline]
fn set(budget: Option<u8>) {
    // The error means that the thread is ending: nobody will ask for its budget.
    BUDGET.try_with(|cell| cell.set(budget)).unwrap_or(());
}

#[inline]
fn get() -> Option<u8> {
    BUDGET.try_with(Cell::get).unwrap_or(None)
}

/// Whether a leaf future on this thread may complete now. Outside a task it always may.
#[must_use]
#[inline]
pub fn has_budget_remaining() -> bool {
    get() != Some(0)
}

/// Takes one operation from the budget of the task that is being polled.
///
/// `Pending` means that the budget is used up: the task has been woken, and is polled again after
/// the others. The value must be told [`made_progress`](RestoreOnPending::made_progress) when the
/// operation completes; dropped before, it gives the operation back.
#[inline]
pub fn poll_proceed(cx: &mut Context<'_>) -> Poll<RestoreOnPending> {
    match get() {
        None => Poll::Ready(RestoreOnPending(Cell::new(None), PhantomData)),
        Some(0) => {
            crate::context::defer(cx.waker());
            Poll::Pending
        }
        Some(left) => {
            set(Some(left - 1));
            Poll::Ready(RestoreOnPending(Cell::new(Some(left)), PhantomData))
        }
    }
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
    if let Some(left) = get() {
        set(Some(left.saturating_sub(1)));
    }
}

/// An operation taken from the budget, given back when dropped unless progress was made.
#[derive(Debug)]
#[must_use = "dropped at once, it gives the operation back"]
pub struct RestoreOnPending(
    Cell<Option<u8>>,
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
            set(Some(before));
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
