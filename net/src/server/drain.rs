//! The orderly end of a server.
//!
//! Place: one task on each loop, spawned by the handle; runs on that loop's thread.
//!
//! ```text
//!  stop accepting -> idle ones closed -> busy ones: told, and closed when their read waits
//!  (queue first)                           |
//!                                          +-- deadline: cut -> handlers dropped -> report
//! ```
//!
//! # Invariants
//! - Every connection that was there when the drain began, or came out of the kernel's queue
//!   after, is counted in the report once.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use oneloop_runtime::time::{Instant, timeout_at};

use super::link::{End, Link};
use super::registry::Registry;
use super::shared::Shared;

/// Addresses of cut peers that a report holds at most. All are counted.
pub const CUT_PEERS_MAX: usize = 1_000;

/// What a drain has done. Made by [`ServerHandle::drain`](super::ServerHandle::drain).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrainReport {
    /// Connections that were idle, and were closed at once.
    pub idle: u64,
    /// Connections that were busy and ended before the deadline: their handler ended, or they were
    /// closed when their request was done.
    pub finished: u64,
    /// Connections that were busy at the deadline, and were cut.
    pub cut: u64,
    /// The peers of those, [`CUT_PEERS_MAX`] at most.
    pub cut_peers: Vec<SocketAddr>,
    /// Loops whose runtime ended during the drain, so that their connections are not in the
    /// numbers.
    pub lost_loops: usize,
    /// How long it took.
    pub duration: Duration,
}

/// The numbers of one loop.
#[derive(Debug, Default)]
pub(super) struct Tally {
    idle: u64,
    finished: u64,
    cut: u64,
    cut_peers: Vec<SocketAddr>,
}

impl Tally {
    pub(super) fn add(&mut self, link: &Link) {
        match link.end_reason() {
            Some(End::Cut) => {
                self.cut += 1;
                if self.cut_peers.len() < CUT_PEERS_MAX {
                    self.cut_peers.push(link.peer);
                }
            }
            Some(End::DrainedIdle | End::IdleTimeout | End::Shed) if !link.was_busy_in_drain() => {
                self.idle += 1;
            }
            _ => self.finished += 1,
        }
    }
}

impl DrainReport {
    /// Whether every request was answered: nothing was cut, and no loop was lost.
    #[must_use]
    pub fn is_clean(&self) -> bool {
        self.cut == 0 && self.lost_loops == 0
    }

    fn add(&mut self, tally: Tally) {
        self.idle += tally.idle;
        self.finished += tally.finished;
        self.cut += tally.cut;
        let room = CUT_PEERS_MAX - self.cut_peers.len();
        self.cut_peers
            .extend(tally.cut_peers.into_iter().take(room));
    }
}

impl fmt::Display for DrainReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} idle, {} finished, {} cut in {:.3} s",
            self.idle,
            self.finished,
            self.cut,
            self.duration.as_secs_f64()
        )?;
        if self.lost_loops > 0 {
            write!(f, ", {} loops lost", self.lost_loops)?;
        }
        Ok(())
    }
}

/// Drains the loop of this thread.
pub(super) async fn drain_loop(shared: Arc<Shared>, deadline: Instant) {
    let Some(registry) = Registry::here(&shared) else {
        return;
    };
    if !registry.draining.is_set() {
        registry.draining.set();
        for link in registry.links() {
            link.drain_begins();
        }
    }
    let quiet = || registry.changed.until(|| registry.is_quiet());
    if !registry.grace_is_over.get() {
        let grace = Instant::now().checked_add(shared.config.first_request_grace);
        let end = grace.map_or(deadline, |end| end.min(deadline));
        if timeout_at(end, quiet()).await.is_err() {
            registry.grace_is_over.set(true);
            registry.links().iter().for_each(|link| link.look_again());
        }
    }
    if timeout_at(deadline, quiet()).await.is_err() {
        registry.cutting.set();
        for link in registry.links() {
            link.end(End::Cut);
        }
        // Their handlers are dropped at their next poll.
        quiet().await;
    }
    let tally = registry.tally.take();
    shared.report(|report| report.add(tally));
}
