//! A running server, from outside.
//!
//! Place: held by the application, on any thread; asks the loops by tasks that it spawns there.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use oneloop_runtime::time::Instant;

use super::counts::Counts;
use super::drain::{DrainReport, drain_loop};
use super::registry::{ConnectionInfo, Registry};
use super::shared::Shared;

/// A handle to a running server. Clones are cheap; dropping it does nothing.
#[derive(Debug, Clone)]
pub struct ServerHandle {
    shared: Arc<Shared>,
}

impl ServerHandle {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    /// The address that the server listens on, with the port that the system chose; that of the
    /// first, if it was given several listeners.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.shared.addr
    }

    /// What the server has counted so far, at most a moment old. Asks no loop.
    #[must_use]
    pub fn counts(&self) -> Counts {
        self.shared.counts()
    }

    /// The connections of this moment, as each loop sees its own. The loops answer one after the
    /// other, so they are not all of the same moment.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn connections(&self) -> Vec<ConnectionInfo> {
        let mut loops = Vec::new();
        for loop_id in self.shared.runtime.loop_ids() {
            let shared = Arc::clone(&self.shared);
            let snapshot = move || async move {
                let registry = Registry::here(&shared);
                registry.map_or_else(Vec::new, |registry| registry.snapshot())
            };
            loops.push(self.shared.runtime.spawn_on(loop_id, snapshot));
        }
        let mut connections = Vec::new();
        for snapshot in loops {
            // A loop that has ended has no connections.
            connections.extend(snapshot.await.unwrap_or_default());
        }
        connections
    }

    /// Descriptors of the listeners, for a successor: see
    /// [`send_listeners`](super::send_listeners). The kernel's queue belongs to both processes as
    /// long as both have one, so no client is refused while they change over. It is one, or with
    /// [`AcceptPolicy::Kernel`](crate::AcceptPolicy::Kernel) one for each loop, unless the server was
    /// given others. None once the server drains.
    ///
    /// # Errors
    ///
    /// Those of dup(2).
    pub fn listeners(&self) -> io::Result<Vec<net::TcpListener>> {
        let sockets = self.shared.sockets();
        sockets.iter().map(|socket| socket.try_clone()).collect()
    }

    /// The first error that ended the accepting of a listener, if one has: the others go on. Each
    /// call takes it away.
    #[must_use]
    pub fn take_accept_error(&self) -> Option<io::Error> {
        self.shared.take_failure()
    }

    /// Whether a drain has begun.
    #[must_use]
    pub fn is_draining(&self) -> bool {
        self.shared.is_draining()
    }

    /// Ends the server in an orderly way, and tells what became of its connections.
    ///
    /// Each loop takes what is in the kernel's queue, and what other loops have accepted for it, and
    /// stops to accept. Idle connections are
    /// closed at once, except those whose handler waits for
    /// [`draining`](super::Connection::draining); busy ones when their handler ends, or waits for
    /// another request. Those that are left after `limit` are cut: their handlers are dropped.
    ///
    /// A second drain joins the first: both give the same numbers, and the earlier deadline counts.
    ///
    /// # Cancel safety
    ///
    /// Once it was polled, the drain goes on without the future; another call gives the report.
    pub async fn drain(&self, limit: Duration) -> DrainReport {
        let begun = Instant::now();
        let deadline = begun
            .checked_add(limit.min(DRAIN_TIME_MAX))
            .unwrap_or(begun);
        self.shared.stop_listening();
        let mut loops = Vec::new();
        for loop_id in self.shared.runtime.loop_ids() {
            let shared = Arc::clone(&self.shared);
            let drain = move || drain_loop(shared, deadline);
            loops.push(self.shared.runtime.spawn_on(loop_id, drain));
        }
        let mut lost_loops = 0;
        for drained in loops {
            lost_loops += usize::from(drained.await.is_err());
        }
        DrainReport {
            lost_loops,
            duration: begun.elapsed(),
            ..self.shared.drain_report()
        }
    }
}

/// A longer limit of a drain counts as this.
const DRAIN_TIME_MAX: Duration = Duration::from_secs(30 * 365 * 24 * 3600);
