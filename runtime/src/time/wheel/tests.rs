//! What the wheel promises, by example and against a `BTreeMap`.

use super::alloc::{collections::BTreeMap, vec, vec::Vec};
use super::{KEPT_ENTRIES_MAX, Key, LEVELS, PEEK_MAX, SLOTS, Wheel};

/// Everything due at `now`, in order.
fn expire(wheel: &mut Wheel<u32>, now: u64) -> Vec<u32> {
    core::iter::from_fn(|| wheel.expire_next(now))
        .map(|(_, value)| value)
        .collect()
}

/// The tick for which an entry is armed.
fn when(wheel: &Wheel<u32>, key: Key) -> Option<u64> {
    wheel.get(key).map(|entry| entry.when)
}

/// A small generator (splitmix64) with a fixed seed, so that every run is the same.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut word = self.0;
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^ (word >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// A distance in ticks: every order of magnitude up to `bits` is as likely as every other.
    fn distance(&mut self, bits: u64) -> u64 {
        let width = self.below(bits + 1);
        self.next() & ((1_u64 << width) - 1)
    }
}

#[test]
fn expires_in_order_of_ticks() {
    let mut wheel = Wheel::new();
    for (tick, value) in [(70, 3), (5, 1), (5000, 4), (6, 2), (1 << 40, 5)] {
        wheel.arm(tick, value);
    }
    assert_eq!(expire(&mut wheel, 4), vec![]);
    assert_eq!(expire(&mut wheel, 5), vec![1]);
    assert_eq!(expire(&mut wheel, 4999), vec![2, 3]);
    assert_eq!(expire(&mut wheel, u64::MAX), vec![4, 5]);
    assert!(wheel.is_empty());
}

#[test]
fn never_expires_early_at_any_distance() {
    for bits in 0..64 {
        for distance in [
            1_u64 << bits,
            (1_u64 << bits) + 1,
            (1_u64 << bits).wrapping_sub(1),
        ] {
            let mut wheel = Wheel::new();
            let start = 12_345;
            wheel.skip_to(start);
            let when = start.saturating_add(distance);
            wheel.arm(when, 7);
            if when > start {
                assert_eq!(expire(&mut wheel, when - 1), vec![], "distance {distance}");
            }
            assert_eq!(expire(&mut wheel, when), vec![7], "distance {distance}");
        }
    }
}

#[test]
fn past_and_present_ticks_expire_at_once() {
    let mut wheel = Wheel::new();
    assert_eq!(expire(&mut wheel, 1000), vec![]);
    wheel.arm(0, 1);
    wheel.arm(1000, 2);
    wheel.arm(999, 3);
    assert!(wheel.next_expiry().is_some_and(|tick| tick <= 1000));
    assert_eq!(expire(&mut wheel, 1000), vec![1, 2, 3]);
}

#[test]
fn the_last_tick_of_all_can_be_armed() {
    let mut wheel = Wheel::new();
    let key = wheel.arm(u64::MAX, 1);
    wheel.arm(u64::MAX, 2);
    assert_eq!(wheel.next_expiry(), Some(u64::MAX));
    assert_eq!(expire(&mut wheel, u64::MAX - 1), vec![]);
    assert_eq!(wheel.cancel(key), Some(1));
    assert_eq!(expire(&mut wheel, u64::MAX), vec![2]);
    wheel.arm(3, 3);
    assert_eq!(expire(&mut wheel, 0), vec![3], "time does not go back");
}

#[test]
fn hundred_at_one_tick_keep_their_order() {
    let mut wheel = Wheel::new();
    for value in 0..100 {
        wheel.arm(123_456, value);
    }
    assert_eq!(expire(&mut wheel, 123_455), vec![]);
    assert_eq!(expire(&mut wheel, 123_456), (0..100).collect::<Vec<_>>());
}

#[test]
fn one_tick_keeps_its_order_over_levels() {
    let mut wheel = Wheel::new();
    wheel.arm(5000, 1);
    assert_eq!(expire(&mut wheel, 4990), vec![]);
    wheel.arm(5000, 2);
    assert_eq!(expire(&mut wheel, 5000), vec![1, 2]);
}

#[test]
fn cancel_before_during_and_after_expiry() {
    let mut wheel = Wheel::new();
    let keys: Vec<Key> = (0..4).map(|value| wheel.arm(10, value)).collect();
    assert_eq!(wheel.cancel(keys[1]), Some(1));
    assert_eq!(wheel.cancel(keys[1]), None, "twice");
    assert_eq!(wheel.expire_next(10), Some((10, 0)));
    assert_eq!(
        wheel.cancel(keys[2]),
        Some(2),
        "between two that expire together"
    );
    assert_eq!(wheel.cancel(keys[0]), None, "after it expired");
    assert_eq!(wheel.expire_next(10), Some((10, 3)));
    assert_eq!(wheel.expire_next(10), None);
}

#[test]
fn stale_keys_do_nothing_to_the_entry_that_took_the_place() {
    let mut wheel = Wheel::new();
    let old = wheel.arm(10, 1);
    assert_eq!(wheel.cancel(old), Some(1));
    let new = wheel.arm(20, 2);
    assert_eq!(old.index, new.index, "the slab uses the place again");
    assert_eq!(wheel.cancel(old), None);
    assert!(!wheel.rearm(old, 1));
    assert_eq!(wheel.value_mut(old), None);
    assert_eq!(when(&wheel, old), None);
    assert_eq!(when(&wheel, new), Some(20));
    assert_eq!(expire(&mut wheel, 20), vec![2]);
}

#[test]
fn rearm_moves_both_ways() {
    let mut wheel = Wheel::new();
    let later = wheel.arm(100, 1);
    let earlier = wheel.arm(100_000, 2);
    assert!(wheel.rearm(later, 200_000));
    assert!(wheel.rearm(earlier, 50));
    assert_eq!(wheel.next_expiry(), Some(50));
    assert_eq!(expire(&mut wheel, 199_999), vec![2]);
    assert_eq!(expire(&mut wheel, 200_000), vec![1]);
    assert!(!wheel.rearm(later, 300_000), "it has expired");
}

#[test]
fn next_expiry_is_exact_for_few_timers() {
    let mut wheel = Wheel::new();
    assert_eq!(wheel.next_expiry(), None);
    let first = wheel.arm(30_000_017, 1);
    wheel.arm(30_000_019, 2);
    assert_eq!(wheel.next_expiry(), Some(30_000_017));
    assert_eq!(wheel.cancel(first), Some(1));
    assert_eq!(wheel.next_expiry(), Some(30_000_019));
    assert_eq!(expire(&mut wheel, 30_000_019), vec![2]);
    assert_eq!(wheel.next_expiry(), None);
}

#[test]
fn next_expiry_converges_in_one_step_a_level() {
    for bits in 0..63 {
        let mut wheel = Wheel::new();
        let when = (1_u64 << bits) + (1_u64 << bits) / 3 + 1;
        for value in 0..2 * PEEK_MAX as u32 {
            wheel.arm(when, value);
        }
        // What is known of the earliest is forgotten with it.
        let earlier = wheel.arm(0, 0);
        wheel.cancel(earlier);
        let mut steps = 0;
        let mut fired = 0;
        while let Some(next) = wheel.next_expiry() {
            assert!(next <= when);
            fired += expire(&mut wheel, next).len();
            steps += 1;
            assert!(steps <= LEVELS, "{steps} steps for 2^{bits}");
        }
        assert_eq!(fired, 2 * PEEK_MAX);
    }
}

#[test]
fn next_expiry_goes_on_when_a_coarse_slot_is_cancelled() {
    let mut wheel = Wheel::new();
    let keys: Vec<Key> = (0..2 * PEEK_MAX as u32)
        .map(|value| wheel.arm(5000, value))
        .collect();
    wheel.arm(1 << 30, 99);
    let earlier = wheel.arm(0, 0);
    wheel.cancel(earlier);
    assert_eq!(wheel.next_expiry(), Some(4096), "the start of the slot");
    for key in keys {
        assert!(wheel.cancel(key).is_some());
    }
    assert_eq!(expire(&mut wheel, 4096), vec![]);
    assert_eq!(wheel.next_expiry(), Some(1 << 30));
}

#[test]
fn an_empty_wheel_can_be_moved_on() {
    let mut wheel = Wheel::new();
    wheel.skip_to(1 << 50);
    let key = wheel.arm((1 << 50) + 3, 1);
    assert!(
        usize::from(wheel.entries[key.index as usize].slot) < SLOTS,
        "on level 0"
    );
    wheel.skip_to(1 << 51);
    assert_eq!(when(&wheel, key), Some((1 << 50) + 3));
    assert_eq!(
        expire(&mut wheel, (1 << 50) + 2),
        vec![],
        "skip_to did nothing"
    );
    assert_eq!(expire(&mut wheel, (1 << 50) + 3), vec![1]);
}

#[test]
fn take_any_empties_the_wheel() {
    let mut wheel = Wheel::new();
    for value in 0..10 {
        wheel.arm(10_u64.pow(value), value);
    }
    let mut taken: Vec<u32> = core::iter::from_fn(|| wheel.take_any()).collect();
    taken.sort_unstable();
    assert_eq!(taken, (0..10).collect::<Vec<_>>());
    assert_eq!(wheel.next_expiry(), None);
}

#[test]
fn memory_is_given_back_when_empty() {
    let mut wheel = Wheel::new();
    for value in 0..2 * KEPT_ENTRIES_MAX as u32 {
        wheel.arm(5, value);
    }
    assert!(wheel.entries.capacity() > KEPT_ENTRIES_MAX);
    assert_eq!(expire(&mut wheel, 5).len(), 2 * KEPT_ENTRIES_MAX);
    assert_eq!(wheel.entries.capacity(), 0);
}

#[test]
fn an_entry_with_a_waker_is_48_bytes() {
    use core::{mem::size_of, task::Waker};
    assert_eq!(size_of::<super::Entry<Waker>>(), 48);
    assert_eq!(size_of::<Option<super::Entry<Waker>>>(), 48);
}

/// What the wheel must do, told by a sorted map.
///
/// The order of two entries of one tick is the order in which they were armed (or armed again); an
/// entry armed for the past stands at the tick that the wheel had reached.
#[derive(Default)]
struct Model {
    order: u64,
    elapsed: u64,
    sorted: BTreeMap<(u64, u64), u32>,
    armed: Vec<(Key, u32, (u64, u64))>,
    gone: Vec<Key>,
}

impl Model {
    fn place(&mut self, when: u64) -> (u64, u64) {
        self.order += 1;
        (when.max(self.elapsed), self.order)
    }

    fn check_expiry(&mut self, wheel: &mut Wheel<u32>, now: u64, limit: usize) {
        let now = now.max(self.elapsed);
        for _ in 0..limit {
            let due = self
                .sorted
                .first_key_value()
                .filter(|((tick, _), _)| *tick <= now);
            let due = due.map(|(place, value)| (*place, *value));
            let got = wheel.expire_next(now).map(|(_, value)| value);
            assert_eq!(got, due.map(|(_, value)| value), "at {now}");
            let Some((place, _)) = due else {
                self.elapsed = self.elapsed.max(now);
                return;
            };
            self.elapsed = self.elapsed.max(place.0);
            self.sorted.remove(&place);
            let at = self
                .armed
                .iter()
                .position(|entry| entry.2 == place)
                .unwrap();
            self.gone.push(self.armed.swap_remove(at).0);
        }
    }

    fn check_next(&self, wheel: &mut Wheel<u32>) {
        let earliest = self.sorted.keys().next().map(|place| place.0);
        let next = wheel.next_expiry();
        assert_eq!(next.is_some(), earliest.is_some());
        assert!(next <= earliest, "{next:?} is after {earliest:?}");
        assert_eq!(wheel.len(), self.sorted.len());
    }

    fn finish(&mut self, wheel: &mut Wheel<u32>) {
        self.check_expiry(wheel, u64::MAX, usize::MAX);
        assert!(wheel.is_empty() && self.sorted.is_empty());
    }

    fn step(&mut self, wheel: &mut Wheel<u32>, random: &mut Random, bits: u64) {
        match random.below(16) {
            0..=5 => {
                let when = match random.below(8) {
                    0 => random.below(self.elapsed.max(1)),
                    1 => u64::MAX - random.distance(bits),
                    _ => self.elapsed.saturating_add(random.distance(bits)),
                };
                let place = self.place(when);
                let value = self.order as u32;
                self.armed.push((wheel.arm(when, value), value, place));
                self.sorted.insert(place, value);
            }
            6..=8 if !self.armed.is_empty() => {
                let at = random.below(self.armed.len() as u64) as usize;
                let (key, value, place) = self.armed.swap_remove(at);
                assert_eq!(wheel.cancel(key), Some(value));
                self.sorted.remove(&place);
                self.gone.push(key);
            }
            9..=11 if !self.armed.is_empty() => {
                let at = random.below(self.armed.len() as u64) as usize;
                let (key, value, place) = self.armed[at];
                let when = self.elapsed.saturating_add(random.distance(bits));
                if self::when(wheel, key) != Some(when) {
                    self.sorted.remove(&place);
                    let place = self.place(when);
                    self.sorted.insert(place, value);
                    self.armed[at].2 = place;
                }
                assert!(wheel.rearm(key, when));
            }
            12 => {
                if let Some(key) = self.gone.pop() {
                    assert_eq!(wheel.cancel(key), None);
                    assert!(!wheel.rearm(key, 0));
                }
            }
            13 => {
                let next = wheel.next_expiry().unwrap_or(0);
                self.check_expiry(wheel, next, usize::MAX);
                let after = wheel.next_expiry();
                assert!(
                    after.is_none_or(|tick| tick > next),
                    "it does not come closer"
                );
            }
            _ => {
                let now = self.elapsed.saturating_add(random.distance(bits));
                let limit = random.below(8) as usize;
                self.check_expiry(wheel, now, limit);
            }
        }
        self.check_next(wheel);
    }
}

/// Half a million operations over eight seeds, from short distances to all of `u64`.
#[test]
fn random_operations_match_a_sorted_map() {
    let steps = if cfg!(miri) { 300 } else { 64_000 };
    for (seed, bits) in [4, 7, 12, 20, 30, 40, 55, 63].into_iter().enumerate() {
        let mut random = Random(seed as u64);
        let mut wheel = Wheel::new();
        let mut model = Model::default();
        for _ in 0..steps {
            model.step(&mut wheel, &mut random, bits);
            // Near the end of time everything is due at once: begin anew.
            if model.elapsed > 1 << 63 {
                model.finish(&mut wheel);
                (wheel, model) = (Wheel::new(), Model::default());
            }
        }
        model.finish(&mut wheel);
    }
}
