//! How busy a loop is, for whoever distributes work of its own over the loops.
//!
//! Place: asked by the net crate's listeners and by applications, on any thread.
//!
//! # Why it is so
//! What `metrics` gives is for people: it allocates, and it is as old as the last turn. Who chooses
//! a loop for a connection asks once for each connection, and has to know one thing that the last
//! turn cannot tell: that there was no other since. So the beginning of the turn is published, and
//! the reader compares it with the clock. Each word is the owner's, relaxed: two of them may be of
//! different turns, so a figure can be off by a turn, and the next look is right again.

use std::time::Duration;

use super::Handle;
use crate::worker::LoopId;

/// How busy one loop is. Made by [`Handle::loop_load`].
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LoopLoad {
    /// Which loop.
    pub id: LoopId,
    /// Tasks that live there, and messages on their way to it.
    pub tasks: usize,
    /// Time in which it neither slept nor looked for work before a sleep, since it began: the difference of
    /// two looks, divided by the time between them, is the share of a processor that its work takes.
    pub busy: Duration,
    /// How long its present turn lasts already; zero while it sleeps. A turn of a healthy loop is
    /// over in less than a millisecond, unless the machine itself is overloaded.
    pub turn: Duration,
}

impl Handle {
    /// How busy the loop of this number is, in the order of [`loop_ids`](Self::loop_ids). None if
    /// there is no such loop. Costs a look at the clock and a few loads, and allocates nothing.
    #[must_use]
    pub fn loop_load(&self, number: usize) -> Option<LoopLoad> {
        let remote = self.shared().loops.get(number)?;
        let (busy, turn) = remote.published.busy_at(self.shared().started.elapsed());
        Some(LoopLoad {
            id: remote.id(),
            tasks: remote.load(),
            busy,
            turn,
        })
    }
}
