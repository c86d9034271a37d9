//! Whether a loop that has run out of work looks for more before it sleeps.
//!
//! Place: owned by `Local`, told of the events of each wait, asked before each sleep; runs on the
//! loop's own thread.
//!
//! # Why it is so
//! A sleep costs twice: this core goes idle, and who sends the next message pays for waking it.
//! Where loops and clients share cores, a loop that sleeps as soon as it can is woken for every
//! message; if it lets the others on its core run first, it comes back to a batch. axum's "hello"
//! on two loops and two cores, 100 connections (`compat/apps/bench`): 0.87 of tokio's requests/s
//! without this, more than tokio's with it, at a sixtieth of the sleeps.
//!
//! It pays only while several sources are active: with one connection nothing comes before the
//! answer is out, so such a loop sleeps at once, and an idle one is never here. Looks in vain are
//! made rarer: after one the next sleep is taken at once, then the next three, up to 63.

use std::cell::Cell;

#[derive(Debug, Default)]
pub(super) struct StayAwake {
    /// Events for each wait that had any: a moving mean, in eighths.
    mean_events: Cell<u32>,
    /// Looks in vain, one after the other.
    misses: Cell<u32>,
    /// Sleeps that are taken at once.
    sleeps_due: Cell<u32>,
}

impl StayAwake {
    /// A wait is over.
    pub(super) fn had_events(&self, events: usize) {
        if events > 0 {
            let mean = self.mean_events.get();
            // Capped: one burst is soon forgotten.
            let events = u32::try_from(events).map_or(EVENTS_MAX, |events| events.min(EVENTS_MAX));
            self.mean_events.set(mean - mean / 8 + events);
        }
    }

    /// Whether to look for more work before the sleep that would come now.
    pub(super) fn is_likely_to_pay(&self) -> bool {
        if self.mean_events.get() < SEVERAL {
            return false;
        }
        let sleeps_due = self.sleeps_due.get();
        self.sleeps_due.set(sleeps_due.saturating_sub(1));
        sleeps_due == 0
    }

    /// What came of the look.
    pub(super) fn looked(&self, found_work: bool) {
        let misses = if found_work {
            0
        } else {
            (self.misses.get() + 1).min(MISSES_MAX)
        };
        self.misses.set(misses);
        self.sleeps_due.set((1 << misses) - 1);
    }
}

/// Two events in a wait, in eighths.
const SEVERAL: u32 = 2 * 8;
/// What one wait adds to the mean at most.
const EVENTS_MAX: u32 = 16;
/// Looks in vain that are told apart: 2^6 - 1 sleeps follow the last.
const MISSES_MAX: u32 = 6;

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> StayAwake {
        let it = StayAwake::default();
        (0..100).for_each(|_| it.had_events(3));
        it
    }

    /// Sleeps that are taken at once before it looks again.
    fn sleeps(it: &StayAwake) -> u32 {
        (0..1000)
            .take_while(|_| !it.is_likely_to_pay())
            .fold(0, |count, _| count + 1)
    }

    #[test]
    fn one_source_at_a_time_sleeps_at_once() {
        let it = StayAwake::default();
        (0..1000).for_each(|_| it.had_events(1));
        assert!(!it.is_likely_to_pay());
        assert!(!StayAwake::default().is_likely_to_pay());
    }

    #[test]
    fn a_burst_is_forgotten() {
        let it = busy();
        assert!(it.is_likely_to_pay());
        it.had_events(100_000);
        (0..40).for_each(|_| it.had_events(1));
        assert!(!it.is_likely_to_pay());
    }

    #[test]
    fn looks_in_vain_become_rare_until_one_finds_work() {
        let it = busy();
        for expected in [1, 3, 7, 15, 31, 63, 63] {
            it.looked(false);
            assert_eq!(sleeps(&it), expected);
        }
        it.looked(true);
        assert_eq!(sleeps(&it), 0);
    }
}
