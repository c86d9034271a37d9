//! The one way into a loop for other threads: a queue and a doorbell.
//!
//! Place: pushed by `Remote::send` on any thread; drained by the loop on its own thread.
//! Protocol file.
//!
//! # Invariants
//! I3. A wake is never lost: between "the loop decided to sleep" and "it sleeps", every push is
//! either seen by the loop or given the duty to ring. Kept here and by `Doorbell`.
//! `close` is the single decision point of shutdown: a push either got in before it, and is
//! drained by the loop, or is refused and given back.
//!
//! # Why it is so
//! The queue is unbounded because its producers are wakes, which must not fail, and spawns, which
//! tokio's users expect not to wait: it holds at most one entry per live task and root future, plus
//! the spawns.
//! `ConcurrentQueue::pop` makes a full fence and spins behind a half-finished push, so the loop
//! drains a snapshot's worth and never sends its own wakes this way.

#![allow(unreachable_pub, reason = "the models import protocol types")]

use super::doorbell::Doorbell;
use concurrent_queue::{ConcurrentQueue, PushError};

/// Messages for one loop, from any thread. Within one sender they keep their order.
#[derive(Debug)]
pub struct Inbox<T> {
    queue: ConcurrentQueue<T>,
    doorbell: Doorbell,
}

/// What the sender of an accepted message has to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[must_use = "who gets Ring must ring, or the loop sleeps on"]
pub enum Duty {
    /// The loop sleeps: ring its doorbell.
    Ring,
    /// The loop is awake, or somebody else rings.
    Nothing,
}

impl<T> Inbox<T> {
    /// An open, empty inbox of a loop that is awake.
    #[allow(clippy::new_without_default, reason = "as Doorbell")]
    pub fn new() -> Self {
        Self {
            queue: ConcurrentQueue::unbounded(),
            doorbell: Doorbell::new(),
        }
    }

    /// Puts a message in. Any thread.
    ///
    /// # Errors
    ///
    /// Gives the message back if the inbox is closed.
    pub fn push(&self, message: T) -> Result<Duty, T> {
        match self.queue.push(message) {
            Ok(()) => Ok(self.duty()),
            Err(PushError::Closed(message) | PushError::Full(message)) => Err(message),
        }
    }

    /// Announces sleep. True if the loop may sleep; false if there is work, and the announcement
    /// has been taken back. Loop's thread.
    pub fn prepare_sleep(&self) -> bool {
        self.doorbell.announce();
        if self.queue.is_empty() && !self.queue.is_closed() {
            return true;
        }
        self.doorbell.awake();
        false
    }

    /// To be called after every return from an announced sleep. Loop's thread. True if the sleep
    /// ended without a ring.
    pub fn awake(&self) -> bool {
        self.doorbell.awake()
    }

    /// The messages that are there now, oldest first; later ones wait for the next call, so that
    /// a flood cannot hold the loop. Loop's thread.
    pub fn drain(&self) -> impl Iterator<Item = T> + '_ {
        let snapshot = self.queue.len();
        (0..snapshot).map_while(|_| self.queue.pop().ok())
    }

    /// Refuses all later pushes. Any thread; the loop may have to be rung to notice.
    pub fn close(&self) -> Duty {
        self.queue.close();
        self.duty()
    }

    /// Messages that wait now.
    pub fn len(&self) -> usize {
        self.queue.len()
    }

    /// Whether no message waits now.
    pub fn is_empty(&self) -> bool {
        self.queue.is_empty()
    }

    fn duty(&self) -> Duty {
        if self.doorbell.take_duty() {
            Duty::Ring
        } else {
            Duty::Nothing
        }
    }
}
