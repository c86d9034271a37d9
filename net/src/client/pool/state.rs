//! What a loop keeps of a pool: idle connections, who waits, counts.
//!
//! Place: plain memory of the loop's thread, reached through `home::with_state`; no method calls
//! anything of the user's: wakers and connections are handed out as [`Effects`], to be dealt with
//! when the borrow is over.
//!
//! ```text
//!  take:       idle? -> it        room? -> a slot         neither -> wait
//!  give_back:  someone waits? -> theirs    else: idle, or the slot is free
//! ```
//!
//! # Invariants
//! - While someone waits, nothing is idle and no slot is free. Kept by `take` and `give_back`.
//! - Whoever is idle is closed in time: the reaper's timer fires before, or it is told.
//! - `idle` is in the order of `since`: taken from the back, so that the one that was used last is
//!   used next, and given up from the front.

use std::collections::VecDeque;
use std::task::Waker;

use oneloop_runtime::time::Instant;

use super::{Ages, Settings};
use crate::TcpStream;

/// What a [`Pool`](super::Pool) has on one loop, and did there so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Connections that nobody uses.
    pub idle: usize,
    /// Connections in use and being made.
    pub in_use: usize,
    /// Tasks that wait for a connection.
    pub waiting: usize,
    /// Connections made.
    pub connected: u64,
    /// How often a connection was used again.
    pub reused: u64,
    /// Connections closed for their age, or because too many were idle.
    pub reaped: u64,
    /// Idle connections that were found broken when they were to be used again.
    pub broken: u64,
}

/// A connection that nobody uses.
#[derive(Debug)]
pub(super) struct Idle {
    pub(super) stream: TcpStream,
    /// When it was connected.
    pub(super) made: Instant,
    pub(super) since: Instant,
}

/// The state of a pool on one loop.
#[derive(Debug, Default)]
pub(super) struct State {
    idle: VecDeque<Idle>,
    /// Slots taken: by connections, idle ones too, by connects, and by grants.
    slots: usize,
    waiting: VecDeque<(u64, Waker)>,
    /// Slots of those that were woken and have not come yet.
    granted: Vec<(u64, Option<Idle>)>,
    next_key: u64,
    limits: Limits,
    pub(super) counts: PoolStats,
    ages: Ages,
    /// When the reaper's timer fires.
    pub(super) reaper_fires: Option<Instant>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Limits {
    slots: usize,
    idle: usize,
    waiting: usize,
}

/// What is to be done once the state is no longer borrowed: these run code that may come back.
#[derive(Debug, Default)]
#[must_use = "somebody waits for it"]
pub(super) struct Effects {
    pub(super) wake: Vec<Waker>,
    pub(super) close: Vec<Idle>,
    /// The waker of one who went away.
    pub(super) forget: Option<Waker>,
    /// The reaper has to look at what is idle now.
    pub(super) arm_reaper: bool,
}

/// The answer to who asks for a connection.
#[derive(Debug)]
pub(super) enum Taken {
    /// A slot, and the connection that it holds if there is one.
    Slot(Option<Idle>),
    Wait,
}

impl State {
    pub(super) fn new(settings: &Settings) -> Self {
        Self {
            limits: Limits {
                slots: settings.max_connections,
                idle: settings.max_idle,
                waiting: settings.max_waiting,
            },
            ages: settings.ages,
            ..Self::default()
        }
    }

    pub(super) fn stats(&self) -> PoolStats {
        PoolStats {
            idle: self.idle.len(),
            in_use: self.slots - self.idle.len(),
            waiting: self.waiting.len(),
            ..self.counts
        }
    }

    /// A slot for who asks now.
    pub(super) fn take(&mut self) -> Taken {
        if let Some(idle) = self.idle.pop_back() {
            return Taken::Slot(Some(idle));
        }
        if self.slots < self.limits.slots {
            self.slots += 1;
            return Taken::Slot(None);
        }
        Taken::Wait
    }

    /// Another idle connection for a slot whose own was broken.
    pub(super) fn replace(&mut self) -> Option<Idle> {
        let idle = self.idle.pop_back()?;
        self.slots -= 1;
        Some(idle)
    }

    /// Queues up.
    ///
    /// # Errors
    ///
    /// Too many wait already: the waker comes back.
    pub(super) fn wait(&mut self, waker: Waker) -> Result<u64, Waker> {
        if self.waiting.len() >= self.limits.waiting {
            return Err(waker);
        }
        let key = self.next_key;
        self.next_key += 1;
        self.waiting.push_back((key, waker));
        Ok(key)
    }

    /// The slot of a waiter, if it has come to it.
    pub(super) fn granted(&mut self, key: u64) -> Option<Option<Idle>> {
        let at = self.position_of_granted(key)?;
        Some(self.granted.swap_remove(at).1)
    }

    /// Has `waker` woken from now on when the waiter's turn comes. The former one comes back.
    pub(super) fn set_waker(&mut self, key: u64, waker: Waker) -> Waker {
        match self.waiting.iter_mut().find(|(waiting, _)| *waiting == key) {
            Some((_, former)) => std::mem::replace(former, waker),
            None => waker,
        }
    }

    fn position_of_granted(&self, key: u64) -> Option<usize> {
        self.granted.iter().position(|&(granted, _)| granted == key)
    }

    /// A waiter has gone away. A slot that it had got goes to the next.
    pub(super) fn leave(&mut self, key: u64, now: Instant) -> Effects {
        if let Some(at) = self.position_of_granted(key) {
            let idle = self.granted.swap_remove(at).1;
            return self.give_back(idle, now);
        }
        let at = self.waiting.iter().position(|(waiting, _)| *waiting == key);
        let left = at.and_then(|at| self.waiting.remove(at));
        Effects {
            forget: left.map(|(_, waker)| waker),
            ..Effects::default()
        }
    }

    /// A slot comes back, with a connection that can be used again or without one.
    pub(super) fn give_back(&mut self, idle: Option<Idle>, now: Instant) -> Effects {
        let mut effects = Effects::default();
        let mut idle = idle.map(|idle| Idle { since: now, ..idle });
        let end = idle.as_ref().and_then(|idle| self.ages.end_of_life(idle));
        if end.is_some_and(|end| end <= now) {
            self.counts.reaped += 1;
            effects.close.extend(idle.take());
        }
        if let Some((key, waker)) = self.waiting.pop_front() {
            self.granted.push((key, idle));
            effects.wake.push(waker);
            return effects;
        }
        let Some(idle) = idle else {
            self.slots -= 1;
            return effects;
        };
        let end = self.ages.end_of(&idle);
        self.idle.push_back(idle);
        if self.idle.len() > self.limits.idle {
            effects.close.extend(self.idle.pop_front());
            self.slots -= 1;
            self.counts.reaped += 1;
        }
        let fires = self.reaper_fires;
        let is_next = |end| fires.is_none_or(|fires| end < fires);
        effects.arm_reaper = !self.idle.is_empty() && end.is_some_and(is_next);
        effects
    }

    /// Takes out what is too old, and has the reaper look again when the next will be.
    pub(super) fn expire(&mut self, now: Instant) -> VecDeque<Idle> {
        let ages = self.ages;
        let is_over = |idle: &Idle| ages.end_of(idle).is_some_and(|end| end <= now);
        let all = std::mem::take(&mut self.idle).into_iter();
        let (expired, left): (VecDeque<_>, _) = all.partition(is_over);
        self.idle = left;
        self.slots -= expired.len();
        self.counts.reaped += expired.len() as u64;
        let ends = self.idle.iter().filter_map(|idle| ages.end_of(idle));
        self.reaper_fires = ends.min();
        expired
    }

    /// Everything that is left when the loop's part of the pool ends.
    pub(super) fn end(&mut self) -> Effects {
        let granted = self.granted.drain(..).filter_map(|(_, idle)| idle);
        Effects {
            close: self.idle.drain(..).chain(granted).collect(),
            wake: self.waiting.drain(..).map(|(_, waker)| waker).collect(),
            ..Effects::default()
        }
    }
}
