//! Accepting on one loop, for this loop and for the others.
//!
//! Place: owned by one task of the loop it was made for; calls the policy for each connection, and
//! the mailboxes of the other loops.
//!
//! ```text
//! kernel's queue --accept--> policy --own--> the caller
//!                              |other                ^
//!                              v                     |
//!                       mailbox of that loop --------+ on that loop
//!                              |
//!                              +---> another loop, if that one stands still
//! ```
//!
//! # Invariants
//! - A connection leaves the kernel's queue or a mailbox only in the poll that hands it out or
//!   over: a dropped `accept` loses none.
//! - A socket is registered with the loop that serves it and with no other.
//! - After a stop: first the mailbox, then the kernel's queue, then the end. The mailbox is closed
//!   when it is empty, under its lock, so nothing that was handed over is forgotten.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::net::{self, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, ready};

use oneloop_runtime::runtime::LoopId;
use oneloop_runtime::task::coop;
use oneloop_runtime::time::{Sleep, sleep};

use super::group::{Desk, Group, Socket};
use super::mailbox::Mail;
use super::policy::{self, AcceptPolicy, Candidate};
use crate::acceptor::Acceptor;
use crate::sys;
use crate::tcp::TcpStream;
use crate::tcp::descriptor::Descriptor;

/// One loop's part of [`Listeners`](super::Listeners): gives the connections that this loop is to
/// serve, those that other loops accepted for it included.
///
/// Made by [`Listeners::into_parts`](super::Listeners::into_parts), for servers with an accept loop
/// of their own. Each part is to be polled by one task on its loop: on another it works, but what
/// the policy knows of the loop is then about the wrong one.
///
/// Dropping it gives what waits for this loop to the others. With separate sockets
/// ([`bind_per_loop`](crate::TcpListener::bind_per_loop)) what waits in the kernel's queue of this
/// loop is reset.
pub struct LoopListener {
    group: Arc<Group>,
    index: usize,
    /// None once it has been stopped and the queue is empty.
    acceptor: Option<Acceptor<Arc<net::TcpListener>>>,
    is_shared: bool,
    /// Runs while connections of other loops may need help.
    rescue: Option<Pin<Box<Sleep>>>,
    random: u32,
    /// Connections taken out of the kernel's queue since the stop.
    drained: u32,
    /// Filled anew for each choice that looks at all loops.
    candidates: Vec<Candidate>,
}

impl LoopListener {
    /// Needs a current runtime.
    pub(super) fn new(
        group: &Arc<Group>,
        index: usize,
        socket: Arc<net::TcpListener>,
        is_shared: bool,
    ) -> io::Result<Self> {
        let acceptor = if is_shared {
            Acceptor::exclusive(socket)?
        } else {
            Acceptor::new(socket)?
        };
        Ok(Self {
            group: Arc::clone(group),
            index,
            acceptor: Some(acceptor),
            is_shared,
            rescue: None,
            random: u32::try_from(index).unwrap_or(0).wrapping_mul(0x9E37_79B9) | 1,
            drained: 0,
            candidates: Vec::new(),
        })
    }

    /// The loop it was made for.
    #[must_use]
    pub fn loop_id(&self) -> LoopId {
        self.desk().id
    }

    /// Waits for the next connection that this loop is to serve, and returns it with the peer's
    /// address.
    ///
    /// Connections that the policy gives to others are handed over meanwhile. Errors that concern a
    /// single client or pass by are dealt with as in
    /// [`TcpListener::accept`](crate::TcpListener::accept).
    ///
    /// # Errors
    ///
    /// After a [stop](super::Serving::stop), once nothing waits any more: an error that
    /// [`is_stopped_error`](super::is_stopped_error) knows, now and ever after. Otherwise only if
    /// the listener cannot work: see [`TcpListener::accept`](crate::TcpListener::accept).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: a connection that was not handed out waits where it was.
    pub async fn accept(&mut self) -> io::Result<(TcpStream, SocketAddr)> {
        poll_fn(|cx| self.poll_accept(cx)).await
    }

    /// Polls for the next connection that this loop is to serve. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// As [`accept`](Self::accept).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn poll_accept(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        loop {
            let Some(acceptor) = &self.acceptor else {
                return Poll::Ready(Err(super::stopped()));
            };
            let coop = ready!(coop::poll_proceed(cx));
            let connection = match self.desk().mailbox.poll_take(cx) {
                Poll::Ready(Mail::Item(socket)) => {
                    coop.made_progress();
                    return Poll::Ready(self.welcome(socket));
                }
                Poll::Ready(Mail::Stop) => match self.poll_accept_rest(cx, acceptor) {
                    Poll::Ready(Some(rest)) => {
                        self.drained += 1;
                        Poll::Ready(rest)
                    }
                    Poll::Ready(None) => {
                        self.close_if_empty();
                        continue;
                    }
                    Poll::Pending => Poll::Pending,
                },
                Poll::Pending => {
                    drop(coop);
                    acceptor.poll_accept(cx, sys::accept)
                }
            };
            self.publish_errors();
            match connection {
                Poll::Ready(Ok(socket)) => {
                    if let Some(own) = self.route(socket) {
                        return Poll::Ready(self.welcome(own));
                    }
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => ready!(self.poll_rescue(cx)),
            }
        }
    }

    /// Counts a connection as one of this loop until the result is dropped: for
    /// [`AcceptPolicy::LeastConnections`] and [`LoopCounts::connections`](super::LoopCounts).
    #[must_use = "it counts until it is dropped"]
    pub fn occupy(&self) -> Occupancy {
        Occupancy::new(&self.group, self.index)
    }

    /// Has the policies that pass over loops that stand still pass over this one too, until the
    /// result is dropped: its task will not accept for a while.
    #[must_use = "it lasts until it is dropped"]
    pub(crate) fn pause(&self) -> Pause<'_> {
        self.desk().is_paused.store(true, Relaxed);
        Pause(self.desk())
    }

    fn desk(&self) -> &Desk {
        &self.group.desks[self.index]
    }

    pub(super) fn group(&self) -> &Arc<Group> {
        &self.group
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    fn publish_errors(&self) {
        if let Some(acceptor) = &self.acceptor {
            let errors = acceptor.accept_errors();
            self.desk().counts.accept_errors.store(errors, Relaxed);
        }
    }

    fn welcome(&self, (stream, peer): Socket) -> io::Result<(TcpStream, SocketAddr)> {
        let stream = TcpStream::register(Descriptor::with_linger(stream, self.group.lingers))?;
        stream.assume_readable();
        Ok((stream, peer))
    }

    /// What still waits in the kernel's queue after a stop. None if that is nothing, or if it came
    /// after the stop. While it waits out a shortage, what other loops hand over is not announced: it
    /// is taken when the pause is over.
    fn poll_accept_rest(
        &self,
        cx: &mut Context<'_>,
        acceptor: &Acceptor<Arc<net::TcpListener>>,
    ) -> Poll<Option<io::Result<Socket>>> {
        if self.drained >= self.group.drain_max {
            return Poll::Ready(None);
        }
        match ready!(acceptor.poll_accept_rest(cx, sys::accept)) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Ready(None),
            rest => Poll::Ready(Some(rest)),
        }
    }

    /// Ends the accepting, unless something has arrived meanwhile.
    fn close_if_empty(&mut self) {
        if self.desk().mailbox.close_if_empty() {
            self.acceptor = None;
            self.rescue = None;
        }
    }

    // ---- to other loops ----

    /// Hands the connection to the loop that the policy chooses. Gives it back if that is this one,
    /// or one that does not take it.
    fn route(&mut self, socket: Socket) -> Option<Socket> {
        self.desk().counts.accepted.fetch_add(1, Relaxed);
        let target = self.choose(socket.1);
        if target == self.index {
            return Some(socket);
        }
        match self.group.desks[target].mailbox.push(socket) {
            Ok(()) => {
                self.desk().counts.handed_over.fetch_add(1, Relaxed);
                None
            }
            Err(refused) => Some(refused),
        }
    }

    fn choose(&mut self, peer: SocketAddr) -> usize {
        let (own, count) = (self.index, self.group.desks.len());
        if count == 1 {
            return own;
        }
        let group = Arc::clone(&self.group);
        match &group.policy {
            AcceptPolicy::Kernel => own,
            AcceptPolicy::PeerHash => policy::by_peer(peer, count),
            AcceptPolicy::LeastLoaded => self.own_or_better(&group).unwrap_or(own),
            AcceptPolicy::LeastConnections => {
                policy::fewest_connections(self.look_at_all(&group), own)
            }
            AcceptPolicy::RoundRobin => {
                let turn = group.turn.fetch_add(1, Relaxed);
                policy::next_in_turn(self.look_at_all(&group), turn, own)
            }
            AcceptPolicy::Custom(choose) => {
                policy::ask(&**choose, peer, self.look_at_all(&group), own)
            }
        }
    }

    fn look_at_all(&mut self, group: &Group) -> &[Candidate] {
        self.candidates.clear();
        let all = (0..group.desks.len()).filter_map(|index| group.candidate(index, self.index));
        self.candidates.extend(all);
        &self.candidates
    }

    fn own_or_better(&mut self, group: &Group) -> Option<usize> {
        let others = group.desks.len() - 1;
        let own = group.candidate(self.index, self.index)?;
        let first = self.random_below(others);
        let second = match others {
            1 => first,
            _ => (first + 1 + self.random_below(others - 1)) % others,
        };
        // Numbers among the others, then among all.
        let among_all = |number: usize| number + usize::from(number >= self.index);
        let indices = [among_all(first), among_all(second)];
        let first = group.candidate(indices[0], self.index)?;
        let second = group.candidate(indices[1], self.index)?;
        policy::own_or_better(&own, [&first, &second], indices)
    }

    /// A cheap random number: xorshift (G. Marsaglia, JSS 8(14), 2003).
    fn random_below(&mut self, count: usize) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random as usize % count
    }

    // ---- from loops that stand still ----

    /// Ready when there is something to do again: after an interval, if something was left behind.
    fn poll_rescue(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let may_help = self.is_shared || self.group.policy.goes_by_load();
        if self.group.desks.len() == 1 || !may_help {
            return Poll::Pending;
        }
        let interval = self.group.rescue_interval;
        let timer = self.rescue.get_or_insert_with(|| Box::pin(sleep(interval)));
        ready!(timer.as_mut().poll(cx));
        self.rescue = None;
        if self.group.policy.goes_by_load() {
            self.rescue_sockets();
        }
        if let (true, Some(acceptor)) = (self.is_shared, &self.acceptor) {
            acceptor.assume_ready();
        }
        Poll::Ready(())
    }

    /// Takes over what waits for loops that stand still.
    fn rescue_sockets(&self) {
        for (index, desk) in self.group.desks.iter().enumerate() {
            let waits = index != self.index && desk.mailbox.len() > 0;
            let candidate = |index| self.group.candidate(index, self.index);
            if !waits || !candidate(index).is_some_and(|it| it.is_stuck()) {
                continue;
            }
            for socket in desk.mailbox.rescue() {
                self.desk().counts.rescued.fetch_add(1, Relaxed);
                if let Err(socket) = self.desk().mailbox.push(socket) {
                    self.pass_on(socket);
                }
            }
        }
    }

    /// Gives a connection to any other loop that takes it. Where none does, it is closed.
    fn pass_on(&self, socket: Socket) {
        let others =
            (1..self.group.desks.len()).map(|step| (self.index + step) % self.group.desks.len());
        let mut homeless = Some(socket);
        for index in others {
            if let Some(socket) = homeless.take() {
                homeless = self.group.desks[index].mailbox.push(socket).err();
            }
        }
    }
}

impl Drop for LoopListener {
    fn drop(&mut self) {
        for socket in self.desk().mailbox.close() {
            self.pass_on(socket);
        }
    }
}

impl fmt::Debug for LoopListener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoopListener")
            .field("loop_id", &self.loop_id())
            .field("policy", &self.group.policy)
            .finish_non_exhaustive()
    }
}

/// A loop that does not accept for a while. Made by [`LoopListener::pause`].
pub(crate) struct Pause<'a>(&'a Desk);

impl Drop for Pause<'_> {
    fn drop(&mut self) {
        self.0.is_paused.store(false, Relaxed);
    }
}

/// One connection of a loop, as the policies count it. Made by [`LoopListener::occupy`].
#[derive(Debug)]
pub struct Occupancy {
    group: Arc<Group>,
    index: usize,
}

impl Occupancy {
    pub(super) fn new(group: &Arc<Group>, index: usize) -> Self {
        group.desks[index].counts.begun.fetch_add(1, Relaxed);
        Self {
            group: Arc::clone(group),
            index,
        }
    }
}

impl Drop for Occupancy {
    fn drop(&mut self) {
        let counts = &self.group.desks[self.index].counts;
        counts.ended.fetch_add(1, Relaxed);
    }
}
