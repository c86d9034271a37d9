//! The runtime's clock: the system's, or one that a test holds still.
//!
//! Place: one for each runtime, shared by its loops; read by timers and by `Instant::now` on any
//! thread; moved by a loop that would sleep.
//!
//! Without the feature `test-util` reading it is reading std's clock, and all else is nothing.
//!
//! # Invariants
//! The clock never goes back: `pause` keeps what it showed, `resume` goes on from there.
//! A paused clock stands on a whole tick of the timer wheels, rounded up when it is paused, so
//! that a timer of whole microseconds is due exactly at its deadline and not up to a tick later.

use std::time::Duration;

use super::Instant;
#[cfg(feature = "test-util")]
pub(crate) use pausable::{Clock, Inhibited, now};
#[cfg(feature = "test-util")]
pub use pausable::{advance, pause, resume};
#[cfg(not(feature = "test-util"))]
pub(crate) use system::{Clock, Inhibited, now};

/// The length of a tick. See `driver` for the reason.
pub(super) const TICK: Duration = Duration::from_micros(1);

/// Whole ticks in a duration; as many as fit if they do not.
pub(super) fn whole_ticks(duration: Duration) -> u64 {
    const TICKS_PER_SECOND: u64 = 1_000_000;
    duration
        .as_secs()
        .saturating_mul(TICKS_PER_SECOND)
        .saturating_add(u64::from(duration.subsec_micros()))
}

/// Ticks after which a duration is over.
pub(super) fn ticks_rounded_up(duration: Duration) -> u64 {
    whole_ticks(duration.saturating_add(TICK - Duration::from_nanos(1)))
}

#[cfg(not(feature = "test-util"))]
mod system {
    use super::Instant;
    use crate::primitive::sync::Arc;
    use crate::runtime::Shared;

    pub(crate) fn now() -> Instant {
        Instant::from_std(std::time::Instant::now())
    }

    /// Where the clock of a runtime stood when the runtime was made.
    #[derive(Debug)]
    pub(crate) struct Clock {
        start: Instant,
    }

    impl Clock {
        /// Makes a clock. It cannot be paused.
        pub(crate) fn new(_can_pause: bool, _is_paused: bool) -> Self {
            Self { start: now() }
        }

        pub(crate) fn start(&self) -> Instant {
            self.start
        }

        #[expect(clippy::unused_self, reason = "the pausable clock needs it")]
        pub(crate) fn now(&self) -> Instant {
            now()
        }

        #[expect(clippy::unused_self, reason = "the pausable clock needs it")]
        pub(crate) fn may_auto_advance(&self) -> bool {
            false
        }

        #[expect(clippy::unused_self, reason = "the pausable clock needs it")]
        pub(crate) fn auto_advance_to(&self, _deadline: Instant) -> bool {
            false
        }
    }

    /// Nothing: this clock cannot be paused.
    #[derive(Debug)]
    pub(crate) struct Inhibited(());

    impl Inhibited {
        pub(crate) fn new(_shared: &Arc<Shared>) -> Self {
            Self(())
        }
    }
}

#[cfg(feature = "test-util")]
mod pausable;
