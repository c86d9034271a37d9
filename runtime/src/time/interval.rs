//! Ticks at a fixed distance.
//!
//! Place: polled by tasks; a shell around `Timer`; runs on any thread.

use std::future::poll_fn;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use super::Instant;
use super::instant::FAR;
use super::timer::Timer;
use crate::task::coop;

/// Ticks every `period`; for the first time at once.
///
/// The ticks stand at fixed instants, however long the work between them takes. What happens when
/// some are missed is told by [`MissedTickBehavior`].
///
/// # Panics
///
/// If `period` is zero, and outside a runtime.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use oneloop_runtime::{runtime::Builder, time};
///
/// let runtime = Builder::new_current_thread().build()?;
/// runtime.block_on(async {
///     let mut interval = time::interval(Duration::from_millis(2));
///     let first = interval.tick().await;
///     let second = interval.tick().await;
///     assert_eq!(second - first, Duration::from_millis(2));
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn interval(period: Duration) -> Interval {
    interval_at(Instant::now(), period)
}

/// Ticks every `period`; for the first time at `start`. See [`interval`].
///
/// # Panics
///
/// If `period` is zero, and outside a runtime.
#[track_caller]
pub fn interval_at(start: Instant, period: Duration) -> Interval {
    assert!(
        !period.is_zero(),
        "`period` must be non-zero: an interval of zero would tick without end"
    );
    Interval {
        timer: Timer::new(start),
        period: period.min(FAR),
        missed_tick_behavior: MissedTickBehavior::default(),
    }
}

/// What an [`Interval`] does when a tick was taken more than 5 ms late.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MissedTickBehavior {
    /// Ticks as fast as it is asked until it has caught up with the fixed instants. The default.
    #[default]
    Burst,
    /// Ticks one period after the late tick, and goes on from there.
    Delay,
    /// Leaves the missed ticks out: the next one is at the next of the fixed instants.
    Skip,
}

impl MissedTickBehavior {
    /// The tick after one that stood at `due` and was taken at `now`, later.
    fn next(self, due: Instant, now: Instant, period: Duration) -> Instant {
        match self {
            Self::Burst => due.after(period),
            Self::Delay => now.after(period),
            Self::Skip => {
                let behind = (now - due).as_nanos() % period.as_nanos();
                // Less than the period, which is at most 30 years: it fits.
                let behind = u64::try_from(behind).unwrap_or(u64::MAX);
                now.after(period.saturating_sub(Duration::from_nanos(behind)))
            }
        }
    }
}

/// Ticks at a fixed distance. Made by [`interval`] and [`interval_at`].
///
/// # Threads
///
/// As [`Sleep`](super::Sleep).
#[derive(Debug)]
pub struct Interval {
    timer: Timer,
    period: Duration,
    missed_tick_behavior: MissedTickBehavior,
}

impl Interval {
    /// Waits for the next tick, and tells at which instant it was due.
    ///
    /// # Cancel safety
    ///
    /// No tick is lost: the next call waits for the same one.
    pub async fn tick(&mut self) -> Instant {
        poll_fn(|cx| self.poll_tick(cx)).await
    }

    /// As [`tick`](Self::tick). The task is woken only after `Pending`; after `Ready` the wait for
    /// the next tick begins with the next call.
    pub fn poll_tick(&mut self, cx: &mut Context<'_>) -> Poll<Instant> {
        let budget = ready!(coop::poll_proceed(cx));
        ready!(self.timer.poll(cx.waker()));
        budget.made_progress();

        let due = self.timer.deadline();
        let now = Instant::now();
        let next = if now > due.after(LATE) {
            self.missed_tick_behavior.next(due, now, self.period)
        } else {
            due.after(self.period)
        };
        self.timer.reset_unarmed(next);
        Poll::Ready(due)
    }

    /// Begins anew: the next tick is one period from now.
    pub fn reset(&mut self) {
        self.timer.reset(Instant::now().after(self.period));
    }

    /// Makes the next tick due now.
    pub fn reset_immediately(&mut self) {
        self.timer.reset(Instant::now());
    }

    /// Makes the next tick due after this duration. More than 30 years count as 30 years.
    pub fn reset_after(&mut self, after: Duration) {
        self.timer.reset(Instant::now().after(after));
    }

    /// Makes the next tick due at this instant.
    pub fn reset_at(&mut self, deadline: Instant) {
        self.timer.reset(deadline);
    }

    /// What happens when ticks are missed.
    #[must_use]
    pub fn missed_tick_behavior(&self) -> MissedTickBehavior {
        self.missed_tick_behavior
    }

    /// Sets what happens when ticks are missed. Default: [`MissedTickBehavior::Burst`].
    pub fn set_missed_tick_behavior(&mut self, behavior: MissedTickBehavior) {
        self.missed_tick_behavior = behavior;
    }

    /// The time between two ticks.
    #[must_use]
    pub fn period(&self) -> Duration {
        self.period
    }
}

/// A tick that is taken no later than this is not missed.
const LATE: Duration = Duration::from_millis(5);

#[cfg(test)]
mod tests {
    use super::{Duration, Instant, MissedTickBehavior};

    const fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn missed_ticks() {
        let due = Instant::now();
        let table = [
            (MissedTickBehavior::Burst, 250, 100),
            (MissedTickBehavior::Delay, 250, 350),
            (MissedTickBehavior::Skip, 250, 300),
            (MissedTickBehavior::Skip, 200, 300),
            (MissedTickBehavior::Skip, 99, 100),
        ];
        for (behavior, late, next) in table {
            let got = behavior.next(due, due + ms(late), ms(100));
            assert_eq!(got - due, ms(next), "{behavior:?} {late}");
        }
    }
}
