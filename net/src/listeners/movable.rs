//! Connections that change loops at points where their handler allows it.
//!
//! Place: called by applications through `Listeners::serve_movable` and in handlers; on each loop a
//! `floor` serves the connections and decides which leave.
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
//! # Why it is so
//! A checkpoint that moves does not return: what follows it in the handler was written for the loop
//! that it began on. If it returned an error, every handler would have to pass it on, and one that
//! did not would go on with a stream that is gone.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::ops::{Deref, DerefMut};
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;
use std::time::{Duration, Instant};

use super::bind::Listeners;
use super::floor::Floor;
use super::mailbox::Mailbox;
use super::rebalance::{self, Share};
use super::serve::Serving;
use crate::tcp::{Detached, TcpStream};

/// A connection that may be moved to another loop, with what its handler has put away for that.
///
/// It is the stream: all of [`TcpStream`]'s methods are there.
pub struct Movable<S> {
    pub(super) stream: TcpStream,
    pub(super) peer: SocketAddr,
    pub(super) state: Option<S>,
    pub(super) seat: Rc<Seat<S>>,
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
        self.seat.is_deaf.set(false);
        let Some(target) = self.seat.target.take() else {
            return (self, state);
        };
        let Self {
            stream, peer, seat, ..
        } = self;
        let arrival = Arrival {
            stream: stream.detach(),
            peer,
            state: Some(state),
            moves: seat.moves,
        };
        seat.leave(Departure { target, arrival });
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
    /// Every loop compares its load with the others' as [`Rebalance`](super::Rebalance) says, and gives connections
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
        // As in `serve`.
        let handlers = vec![handler; parts.len()];
        let accepting = parts.into_iter().zip(handlers).map(|(part, handler)| {
            let arrivals = Arc::clone(&arrivals);
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
pub(super) struct Arrival<S> {
    pub(super) stream: Detached,
    pub(super) peer: SocketAddr,
    pub(super) state: Option<S>,
    /// Moves that it has made, less those forgotten.
    pub(super) moves: u32,
}

pub(super) struct Departure<S> {
    pub(super) target: usize,
    pub(super) arrival: Arrival<S>,
}

/// One connection on its loop.
pub(super) struct Seat<S> {
    pub(super) since: Instant,
    /// Moves that brought the connection here.
    pub(super) moves: u32,
    /// Time spent in its handler's polls.
    pub(super) busy: Cell<Duration>,
    /// As it was at the last look.
    busy_before: Cell<Duration>,
    /// Where it is to go at its next checkpoint.
    pub(super) target: Cell<Option<usize>>,
    /// It was told to leave, and has reached no checkpoint since.
    pub(super) is_deaf: Cell<bool>,
    /// It was told to leave and did not, and no other has left since.
    pub(super) is_passed_over: Cell<bool>,
    pub(super) departure: Cell<Option<Departure<S>>>,
    /// The task that drives the handler: a checkpoint may be reached in a task beside it.
    pub(super) driver: RefCell<Option<Waker>>,
}

impl<S> Seat<S> {
    pub(super) fn new(moves: u32) -> Self {
        Self {
            since: Instant::now(),
            moves,
            busy: Cell::default(),
            busy_before: Cell::default(),
            target: Cell::new(None),
            is_deaf: Cell::new(false),
            is_passed_over: Cell::new(false),
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
    pub(super) fn take_share(&self, period: Duration) -> Share {
        let busy = self.busy.get();
        let before = self.busy_before.replace(busy);
        rebalance::share(busy.saturating_sub(before), period)
    }
}
