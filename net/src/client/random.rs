//! Random numbers for jitter: small, fast, and no secret.
//!
//! Place: called by `retry`; each thread has a state of its own.
//!
//! # Why it is so
//! Jitter has to differ between processes and threads, and nobody gains by guessing it. That needs
//! no crate: SplitMix64 has one word of state, and std seeds it from the system's entropy.

use std::cell::Cell;
use std::hash::{BuildHasher, RandomState};

/// A SplitMix64 generator.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    pub(super) fn from_seed(seed: u64) -> Self {
        Self(seed)
    }

    /// A generator that no other one of the process follows.
    pub(super) fn new() -> Self {
        thread_local! {
            static SEEDS: Cell<Option<u64>> = const { Cell::new(None) };
        }
        let seed = SEEDS.try_with(|cell| {
            let mut seeds = Self(cell.get().unwrap_or_else(entropy));
            let seed = seeds.next();
            cell.set(Some(seeds.0));
            seed
        });
        // The error means that the thread is ending.
        Self(seed.unwrap_or_else(|_| entropy()))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to `max`, both possible.
    pub(super) fn up_to(&mut self, max: u64) -> u64 {
        let scaled = (u128::from(self.next()) * (u128::from(max) + 1)) >> 64;
        // `next` is below 2^64, so the product's upper half is at most `max`.
        u64::try_from(scaled).unwrap_or(max)
    }
}

/// Keys of a hasher are seeded by the system, and differ each time.
fn entropy() -> u64 {
    RandomState::new().hash_one(0_u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn is_splitmix64() {
        // Of the seed 1234567, as published with the generator.
        let mut random = Random::from_seed(1_234_567);
        assert_eq!(random.next(), 6_457_827_717_110_365_317);
        assert_eq!(random.next(), 3_203_168_211_198_807_973);
    }

    #[test]
    fn stays_in_its_range_and_reaches_both_ends() {
        let mut random = Random::from_seed(1);
        let mut seen = [false; 4];
        for _ in 0..200 {
            seen[usize::try_from(random.up_to(3)).unwrap()] = true;
        }
        assert_eq!(seen, [true; 4]);
        assert_eq!(random.up_to(0), 0);
        assert!((0..100).any(|_| random.up_to(u64::MAX) > u64::MAX / 2));
    }

    #[test]
    fn two_generators_of_a_thread_differ() {
        assert_ne!(Random::new().next(), Random::new().next());
    }
}
