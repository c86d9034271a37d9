//! The connections of one loop.
//!
//! Place: kept alive by the loop's acceptors and connections; plain memory of the loop's thread.
//! Other threads ask through a task that they spawn on the loop, which finds it with
//! [`Registry::here`].
//!
//! # Invariants
//! - A listed connection holds one unit of the server's limit; removing it gives the unit back.
//! - I5: no connection is woken or dropped while the list is borrowed.

use std::cell::{Cell, RefCell};
use std::net::SocketAddr;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use oneloop_runtime::time::Instant;
use slab::Slab;

use super::config::OverloadPolicy;
use super::counts::LoopCounts;
use super::drain::Tally;
use super::link::{End, Link};
use super::shared::Shared;
use super::waiters::{Flag, Waiters};
use crate::TcpStream;

thread_local! {
    /// The registries of this thread, one for each server: a few.
    static HERE: RefCell<Vec<Weak<Registry>>> = const { RefCell::new(Vec::new()) };
}

/// The part of a server that lives on one loop.
pub(super) struct Registry {
    pub(super) shared: Arc<Shared>,
    /// Which of the runtime's loops.
    index: usize,
    links: RefCell<Slab<Rc<Link>>>,
    /// Tasks that accept, and tasks that run a handler.
    pub(super) acceptors: Cell<usize>,
    pub(super) handlers: Cell<usize>,
    /// Rejected clients that read their farewell.
    pub(super) farewells: Cell<usize>,
    /// The drain has begun.
    pub(super) draining: Flag,
    /// It waits no longer for the first request of a connection.
    pub(super) grace_is_over: Cell<bool>,
    /// Its deadline has come.
    pub(super) cutting: Flag,
    pub(super) changed: Waiters,
    pub(super) tally: RefCell<Tally>,
}

/// What a connection does at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// Its handler waits in a read for a request: no [guard](super::Connection::request_guard) of a
    /// request is held, no write waits, and no `read_exact` has got a part.
    Idle,
    /// Anything else: from its beginning, or from the first byte of a request, until a read waits.
    Busy,
}

/// One connection as its loop saw it: see
/// [`ServerHandle::connections`](super::ServerHandle::connections).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Its number: no other connection of the server has had it.
    pub id: u64,
    /// Which of the runtime's loops serves it, as an index into
    /// [`loop_ids`](oneloop_runtime::runtime::Handle::loop_ids).
    pub loop_index: usize,
    /// The peer's address.
    pub peer: SocketAddr,
    /// The time since it was accepted.
    pub age: Duration,
    /// What it does.
    pub state: ConnectionState,
    /// The time since the last byte came or went, if it is idle.
    pub idle: Option<Duration>,
    /// Bytes received.
    pub bytes_in: u64,
    /// Bytes sent.
    pub bytes_out: u64,
    /// Bytes that its handler has reserved: see
    /// [`Connection::reserve`](super::Connection::reserve).
    pub reserved_bytes: usize,
}

impl Registry {
    pub(super) fn new(shared: &Arc<Shared>, index: usize) -> Rc<Self> {
        let registry = Rc::new(Self {
            shared: Arc::clone(shared),
            index,
            links: RefCell::default(),
            acceptors: Cell::new(0),
            handlers: Cell::new(0),
            farewells: Cell::new(0),
            draining: Flag::default(),
            grace_is_over: Cell::new(shared.config.first_request_grace.is_zero()),
            cutting: Flag::default(),
            changed: Waiters::default(),
            tally: RefCell::default(),
        });
        HERE.with_borrow_mut(|all| {
            all.retain(|other| other.strong_count() > 0);
            all.push(Rc::downgrade(&registry));
        });
        registry
    }

    /// The part of a server that lives on this thread, unless nothing of it is left.
    pub(super) fn here(shared: &Arc<Shared>) -> Option<Rc<Self>> {
        HERE.with_borrow(|all| {
            let mut all = all.iter().filter_map(Weak::upgrade);
            all.find(|registry| Arc::ptr_eq(&registry.shared, shared))
        })
    }

    pub(super) fn counts(&self) -> &LoopCounts {
        &self.shared.loops[self.index]
    }

    /// Lists a new connection, whose unit of the limit the caller has taken.
    pub(super) fn insert(self: &Rc<Self>, stream: &Rc<TcpStream>, peer: SocketAddr) -> Rc<Link> {
        let mut links = self.links.borrow_mut();
        let entry = links.vacant_entry();
        let link = Rc::new(Link::new(self, entry.key(), stream, peer));
        entry.insert(Rc::clone(&link));
        drop(links);
        self.counts().accepted.add(1);
        link
    }

    /// Takes a connection out. Called once for each, by itself.
    pub(super) fn remove(&self, key: usize, link: &Link) {
        let listed = self.links.borrow_mut().try_remove(key);
        debug_assert!(listed.is_some_and(|listed| std::ptr::eq(&raw const *listed, link)));
        match link.end_reason() {
            Some(End::Shed) => self.counts().shed.add(1),
            Some(End::DrainedIdle) => self.counts().drained_idle.add(1),
            Some(End::Cut) => self.counts().cut.add(1),
            Some(End::IdleTimeout) => self.counts().idle_timeouts.add(1),
            None => {}
        }
        if self.draining.is_set() {
            self.tally.borrow_mut().add(link);
        }
        self.shared.connections.give(1);
        self.changed.wake_all();
    }

    /// The connections of this moment.
    pub(super) fn links(&self) -> Vec<Rc<Link>> {
        let links = self.links.borrow();
        links.iter().map(|(_, link)| Rc::clone(link)).collect()
    }

    /// Whether nothing of the server is left on this loop.
    pub(super) fn is_quiet(&self) -> bool {
        self.acceptors.get() == 0 && self.handlers.get() == 0 && self.links.borrow().is_empty()
    }

    /// Closes the connection that has been idle for the longest. False if none is idle.
    ///
    /// It looks at all of them: the order of idleness would cost every request something, and this
    /// is needed only by a server that is full.
    pub(super) fn shed_idle(&self) -> bool {
        while let Some(link) = self.longest_idle() {
            // It ends, or a request has come and it is idle no more.
            if link.end_if_empty(End::Shed) {
                return true;
            }
        }
        false
    }

    fn longest_idle(&self) -> Option<Rc<Link>> {
        let links = self.links.borrow();
        let idle = links.iter().filter(|(_, link)| link.is_idle());
        idle.min_by_key(|(_, link)| (link.idle_since(), link.id))
            .map(|(_, link)| Rc::clone(link))
    }

    /// Whether a new connection waits for an idle one to be closed.
    pub(super) fn wants_room(&self) -> bool {
        self.shared.config.overload == OverloadPolicy::ShedIdle
            && self.shared.connections.is_waited_for()
    }

    /// The connections as they are now.
    pub(super) fn snapshot(&self) -> Vec<ConnectionInfo> {
        let now = Instant::now();
        let links = self.links.borrow();
        links
            .iter()
            .map(|(_, link)| self.describe(link, now))
            .collect()
    }

    fn describe(&self, link: &Link, now: Instant) -> ConnectionInfo {
        let (bytes_in, bytes_out) = link.bytes();
        let idle = now.saturating_duration_since(link.idle_since());
        let (state, idle) = match link.is_idle() {
            true => (ConnectionState::Idle, Some(idle)),
            false => (ConnectionState::Busy, None),
        };
        ConnectionInfo {
            id: link.id,
            loop_index: self.index,
            peer: link.peer,
            age: now.saturating_duration_since(link.accepted),
            state,
            idle,
            bytes_in,
            bytes_out,
            reserved_bytes: link.reserved_bytes.get(),
        }
    }
}
