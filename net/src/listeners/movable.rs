//! Connections that change loops at points where their handler allows it.
//!
//! Place: called by applications through `Listeners::serve_movable`; on each loop one task accepts,
//! takes in what other loops move here, and at every interval decides what leaves.
//!
//! ```text
//!             accept                             arrivals of the other loop
//!               v                                         ^
//!   +--> handler(Movable) --checkpoint: a move was decided+
//!   |           |                                         | refused: it has ended
//!   |           +--> ended                                |
//!   +-----------------------------------------------------+
//! ```
//!
//! # Invariants
//! - The handler's future has been dropped on its loop before the connection goes anywhere, so two
//!   loops never serve one connection.
//! - A connection that its new loop does not take stays where it is: its handler is called here
//!   again, with the same state.
//! - Seats, shares and the budget are plain memory of their loop.
//!
//! # Why it is so
//! A checkpoint that moves does not return: what follows it in the handler was written for the loop
//! that it began on. If it returned an error, every handler would have to pass it on, and one that
//! did not would go on with a stream that is gone.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::future::{pending, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use oneloop_runtime::task::spawn_local;
use oneloop_runtime::time::{Interval, MissedTickBehavior, interval_at};

use super::bind::Listeners;
use super::loop_listener::{LoopListener, Occupancy};
use super::mailbox::{Mail, Mailbox};
use super::policy::STUCK_AFTER;
use super::rebalance::{self, Budget, Rebalance, Share};
use super::serve::Serving;
use super::{group::Group, is_stopped_error};
use crate::tcp::{Detached, TcpStream};

/// A connection that may be moved to another loop, with what its handler has put away for that.
///
/// It is the stream: all of [`TcpStream`]'s methods are there.
pub struct Movable<S> {
    stream: TcpStream,
    peer: SocketAddr,
    state: Option<S>,
    seat: Rc<Seat<S>>,
}

impl<S: Send + 'static> Movable<S> {
    /// The state that the handler gave to the checkpoint where the connection was moved. None in the
    /// first call, for a connection that is new, and once it was taken.
    #[must_use]
    pub fn take_state(&mut self) -> Option<S> {
        self.state.take()
    }

    /// The peer's address, as accept told it.
    #[must_use]
    pub fn peer(&self) -> SocketAddr {
        self.peer
    }

    /// Allows a move. Nearly always it returns at once what it was given.
    ///
    /// If the rebalancer wants the connection on another loop, the future of the handler ends here:
    /// it is dropped, and the handler is called again on the other loop, with the stream and the
    /// state. So all that is to survive has to be in the state: bytes that were read and not yet
    /// used above all. The place for it is between two requests, in the handler's own future: a task
    /// that the handler has spawned and that waits here would wait for ever.
    ///
    /// # Cancel safety
    ///
    /// If it returns, it does so in its first poll. Once a move has begun, the handler ends,
    /// whether or not this future is polled again.
    pub async fn checkpoint(self, state: S) -> (Self, S) {
        let Some(target) = self.seat.target.take() else {
            return (self, state);
        };
        let Self {
            stream, peer, seat, ..
        } = self;
        seat.leave(Departure {
            target,
            arrival: Arrival {
                stream: stream.detach(),
                peer,
                state: Some(state),
            },
        });
        pending().await
    }

    /// Takes the stream out: the connection will not be moved any more.
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}

impl<S> Deref for Movable<S> {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.stream
    }
}

impl<S> DerefMut for Movable<S> {
    fn deref_mut(&mut self) -> &mut TcpStream {
        &mut self.stream
    }
}

impl<S> fmt::Debug for Movable<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Movable")
            .field("stream", &self.stream)
            .finish_non_exhaustive()
    }
}

impl Listeners {
    /// As [`serve`](Self::serve), for connections that may change loops: `handler` is called when a
    /// connection is new, and again on another loop after a move. See [`Movable::checkpoint`].
    ///
    /// Every loop compares its load with the others' as [`Rebalance`] says, and gives connections
    /// away if it has clearly more to do. It costs two looks at the clock for each poll of a
    /// handler.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # use oneloop_net::listeners::Movable;
    /// # async fn example() -> std::io::Result<()> {
    /// let listeners = oneloop_net::TcpListener::bind_balanced("127.0.0.1:8080").await?;
    /// // Echoes, and counts the bytes of a connection over all its moves.
    /// listeners.serve_movable(async |mut io: Movable<u64>| {
    ///     let mut total = io.take_state().unwrap_or(0);
    ///     let mut buf = [0; 1024];
    ///     while let Ok(n @ 1..) = io.read(&mut buf).await {
    ///         if io.write_all(&buf[..n]).await.is_err() {
    ///             break;
    ///         }
    ///         (io, total) = io.checkpoint(total + n as u64).await;
    ///     }
    /// })?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn serve_movable<S, H, F>(self, handler: H) -> io::Result<Serving>
    where
        S: Send + 'static,
        H: Fn(Movable<S>) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let (local_addr, handle) = (self.local_addr()?, self.handle().clone());
        let options = self.rebalance;
        let (parts, stopper) = self.into_parts()?;
        let arrivals: Vec<Mailbox<Arrival<S>>> = parts.iter().map(|_| Mailbox::new()).collect();
        let arrivals = Arc::new(arrivals);
        let accepting = parts.into_iter().map(|part| {
            let (handler, arrivals) = (handler.clone(), Arc::clone(&arrivals));
            handle.spawn_on(part.loop_id(), move || async move {
                Floor::new(&part, options, arrivals, handler)
                    .run(part)
                    .await
            })
        });
        Ok(Serving {
            local_addr,
            accepting: accepting.collect(),
            stopper,
            handle,
        })
    }
}

/// A connection on its way to a loop.
struct Arrival<S> {
    stream: Detached,
    peer: SocketAddr,
    state: Option<S>,
}

struct Departure<S> {
    target: usize,
    arrival: Arrival<S>,
}

/// One connection on its loop.
struct Seat<S> {
    since: Instant,
    /// Time spent in its handler's polls.
    busy: Cell<Duration>,
    /// As it was at the last look.
    busy_before: Cell<Duration>,
    /// Where it is to go at its next checkpoint.
    target: Cell<Option<usize>>,
    departure: Cell<Option<Departure<S>>>,
    /// The task that drives the handler: a checkpoint may be reached in a task beside it.
    driver: RefCell<Option<Waker>>,
}

impl<S> Seat<S> {
    fn new() -> Self {
        Self {
            since: Instant::now(),
            busy: Cell::default(),
            busy_before: Cell::default(),
            target: Cell::new(None),
            departure: Cell::new(None),
            driver: RefCell::new(None),
        }
    }

    fn leave(&self, departure: Departure<S>) {
        self.departure.set(Some(departure));
        let driver = self.driver.borrow().clone();
        if let Some(driver) = driver {
            driver.wake();
        }
    }

    /// Share of the period since the last look.
    fn take_share(&self, period: Duration) -> Share {
        let busy = self.busy.get();
        let before = self.busy_before.replace(busy);
        rebalance::share(busy.saturating_sub(before), period)
    }
}

/// All that one loop has of the connections that may move.
struct Floor<S, H> {
    group: Arc<Group>,
    index: usize,
    arrivals: Arc<Vec<Mailbox<Arrival<S>>>>,
    handler: H,
    options: Rebalance,
    seats: RefCell<BTreeMap<u64, Rc<Seat<S>>>>,
    next_seat: Cell<u64>,
    scales: RefCell<Scales>,
}

/// What a loop remembers of its last look at the loads.
struct Scales {
    at: Instant,
    /// Of each loop.
    busy: Vec<Duration>,
    budget: Budget,
    /// The last look found a gap.
    had_gap: bool,
}

impl<S, H, F> Floor<S, H>
where
    S: Send + 'static,
    H: Fn(Movable<S>) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    fn new(
        part: &LoopListener,
        options: Rebalance,
        arrivals: Arc<Vec<Mailbox<Arrival<S>>>>,
        handler: H,
    ) -> Rc<Self> {
        Rc::new(Self {
            group: Arc::clone(part.group()),
            index: part.index(),
            arrivals,
            handler,
            options,
            seats: RefCell::new(BTreeMap::new()),
            next_seat: Cell::new(0),
            scales: RefCell::new(Scales {
                at: Instant::now(),
                busy: vec![Duration::ZERO; part.group().desks.len()],
                budget: Budget::new(options.moves_per_second_max),
                had_gap: false,
            }),
        })
    }

    /// Accepts, takes in and gives away until the listeners are stopped.
    async fn run(self: Rc<Self>, mut part: LoopListener) -> io::Result<()> {
        let _closing = CloseArrivals(&self.arrivals[self.index]);
        let first = oneloop_runtime::time::Instant::now() + self.options.interval;
        let mut ticks = interval_at(first, self.options.interval);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ended = poll_fn(|cx| self.poll_run(&mut part, &mut ticks, cx)).await;
        if ended.is_err() {
            self.group.stop();
        }
        ended
    }

    fn poll_run(
        self: &Rc<Self>,
        part: &mut LoopListener,
        ticks: &mut Interval,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        while let Poll::Ready(Mail::Item(arrival)) = self.arrivals[self.index].poll_take(cx) {
            self.group.desks[self.index]
                .counts
                .moved_in
                .fetch_add(1, Relaxed);
            self.start(arrival);
        }
        if self.group.desks.len() > 1 {
            while ticks.poll_tick(cx).is_ready() {
                self.weigh();
            }
        }
        while let Poll::Ready(accepted) = part.poll_accept(cx) {
            match accepted {
                Ok((stream, peer)) => self.start(Arrival {
                    stream: stream.detach(),
                    peer,
                    state: None,
                }),
                Err(error) if is_stopped_error(&error) => return Poll::Ready(Ok(())),
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Pending
    }

    fn start(self: &Rc<Self>, arrival: Arrival<S>) {
        drop(spawn_local(Rc::clone(self).serve(arrival)));
    }

    /// Serves a connection until it ends or another loop has taken it.
    async fn serve(self: Rc<Self>, mut arrival: Arrival<S>) {
        loop {
            // The runtime shuts down if this fails: the connection ends with it.
            let Ok(stream) = arrival.stream.attach() else {
                return;
            };
            let Some(departure) = self.serve_here(stream, arrival.peer, arrival.state).await else {
                return;
            };
            match self.arrivals[departure.target].push(departure.arrival) {
                Ok(()) => {
                    let counts = &self.group.desks[self.index].counts;
                    counts.moved_out.fetch_add(1, Relaxed);
                    return;
                }
                Err(refused) => arrival = refused,
            }
        }
    }

    /// Drives the handler until it ends or leaves. It has been dropped when this returns.
    async fn serve_here(
        &self,
        stream: TcpStream,
        peer: SocketAddr,
        state: Option<S>,
    ) -> Option<Departure<S>> {
        let seat = Rc::new(Seat::new());
        let _seated = Seated::new(self, Rc::clone(&seat));
        let handler = (self.handler)(Movable {
            stream,
            peer,
            state,
            seat: Rc::clone(&seat),
        });
        let mut handler = pin!(handler);
        poll_fn(|cx| {
            if seat.driver.borrow().is_none() {
                *seat.driver.borrow_mut() = Some(cx.waker().clone());
            }
            let began = Instant::now();
            let polled = handler.as_mut().poll(cx);
            seat.busy.set(seat.busy.get() + began.elapsed());
            match (seat.departure.take(), polled) {
                (Some(departure), _) => Poll::Ready(Some(departure)),
                (None, Poll::Ready(())) => Poll::Ready(None),
                (None, Poll::Pending) => Poll::Pending,
            }
        })
        .await
    }

    /// Compares this loop with the others, and tells connections to leave if it has more to do.
    fn weigh(&self) {
        let mut scales = self.scales.borrow_mut();
        let period = scales.at.elapsed();
        scales.at = Instant::now();
        scales.budget.fill(period);
        let (own, mut others, numbers) = self.shares(&mut scales, period);
        let seats = self.seats.borrow();
        let mut may_leave = Vec::new();
        let mut shares = Vec::new();
        for seat in seats.values() {
            let share = seat.take_share(period);
            if seat.target.take().is_some() {
                // It has reached no checkpoint since it was told to leave.
                scales.budget.refund();
            }
            if seat.since.elapsed() >= self.options.residency_min {
                may_leave.push(seat);
                shares.push(share);
            }
        }
        let gap_min = u64::from(self.options.gap_percent_min) * (rebalance::WHOLE / 100);
        let budget = scales.budget.moves();
        let moves = rebalance::moves(own, &mut others, &shares, gap_min, budget);
        let had_gap = std::mem::replace(&mut scales.had_gap, !moves.is_empty());
        if !had_gap {
            return;
        }
        for (connection, to) in moves {
            may_leave[connection].target.set(Some(numbers[to]));
            scales.budget.spend();
        }
    }

    /// This loop's share of the period, those of the others that do not stand still, and the
    /// others' numbers.
    fn shares(&self, scales: &mut Scales, period: Duration) -> (Share, Vec<Share>, Vec<usize>) {
        let (mut own, mut others, mut numbers) = (0, Vec::new(), Vec::new());
        for (number, before) in scales.busy.iter_mut().enumerate() {
            let Some(load) = self.group.handle.loop_load(number) else {
                continue;
            };
            let before = std::mem::replace(before, load.busy);
            let share = rebalance::share(load.busy.saturating_sub(before), period);
            if number == self.index {
                own = share;
            } else if load.turn < STUCK_AFTER {
                others.push(share);
                numbers.push(number);
            }
        }
        (own, others, numbers)
    }
}

/// A connection's place in its loop's table, and its count there.
struct Seated<'a, S> {
    seats: &'a RefCell<BTreeMap<u64, Rc<Seat<S>>>>,
    number: u64,
    _occupancy: Occupancy,
}

impl<'a, S> Seated<'a, S> {
    fn new<H>(floor: &'a Floor<S, H>, seat: Rc<Seat<S>>) -> Self {
        let number = floor.next_seat.get();
        floor.next_seat.set(number + 1);
        floor.seats.borrow_mut().insert(number, seat);
        Self {
            seats: &floor.seats,
            number,
            _occupancy: Occupancy::new(&floor.group, floor.index),
        }
    }
}

impl<S> Drop for Seated<'_, S> {
    fn drop(&mut self) {
        let seat = self.seats.borrow_mut().remove(&self.number);
        // The borrow is over: the drop may run a destructor of the application's state.
        drop(seat);
    }
}

/// Refuses moves to a loop that has ended its accepting.
struct CloseArrivals<'a, S>(&'a Mailbox<Arrival<S>>);

impl<S> Drop for CloseArrivals<'_, S> {
    fn drop(&mut self) {
        // Only when the runtime shuts down does something wait here: `poll_run` has taken the rest.
        drop(self.0.close());
    }
}
