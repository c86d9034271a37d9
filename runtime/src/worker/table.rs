//! A slab that gives memory back.
//!
//! Place: the tables of a loop, and of a set of tasks, keep their entries in it; plain memory of
//! whoever owns it.
//!
//! ```text
//!   key   0 ........ watched = capacity / 4 ........................... capacity
//!                    |  `high` of these are in use: when none is, cut  |
//! ```
//!
//! # Invariants
//! A key stays valid until its entry is removed, so only what is behind the last entry can be cut.
//! The promise, after each insertion and each removal: there is room for [`KEPT_MAX`] entries, or for
//! four times as many as the highest key in use needs, whichever is more. So the memory of a burst goes
//! with the last entry that it put high up, whatever was there before and stays; one that lives on up
//! there holds it all.
//! I6. No limit: an entry is a task or a source that somebody made.
//!
//! # Why it is so
//! Grown by doubling and cut at a quarter, the table has seen at least half as many removals as a cut
//! has places to look at. A small table pays a comparison at each insertion and at each removal. Always
//! to hand out the lowest free key would let it cut sooner, and costs a search at each insertion.

use std::ops::Deref;

use slab::Slab;

#[derive(Debug)]
pub(crate) struct Table<T> {
    entries: Slab<T>,
    /// Keys from here on are counted: a quarter of the capacity, or in a small table, which need not
    /// be cut, half of [`KEPT_MAX`].
    watched: usize,
    /// Entries under such keys.
    high: usize,
}

impl<T> Table<T> {
    pub(crate) fn new() -> Self {
        Self {
            entries: Slab::new(),
            watched: KEPT_MAX / 2,
            high: 0,
        }
    }

    #[inline]
    pub(crate) fn insert(&mut self, value: T) -> usize {
        let key = self.entries.insert(value);
        if key >= self.watched {
            self.came_high();
        }
        key
    }

    /// Takes out an entry that is there.
    #[inline]
    pub(crate) fn remove(&mut self, key: usize) -> T {
        let value = self.entries.remove(key);
        if key >= self.watched {
            self.went_high();
        }
        value
    }

    #[inline]
    pub(crate) fn get_mut(&mut self, key: usize) -> Option<&mut T> {
        self.entries.get_mut(key)
    }

    #[cold]
    fn came_high(&mut self) {
        if self.watched == self.entries.capacity() / 4 {
            self.high += 1;
        } else {
            // It has grown.
            self.watch();
        }
    }

    #[cold]
    fn went_high(&mut self) {
        self.high -= 1;
        if self.high == 0 {
            self.entries.shrink_to_fit();
            self.watch();
        }
    }

    fn watch(&mut self) {
        let capacity = self.entries.capacity();
        self.watched = if capacity > KEPT_MAX / 2 {
            capacity / 4
        } else {
            KEPT_MAX / 2
        };
        let is_high = |&(key, _): &(usize, &T)| key >= self.watched;
        self.high = self.entries.iter().rev().take_while(is_high).count();
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self::new()
    }
}

/// To read; what changes the number of entries goes through the table.
impl<T> Deref for Table<T> {
    type Target = Slab<T>;

    #[inline]
    fn deref(&self) -> &Slab<T> {
        &self.entries
    }
}

impl<T> IntoIterator for Table<T> {
    type Item = (usize, T);
    type IntoIter = slab::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

/// Entries for which an empty table may keep its memory: of wakers 256 KiB.
const KEPT_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{KEPT_MAX, Table};

    const BURST: usize = 100_000;

    /// Keys from 0 to `count`, each once, strewn.
    fn strewn(count: usize) -> impl Iterator<Item = usize> {
        let step = 7_919;
        assert_ne!(count % step, 0, "the step and the count share no factor");
        (0..count).map(move |n| n * step % count)
    }

    #[test]
    fn a_burst_is_forgotten_whatever_was_there_before_it() {
        let orders: [Vec<usize>; 3] = [
            (0..BURST).collect(),
            (0..BURST).rev().collect(),
            strewn(BURST).collect(),
        ];
        for order in orders {
            let mut table = Table::new();
            let old: Vec<usize> = (0..100).map(|n| table.insert(n)).collect();
            let keys: Vec<usize> = (0..BURST).map(|n| table.insert(n)).collect();
            assert!(table.capacity() >= BURST);
            for n in order {
                assert_eq!(table.remove(keys[n]), n);
            }
            assert!(table.capacity() <= KEPT_MAX, "{}", table.capacity());
            for (n, &key) in old.iter().enumerate() {
                assert_eq!(table.get(key), Some(&n));
            }
            assert_eq!(table.len(), old.len());
        }
    }

    #[test]
    fn an_entry_high_up_keeps_its_key_and_the_memory_until_it_goes() {
        let mut table = Table::new();
        let keys: Vec<usize> = (0..BURST).map(|n| table.insert(n)).collect();
        for &key in &keys[..BURST - 1] {
            table.remove(key);
        }
        let last = keys[BURST - 1];
        assert!(table.capacity() >= BURST);
        // Others come and go in the free places, the lower and the higher ones.
        for n in 0..BURST / 2 {
            let key = table.insert(n);
            assert_eq!(table.get(last), Some(&(BURST - 1)));
            table.remove(key);
        }
        assert_eq!(table.remove(last), BURST - 1);
        assert!(table.capacity() <= KEPT_MAX, "{}", table.capacity());
    }

    #[test]
    fn to_and_fro_at_an_edge_does_not_grow_and_cut_each_time() {
        for edge in [KEPT_MAX / 4, KEPT_MAX / 2, KEPT_MAX, 4 * KEPT_MAX] {
            let mut table = Table::new();
            for n in 0..edge {
                table.insert(n);
            }
            let key = table.insert(edge);
            let grown = table.capacity();
            for n in 0..10 {
                table.remove(key);
                assert_eq!(table.capacity(), grown, "cut at {edge}");
                assert_eq!(table.insert(n), key);
                assert_eq!(table.capacity(), grown, "grown at {edge}");
            }
        }
    }

    /// Beside a map, in waves: the promise of the module and each entry are looked at all the time.
    #[test]
    fn the_promise_holds_after_each_step() {
        let mut table = Table::new();
        let mut model = BTreeMap::new();
        let mut random = 0x2545_F491_4F6C_DD1D_u64;
        let mut peak = 0;
        for step in 0..600_000_u64 {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            // Waves of 150,000 steps: 7 in 8 are insertions, then removals.
            let grows = (step / 150_000) % 2 == 0;
            if model.is_empty() || (random % 8 < 7) == grows {
                let key = table.insert(step);
                assert_eq!(model.insert(key, step), None, "the key was in use");
            } else {
                let from = random as usize % table.capacity();
                let found = model.range(from..).next().or_else(|| model.iter().next());
                let (&key, &value) = found.expect("the model is not empty");
                model.remove(&key);
                assert_eq!(table.remove(key), value);
            }
            let needed = model.last_key_value().map_or(0, |(key, _)| key + 1);
            let capacity = table.capacity();
            assert!(
                capacity <= KEPT_MAX.max(4 * needed),
                "room for {capacity}, and {needed} needed"
            );
            peak = peak.max(capacity);
        }
        assert!(peak > 4 * KEPT_MAX);
        assert!(
            model
                .iter()
                .all(|(&key, value)| table.get(key) == Some(value))
        );
    }
}
