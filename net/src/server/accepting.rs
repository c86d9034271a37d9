//! Accepting on a loop, and what is done about a connection too many.
//!
//! Place: one task for each part of [`Listeners`] of a loop; runs on that loop's thread. Calls the
//! part for connections, which come from the kernel's queue or from another loop.
//!
//! ```text
//!  memory cap: wait -> accept -> within the limit? -- yes ----------------------> serve
//!                                      | no: Pause     wait for a place  -----------^
//!                                      |     ShedIdle  close an idle one, wait -----|
//!                                      +     Reject    farewell, close
//! ```
//!
//! # Invariants
//! - No connection is served without a unit of the server's limit.
//! - When the drain begins, what is in the kernel's queue, and what other loops have left for this
//!   one, is taken before the listener is closed. At the drain's deadline it is closed.
//! - A loop that waits for a place says so: the policies then leave nothing more for it.

use std::future::poll_fn;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use oneloop_runtime::runtime::{Handle, is_shutdown_error};
use oneloop_runtime::task::spawn_on_this_loop;
use socket2::SockRef;

use super::config::{Outcome, OverloadPolicy};
use super::connection::Connection;
use super::registry::Registry;
use super::serving::serve;
use super::shared::Shared;
use super::waiters::Flag;
use crate::addr::ToSocketAddrs;
use crate::listeners::{AcceptPolicy, Listeners, LoopListener, Occupancy, is_stopped_error};
use crate::{TcpListener, TcpStream, sys};

/// The time that a rejected client has to read its farewell.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(1);
/// Rejected clients of one loop that are given this time at once. Further ones are closed at once,
/// which may overtake the farewell.
const FAREWELLS_MAX: usize = 64;

/// Listens on an address.
pub(super) async fn bind(
    addr: impl ToSocketAddrs,
    policy: &AcceptPolicy,
) -> io::Result<Vec<Listeners>> {
    let listeners = match policy {
        AcceptPolicy::Kernel => TcpListener::bind_per_loop(addr).await?,
        other => TcpListener::bind_balanced(addr)
            .await?
            .with_policy(other.clone()),
    };
    Ok(vec![listeners])
}

/// Takes over listeners: with the kernel's policy each goes to one loop, as far as there are
/// enough; with any other every loop accepts from all.
#[track_caller]
pub(super) fn adopt(
    listeners: Vec<net::TcpListener>,
    policy: &AcceptPolicy,
) -> io::Result<Vec<Listeners>> {
    let together = match policy {
        AcceptPolicy::Kernel => Handle::current().loop_ids().len(),
        _ => 1,
    };
    let mut rest = listeners.into_iter().peekable();
    let mut adopted = Vec::new();
    while rest.peek().is_some() {
        let some = rest.by_ref().take(together).collect();
        adopted.push(Listeners::from_many(some, policy.clone())?);
    }
    Ok(adopted)
}

/// The accepting of one loop, before it begins.
pub(super) struct Acceptors<H> {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    pub(super) parts: Vec<LoopListener>,
    pub(super) handler: H,
}

impl<H, F> Acceptors<H>
where
    H: Fn(Connection) -> F + 'static,
    F: Future<Output: Outcome> + 'static,
{
    /// Accepts until the server drains.
    pub(super) async fn run(self) {
        let registry = Registry::new(&self.shared, self.index);
        if self.shared.is_draining() {
            registry.draining.set();
        }
        let handler = Rc::new(self.handler);
        for part in self.parts {
            let acceptor = Acceptor::new(&registry, part, &handler);
            // Detached: it ends with the drain.
            drop(spawn_on_this_loop(acceptor.run()));
        }
    }
}

/// Accepts from one part.
struct Acceptor<H> {
    registry: Rc<Registry>,
    /// None while it runs.
    part: Option<LoopListener>,
    handler: Rc<H>,
}

impl<H> Acceptor<H> {
    fn new(registry: &Rc<Registry>, part: LoopListener, handler: &Rc<H>) -> Self {
        registry.acceptors.set(registry.acceptors.get() + 1);
        Self {
            registry: Rc::clone(registry),
            part: Some(part),
            handler: Rc::clone(handler),
        }
    }
}

impl<H> Drop for Acceptor<H> {
    fn drop(&mut self) {
        drop(self.part.take());
        let acceptors = &self.registry.acceptors;
        acceptors.set(acceptors.get() - 1);
        self.registry.changed.wake_all();
    }
}

impl<H, F> Acceptor<H>
where
    H: Fn(Connection) -> F + 'static,
    F: Future<Output: Outcome> + 'static,
{
    async fn run(mut self) {
        let Some(mut part) = self.part.take() else {
            return;
        };
        let registry = &self.registry;
        loop {
            self.wait_for_memory(&part).await;
            match unless(&registry.cutting, part.accept()).await {
                Some(Ok((stream, peer))) => self.admit(&part, stream, peer).await,
                // The deadline of the drain: what waits is closed with the listener.
                None => return,
                Some(Err(error)) if is_stopped_error(&error) || is_shutdown_error(&error) => return,
                // Nothing more can be taken.
                Some(Err(_)) if registry.shared.is_draining() => return,
                Some(Err(error)) => return registry.shared.accepting_failed(error),
            }
        }
    }

    /// Does not wait in a drain.
    async fn wait_for_memory(&self, part: &LoopListener) {
        let memory = &self.registry.shared.memory;
        if !memory.is_waited_for() || self.registry.draining.is_set() {
            return;
        }
        self.registry.counts().memory_waits.add(1);
        let _pause = part.pause();
        // Behind all who wait for memory: when it is our turn there is room.
        let turn = unless(&self.registry.draining, memory.take(1)).await;
        if turn.is_some() {
            memory.give(1);
        }
    }

    /// Serves a connection if the server may have one more.
    async fn admit(&self, part: &LoopListener, stream: TcpStream, peer: SocketAddr) {
        let registry = &self.registry;
        let occupancy = part.occupy();
        if !registry.shared.connections.try_take(1) && !self.find_place(part).await {
            return self.turn_away(stream);
        }
        if let Some(bytes) = registry.shared.config.send_buffer_bytes {
            // Where the system refuses the size, its own limit stands.
            let _ = SockRef::from(&stream).set_send_buffer_size(bytes);
        }
        let stream = Rc::new(stream);
        let link = registry.insert(&stream, peer);
        let served = serve(link, stream, Rc::clone(&self.handler));
        // Detached: the registry knows of it.
        drop(spawn_on_this_loop(occupied(occupancy, served)));
    }

    /// Takes a place in a server that is full, as its policy says. False if there is none.
    async fn find_place(&self, part: &LoopListener) -> bool {
        let registry = &self.registry;
        let overload = &registry.shared.config.overload;
        if matches!(overload, OverloadPolicy::Reject { .. }) {
            return false;
        }
        let _pause = part.pause();
        let mut place = pin!(registry.shared.connections.take(1));
        // In the queue first, so that what is shed becomes this connection's.
        if poll_fn(|cx| Poll::Ready(place.as_mut().poll(cx)))
            .await
            .is_ready()
        {
            return true;
        }
        if *overload != OverloadPolicy::ShedIdle {
            registry.counts().paused.add(1);
        } else if !registry.shed_idle() {
            registry.counts().paused.add(1);
            self.ask_others_to_shed();
        }
        unless(&registry.cutting, place).await.is_some()
    }

    /// Lets another loop close an idle connection, if one has any. Does not wait: a place may be
    /// free before.
    fn ask_others_to_shed(&self) {
        let shared = &self.registry.shared;
        let own = Handle::current_loop();
        let loops = shared.runtime.loop_ids();
        let others: Vec<_> = loops
            .into_iter()
            .enumerate()
            .filter(|(index, _)| Some(*index) != own)
            .map(|(_, id)| id)
            .collect();
        let asked = Arc::clone(shared);
        // Detached: the place that it makes is its answer.
        drop(spawn_on_this_loop(async move {
            for loop_id in others {
                let shared = Arc::clone(&asked);
                let shed = move || async move {
                    let is_wanted = shared.connections.is_waited_for();
                    is_wanted && Registry::here(&shared).is_some_and(|it| it.shed_idle())
                };
                // A loop that has ended sheds nothing.
                if asked.runtime.spawn_on(loop_id, shed).await.unwrap_or(false) {
                    return;
                }
            }
        }));
    }

    /// Closes a connection that is not served.
    fn turn_away(&self, stream: TcpStream) {
        let OverloadPolicy::Reject { farewell } = &self.registry.shared.config.overload else {
            // It waited for a place until the drain's deadline.
            return;
        };
        self.registry.counts().rejected.add(1);
        let farewells = &self.registry.farewells;
        if farewell.is_empty() || sys::send(stream.as_fd(), farewell).is_err() {
            return;
        }
        if farewells.get() < FAREWELLS_MAX {
            farewells.set(farewells.get() + 1);
            let registry = Rc::clone(&self.registry);
            // Detached: it lasts a second at most.
            drop(spawn_on_this_loop(async move {
                // Whether the client has read it is its own affair.
                let _ = stream.close_gracefully(FAREWELL_TIME_MAX).await;
                registry.farewells.set(registry.farewells.get() - 1);
            }));
        }
    }
}

/// A connection's service, which counts as one of its loop's until it ends.
async fn occupied(_occupancy: Occupancy, served: impl Future<Output = ()>) {
    served.await;
}

/// The outcome of a future, unless the flag is set first.
pub(super) async fn unless<F: Future>(flag: &Flag, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    let mut set = pin!(flag.wait());
    poll_fn(|cx| {
        if set.as_mut().poll(cx).is_ready() {
            return Poll::Ready(None);
        }
        future.as_mut().poll(cx).map(Some)
    })
    .await
}
