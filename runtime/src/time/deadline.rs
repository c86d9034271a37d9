//! A limit on idleness, moved on by one store.
//!
//! Place: touched by whoever makes progress, awaited by whoever ends the idle; runs on any thread.
//!
//! ```text
//!  touch:    |  |   | |           |                          one store each
//!  entry:    +-----------> fires early, is armed anew ------> fires: idle
//! ```
//!
//! # Why it is so
//! A connection makes progress thousands of times for each time that it is idle for long enough.
//! Moving a timer at each would cost a list operation; here the timer stays where it is, fires once
//! an idle time, looks at the last touch and is armed for what remains.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::Instant;
use super::instant::FAR;
use super::timer::Timer;
use crate::primitive::counter::{Counter, Ordering};
use crate::task::coop;

/// A limit on the time in which nothing happens: an idle timeout.
///
/// [`touch`](Self::touch) says that something happened; [`expired`](Self::expired) waits until
/// nothing has for the whole limit. Neither needs `&mut`, so that a reader may touch while the
/// connection's task waits.
///
/// # Threads
///
/// It may be touched and awaited on any thread, by any number of tasks at once. A touch is seen by
/// a wait on another thread if it happened before in the sense of memory; a touch that races with
/// the end of the limit may come too late, as any does.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use oneloop_runtime::{runtime::Builder, time::{Deadline, Instant, sleep}};
///
/// let runtime = Builder::new_current_thread().build()?;
/// runtime.block_on(async {
///     let begun = Instant::now();
///     let idle = Deadline::new(Duration::from_millis(10));
///     sleep(Duration::from_millis(5)).await;
///     idle.touch();
///     idle.expired().await;
///     assert!(begun.elapsed() >= Duration::from_millis(15));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Deadline {
    made: Instant,
    /// Nanoseconds, as no limit is longer than 30 years: half as large as a `Duration`.
    limit: u64,
    /// Nanoseconds from `made` to the last touch. They last for 584 years.
    touched: Counter,
}

impl Deadline {
    /// Makes a limit of this length, which begins now. More than 30 years count as 30 years.
    #[must_use]
    pub fn new(limit: Duration) -> Self {
        Self {
            made: Instant::now(),
            limit: u64::try_from(limit.min(FAR).as_nanos()).unwrap_or(u64::MAX),
            touched: Counter::new(0),
        }
    }

    /// Begins the limit anew: something happened. Costs a look at the clock and one store.
    pub fn touch(&self) {
        self.touch_at(Instant::now());
    }

    /// Begins the limit anew at an instant that the caller has at hand: one store.
    ///
    /// The last touch counts, also if it is earlier than the one before; a wait that is under way
    /// may then end later than it might, never earlier.
    pub fn touch_at(&self, instant: Instant) {
        let since = instant.saturating_duration_since(self.made).as_nanos();
        // Relaxed: the instant is all that is told; no other memory depends on it.
        self.touched
            .store(u64::try_from(since).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// When the limit is over if nothing happens before.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.last_touch().after(Duration::from_nanos(self.limit))
    }

    /// The time that has passed since the last touch.
    #[must_use]
    pub fn idle(&self) -> Duration {
        self.last_touch().elapsed()
    }

    /// Whether the limit is over.
    #[must_use]
    pub fn is_expired(&self) -> bool {
        self.deadline() <= Instant::now()
    }

    /// Waits until the limit has really passed since the last touch. Touches after that do not
    /// count, but another `expired` can be made.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the last touch is kept in the `Deadline`.
    #[track_caller]
    pub fn expired(&self) -> Expired<'_> {
        Expired {
            timer: Timer::new(self.deadline()),
            limit: self,
        }
    }

    fn last_touch(&self) -> Instant {
        let since = Duration::from_nanos(self.touched.load(Ordering::Relaxed));
        self.made.checked_add(since).unwrap_or(self.made)
    }
}

/// A wait for the end of a [`Deadline`]. Made by [`Deadline::expired`].
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Expired<'a> {
    timer: Timer,
    limit: &'a Deadline,
}

impl Future for Expired<'_> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let budget = ready!(coop::poll_proceed(cx));
        loop {
            ready!(self.timer.poll(cx.waker()));
            let deadline = self.limit.deadline();
            if deadline <= self.timer.deadline() {
                budget.made_progress();
                return Poll::Ready(());
            }
            // It was touched meanwhile.
            self.timer.reset_unarmed(deadline);
        }
    }
}
