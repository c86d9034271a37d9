//! Listening on all loops at once, and balancing what arrives.
//!
//! Place: made by `TcpListener::bind_per_loop` and `bind_balanced`; one accept task on each loop.
//! Calls `Acceptor` for the kernel's queue, the runtime for each loop's load, and `spawn_on`.
//!
//! ```text
//!                 bind_per_loop: a queue for each loop   bind_balanced: one queue for all
//! kernel              |            |                          |
//!                     v            v                          v  one loop that sleeps
//! LoopListener     [loop 0]     [loop 1]                 [loop 0]  [loop 1]
//!                     |  policy    |                          |  policy
//!                     +--mailbox-->+                          +--mailbox-->
//!                     v            v                          v
//! handler          a task        a task   <--checkpoint--  a task, moved by the rebalancer
//! ```
//!
//! `mailbox` what loops leave for each other; `policy` which loop serves; `group` what they share
//! and count; `loop_listener` accepting; `bind` and `serve` what an application calls; `movable`,
//! `floor` and `rebalance` live connections that change loops.
//!
//! # Invariants
//! - Every queue has a limit: the kernel's the backlog, a mailbox 1,024 sockets.
//! - A connection that was accepted is served or closed, and counted; none is left in a box that
//!   nobody reads.
//!
//! # Why it is so
//! A loop that is blocked by a task must not hold up clients. With one socket for each loop
//! (`SO_REUSEPORT`) the kernel goes on giving the blocked loop its share, and those clients wait,
//! connected and unanswered. Others could accept from that loop's socket, but they would have to
//! look for it with a timer, and the clients would wait for the timer. So `bind_balanced` has one
//! socket that every loop watches with `EPOLLEXCLUSIVE`: the kernel wakes one loop that sleeps, and
//! a blocked loop does not sleep. That one loop gets most of the wake-ups does no harm, since the
//! policy looks at each connection afterwards. What it costs is a lock in the kernel that all
//! loops take to accept; who accepts so much that it counts uses `bind_per_loop`, where loops share
//! nothing, and bears with a blocked loop.
//!
//! Two gaps are left, both closed by the look around that each loop takes every
//! [`RESCUE_INTERVAL`]: a loop may be blocked after the kernel has woken it and before it accepts,
//! and a loop may be blocked after a socket was put into its mailbox. Both are seen by the turn
//! that does not end ([`STUCK_AFTER`]), and the others take over what waits.

mod bind;
mod floor;
mod group;
mod loop_listener;
mod mailbox;
mod movable;
mod policy;
mod rebalance;
mod serve;

pub use bind::{Listeners, RESCUE_INTERVAL, Stopper};
pub use group::LoopCounts;
pub use loop_listener::{LoopListener, Occupancy};
pub use movable::Movable;
pub use policy::{AcceptPolicy, Candidate, Choose, STUCK_AFTER};
pub use rebalance::Rebalance;
pub use serve::Serving;

use std::{error, fmt, io};

/// Whether an error says that the listeners were [stopped](Serving::stop).
#[must_use]
pub fn is_stopped_error(error: &io::Error) -> bool {
    error.get_ref().is_some_and(|inner| inner.is::<Stopped>())
}

fn stopped() -> io::Error {
    io::Error::other(Stopped)
}

#[derive(Debug)]
struct Stopped;

impl fmt::Display for Stopped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the listeners were stopped")
    }
}

impl error::Error for Stopped {}
