//! A point in time, as the runtime's clock tells it.
//!
//! Place: used by every timer; runs on any thread.
//!
//! # Why it is so
//! A type of its own, because under the feature `test-util` its clock can stand still.

use std::fmt;
use std::ops::{Add, AddAssign, Sub, SubAssign};
use std::time::Duration;

use super::clock;

/// A point in time on a clock that never goes back: [`std::time::Instant`], but on the clock of
/// the runtime, which a test may pause (feature `test-util`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Instant {
    std: std::time::Instant,
}

impl Instant {
    /// Returns the present.
    ///
    /// # Threads
    ///
    /// Any. Where a runtime with a paused clock is entered, that clock's time; else the system's.
    #[must_use]
    pub fn now() -> Self {
        clock::now()
    }

    /// Makes one from std's.
    #[must_use]
    pub fn from_std(std: std::time::Instant) -> Self {
        Self { std }
    }

    /// Makes std's from this one.
    #[must_use]
    pub fn into_std(self) -> std::time::Instant {
        self.std
    }

    /// Returns the time since `earlier`; zero if that is later.
    #[must_use]
    pub fn duration_since(&self, earlier: Self) -> Duration {
        self.std.saturating_duration_since(earlier.std)
    }

    /// Returns the time since `earlier`; `None` if that is later.
    #[must_use]
    pub fn checked_duration_since(&self, earlier: Self) -> Option<Duration> {
        self.std.checked_duration_since(earlier.std)
    }

    /// Returns the time since `earlier`; zero if that is later.
    #[must_use]
    pub fn saturating_duration_since(&self, earlier: Self) -> Duration {
        self.std.saturating_duration_since(earlier.std)
    }

    /// Returns the time from this instant to the present; zero if it is in the future.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        Self::now().saturating_duration_since(*self)
    }

    /// Returns the instant `duration` later; `None` if the system's clock cannot represent it.
    #[must_use]
    pub fn checked_add(&self, duration: Duration) -> Option<Self> {
        self.std.checked_add(duration).map(Self::from_std)
    }

    /// Returns the instant `duration` earlier; `None` if the system's clock cannot represent it.
    #[must_use]
    pub fn checked_sub(&self, duration: Duration) -> Option<Self> {
        self.std.checked_sub(duration).map(Self::from_std)
    }

    /// The instant `duration` later, but never more than [`FAR`].
    pub(crate) fn after(self, duration: Duration) -> Self {
        // A clock that is within 30 years of its end gives the farthest it can: itself.
        self.checked_add(duration.min(FAR)).unwrap_or(self)
    }
}

/// The longest time ahead that a duration may mean: 30 years. std's clocks cannot represent much
/// more on some systems (macOS: some hundred years).
pub(crate) const FAR: Duration = Duration::from_secs(30 * 365 * 24 * 60 * 60);

impl From<std::time::Instant> for Instant {
    fn from(std: std::time::Instant) -> Self {
        Self::from_std(std)
    }
}

impl From<Instant> for std::time::Instant {
    fn from(instant: Instant) -> Self {
        instant.into_std()
    }
}

/// # Panics
///
/// If the system's clock cannot represent the result. [`Instant::checked_add`] does not panic.
impl Add<Duration> for Instant {
    type Output = Self;

    fn add(self, duration: Duration) -> Self {
        Self::from_std(self.std + duration)
    }
}

/// # Panics
///
/// If the system's clock cannot represent the result.
impl AddAssign<Duration> for Instant {
    fn add_assign(&mut self, duration: Duration) {
        *self = *self + duration;
    }
}

/// The time between two instants; zero if the second is later.
impl Sub for Instant {
    type Output = Duration;

    fn sub(self, earlier: Self) -> Duration {
        self.std.saturating_duration_since(earlier.std)
    }
}

/// # Panics
///
/// If the system's clock cannot represent the result. [`Instant::checked_sub`] does not panic.
impl Sub<Duration> for Instant {
    type Output = Self;

    fn sub(self, duration: Duration) -> Self {
        Self::from_std(self.std - duration)
    }
}

/// # Panics
///
/// If the system's clock cannot represent the result.
impl SubAssign<Duration> for Instant {
    fn sub_assign(&mut self, duration: Duration) {
        *self = *self - duration;
    }
}

impl fmt::Debug for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::{Duration, FAR, Instant};

    #[test]
    fn differences_saturate_at_zero() {
        let now = Instant::now();
        let later = now + Duration::from_secs(1);
        assert_eq!(now - later, Duration::ZERO);
        assert_eq!(now.duration_since(later), Duration::ZERO);
        assert_eq!(now.saturating_duration_since(later), Duration::ZERO);
        assert_eq!(now.checked_duration_since(later), None);
        assert_eq!(later - now, Duration::from_secs(1));
    }

    #[test]
    fn sums_are_checked_or_far() {
        let now = Instant::now();
        assert_eq!(now.checked_add(Duration::MAX), None);
        assert_eq!(now.checked_sub(Duration::MAX), None);
        assert_eq!(now.after(Duration::MAX), now + FAR);
        assert_eq!(now.after(Duration::ZERO), now);
    }

    #[test]
    fn std_there_and_back() {
        let std = std::time::Instant::now();
        assert_eq!(Instant::from(std).into_std(), std);
        assert_eq!(std::time::Instant::from(Instant::from_std(std)), std);
        assert_eq!(format!("{:?}", Instant::from(std)), format!("{std:?}"));
    }
}
