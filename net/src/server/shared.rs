//! What the loops of a server and its handles have in common.
//!
//! Place: behind an `Arc` in every loop's registry and every handle; runs on any thread.

use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oneloop_runtime::runtime::Handle;

use super::accepting::{Acceptors, Door};
use super::config::{Config, Outcome};
use super::connection::Connection;
use super::counts::{Counts, LoopCounts};
use super::drain::DrainReport;
use super::gate::Gate;
use super::handle::ServerHandle;

/// A running server.
#[derive(Debug)]
pub(super) struct Shared {
    pub(super) config: Config,
    pub(super) runtime: Handle,
    pub(super) addr: SocketAddr,
    /// One unit for each connection.
    pub(super) connections: Arc<Gate>,
    /// One unit for each byte that a handler has reserved.
    pub(super) memory: Arc<Gate>,
    /// In the order of the runtime's loops.
    pub(super) loops: Vec<LoopCounts>,
    next_id: AtomicU64,
    /// Relaxed: loops are told by message; it is for those that begin later.
    is_draining: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Empty once the server has begun to drain.
    doors: Vec<Arc<Door>>,
    /// Of listeners that are gone.
    accept_errors: u64,
    failure: Option<io::Error>,
    report: DrainReport,
}

impl Shared {
    /// Begins to serve on every loop of the current runtime. `doors` is not empty.
    pub(super) fn start<H, F>(
        config: Config,
        doors: Vec<Arc<Door>>,
        handler: H,
    ) -> io::Result<ServerHandle>
    where
        H: Fn(Connection) -> F + Clone + Send + 'static,
        F: Future<Output: Outcome> + 'static,
    {
        let runtime = Handle::current();
        let loops = runtime.loop_ids();
        let shared = Arc::new(Self {
            connections: Arc::new(Gate::new(config.connections_max)),
            memory: Arc::new(Gate::new(config.memory_bytes_max)),
            config,
            addr: doors[0].local_addr()?,
            loops: loops.iter().map(|_| LoopCounts::default()).collect(),
            next_id: AtomicU64::new(0),
            is_draining: AtomicBool::new(false),
            state: Mutex::new(State {
                doors: doors.clone(),
                ..State::default()
            }),
            runtime: runtime.clone(),
        });
        for (index, loop_id) in loops.iter().enumerate() {
            let acceptors = Acceptors {
                shared: Arc::clone(&shared),
                index,
                doors: dealt_to(index, loops.len(), &doors),
                handler: handler.clone(),
            };
            // Detached: they end with the drain.
            drop(runtime.spawn_on(*loop_id, move || acceptors.run()));
        }
        Ok(ServerHandle::new(shared))
    }

    /// The number of the next connection.
    pub(super) fn next_id(&self) -> u64 {
        self.next_id.fetch_add(1, Relaxed)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.is_draining.load(Relaxed)
    }

    /// Lets go of the listeners: each is closed when its loops are done with it.
    pub(super) fn stop_listening(&self) {
        self.is_draining.store(true, Relaxed);
        let mut state = self.state();
        let doors = std::mem::take(&mut state.doors);
        state.accept_errors += doors.iter().map(|door| door.accept_errors()).sum::<u64>();
        drop(state);
        drop(doors);
    }

    /// The listeners, unless the server has begun to drain.
    pub(super) fn doors(&self) -> Vec<Arc<Door>> {
        self.state().doors.clone()
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts {
            connections: self.connections.taken(),
            reserved_bytes: self.memory.taken(),
            ..Counts::default()
        };
        self.loops.iter().for_each(|own| own.add_to(&mut counts));
        let state = self.state();
        let errors = state.doors.iter().map(|door| door.accept_errors());
        counts.accept_errors = state.accept_errors + errors.sum::<u64>();
        counts
    }

    /// Keeps the first error that ended the accepting of a loop.
    pub(super) fn accepting_failed(&self, error: io::Error) {
        let mut state = self.state();
        if state.failure.is_none() {
            state.failure = Some(error);
        }
    }

    pub(super) fn take_failure(&self) -> Option<io::Error> {
        self.state().failure.take()
    }

    /// Adds what one loop has to say about the drain.
    pub(super) fn report(&self, add: impl FnOnce(&mut DrainReport)) {
        add(&mut self.state().report);
    }

    pub(super) fn drain_report(&self) -> DrainReport {
        self.state().report.clone()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing panics under the lock but for want of memory.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The listeners that a loop accepts from: each listener is at one loop at least, each loop at one
/// listener at least.
fn dealt_to(index: usize, loops: usize, doors: &[Arc<Door>]) -> Vec<Arc<Door>> {
    let rounds = 0..loops.max(doors.len());
    let own = rounds.filter(|round| round % loops == index);
    own.map(|round| Arc::clone(&doors[round % doors.len()]))
        .collect()
}
