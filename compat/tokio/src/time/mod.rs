//! Time: sleeping, intervals, timeouts.
//!
//! Place: wraps `oneloop::time`. What is added: tokio's panic texts, and the check that timers are
//! enabled where one is made.

pub mod error;
mod sleep;

#[doc(no_inline)]
pub use std::time::Duration;

pub use oneloop::time::{Instant, Interval, MissedTickBehavior, Timeout};
#[cfg(feature = "test-util")]
pub use oneloop::time::{advance, pause, resume};
pub use sleep::{Sleep, sleep, sleep_until};

use crate::runtime::context::require_time;

/// Ticks now, and then once in each `period`.
///
/// # Panics
///
/// If `period` is zero, or where there is no runtime with timers.
#[track_caller]
#[must_use]
pub fn interval(period: Duration) -> Interval {
    assert!(period > Duration::ZERO, "`period` must be non-zero.");
    require_time();
    oneloop::time::interval(period)
}

/// Ticks at `start`, and then once in each `period`.
///
/// # Panics
///
/// If `period` is zero, or where there is no runtime with timers.
#[track_caller]
#[must_use]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(period > Duration::ZERO, "`period` must be non-zero.");
    require_time();
    oneloop::time::interval_at(start, period)
}

/// Gives a future this long to be done.
///
/// # Panics
///
/// Where there is no runtime with timers.
#[track_caller]
pub fn timeout<F: IntoFuture>(duration: Duration, future: F) -> Timeout<F::IntoFuture> {
    require_time();
    oneloop::time::timeout(duration, future)
}

/// Gives a future until `deadline` to be done.
///
/// # Panics
///
/// Where there is no runtime with timers.
#[track_caller]
pub fn timeout_at<F: IntoFuture>(deadline: Instant, future: F) -> Timeout<F::IntoFuture> {
    require_time();
    oneloop::time::timeout_at(deadline, future)
}
