//! The timers of one loop: the wheel, its clock, and what other threads ask of it.
//!
//! Place: owned by `worker::Local`; called by the loop once a turn and before it sleeps, and by
//! the timers that are polled and dropped on this thread; calls `wheel`; runs on the owning
//! thread. Other threads send a [`Message`].
//!
//! # Invariants
//! I2. Plain memory.
//! I5. No waker is cloned, woken or dropped while `state` is borrowed: each method takes what it
//! needs out of the borrow first, so that a waker may poll, arm and drop timers of this loop.
//! I6. One call of [`Timers::fire_due`] wakes at most [`FIRED_PER_TURN_MAX`]. The number of timers
//! has no limit: each is a future that somebody holds.
//! T1. Ticks count from the start of the runtime's clock. Deadlines are rounded up to a tick and
//! the present is rounded down, so nothing fires early.
//!
//! # Why it is so
//! A tick is 1 us: the kernel's timers are not better than that, and a paused clock that stands on
//! whole microseconds then meets deadlines of whole milliseconds exactly, where ticks of 2^10 ns
//! would overshoot; the division costs a nanosecond or two.

use std::cell::{Cell, OnceCell, Ref, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::mem;
use std::task::Waker;
use std::time::Duration;

use super::clock::{ticks_rounded_up, whole_ticks};
use super::home::Home;
use super::stats::Stats;
use super::wheel::{self, Wheel};
use super::{Clock, Instant};
use crate::contain::{drop_contained, wake_contained};
use crate::primitive::counter::{Counter, Ordering};
use crate::primitive::sync::Arc;
use crate::worker::Local;

/// Names a timer that was armed on the loop's own thread. Stale once that has fired or is disarmed.
pub(crate) type TimerKey = wheel::Key;

/// Names a timer that was armed by a message. Never used again in the life of the process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct ForeignId(u64);

impl ForeignId {
    pub(super) fn next() -> Self {
        static NEXT: Counter = Counter::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

/// What other threads tell a loop about its timers.
///
/// The messages about one timer come in the order in which they were sent. What was armed by a
/// message is changed by messages alone, also from the loop's own thread: another one may be
/// waiting in the inbox.
#[derive(Debug)]
pub(crate) enum Message {
    /// A thread without a loop waits. Takes the place of what was armed under this id before.
    Arm {
        id: ForeignId,
        deadline: Instant,
        waker: Waker,
    },
    /// The timer armed under `key` was given another deadline elsewhere. If it has not fired, it
    /// goes on under `id`, with its waker.
    Adopt {
        key: TimerKey,
        id: ForeignId,
        deadline: Instant,
    },
    /// The timer armed under this id was given another deadline.
    Rearm { id: ForeignId, deadline: Instant },
    /// The timer has gone, or waits elsewhere.
    Disarm(TimerKey),
    /// The same, for one armed by a message.
    DisarmForeign(ForeignId),
    /// The clock may be advanced again: nothing but a reason to wake up.
    #[cfg(feature = "test-util")]
    LookAgain,
}

/// The timers of one loop.
pub(crate) struct Timers {
    clock: Arc<Clock>,
    /// The clock's start, to count ticks from.
    start: Instant,
    state: RefCell<State>,
    /// Wakers taken out of the wheel and not woken yet. Empty between calls; kept for its memory.
    batch: Cell<Vec<Waker>>,
    home: OnceCell<Arc<Home>>,
    /// One has fired between two turns.
    has_fired_apart: Cell<bool>,
}

#[derive(Debug)]
struct State {
    wheel: Wheel<Waker>,
    /// Timers armed by messages. An entry stays until its `DisarmForeign`, fired or not.
    foreign: BTreeMap<ForeignId, TimerKey>,
    stats: Stats,
}

impl Timers {
    /// Makes the timers of one loop, on the clock of its runtime.
    pub(crate) fn new(clock: Arc<Clock>) -> Self {
        let start = clock.start();
        Self {
            clock,
            start,
            state: RefCell::new(State {
                wheel: Wheel::new(),
                foreign: BTreeMap::new(),
                stats: Stats::default(),
            }),
            batch: Cell::new(Vec::new()),
            home: OnceCell::new(),
            has_fired_apart: Cell::new(false),
        }
    }

    // ---- for the loop ----

    /// The number of armed timers.
    pub(crate) fn len(&self) -> usize {
        self.state.borrow().wheel.len()
    }

    /// When [`fire_due`](Self::fire_due) should next be called; `None` if no timer is armed.
    ///
    /// Not later than the earliest deadline, rounded up to a tick. Earlier than that only if more
    /// than a few timers wait far off (see [`Wheel::next_expiry`]).
    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        match self.state.borrow_mut().wheel.next_expiry() {
            // The last tick stands for all deadlines beyond it: 584,000 years ahead is never.
            None | Some(u64::MAX) => None,
            Some(tick) => self.start.checked_add(Duration::from_micros(tick)),
        }
    }

    /// How long the loop may sleep for its timers' sake: `None` is for ever. Zero if a timer is
    /// due, and also if the clock may be advanced instead: then the loop looks at its descriptors,
    /// and calls [`auto_advance`](Self::auto_advance).
    pub(crate) fn sleep_limit(&self) -> Option<Duration> {
        let deadline = self.next_deadline()?;
        if self.clock.may_auto_advance() {
            return Some(Duration::ZERO);
        }
        Some(deadline.saturating_duration_since(self.clock.now()))
    }

    /// Whether the clock stands still and may be moved to the next timer, if there is one.
    pub(crate) fn may_auto_advance(&self) -> bool {
        self.len() > 0 && self.clock.may_auto_advance()
    }

    /// Moves a paused clock to the next timer, unless the loop has work. To be called after a look
    /// at the descriptors. Tells whether it did.
    pub(crate) fn auto_advance(&self, has_work: impl FnOnce() -> bool) -> bool {
        // In this order: the end of a blocking function, which lets the clock go on, comes after
        // the wake-up that it sends.
        self.clock.may_auto_advance()
            && !has_work()
            && self
                .next_deadline()
                .is_some_and(|deadline| self.clock.auto_advance_to(deadline))
    }

    /// Wakes what is due, in the order of deadlines, up to the limit of one turn. Tells how many.
    /// A waker that panics does not keep the others from being woken.
    pub(crate) fn fire_due(&self) -> usize {
        if self.len() == 0 {
            return 0;
        }
        self.fire_due_at(self.clock.now())
    }

    /// Whether any has fired outside [`fire_due`](Self::fire_due) since the last call.
    pub(crate) fn take_fired_apart(&self) -> bool {
        self.has_fired_apart.take()
    }

    /// Whether timers are due that are left for the next turn.
    #[cfg(feature = "test-util")]
    pub(super) fn has_due(&self) -> bool {
        let now = self.clock.now();
        self.next_deadline().is_some_and(|deadline| deadline <= now)
    }

    /// Does what another thread asks.
    pub(crate) fn on_message(&self, message: Message) {
        let left_over = match message {
            Message::Arm {
                id,
                deadline,
                waker,
            } => self.arm_foreign(id, deadline, waker),
            Message::Adopt { key, id, deadline } => {
                let waker = self.state.borrow_mut().wheel.cancel(key);
                waker.and_then(|waker| self.arm_foreign(id, deadline, waker))
            }
            Message::Rearm { id, deadline } => {
                let when = self.tick_due(deadline);
                let mut state = self.state.borrow_mut();
                if let Some(&key) = state.foreign.get(&id) {
                    state.wheel.rearm(key, when);
                }
                None
            }
            Message::Disarm(key) => self.state.borrow_mut().wheel.cancel(key),
            Message::DisarmForeign(id) => self.state.borrow_mut().disarm_foreign(id),
            #[cfg(feature = "test-util")]
            Message::LookAgain => None,
        };
        drop_contained(left_over);
    }

    /// Takes out all timers and wakes them, due or not: nobody will fire them here. To be called
    /// when the loop ends, after its inbox is closed and drained, and when a main loop is put
    /// aside. A future that is still alive then finds itself another loop, or reports the end.
    pub(crate) fn clear_on_exit(&self) {
        // A waker that arms a timer meets the same fate in the next call, at the latest in `drop`.
        for _ in 0..self.len() {
            let waker = self.state.borrow_mut().wheel.take_any();
            if let Some(waker) = waker {
                wake_contained(waker);
            }
        }
    }

    /// What happened so far. To be read before anything else is done with the timers.
    pub(crate) fn stats(&self) -> Ref<'_, Stats> {
        Ref::map(self.state.borrow(), |state| &state.stats)
    }

    // ---- for timers polled and dropped on this thread ----

    /// The clock of the runtime.
    pub(super) fn clock(&self) -> &Clock {
        &self.clock
    }

    /// This loop, as timers remember it. `local` is the one that owns these timers.
    pub(super) fn home(&self, local: &Local) -> &Arc<Home> {
        self.home
            .get_or_init(|| Arc::new(Home::new(local.shared(), local.remote())))
    }

    /// Arms a timer: the waker is woken at the first turn after `deadline`. `now` is the present.
    pub(crate) fn arm(&self, now: Instant, deadline: Instant, waker: Waker) -> TimerKey {
        let when = self.tick_due(deadline);
        let now = self.tick_reached(now);
        let wheel = &mut self.state.borrow_mut().wheel;
        wheel.skip_to(now);
        wheel.arm(when, waker)
    }

    /// Gives an armed timer another deadline. False if it has fired; one that comes to lie before
    /// the last turn fires here, and not only at the next turn.
    pub(crate) fn rearm(&self, key: TimerKey, deadline: Instant) -> bool {
        let when = self.tick_due(deadline);
        let mut state = self.state.borrow_mut();
        if when > state.wheel.elapsed() {
            return state.wheel.rearm(key, when);
        }
        let due = state.fire(key);
        drop(state);
        if let Some(waker) = due {
            self.has_fired_apart.set(true);
            wake_contained(waker);
        }
        false
    }

    /// Sees to it that an armed timer wakes `waker`. False if it has fired.
    pub(crate) fn set_waker(&self, key: TimerKey, waker: &Waker) -> bool {
        match self.state.borrow_mut().wheel.value_mut(key) {
            None => return false,
            Some(armed) if armed.will_wake(waker) => return true,
            Some(_) => {}
        }
        let new = waker.clone();
        let replaced = match self.state.borrow_mut().wheel.value_mut(key) {
            Some(armed) => Ok(mem::replace(armed, new)),
            // The clone has disarmed it.
            None => Err(new),
        };
        let is_armed = replaced.is_ok();
        drop_contained(replaced);
        is_armed
    }

    /// Takes a timer out. Nothing happens if it has fired.
    pub(crate) fn disarm(&self, key: TimerKey) {
        let waker = self.state.borrow_mut().wheel.cancel(key);
        drop_contained(waker);
    }

    // ---- inside ----

    fn fire_due_at(&self, now: Instant) -> usize {
        let now = self.tick_reached(now);
        // A waker may arm timers that are due at once: they are for the next turn.
        let limit = self.len().min(FIRED_PER_TURN_MAX);
        let mut fired = 0;
        let mut batch = self.batch.take();
        while fired < limit {
            let wanted = (limit - fired).min(BATCH);
            let taken = self.state.borrow_mut().take_due(now, wanted, &mut batch);
            batch.drain(..).for_each(wake_contained);
            fired += taken;
            if taken < wanted {
                break;
            }
        }
        self.batch.set(batch);
        fired
    }

    /// Arms or replaces; gives back the waker that is not needed any more.
    fn arm_foreign(&self, id: ForeignId, deadline: Instant, waker: Waker) -> Option<Waker> {
        let when = self.tick_due(deadline);
        let mut state = self.state.borrow_mut();
        let before = state.disarm_foreign(id);
        let key = state.wheel.arm(when, waker);
        state.foreign.insert(id, key);
        before
    }

    /// The tick by which the deadline has passed.
    fn tick_due(&self, deadline: Instant) -> u64 {
        ticks_rounded_up(deadline.saturating_duration_since(self.start))
    }

    /// The tick that has been reached.
    fn tick_reached(&self, now: Instant) -> u64 {
        whole_ticks(now.saturating_duration_since(self.start))
    }
}

impl State {
    fn take_due(&mut self, now: u64, limit: usize, batch: &mut Vec<Waker>) -> usize {
        for taken in 0..limit {
            let Some((when, waker)) = self.wheel.expire_next(now) else {
                return taken;
            };
            self.stats.record(now.saturating_sub(when));
            batch.push(waker);
        }
        limit
    }

    /// Takes out a timer whose deadline was moved into the past.
    fn fire(&mut self, key: TimerKey) -> Option<Waker> {
        let waker = self.wheel.cancel(key)?;
        self.stats.record(0);
        Some(waker)
    }

    fn disarm_foreign(&mut self, id: ForeignId) -> Option<Waker> {
        let key = self.foreign.remove(&id)?;
        self.wheel.cancel(key)
    }
}

impl Drop for Timers {
    fn drop(&mut self) {
        self.clear_on_exit();
    }
}

impl fmt::Debug for Timers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Timers")
            .field("len", &self.len())
            .field("next_deadline", &self.next_deadline())
            .finish_non_exhaustive()
    }
}

/// Timers that one turn fires before descriptors and tasks are served.
const FIRED_PER_TURN_MAX: usize = 1024;
/// Wakers taken out of the wheel under one borrow.
const BATCH: usize = 64;

#[cfg(test)]
mod tests;
