//! One deadline that a future waits for: what `Sleep`, `Interval` and `Deadline` are made of.
//!
//! Place: used by the timers' public types; calls `Timers` of the loop that runs on this thread,
//! and sends messages to others; runs on any thread.
//!
//! ```text
//!               poll on a loop                     fired: seen at the next poll
//!  unarmed ---------------------> by key (home) -----------------------> unarmed
//!     |  ^                          |     ^
//!     |  | disarm, deadline reached |     | poll on a loop (the old home is told)
//!     |  +--------------------------+     |
//!     |                reset elsewhere    |
//!     |         poll without a loop |     |
//!     +---------------------------> by message
//! ```
//!
//! # Invariants
//!
//! T2. A timer is ready only if the clock, read by the poll itself, has reached the deadline. One that
//!     is armed here is asked no more than whether it has fired: it is ready from the turn that fires it.
//! T3. `Pending` is answered only if an entry with the latest deadline and waker is in the wheel of
//!     `home`, or in a message that its inbox has accepted.
//! T4. An armed timer's entry is on `home`, and only this timer knows its key or id. What was armed
//!     by message is changed by message alone, so that no message overtakes another.
//!
//! # Why no memory is shared between threads
//!
//! An entry can be fired by its loop at the moment at which another thread polls, resets or drops
//! the timer. Elsewhere that needs a shared word that says "fired" or "cancelled". Here the two
//! never have to agree. A fired entry does nothing but wake; whether the time has come is read from
//! the clock (T2), so a lost race costs a wake-up for nothing and no more. A key or id whose
//! entry has gone matches nothing (W5), so a late message does nothing. No wake-up is lost either:
//! after `Pending` (T3) either the loop fires the entry, or it ends and wakes everything that it
//! still held (`Timers::clear_on_exit`), or the inbox refuses the message and the poll says so.
//! The order of messages about one timer is the order of the calls, because each needs `&mut` and
//! so happens before the next, and an inbox keeps that order.

use std::mem;
use std::task::{Poll, Waker};

use super::Instant;
use super::driver::{ForeignId, Message, TimerKey};
use super::error::ShutDown;
use super::home::Home;
use crate::context;
use crate::primitive::sync::Arc;
use crate::worker::Local;

/// A deadline and where it is armed. Unlike `Sleep` it may be moved while it is armed.
#[derive(Debug)]
pub(super) struct Timer {
    deadline: Instant,
    home: Arc<Home>,
    armed: Armed,
    /// Whether it was polled or reset: before that it has not elapsed, whatever the clock says.
    is_started: bool,
    /// Whether the deadline was changed since the last poll: it may have passed already.
    is_changed: bool,
}

#[derive(Debug, Clone, Copy)]
enum Armed {
    No,
    ByKey(TimerKey),
    ByMessage(ForeignId),
}

impl Timer {
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub(super) fn new(deadline: Instant) -> Self {
        match Home::current() {
            Ok(home) => Self {
                deadline,
                home,
                armed: Armed::No,
                is_started: false,
                is_changed: false,
            },
            Err(error) => panic!("a timer belongs to a runtime: {error}"),
        }
    }

    pub(super) fn deadline(&self) -> Instant {
        self.deadline
    }

    pub(super) fn is_elapsed(&self) -> bool {
        self.is_started && self.home.clock().now() >= self.deadline
    }

    /// Waits for the deadline. Does not look at the cooperative budget.
    ///
    /// # Panics
    ///
    /// If it would have to wait and its runtime has shut down.
    #[track_caller]
    pub(super) fn poll(&mut self, waker: &Waker) -> Poll<()> {
        match self.try_poll(waker) {
            Poll::Ready(Ok(())) => Poll::Ready(()),
            Poll::Ready(Err(error)) => panic!("{error}"),
            Poll::Pending => Poll::Pending,
        }
    }

    /// The same, with an error in the place of the panic.
    pub(super) fn try_poll(&mut self, waker: &Waker) -> Poll<Result<(), ShutDown>> {
        self.is_started = true;
        let polled = context::with_turning_loop(|local| match local {
            Some(local) => self.poll_on(local, waker),
            None => self.poll_without_loop(waker),
        });
        match polled {
            Ok(poll) => poll.map(Ok),
            Err(error) => Poll::Ready(Err(error)),
        }
    }

    /// Changes the deadline. If the timer is waiting, its waker is woken at the new one.
    pub(super) fn reset(&mut self, deadline: Instant) {
        self.deadline = deadline;
        self.is_started = true;
        self.is_changed = true;
        match self.armed {
            Armed::No => {}
            Armed::ByMessage(id) => {
                // Refused: the loop has ended, and has woken the waker.
                let _ = self.home.send(Message::Rearm { id, deadline });
            }
            Armed::ByKey(key) => context::with_local(|local| match local {
                Some(local) if self.home.is(local) => {
                    if !local.timers.rearm(key, deadline) {
                        self.armed = Armed::No;
                    }
                }
                _ => {
                    let id = ForeignId::next();
                    self.armed = Armed::ByMessage(id);
                    // Refused: as above.
                    let _ = self.home.send(Message::Adopt { key, id, deadline });
                }
            }),
        }
    }

    /// Changes the deadline and stops waiting: nobody is woken until the next poll.
    pub(super) fn reset_unarmed(&mut self, deadline: Instant) {
        self.disarm();
        self.deadline = deadline;
        self.is_started = false;
    }

    fn poll_on(&mut self, local: &Local, waker: &Waker) -> Result<Poll<()>, ShutDown> {
        let timers = &local.timers;
        let is_home = self.home.is(local);
        if let Armed::ByKey(key) = self.armed
            && is_home
            && !mem::take(&mut self.is_changed)
        {
            if timers.set_waker(key, waker) {
                return Ok(Poll::Pending);
            }
            self.armed = Armed::No;
        }
        let now = timers.clock().now();
        if now >= self.deadline {
            self.disarm();
            return Ok(Poll::Ready(()));
        }
        if local.is_main() && local.shared().is_shut_down() {
            return Err(ShutDown::new());
        }
        self.disarm();
        if !is_home {
            self.home = Arc::clone(timers.home(local));
        }
        self.armed = Armed::ByKey(timers.arm(now, self.deadline, waker.clone()));
        Ok(Poll::Pending)
    }

    fn poll_without_loop(&mut self, waker: &Waker) -> Result<Poll<()>, ShutDown> {
        if self.home.clock().now() >= self.deadline {
            self.disarm();
            return Ok(Poll::Ready(()));
        }
        if let Some(lasting) = self.home.lasting() {
            self.disarm();
            self.home = lasting;
        }
        let id = match self.armed {
            Armed::ByMessage(id) => id,
            Armed::ByKey(_) | Armed::No => {
                self.disarm();
                ForeignId::next()
            }
        };
        self.armed = Armed::ByMessage(id);
        let accepted = self.home.send(Message::Arm {
            id,
            deadline: self.deadline,
            waker: waker.clone(),
        });
        if accepted {
            Ok(Poll::Pending)
        } else {
            self.armed = Armed::No;
            Err(ShutDown::new())
        }
    }

    /// Takes the entry back, from here or by message.
    fn disarm(&mut self) {
        match mem::replace(&mut self.armed, Armed::No) {
            Armed::No => {}
            Armed::ByMessage(id) => {
                // Refused: the loop has ended, and its timers with it.
                let _ = self.home.send(Message::DisarmForeign(id));
            }
            Armed::ByKey(key) => context::with_local(|local| match local {
                Some(local) if self.home.is(local) => local.timers.disarm(key),
                _ => {
                    // Refused: as above.
                    let _ = self.home.send(Message::Disarm(key));
                }
            }),
        }
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        self.disarm();
    }
}
