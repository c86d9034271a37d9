//! The clock that a test may hold still.
//!
//! Place: see `clock`; exists under the feature `test-util` alone.
//!
//! ```text
//!            pause (keeps the time)              a loop would sleep: to its next timer
//!  running ------------------------>  paused  <---------+
//!     ^                                 |  |            |  not while a blocking function runs
//!     +---------------------------------+  +------------+
//!            resume (goes on)
//! ```
//!
//! # Why it is so
//! Only a current-thread runtime can be paused: on several loops clocks would jump while others work.
//! (A `block_on` that runs beside another has a loop of its own, and moves the clock as well.)
//! The lock is a plain mutex; a runtime whose clock was never paused does not take it.

use std::fmt;
use std::time::Duration;

use super::{Instant, TICK, ticks_rounded_up};
use crate::context;
use crate::primitive::counter::{Counter, Ordering};
use crate::primitive::sync::{Arc, Mutex};
use crate::runtime::Shared;
use crate::worker::Message;

/// The present on the clock of the runtime that is entered here.
pub(crate) fn now() -> Instant {
    // Relaxed: who pauses a clock and then tells another thread orders the two by telling.
    if EVER_PAUSED.load(Ordering::Relaxed) == 0 {
        return system_now();
    }
    context::with_handle(|handle| handle.clock().now()).unwrap_or_else(|_| system_now())
}

fn system_now() -> Instant {
    Instant::from_std(std::time::Instant::now())
}

/// How many times a clock was paused in this process. While it is zero, nobody looks further.
static EVER_PAUSED: Counter = Counter::new(0);

/// The clock of a runtime.
pub(crate) struct Clock {
    start: Instant,
    can_pause: bool,
    /// How many times it was paused.
    pauses: Counter,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy)]
struct State {
    /// What the clock shows if it is paused; what it showed at `running_since` if not.
    shown: Instant,
    /// When the system's clock took over. `None` while paused.
    running_since: Option<Instant>,
    /// Blocking functions that run or wait to run.
    inhibitors: usize,
}

impl State {
    fn now(&self) -> Instant {
        match self.running_since {
            Some(since) => self.shown.after(system_now() - since),
            None => self.shown,
        }
    }
}

impl Clock {
    /// Makes a clock for a runtime that has one loop (`can_pause`) or more.
    ///
    /// # Panics
    ///
    /// If it is to be paused and cannot.
    #[track_caller]
    pub(crate) fn new(can_pause: bool, is_paused: bool) -> Self {
        let start = system_now();
        let clock = Self {
            start,
            can_pause,
            pauses: Counter::new(0),
            state: Mutex::new(State {
                shown: start,
                running_since: Some(start),
                inhibitors: 0,
            }),
        };
        if is_paused {
            clock.pause();
        }
        clock
    }

    /// Where the clock stood when the runtime was made.
    pub(crate) fn start(&self) -> Instant {
        self.start
    }

    pub(crate) fn now(&self) -> Instant {
        if self.pauses.load(Ordering::Relaxed) == 0 {
            return system_now();
        }
        self.state.lock().now()
    }

    /// Whether a loop may move the clock instead of sleeping.
    pub(crate) fn may_auto_advance(&self) -> bool {
        if self.pauses.load(Ordering::Relaxed) == 0 {
            return false;
        }
        let state = self.state.lock();
        state.running_since.is_none() && state.inhibitors == 0
    }

    /// Moves the clock on to `deadline` if it is paused and nothing forbids it. Tells whether it
    /// did.
    pub(crate) fn auto_advance_to(&self, deadline: Instant) -> bool {
        if !self.may_auto_advance() {
            return false;
        }
        let mut state = self.state.lock();
        let may = state.running_since.is_none() && state.inhibitors == 0;
        if may && deadline > state.shown {
            state.shown = deadline;
        }
        may
    }

    #[track_caller]
    fn pause(&self) {
        assert!(
            self.can_pause,
            "`time::pause` needs a runtime of one loop: build it with \
             `Builder::new_current_thread`"
        );
        let mut state = self.state.lock();
        let was_running = state.running_since.is_some();
        if was_running {
            EVER_PAUSED.fetch_add(1, Ordering::Relaxed);
            self.pauses.fetch_add(1, Ordering::Relaxed);
            let elapsed = ticks_rounded_up(state.now() - self.start);
            state.shown = self.start.after(Duration::from_micros(elapsed));
            state.running_since = None;
        }
        drop(state);
        assert!(
            was_running,
            "time is already frozen: `time::pause` was called before"
        );
    }

    #[track_caller]
    fn resume(&self) {
        let mut state = self.state.lock();
        let was_paused = state.running_since.is_none();
        if was_paused {
            state.running_since = Some(system_now());
        }
        drop(state);
        assert!(was_paused, "{NOT_PAUSED}");
    }

    #[track_caller]
    fn advance(&self, duration: Duration) {
        let moved = {
            let mut state = self.state.lock();
            let later = state.shown.checked_add(duration);
            match (state.running_since, later) {
                (None, Some(later)) => {
                    state.shown = later;
                    Ok(())
                }
                (Some(_), _) => Err(NOT_PAUSED),
                (None, None) => Err("the clock cannot be advanced beyond what std can represent"),
            }
        };
        if let Err(text) = moved {
            panic!("{text}");
        }
    }
}

const NOT_PAUSED: &str = "time is not frozen: call `time::pause` first";

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clock")
            .field("start", &self.start)
            .field("can_pause", &self.can_pause)
            .field("state", &*self.state.lock())
            .finish()
    }
}

/// Keeps a paused clock where it is until dropped; then the loop is told to look again. Held for a
/// blocking function from `spawn_blocking` to its end.
#[derive(Debug)]
pub(crate) struct Inhibited {
    shared: Arc<Shared>,
}

impl Inhibited {
    pub(crate) fn new(shared: &Arc<Shared>) -> Self {
        shared.clock.state.lock().inhibitors += 1;
        Self {
            shared: Arc::clone(shared),
        }
    }
}

impl Drop for Inhibited {
    fn drop(&mut self) {
        let clock = &self.shared.clock;
        clock.state.lock().inhibitors -= 1;
        if clock.may_auto_advance() {
            // Refused: the loop has ended, and nobody waits for its clock.
            let _ = self
                .shared
                .any_loop()
                .send(Message::Timer(crate::time::Message::LookAgain));
        }
    }
}

/// The clock of the runtime that is entered here. Its own, so that a panic of the caller does not
/// come while the context is borrowed.
#[track_caller]
fn current() -> Arc<Clock> {
    match context::try_handle() {
        Ok(handle) => Arc::clone(handle.clock()),
        Err(error) => panic!("the clock is the runtime's: {error}"),
    }
}

/// Stops the clock of the current runtime: [`Instant::now`] stands still, timers do not fire.
///
/// The time is rounded up to the next whole microsecond since the runtime was made. std's
/// `Instant` and the system's clocks go on.
///
/// While the clock is paused and the loop has nothing else to do, the clock jumps to the next
/// timer instead of waiting for it. It does not while a function given to `spawn_blocking` runs. If
/// several threads are in `block_on` at once, each has a loop, and the one that has nothing to do moves
/// the clock for all.
///
/// # Panics
///
/// Outside a runtime, if the runtime is not a current-thread one, and if the clock is paused
/// already.
///
/// # Threads
///
/// Any on which the runtime is entered.
#[track_caller]
pub fn pause() {
    current().pause();
}

/// Lets the clock of the current runtime run on from where it stands.
///
/// # Panics
///
/// Outside a runtime, and if the clock is not paused.
#[track_caller]
pub fn resume() {
    current().resume();
}

/// Moves the paused clock of the current runtime on, in one jump, and lets other tasks run.
///
/// Timers that are due then fire together before this returns, but their tasks need not have run.
/// To see timers fire one after the other, use [`sleep`](super::super::sleep()) instead: the clock
/// then goes from timer to timer.
///
/// # Panics
///
/// When polled outside a runtime, if the clock is not paused, and if std cannot represent the time.
///
/// # Cancel safety
///
/// The clock has moved once the future has been polled.
pub async fn advance(duration: Duration) {
    current().advance(duration);
    loop {
        crate::task::yield_now().await;
        // One turn fires only so many.
        if !context::with_local(|local| local.is_some_and(|local| local.timers.has_due())) {
            return;
        }
    }
}

const _: () = assert!(TICK.as_nanos() == 1000, "`pause` rounds to microseconds");
