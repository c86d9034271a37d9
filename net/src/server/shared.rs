//! What the loops of a server and its handles have in common.
//!
//! Place: behind an `Arc` in every loop's registry and every handle; runs on any thread.

use std::io;
use std::net::{self, SocketAddr};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use oneloop_runtime::runtime::Handle;

use super::accepting::Acceptors;
use super::config::{Config, Outcome};
use super::connection::Connection;
use super::counts::{Counts, LoopCounts};
use super::drain::DrainReport;
use super::gate::Gate;
use super::handle::ServerHandle;
use crate::listeners::{Listeners, LoopListener, Stopper};

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
    /// Of each of the listeners.
    stoppers: Vec<Stopper>,
    next_id: AtomicU64,
    /// Relaxed: loops are told by message; it is for those that begin later.
    is_draining: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// For a successor. Empty once the server has begun to drain.
    sockets: Vec<Arc<net::TcpListener>>,
    failure: Option<io::Error>,
    report: DrainReport,
}

impl Shared {
    /// Begins to serve on every loop of the current runtime. `listeners` is not empty.
    pub(super) fn start<H, F>(
        config: Config,
        listeners: Vec<Listeners>,
        handler: H,
    ) -> io::Result<ServerHandle>
    where
        H: Fn(Connection) -> F + Clone + Send + 'static,
        F: Future<Output: Outcome> + 'static,
    {
        let runtime = Handle::current();
        let loops = runtime.loop_ids();
        let addr = listeners[0].local_addr()?;
        let sockets = listeners.iter().flat_map(Listeners::shared_sockets);
        let sockets = sockets.cloned().collect();
        let (parts, stoppers) = into_parts(listeners, loops.len())?;
        let shared = Arc::new(Self {
            connections: Arc::new(Gate::new(config.connections_max)),
            memory: Arc::new(Gate::new(config.memory_bytes_max)),
            config,
            addr,
            loops: loops.iter().map(|_| LoopCounts::default()).collect(),
            stoppers,
            next_id: AtomicU64::new(0),
            is_draining: AtomicBool::new(false),
            state: Mutex::new(State {
                sockets,
                ..State::default()
            }),
            runtime: runtime.clone(),
        });
        for ((index, loop_id), parts) in loops.iter().enumerate().zip(parts) {
            let acceptors = Acceptors {
                shared: Arc::clone(&shared),
                index,
                parts,
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

    /// Ends the accepting: each listener is closed when its loops have taken what waits.
    pub(super) fn stop_listening(&self) {
        self.is_draining.store(true, Relaxed);
        let sockets = std::mem::take(&mut self.state().sockets);
        drop(sockets);
        self.stoppers.iter().for_each(Stopper::stop);
    }

    /// The listeners, unless the server has begun to drain.
    pub(super) fn sockets(&self) -> Vec<Arc<net::TcpListener>> {
        self.state().sockets.clone()
    }

    pub(super) fn counts(&self) -> Counts {
        let mut counts = Counts {
            connections: self.connections.taken(),
            reserved_bytes: self.memory.taken(),
            ..Counts::default()
        };
        self.loops.iter().for_each(|own| own.add_to(&mut counts));
        let parts = self.stoppers.iter().flat_map(Stopper::counts);
        counts.accept_errors = parts.map(|part| part.accept_errors).sum();
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

/// The parts of each loop: one of each of the listeners.
fn into_parts(
    listeners: Vec<Listeners>,
    loops: usize,
) -> io::Result<(Vec<Vec<LoopListener>>, Vec<Stopper>)> {
    let mut of_loops: Vec<Vec<LoopListener>> = (0..loops).map(|_| Vec::new()).collect();
    let mut stoppers = Vec::with_capacity(listeners.len());
    for each in listeners {
        let (parts, stopper) = each.into_parts()?;
        stoppers.push(stopper);
        for (own, part) in of_loops.iter_mut().zip(parts) {
            own.push(part);
        }
    }
    Ok((of_loops, stoppers))
}
