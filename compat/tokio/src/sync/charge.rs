//! A leaf future that pays from the cooperative budget.
//!
//! Place: wrapped around the futures of `watch`, `broadcast` and `Barrier` that have no `poll` of
//! their own.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use oneloop::task::coop;
use pin_project_lite::pin_project;

pin_project! {
    pub(super) struct Charged<F> {
        #[pin]
        future: F,
    }
}

/// Charges one operation when `future` completes. It is not polled while the budget is used up.
pub(super) fn charged<F: Future>(future: F) -> Charged<F> {
    Charged { future }
}

impl<F: Future> Future for Charged<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let operation = ready!(coop::poll_proceed(cx));
        let output = ready!(self.project().future.poll(cx));
        operation.made_progress();
        Poll::Ready(output)
    }
}
