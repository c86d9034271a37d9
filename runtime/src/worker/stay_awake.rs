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
//! answer sooner than a core is woken: two loops that talk to each other, each on a core, both stay
//! awake, and a round trip takes a fiftieth of the time. Looks in vain are made rarer: after one the next
//! sleep is taken at once, then the next three, up to 63.

use std::cell::Cell;
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
pub(super) struct StayAwake {
    /// Events for each wait that had any, or that a message ended: a moving mean, in eighths.
    mean_events: Cell<u32>,
    /// Sleeps, one after the other, that a message ended soon.
    answered_sleeps: Cell<u32>,
    /// Looks for answers that found one late, or something else, one after the other.
    poor_finds: Cell<u32>,
    /// Looks for answers that found one soon, but not while they were spinning, one after the other.
    vain_spins: Cell<u32>,
    /// Sleeps that are to be taken at once after a look: 2^n - 1.
    backoff: Cell<u32>,
    /// Those of them that are still to come.
    sleeps_due: Cell<u32>,
    /// Until then no answers are looked for.
    rest_until: Cell<Option<Instant>>,
}

/// What a look before a sleep is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Hope {
    /// Several sources are active.
    Sources,
    /// Other threads answer soon.
    Answers,
}

/// What came of a look before a sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Look {
    pub(super) found: Found,
    /// How long it lasted.
    pub(super) time: Duration,
}

/// What has ended a look or a sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// The time was over.
    Nothing,
    /// A message of another thread, and nothing else.
    Message,
    /// An event or a timer.
    Other,
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

    /// A message has come without events.
    fn had_message(&self) {
        let mean = self.mean_events.get();
        self.mean_events.set(mean - mean.div_ceil(8));
    }

    /// A sleep is over. `limit` is how long a look may last.
    pub(super) fn slept(&self, asleep: Duration, ended_by: Found, limit: Duration) {
        let mut answered = 0;
        if ended_by == Found::Message {
            self.had_message();
            // Twice: whoever answered had to wake up, too.
            if asleep / 2 <= limit {
                answered = (self.answered_sleeps.get() + 1).min(ANSWERED_SLEEPS);
            }
        }
        self.answered_sleeps.set(answered);
    }

    /// Whether to look for more work before the sleep that would come now, and what for.
    pub(super) fn hope(&self, now: impl FnOnce() -> Instant) -> Option<Hope> {
        let hope = if self.mean_events.get() >= SEVERAL {
            Hope::Sources
        } else if self.answered_sleeps.get() >= ANSWERED_SLEEPS && !self.is_resting(now) {
            Hope::Answers
        } else {
            return None;
        };
        let sleeps_due = self.sleeps_due.get();
        self.sleeps_due.set(sleeps_due.saturating_sub(1));
        (sleeps_due == 0).then_some(hope)
    }

    fn is_resting(&self, now: impl FnOnce() -> Instant) -> bool {
        let Some(until) = self.rest_until.get() else {
            return false;
        };
        let is_resting = now() < until;
        if !is_resting {
            self.rest_until.set(None);
        }
        is_resting
    }

    /// How long a look of up to `limit` keeps its core, before it lets others there run.
    pub(super) fn spin(&self, hope: Hope, limit: Duration) -> Duration {
        // Of several sources some are clients on this core: they go first. What has come already
        // costs no more than without a look: one wait. And whoever answers may be on this core, too.
        if hope == Hope::Sources || self.vain_spins.get() == VAIN_SPINS_MAX {
            return Duration::ZERO;
        }
        limit / SPIN
    }

    /// What came of a look that was to last up to `limit`. `now` is its end.
    pub(super) fn looked(
        &self,
        hope: Hope,
        look: Look,
        limit: Duration,
        now: impl FnOnce() -> Instant,
    ) {
        if look.found == Found::Message {
            self.had_message();
        }
        let has_paid = match hope {
            Hope::Sources => look.found != Found::Nothing,
            Hope::Answers => self.has_paid(look, limit, now),
        };
        let backoff = if has_paid {
            0
        } else {
            (2 * self.backoff.get() + 1).min(BACKOFF_MAX)
        };
        self.backoff.set(backoff);
        self.sleeps_due.set(backoff);
    }

    /// Of a look for answers.
    fn has_paid(&self, look: Look, limit: Duration, now: impl FnOnce() -> Instant) -> bool {
        if look.time > limit.saturating_mul(2) {
            // Somebody else had this core for a slice of the scheduler's. While others want it a sleep is
            // the better way to wait: who is woken gets the core back sooner than who has given it away.
            self.rest_until
                .set(now().checked_add(look.time.saturating_mul(REST)));
        }
        let is_soon = look.found == Found::Message && look.time <= limit / SOON;
        let vain_spins = match self.vain_spins.get() {
            _ if !is_soon => 0,
            VAIN_SPINS_MAX => VAIN_SPINS_MAX,
            spins if look.time > limit / SPIN => spins + 1,
            _ => 0,
        };
        self.vain_spins.set(vain_spins);

        // The first answers may be late because who gives them is still asleep.
        let poor_finds = if is_soon {
            0
        } else {
            (self.poor_finds.get() + 1).min(POOR_FINDS_MAX)
        };
        self.poor_finds.set(poor_finds);
        look.found != Found::Nothing && poor_finds < POOR_FINDS_MAX
    }
}

/// Two events in a wait, in eighths.
const SEVERAL: u32 = 2 * 8;
/// What one wait adds to the mean at most.
const EVENTS_MAX: u32 = 16;
/// Answered sleeps in a row that tell that others answer soon.
const ANSWERED_SLEEPS: u32 = 4;
/// An answer is late after this part of a look.
const SOON: u32 = 4;
/// Poor finds in a row from which on they are as looks in vain.
const POOR_FINDS_MAX: u32 = 8;
/// The part of a look for answers that spins.
const SPIN: u32 = 16;
/// Spins in vain in a row after which no look spins, until an answer is late.
const VAIN_SPINS_MAX: u32 = 8;
/// Sleeps that are taken at once after many looks in vain.
const BACKOFF_MAX: u32 = 63;
/// How much longer than a look that has lost the core no other one is made.
const REST: u32 = 64;

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
        (0..ANSWERED_SLEEPS).for_each(|_| it.slept(2 * LIMIT, Found::Message, LIMIT));
        it
    }

    const LIMIT: Duration = Duration::from_micros(64);
    const NS: Duration = Duration::from_nanos(1);
    const AT_ONCE: Look = answer_after(Duration::from_micros(4));
    const SOON: Look = answer_after(Duration::from_micros(16));
    const LATE: Look = answer_after(Duration::from_micros(17));
    const EVENT: Look = Look {
        found: Found::Other,
        time: Duration::ZERO,
    };
    const IN_VAIN: Look = Look {
        found: Found::Nothing,
        time: LIMIT,
    };

    const fn answer_after(time: Duration) -> Look {
        let found = Found::Message;
        Look { found, time }
    }

    /// A look is made.
    fn look(it: &StayAwake, look: Look) {
        let hope = it.hope(Instant::now).expect("a look is due");
        it.looked(hope, look, LIMIT, Instant::now);
    }

    /// Sleeps that are taken at once before it looks again.
    fn sleeps(it: &StayAwake) -> usize {
        let sleeps = (0..1000).take_while(|_| it.hope(Instant::now).is_none());
        let sleeps = sleeps.count();
        // That look is still to be made.
        it.sleeps_due.set(0);
        sleeps
    }

    #[test]
    fn one_source_at_a_time_sleeps_at_once() {
        let it = StayAwake::default();
        (0..1000).for_each(|_| it.had_events(1));
        assert_eq!(it.hope(Instant::now), None);
        assert_eq!(StayAwake::default().hope(Instant::now), None);
    }

    #[test]
    fn a_burst_is_forgotten() {
        let it = busy();
        assert_eq!(it.hope(Instant::now), Some(Hope::Sources));
        it.had_events(100_000);
        (0..40).for_each(|_| it.had_events(1));
        assert_eq!(it.hope(Instant::now), None);
    }

    #[test]
    fn sources_are_forgotten_where_messages_come_alone() {
        let it = busy();
        (0..40).for_each(|_| it.slept(3 * LIMIT, Found::Message, LIMIT));
        assert_eq!(it.hope(Instant::now), None);
        let it = busy();
        (0..40).for_each(|_| it.looked(Hope::Sources, LATE, LIMIT, Instant::now));
        assert_eq!(it.hope(Instant::now), None);
        assert_eq!(it.mean_events.get(), 0);
    }

    #[test]
    fn looks_in_vain_become_rare_until_one_finds_work() {
        for (it, found) in [(busy(), EVENT), (answered(), SOON)] {
            for expected in [1, 3, 7, 15, 31, 63, 63] {
                look(&it, IN_VAIN);
                assert_eq!(sleeps(&it), expected);
            }
            look(&it, found);
            assert_eq!(sleeps(&it), 0);
        }
    }

    #[test]
    fn a_loop_that_is_answered_soon_stays_awake() {
        let it = answered();
        assert_eq!(it.hope(Instant::now), Some(Hope::Answers));
        // One long sleep, or one that something else ended, and it is as if it had not been.
        for (asleep, ended_by) in [
            (2 * LIMIT + 2 * NS, Found::Message),
            (LIMIT, Found::Other),
            (LIMIT, Found::Nothing),
        ] {
            it.slept(asleep, ended_by, LIMIT);
            for _ in 1..ANSWERED_SLEEPS {
                it.slept(LIMIT, Found::Message, LIMIT);
                assert_eq!(it.hope(Instant::now), None);
            }
            it.slept(LIMIT, Found::Message, LIMIT);
            assert_eq!(it.hope(Instant::now), Some(Hope::Answers));
        }
    }

    #[test]
    fn poor_finds_all_the_time_are_as_none() {
        for poor in [LATE, EVENT] {
            let it = answered();
            for _ in 0..3 {
                for _ in 1..POOR_FINDS_MAX {
                    look(&it, poor);
                    assert_eq!(sleeps(&it), 0);
                }
                look(&it, SOON);
                assert_eq!(sleeps(&it), 0);
            }
            for _ in 1..POOR_FINDS_MAX {
                look(&it, poor);
            }
            for expected in [1, 3, 7] {
                look(&it, poor);
                assert_eq!(sleeps(&it), expected);
            }
            look(&it, SOON);
            assert_eq!(sleeps(&it), 0);
        }
    }

    #[test]
    fn it_spins_while_spins_pay() {
        let spins = |it: &StayAwake| it.spin(Hope::Answers, LIMIT) > Duration::ZERO;
        assert!(busy().spin(Hope::Sources, LIMIT).is_zero());
        let it = answered();
        for _ in 0..3 {
            for _ in 1..VAIN_SPINS_MAX {
                look(&it, SOON);
                assert!(spins(&it));
            }
            look(&it, AT_ONCE);
        }
        (0..VAIN_SPINS_MAX).for_each(|_| look(&it, SOON));
        // From now on an answer at once is no sign that it would come while this one spins.
        for answer in [AT_ONCE, SOON, AT_ONCE] {
            assert!(!spins(&it));
            look(&it, answer);
        }
        for other in [LATE, EVENT, IN_VAIN] {
            look(&it, other);
            assert!(spins(&it));
            sleeps(&it);
            (0..VAIN_SPINS_MAX).for_each(|_| look(&it, SOON));
            assert!(!spins(&it));
        }
    }

    #[test]
    fn a_look_may_last_for_ever() {
        let it = StayAwake::default();
        (0..ANSWERED_SLEEPS).for_each(|_| it.slept(LIMIT, Found::Message, Duration::MAX));
        for look in [AT_ONCE, LATE, EVENT] {
            assert_eq!(it.hope(Instant::now), Some(Hope::Answers));
            it.looked(Hope::Answers, look, Duration::MAX, Instant::now);
        }
    }

    #[test]
    fn who_loses_the_core_in_a_look_for_answers_rests() {
        let begin = Instant::now();
        let time = 2 * LIMIT + NS;
        for found in [Found::Nothing, Found::Message, Found::Other] {
            let it = answered();
            it.looked(Hope::Answers, Look { found, time }, LIMIT, || begin);
            // Whatever the sleeps are.
            it.sleeps_due.set(0);
            assert_eq!(it.hope(|| begin + 64 * time - NS), None);
            assert_eq!(it.hope(|| begin + 64 * time), Some(Hope::Answers));
            // Several sources do not wait for that.
            it.looked(Hope::Answers, Look { found, time }, LIMIT, || begin);
            it.sleeps_due.set(0);
            (0..100).for_each(|_| it.had_events(3));
            assert_eq!(it.hope(|| begin), Some(Hope::Sources));
            // To give the core away is what those looks are for.
            it.rest_until.set(None);
            it.looked(Hope::Sources, Look { found, time }, LIMIT, || begin);
            assert_eq!(it.rest_until.get(), None);
        }
    }
}
