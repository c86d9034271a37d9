//! One loop's connections that may move: serving them, taking in, deciding who leaves.
//!
//! Place: one for each loop, owned by its accept task and the tasks of its connections; runs on
//! that loop alone. Decides by `rebalance`, sends through the mailbox of the loop that is chosen.
//!
//! # Invariants
//! - The handler's future has been dropped on its loop before the connection goes anywhere, so two
//!   loops never serve one connection.
//! - A connection that its new loop does not take stays where it is: its handler is called here
//!   again, with the same state.
//! - Seats, shares and the budget are plain memory of their loop.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use oneloop_runtime::task::spawn_on_this_loop;
use oneloop_runtime::time::{self, Interval, MissedTickBehavior, interval_at};

use super::group::Group;
use super::is_stopped_error;
use super::loop_listener::{LoopListener, Occupancy};
use super::mailbox::{Mail, Mailbox};
use super::movable::{Arrival, Departure, Movable, Seat};
use super::policy::STUCK_AFTER;
use super::rebalance::{self, Budget, Rebalance, Share};
use crate::tcp::TcpStream;

/// All that one loop has of the connections that may move.
pub(super) struct Floor<S, H> {
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
    /// Looks in a row that found a gap.
    gaps: u32,
}

impl<S, H, F> Floor<S, H>
where
    S: Send + 'static,
    H: Fn(Movable<S>) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    pub(super) fn new(
        part: &LoopListener,
        options: Rebalance,
        arrivals: Arc<Vec<Mailbox<Arrival<S>>>>,
        handler: H,
    ) -> Rc<Self> {
        let group = Arc::clone(part.group());
        let busy = |number| group.handle.loop_load(number).map(|load| load.busy);
        let busy = (0..group.desks.len()).map(|number| busy(number).unwrap_or_default());
        let busy = busy.collect();
        Rc::new(Self {
            group,
            index: part.index(),
            arrivals,
            handler,
            options,
            seats: RefCell::new(BTreeMap::new()),
            next_seat: Cell::new(0),
            scales: RefCell::new(Scales {
                at: Instant::now(),
                busy,
                budget: Budget::new(options.moves_per_second_max),
                gaps: 0,
            }),
        })
    }

    /// Accepts, takes in and gives away until the listeners are stopped.
    pub(super) async fn run(self: Rc<Self>, mut part: LoopListener) -> io::Result<()> {
        let _closing = CloseArrivals(&self.arrivals[self.index]);
        let first = time::Instant::now() + self.options.interval;
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
            self.take_in(arrival);
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
                    moves: 0,
                }),
                Err(error) => {
                    // What came since the look above; what comes later is refused.
                    for arrival in self.arrivals[self.index].close() {
                        self.take_in(arrival);
                    }
                    let is_asked_for = is_stopped_error(&error);
                    return Poll::Ready(if is_asked_for { Ok(()) } else { Err(error) });
                }
            }
        }
        Poll::Pending
    }

    /// Goes on with a connection that another loop has moved here.
    fn take_in(self: &Rc<Self>, arrival: Arrival<S>) {
        let counts = &self.group.desks[self.index].counts;
        counts.moved_in.fetch_add(1, Relaxed);
        self.start(arrival);
    }

    fn start(self: &Rc<Self>, arrival: Arrival<S>) {
        // It counts from now on: the policy may choose again before its task is polled.
        let occupancy = Occupancy::new(&self.group, self.index);
        drop(spawn_on_this_loop(
            Rc::clone(self).serve(arrival, occupancy),
        ));
    }

    /// Serves a connection until it ends or another loop has taken it.
    async fn serve(self: Rc<Self>, mut arrival: Arrival<S>, _occupancy: Occupancy) {
        loop {
            // The runtime shuts down if this fails: the connection ends with it.
            let Ok(stream) = arrival.stream.attach() else {
                return;
            };
            let seat = Rc::new(Seat::new(arrival.moves));
            let served = self.serve_here(stream, arrival.peer, arrival.state, Rc::clone(&seat));
            let Some(mut departure) = served.await else {
                return;
            };
            let moves = self.options.moves_after(seat.moves, seat.since.elapsed());
            departure.arrival.moves = moves;
            match self.arrivals[departure.target].push(departure.arrival) {
                Ok(()) => {
                    let counts = &self.group.desks[self.index].counts;
                    counts.moved_out.fetch_add(1, Relaxed);
                    self.count_in_again();
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
        seat: Rc<Seat<S>>,
    ) -> Option<Departure<S>> {
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
        let now = Instant::now();
        let period = now - std::mem::replace(&mut scales.at, now);
        scales.budget.fill(period);
        let (own, mut others, numbers) = self.shares(&mut scales, period);
        let seats = self.seats.borrow();
        let mut may_leave = Vec::new();
        let mut shares = Vec::new();
        for seat in seats.values() {
            let share = seat.take_share(period);
            if seat.target.take().is_some() {
                // It has reached no checkpoint since it was told to leave: others leave in its
                // place, until it does, which may be never, and until one of them has left.
                scales.budget.refund();
                seat.is_deaf.set(true);
                seat.is_passed_over.set(true);
            }
            let is_in_turn = !seat.is_deaf.get() && !seat.is_passed_over.get();
            let stay = now.saturating_duration_since(seat.since);
            if is_in_turn && stay >= self.options.residency(seat.moves) {
                may_leave.push(seat);
                shares.push(share);
            }
        }
        let gap_min = u64::from(self.options.gap_percent_min) * (rebalance::WHOLE / 100);
        let budget = scales.budget.moves();
        let moves = rebalance::moves(own, &mut others, &shares, gap_min, budget);
        if moves.is_empty() {
            self.count_in_again();
        }
        scales.gaps = if moves.is_empty() { 0 } else { scales.gaps + 1 };
        if scales.gaps < GAPS_IN_A_ROW {
            return;
        }
        scales.gaps = 0;
        for (connection, to) in moves {
            may_leave[connection].target.set(Some(numbers[to]));
            scales.budget.spend();
        }
    }

    /// Passes over no connection any more: another has left, or there is none that could.
    fn count_in_again(&self) {
        for seat in self.seats.borrow().values() {
            seat.is_passed_over.set(false);
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

/// Looks that must find a gap before it is acted upon.
const GAPS_IN_A_ROW: u32 = 4;

/// A connection's place in its loop's table.
struct Seated<'a, S> {
    seats: &'a RefCell<BTreeMap<u64, Rc<Seat<S>>>>,
    number: u64,
}

impl<'a, S> Seated<'a, S> {
    fn new<H>(floor: &'a Floor<S, H>, seat: Rc<Seat<S>>) -> Self {
        let number = floor.next_seat.get();
        floor.next_seat.set(number + 1);
        floor.seats.borrow_mut().insert(number, seat);
        Self {
            seats: &floor.seats,
            number,
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
        // Only if the accept task is ended by the runtime's end does something wait here: otherwise
        // `poll_run` has closed it.
        drop(self.0.close());
    }
}
