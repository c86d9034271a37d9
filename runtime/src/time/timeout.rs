//! A limit on the time that a future may take.
//!
//! Place: polled by tasks; a future beside a `Sleep`; runs on any thread.

use std::future::{Future, IntoFuture};
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::error::Elapsed;
use super::{Instant, Sleep};
use crate::task::coop;

/// Lets `future` run for `duration` at most.
///
/// The future is polled first: if it is done at the moment at which the time is over, its output
/// counts. A duration that the system's clock cannot represent is no limit.
///
/// # Errors
///
/// The returned future gives [`Elapsed`] if the time is over. The inner future is dropped with the
/// [`Timeout`], or taken back with [`Timeout::into_inner`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// That of `future`; when the time is over, `future` is cancelled.
///
/// # Examples
///
/// ```
/// use std::future::pending;
/// use std::time::Duration;
/// use oneloop_runtime::{runtime::Builder, time};
///
/// let runtime = Builder::new_current_thread().build()?;
/// runtime.block_on(async {
///     let limit = Duration::from_millis(5);
///     assert!(time::timeout(limit, async { 1 }).await.is_ok());
///     assert!(time::timeout(limit, pending::<()>()).await.is_err());
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    match Instant::now().checked_add(duration) {
        Some(deadline) => timeout_at(deadline, future),
        None => Timeout {
            future: future.into_future(),
            delay: None,
        },
    }
}

/// Lets `future` run until `deadline` at most. See [`timeout`], also about cancel safety.
///
/// # Errors
///
/// As [`timeout`].
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    Timeout {
        future: future.into_future(),
        delay: Some(Sleep::until(deadline)),
    }
}

pin_project! {
    /// A future with a limit on its time. Made by [`timeout`] and [`timeout_at`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Timeout<F> {
        #[pin]
        future: F,
        // None: no limit.
        #[pin]
        delay: Option<Sleep>,
    }
}

impl<F> Timeout<F> {
    /// The inner future.
    pub fn get_ref(&self) -> &F {
        &self.future
    }

    /// The inner future.
    pub fn get_mut(&mut self) -> &mut F {
        &mut self.future
    }

    /// The inner future, without a limit.
    pub fn into_inner(self) -> F {
        self.future
    }
}

impl<F: Future> Future for Timeout<F> {
    type Output = Result<F::Output, Elapsed>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let had_budget = coop::has_budget_remaining();
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(Ok(output));
        }
        match this.delay.as_pin_mut() {
            Some(delay) => poll_delay(delay, cx, had_budget).map(Err),
            None => Poll::Pending,
        }
    }
}

fn poll_delay(delay: Pin<&mut Sleep>, cx: &mut Context<'_>, had_budget: bool) -> Poll<Elapsed> {
    // A future that uses up the budget in each poll must not keep its own limit from being seen.
    let future_took_it_all = had_budget && !coop::has_budget_remaining();
    let _unlimited = future_took_it_all.then(coop::unlimited);
    delay.poll(cx).map(|()| Elapsed::new())
}
