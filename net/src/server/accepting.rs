//! Accepting on a loop, and what is done about a connection too many.
//!
//! Place: one task for each listener of a loop; runs on that loop's thread.
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
//! - When the drain begins, what is in the kernel's queue is taken before the listener is closed.

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
use oneloop_runtime::task::spawn_local;

use super::config::{Outcome, OverloadPolicy};
use super::connection::Connection;
use super::registry::Registry;
use super::serving::serve;
use super::shared::Shared;
use super::waiters::Flag;
use crate::addr::ToSocketAddrs;
use crate::{TcpListener, TcpStream, sys};

/// Connections that a drain takes out of one listener's queue at most: clients that keep coming
/// must not keep it open.
const QUEUE_CONNECTIONS_MAX: u32 = TcpListener::DEFAULT_BACKLOG;
/// The time that a rejected client has to read its farewell.
const FAREWELL_TIME_MAX: Duration = Duration::from_secs(1);
/// Rejected clients of one loop that are given this time at once. Further ones are closed at once,
/// which may overtake the farewell.
const FAREWELLS_MAX: usize = 64;

/// Where connections come from. All that a server knows of listeners is in here.
#[derive(Debug)]
pub(super) struct Door(TcpListener);

impl Door {
    /// A listener for each loop of the current runtime, all bound to one port.
    pub(super) async fn bind_per_loop(addr: impl ToSocketAddrs) -> io::Result<Vec<Arc<Self>>> {
        let count = Handle::current().loop_ids().len();
        let first = TcpListener::bind_reuse_port(addr).await?;
        let addr = first.local_addr()?;
        let mut doors = vec![Arc::new(Self(first))];
        while doors.len() < count {
            doors.push(Arc::new(Self(TcpListener::bind_reuse_port(addr).await?)));
        }
        Ok(doors)
    }

    #[track_caller]
    pub(super) fn from_std(listener: net::TcpListener) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self(TcpListener::from_std(listener)?)))
    }

    pub(super) fn local_addr(&self) -> io::Result<SocketAddr> {
        self.0.local_addr()
    }

    pub(super) fn accept_errors(&self) -> u64 {
        self.0.accept_errors()
    }

    /// Another descriptor of the listener.
    pub(super) fn duplicate(&self) -> io::Result<net::TcpListener> {
        Ok(self.0.as_fd().try_clone_to_owned()?.into())
    }

    async fn accept(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.accept().await
    }

    /// Asks the kernel, whatever the loop knows.
    fn accept_now(&self) -> io::Result<(TcpStream, SocketAddr)> {
        self.0.accept_now()
    }
}

/// The accepting of one loop, before it begins.
pub(super) struct Acceptors<H> {
    pub(super) shared: Arc<Shared>,
    pub(super) index: usize,
    pub(super) doors: Vec<Arc<Door>>,
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
        for door in self.doors {
            let acceptor = Acceptor::new(&registry, door, &handler);
            // Detached: it ends with the drain.
            drop(spawn_local(acceptor.run()));
        }
    }
}

/// Accepts from one listener.
struct Acceptor<H> {
    registry: Rc<Registry>,
    door: Option<Arc<Door>>,
    handler: Rc<H>,
}

impl<H> Acceptor<H> {
    fn new(registry: &Rc<Registry>, door: Arc<Door>, handler: &Rc<H>) -> Self {
        registry.acceptors.set(registry.acceptors.get() + 1);
        Self {
            registry: Rc::clone(registry),
            door: Some(door),
            handler: Rc::clone(handler),
        }
    }
}

impl<H> Drop for Acceptor<H> {
    fn drop(&mut self) {
        drop(self.door.take());
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
        let Some(door) = self.door.take() else {
            return;
        };
        while let Some(next) = unless(&self.registry.draining, self.next(&door)).await {
            match next {
                Ok((stream, peer)) => self.admit(stream, peer).await,
                Err(error) if is_shutdown_error(&error) => return,
                Err(error) => return self.registry.shared.accepting_failed(error),
            }
        }
        self.take_queue(&door).await;
    }

    async fn next(&self, door: &Door) -> io::Result<(TcpStream, SocketAddr)> {
        let memory = &self.registry.shared.memory;
        if memory.is_waited_for() {
            self.registry.counts().memory_waits.add(1);
            // Behind all who wait for memory: when it is our turn there is room.
            memory.take(1).await;
            memory.give(1);
        }
        door.accept().await
    }

    /// Takes what is in the kernel's queue when the drain begins.
    async fn take_queue(&self, door: &Door) {
        for _ in 0..QUEUE_CONNECTIONS_MAX {
            if self.registry.cutting.is_set() {
                return;
            }
            match door.accept_now() {
                Ok((stream, peer)) => self.admit(stream, peer).await,
                Err(error) if error.kind() == io::ErrorKind::ConnectionAborted => {}
                // Nothing is left, or nothing can be taken.
                Err(_) => return,
            }
        }
    }

    /// Serves a connection if the server may have one more.
    async fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let registry = &self.registry;
        if !registry.shared.connections.try_take(1) && !self.find_place().await {
            return self.turn_away(stream);
        }
        let link = registry.insert(peer);
        // Detached: the registry knows of it.
        drop(spawn_local(serve(link, stream, Rc::clone(&self.handler))));
    }

    /// Takes a place in a server that is full, as its policy says. False if there is none.
    async fn find_place(&self) -> bool {
        let registry = &self.registry;
        let overload = &registry.shared.config.overload;
        if matches!(overload, OverloadPolicy::Reject { .. }) {
            return false;
        }
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
        drop(spawn_local(async move {
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
            drop(spawn_local(async move {
                // Whether the client has read it is its own affair.
                let _ = stream.close_gracefully(FAREWELL_TIME_MAX).await;
                registry.farewells.set(registry.farewells.get() - 1);
            }));
        }
    }
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
