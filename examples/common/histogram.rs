//! Latencies in buckets of equal relative width: 32 to a power of two, so within 3 %.

use std::time::Duration;

/// Counts durations from 1 ns to hours.
#[derive(Debug, Clone)]
pub(crate) struct Histogram {
    buckets: Vec<u64>,
    count: u64,
}

const BITS: u32 = 5;

impl Histogram {
    /// Without any durations.
    pub(crate) fn new() -> Self {
        Self {
            buckets: vec![0; (64 << BITS) as usize],
            count: 0,
        }
    }

    /// Adds one duration.
    pub(crate) fn record(&mut self, duration: Duration) {
        let nanos = u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX);
        self.buckets[bucket(nanos)] += 1;
        self.count += 1;
    }

    /// Adds all of another histogram.
    pub(crate) fn merge(&mut self, other: &Self) {
        for (ours, theirs) in self.buckets.iter_mut().zip(&other.buckets) {
            *ours += theirs;
        }
        self.count += other.count;
    }

    /// How many durations there are.
    pub(crate) fn count(&self) -> u64 {
        self.count
    }

    /// The duration that this share of all does not exceed: 0.99 for p99.
    pub(crate) fn quantile(&self, share: f64) -> Duration {
        let wanted = (self.count as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (at, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= wanted {
                return Duration::from_nanos(upper_end(at));
            }
        }
        Duration::ZERO
    }
}

fn bucket(nanos: u64) -> usize {
    let power = 63 - (nanos | 1).leading_zeros();
    if power <= BITS {
        return nanos as usize;
    }
    let shift = power - BITS;
    // The leading bit is always set: it counts once, in the power.
    let mantissa = (nanos >> shift) & ((1 << BITS) - 1);
    (((shift + 1) << BITS) as usize) + mantissa as usize
}

fn upper_end(bucket: usize) -> u64 {
    if bucket < 2 << BITS {
        return bucket as u64;
    }
    let shift = (bucket >> BITS) as u32 - 1;
    let mantissa = (bucket & ((1 << BITS) - 1)) as u64 | (1 << BITS);
    ((mantissa + 1) << shift) - 1
}
