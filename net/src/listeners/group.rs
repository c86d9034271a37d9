//! What the listeners of all loops share: a desk for each loop, and the policy.
//!
//! Place: held by every `LoopListener` and by `Serving`; read on any thread.
//!
//! # Invariants
//! - A counter is written by the loop it belongs to, with two exceptions that only add: `ended`
//!   (an `Occupancy` may be dropped anywhere) and what is rescued from a mailbox.
//! - Relaxed throughout: the counters order nothing. A look may miss what happens at that moment.

use std::net::{self, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use oneloop_runtime::runtime::{Handle, LoopId};

use super::mailbox::Mailbox;
use super::policy::{AcceptPolicy, Candidate};

/// A connection that no loop has registered yet, and its peer.
pub(super) type Socket = (net::TcpStream, SocketAddr);

#[derive(Debug)]
pub(super) struct Group {
    pub(super) handle: Handle,
    pub(super) policy: AcceptPolicy,
    pub(super) rescue_interval: Duration,
    /// In the order of the runtime's loops.
    pub(super) desks: Vec<Desk>,
    /// Counts the choices of `RoundRobin`.
    pub(super) turn: AtomicUsize,
    /// Connections that may have waited in the kernel's queue when a stop was asked for. What is
    /// behind them came later.
    pub(super) drain_max: u32,
    /// Accepted sockets inherit a linger time above zero.
    pub(super) lingers: bool,
}

/// One loop's place among the others.
#[derive(Debug)]
pub(super) struct Desk {
    pub(super) id: LoopId,
    pub(super) mailbox: Mailbox<Socket>,
    pub(super) counts: DeskCounts,
    /// Its server has to wait before it can take one more. Written by its loop.
    pub(super) is_paused: AtomicBool,
}

#[derive(Debug, Default)]
pub(super) struct DeskCounts {
    pub(super) accepted: AtomicU64,
    pub(super) handed_over: AtomicU64,
    pub(super) rescued: AtomicU64,
    pub(super) begun: AtomicU64,
    pub(super) ended: AtomicU64,
    pub(super) moved_in: AtomicU64,
    pub(super) moved_out: AtomicU64,
    pub(super) accept_errors: AtomicU64,
}

impl Desk {
    pub(super) fn new(id: LoopId) -> Self {
        Self {
            id,
            mailbox: Mailbox::new(),
            counts: DeskCounts::default(),
            is_paused: AtomicBool::new(false),
        }
    }

    /// Connections that are served here now.
    pub(super) fn connections(&self) -> usize {
        let ended = self.counts.ended.load(Relaxed);
        let begun = self.counts.begun.load(Relaxed);
        usize::try_from(begun.saturating_sub(ended)).unwrap_or(usize::MAX)
    }

    pub(super) fn snapshot(&self) -> LoopCounts {
        let read = |word: &AtomicU64| word.load(Relaxed);
        let counts = &self.counts;
        LoopCounts {
            id: self.id,
            accepted: read(&counts.accepted),
            handed_over: read(&counts.handed_over),
            rescued: read(&counts.rescued),
            served: read(&counts.begun).saturating_sub(read(&counts.moved_in)),
            connections: self.connections(),
            moved_in: read(&counts.moved_in),
            moved_out: read(&counts.moved_out),
            accept_errors: read(&counts.accept_errors),
        }
    }
}

impl Group {
    /// The loop of this index, as a choice for one that accepts on loop `own`.
    pub(super) fn candidate(&self, index: usize, own: usize) -> Option<Candidate> {
        let desk = self.desks.get(index)?;
        let arriving = desk.mailbox.len();
        Some(Candidate {
            load: self.handle.loop_load(index)?,
            connections: desk.connections() + arriving,
            arriving,
            is_own: index == own,
            is_paused: desk.is_paused.load(Relaxed),
        })
    }

    /// Asks every loop to end its accepting.
    pub(super) fn stop(&self) {
        for desk in &self.desks {
            desk.mailbox.stop();
        }
    }
}

/// What one loop has done for its listeners. Counters only grow.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct LoopCounts {
    /// Which loop.
    pub id: LoopId,
    /// Connections it took out of the kernel's queue.
    pub accepted: u64,
    /// Those of them that it handed to another loop.
    pub handed_over: u64,
    /// Connections that it took away from a loop that stood still.
    pub rescued: u64,
    /// Connections whose service began here.
    pub served: u64,
    /// Connections that are served here now.
    pub connections: usize,
    /// Live connections that the rebalancer moved here.
    pub moved_in: u64,
    /// Live connections that the rebalancer moved away.
    pub moved_out: u64,
    /// Errors of accept(2) that were survived: see
    /// [`TcpListener::accept_errors`](crate::TcpListener::accept_errors).
    pub accept_errors: u64,
}
