//! What a loop counts about its timers.
//!
//! Place: written by `driver`, read by the loop when it publishes its metrics; plain memory of the
//! owning thread.

use std::time::Duration;

/// Timers fired, and how late.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    /// Timers that fired.
    pub(crate) fired: u64,
    /// The sum of their lateness.
    pub(crate) late_total: Duration,
    /// The worst lateness.
    pub(crate) late_max: Duration,
    /// How many were late by less than 1 us, 2 us, 4 us, and so on; the last one has the rest.
    pub(crate) late_histogram: [u64; LATE_BUCKETS],
}

impl Stats {
    /// Counts a timer that fired this many microseconds after its deadline.
    pub(super) fn record(&mut self, late_us: u64) {
        self.fired += 1;
        let late = Duration::from_micros(late_us);
        self.late_total = self.late_total.saturating_add(late);
        self.late_max = self.late_max.max(late);
        let bucket = (u64::BITS - late_us.leading_zeros()) as usize;
        self.late_histogram[bucket.min(LATE_BUCKETS - 1)] += 1;
    }
}

/// Up to 2^22 us, four seconds, and beyond.
pub(crate) const LATE_BUCKETS: usize = 24;

#[cfg(test)]
mod tests {
    use super::{Duration, LATE_BUCKETS, Stats};

    #[test]
    fn lateness_falls_in_powers_of_two() {
        let mut stats = Stats::default();
        for late in [0, 1, 2, 3, 4, u64::MAX] {
            stats.record(late);
        }
        assert_eq!(stats.fired, 6);
        assert_eq!(stats.late_histogram[..4], [1, 1, 2, 1]);
        assert_eq!(stats.late_histogram[LATE_BUCKETS - 1], 1);
        assert_eq!(stats.late_max, Duration::from_micros(u64::MAX));
    }
}
