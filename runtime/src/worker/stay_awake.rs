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
//! It pays while several sources are active: with one connection nothing comes before the answer is
//! out, so such a loop sleeps at once, and an idle one is never here. And it pays while other threads
//! answer sooner than a core is woken: two loops that talk to each other both stay awake, and a round
//! trip takes less than a tenth of the time. (The first few answers take as long as before, since the
//! other one is still asleep: so only many late ones in a row are as looks in vain.) Looks in vain are
//! made rarer: after one the next sleep is taken at once, then the next three, up to 63. Where others want
//! the core, a sleep is the better way to wait for an answer: who is woken gets the core back sooner than
//! who has given it away.

use std::cell::Cell;
use std::time::Duration;

#[derive(Debug, Default)]
pub(super) struct StayAwake {
    /// Events for each wait that had any: a moving mean, in eighths.
    mean_events: Cell<u32>,
    /// Sleeps, one after the other, that a message ended soon.
    short_sleeps: Cell<u32>,
    /// Looks that found work late, one after the other.
    late_finds: Cell<u32>,
    /// Sleeps that were to be taken at once after the last look.
    last_sleeps: Cell<u32>,
    /// Those of them that are still to come.
    sleeps_due: Cell<u32>,
}

/// What came of a look before a sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) has_found: bool,
    /// How long it lasted.
    pub(super) time: Duration,
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

    /// A sleep is over. `limit` is how long a look may last.
    pub(super) fn slept(&self, asleep: Duration, has_message: bool, limit: Duration) {
        // Twice: whoever answered had to wake up, too.
        let is_short = has_message && asleep / 2 <= limit;
        let sleeps = if is_short {
            (self.short_sleeps.get() + 1).min(SHORT_SLEEPS)
        } else {
            0
        };
        self.short_sleeps.set(sleeps);
    }

    /// Whether to look for more work before the sleep that would come now.
    pub(super) fn is_likely_to_pay(&self) -> bool {
        let mut sleeps_due = self.sleeps_due.get();
        if self.has_several_sources() {
            sleeps_due = sleeps_due.min(SLEEPS_MAX);
        } else if self.short_sleeps.get() < SHORT_SLEEPS {
            return false;
        }
        self.sleeps_due.set(sleeps_due.saturating_sub(1));
        sleeps_due == 0
    }

    /// What came of a look that was to last up to `limit`.
    pub(super) fn looked(&self, look: Look, limit: Duration) {
        // Of several sources the others on this core were at work meanwhile.
        let is_for_answers = !self.has_several_sources();
        let is_late = is_for_answers && look.time > limit / 4;
        let late_finds = if is_late {
            (self.late_finds.get() + 1).min(LATE_FINDS_MAX)
        } else {
            0
        };
        self.late_finds.set(late_finds);

        let sleeps = if is_for_answers && look.time > 2 * limit {
            SLEEPS_ON_A_BUSY_CORE
        } else if look.has_found && late_finds < LATE_FINDS_MAX {
            0
        } else {
            (2 * self.last_sleeps.get() + 1).min(SLEEPS_MAX)
        };
        self.last_sleeps.set(sleeps.min(SLEEPS_MAX));
        self.sleeps_due.set(sleeps);
    }

    pub(super) fn has_several_sources(&self) -> bool {
        self.mean_events.get() >= SEVERAL
    }
}

/// Two events in a wait, in eighths.
const SEVERAL: u32 = 2 * 8;
/// What one wait adds to the mean at most.
const EVENTS_MAX: u32 = 16;
/// Short sleeps in a row that tell that others answer soon.
const SHORT_SLEEPS: u32 = 4;
/// Late finds in a row from which on they are as looks in vain.
const LATE_FINDS_MAX: u32 = 8;
/// Sleeps that are taken at once after many looks in vain.
const SLEEPS_MAX: u32 = 63;
/// The same after a look in which somebody else had the core for a slice of the scheduler's, some
/// milliseconds: so that they are lost once in some tenths of a second.
const SLEEPS_ON_A_BUSY_CORE: u32 = 4095;

#[cfg(test)]
mod tests {
    use super::*;

    fn busy() -> StayAwake {
        let it = StayAwake::default();
        (0..100).for_each(|_| it.had_events(3));
        it
    }

    /// One that other threads answer soon.
    fn answered() -> StayAwake {
        let it = StayAwake::default();
        (0..SHORT_SLEEPS).for_each(|_| it.slept(2 * LIMIT, true, LIMIT));
        it
    }

    const LIMIT: Duration = Duration::from_micros(50);
    const PROMPT: Look = found_after(Duration::from_micros(2));
    const LATE: Look = found_after(Duration::from_micros(20));
    const IN_VAIN: Look = Look {
        has_found: false,
        time: LIMIT,
    };

    const fn found_after(time: Duration) -> Look {
        let has_found = true;
        Look { has_found, time }
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
        for (it, found) in [(busy(), LATE), (answered(), PROMPT)] {
            assert!(it.is_likely_to_pay());
            for expected in [1, 3, 7, 15, 31, 63, 63] {
                it.looked(IN_VAIN, LIMIT);
                assert_eq!(sleeps(&it), expected);
            }
            it.looked(found, LIMIT);
            assert_eq!(sleeps(&it), 0);
        }
    }

    #[test]
    fn a_loop_that_is_answered_soon_stays_awake() {
        let it = answered();
        assert_eq!(sleeps(&it), 0);
        // One long sleep, or one that something else ended, and it is as if it had not been.
        for (asleep, has_message) in [(2 * LIMIT + 2 * NS, true), (LIMIT, false)] {
            it.slept(asleep, has_message, LIMIT);
            for _ in 1..SHORT_SLEEPS {
                it.slept(LIMIT, true, LIMIT);
                assert!(!it.is_likely_to_pay());
            }
            it.slept(LIMIT, true, LIMIT);
            assert!(it.is_likely_to_pay());
        }
    }

    #[test]
    fn answers_that_are_late_all_the_time_are_as_none() {
        let it = answered();
        for _ in 0..3 {
            for _ in 1..LATE_FINDS_MAX {
                it.looked(LATE, LIMIT);
                assert_eq!(sleeps(&it), 0);
            }
            it.looked(PROMPT, LIMIT);
            assert_eq!(sleeps(&it), 0);
        }
        for _ in 1..LATE_FINDS_MAX {
            it.looked(LATE, LIMIT);
        }
        for expected in [1, 3, 7] {
            it.looked(LATE, LIMIT);
            assert_eq!(sleeps(&it), expected);
        }
        it.looked(PROMPT, LIMIT);
        assert_eq!(sleeps(&it), 0);
    }

    #[test]
    fn who_loses_the_core_in_a_look_for_answers_sleeps_for_long() {
        for has_found in [false, true] {
            let time = 2 * LIMIT + NS;
            let it = answered();
            it.looked(Look { has_found, time }, LIMIT);
            let slept = |it: &StayAwake| (0..5000).take_while(|_| !it.is_likely_to_pay()).count();
            assert_eq!(slept(&it), 4095);
            // Then it begins anew.
            it.looked(PROMPT, LIMIT);
            assert_eq!(slept(&it), 0);
        }
        // With several sources it is what a look is for.
        let it = busy();
        it.looked(found_after(10 * LIMIT), LIMIT);
        assert_eq!(sleeps(&it), 0);
        // And they do not wait for the end of those sleeps.
        let it = answered();
        it.looked(found_after(10 * LIMIT), LIMIT);
        (0..100).for_each(|_| it.had_events(3));
        assert_eq!(sleeps(&it), 63);
    }

    const NS: Duration = Duration::from_nanos(1);
}
