//! The second half of a turn: the system call, which is also the sleep.
//!
//! Place: called by the turn on the loop's own thread.
//!
//! # Invariants
//! I3. The sleep is announced before the last look at the inbox, and after the announcement nothing runs
//! here that could make work. What the loop tells of itself is true while it sleeps.

use std::time::{Duration, Instant};

use super::Local;
use super::stay_awake::{Found, Look};
use crate::primitive;

impl Local {
    /// The second half: the system call, which is also the sleep.
    pub(super) fn rest(&self) {
        self.wake_at_turn_end();
        // Before the wait: what it brings is not kept waiting for this.
        self.publish();
        self.woke_at.set(None);
        if self.has_work() {
            self.look();
        } else {
            self.sleep();
        }
        self.fire_timers();
        self.wake_deferred();
    }

    /// Looks at the descriptors without waiting. Tells how many events there were.
    fn look(&self) -> usize {
        if self.reactor.is_empty() {
            return 0;
        }
        self.wait(Some(Duration::ZERO))
    }

    /// The turn's system call. Tells how many events there were.
    fn wait(&self, timeout: Option<Duration>) -> usize {
        let events = self.reactor.wait(self, timeout);
        self.stay_awake.had_events(events);
        events
    }

    /// Waits for events, the next timer or the doorbell; if there is work after all, looks at the
    /// descriptors without waiting.
    fn sleep(&self) {
        if self.stay_awake() {
            return;
        }
        let hooks = &self.shared.config.hooks;
        hooks.park();
        // The hook may have woken a task of this loop. I3: after the announcement nothing runs
        // here that could make work.
        let may_sleep = !self.has_work() && self.remote.inbox.prepare_sleep();
        if may_sleep {
            self.counts.parks.add(1);
            self.count_busy(Instant::now());
            let published = &self.remote.published;
            published.set_turn_began(None);
            // With what the hook and the look before have changed: it may be a long sleep.
            self.publish();
            let events = self.wait(self.timers.sleep_limit());
            self.remote.inbox.awake();
            self.counts.unparks.add(1);
            published.publish_unpark(&self.counts);
            let now = Instant::now();
            self.count_sleep(events, now);
            self.woke_at.set(Some(now));
            self.publish_turn(now);
            let has_work = || self.has_work() || !self.remote.inbox.is_empty();
            self.timers.auto_advance(has_work);
        } else {
            self.look();
        }
        hooks.unpark();
    }

    /// A sleep has just ended, with so many events.
    fn count_sleep(&self, events: usize, now: Instant) {
        let asleep = now.saturating_duration_since(self.awake_since.replace(now));
        if let Some(limit) = self.shared.config.stay_awake {
            let ended_by = self.what_has_come(events);
            self.stay_awake.slept(asleep, ended_by, limit);
        }
    }

    /// Looks for work before a sleep, where that was asked for or is likely to pay. True if some has
    /// come: then the descriptors have been looked at.
    fn stay_awake(&self) -> bool {
        let config = &self.shared.config;
        // The sleep moves a paused clock, and takes no time then.
        if self.timers.may_auto_advance() {
            return false;
        }
        if let Some(limit) = config.busy_poll {
            return self.look_for_work(limit, Duration::MAX).found != Found::Nothing;
        }
        let Some(limit) = config.stay_awake else {
            return false;
        };
        let Some(hope) = self.stay_awake.hope(Instant::now) else {
            return false;
        };
        let look = self.look_for_work(limit, self.stay_awake.spin(hope, limit));
        self.stay_awake.looked(hope, look, limit, Instant::now);
        look.found != Found::Nothing
    }

    /// After `spin` it lets others on its core run between two looks.
    fn look_for_work(&self, limit: Duration, spin: Duration) -> Look {
        // It does not stand still: others may send it work.
        self.remote.published.set_turn_began(None);
        // Most often the first look finds some: then the clock need not be read.
        let mut started = None;
        let mut time = Duration::ZERO;
        let found = loop {
            let events = self.look();
            let mut found = self.what_has_come(events);
            if found == Found::Nothing && self.fire_timers() {
                found = Found::Other;
            }
            if found != Found::Nothing || time >= limit {
                break found;
            }
            let started = *started.get_or_insert_with(Instant::now);
            if time < spin {
                std::hint::spin_loop();
            } else {
                primitive::thread::yield_now();
            }
            time = started.elapsed();
        };
        // It was not busy meanwhile.
        self.awake_since.set(self.awake_since.get() + time);
        if found != Found::Nothing {
            let now = Instant::now();
            self.woke_at.set(Some(now));
            self.publish_turn(now);
        }
        Look { found, time }
    }

    /// Beside so many events.
    fn what_has_come(&self, events: usize) -> Found {
        if events > 0 || self.has_work() {
            Found::Other
        } else if self.remote.inbox.is_empty() {
            Found::Nothing
        } else {
            Found::Message
        }
    }
}
