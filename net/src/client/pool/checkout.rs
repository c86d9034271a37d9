//! Getting a connection: an idle one that works, a new one, or a place in the queue.
//!
//! Place: polled by tasks; finds the loop's state anew in each poll, so that its future is `Send`.
//!
//! ```text
//!  get -> slot? --no--> wait --granted--+
//!           |                           v
//!           +----- with a connection: works? --no--> another idle one? --no--> connect
//!           |                                                                     ^
//!           +----- without one ---------------------------------------------------+
//! ```
//!
//! # Invariants
//! - What is held between two polls is a place in the queue ([`Place`]) or a slot ([`Slot`]); each
//!   gives itself back when it is dropped, on any thread. That is all of cancel safety.

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context, Poll};

use oneloop_runtime::time::{Instant, timeout};

use super::home::{self, Home, act, with_state};
use super::slot::Slot;
use super::state::{Idle, Taken};
use super::{Pool, PooledStream, Settings};
use crate::{TcpStream, sys};

impl Pool {
    /// Gets a connection: the idle one that was used last, else a new one. If this loop has
    /// `max_connections` already, it waits until one comes back or is closed; who waits is served
    /// in the order of asking.
    ///
    /// An idle connection is looked at before it is handed out, at the cost of one system call: it
    /// is closed if the server has ended it, or has sent something that nobody asked for.
    ///
    /// # Errors
    ///
    /// Those of [`Connector::connect`](crate::client::Connector::connect); `ResourceBusy` if
    /// `max_waiting` tasks of this loop wait already; that the runtime shuts down
    /// ([`is_shutdown_error`](oneloop_runtime::runtime::is_shutdown_error)).
    ///
    /// # Panics
    ///
    /// On a thread that runs no loop: outside `block_on` and tasks.
    ///
    /// # Cancel safety
    ///
    /// Safe: the place in the queue goes to the next, a connection that is being made is given up,
    /// one that is being asked for an answer is closed.
    pub async fn get(&self) -> io::Result<PooledStream> {
        let settings = &self.handles.shared.settings;
        let (slot, mut idle) = self.take().await?;
        while let Some(found) = idle {
            let made = found.made;
            if let Some(stream) = check(found, settings).await {
                count(&slot, |counts| counts.reused += 1);
                return Ok(PooledStream::new(stream, slot, made, true));
            }
            count(&slot, |counts| counts.broken += 1);
            idle = slot
                .home()
                .and_then(|home| with_state(home, |state| state.replace()))
                .flatten();
        }
        let stream = settings.connector.connect(&*settings.address).await?;
        count(&slot, |counts| counts.connected += 1);
        Ok(PooledStream::new(stream, slot, Instant::now(), false))
    }

    /// Waits for a slot of the loop that polls.
    async fn take(&self) -> io::Result<(Slot, Option<Idle>)> {
        let mut place = None;
        poll_fn(|cx| self.poll_take(cx, &mut place)).await
    }

    fn poll_take(
        &self,
        cx: &Context<'_>,
        place: &mut Option<Place>,
    ) -> Poll<io::Result<(Slot, Option<Idle>)>> {
        if let Some(waiting) = place.take() {
            match waiting.poll(cx) {
                Turn::Come(idle, home) => return Poll::Ready(Ok((Slot::new(home), idle))),
                Turn::NotYet(waiting) => {
                    *place = Some(waiting);
                    return Poll::Pending;
                }
                // It is polled on another loop than before, or its own has ended: asks anew.
                Turn::Elsewhere => {}
            }
        }
        let home = home::find_or_make(&self.handles.shared)?;
        home.hear();
        match with_state(&home, |state| state.take()) {
            Some(Taken::Slot(idle)) => return Poll::Ready(Ok((Slot::new(home), idle))),
            Some(Taken::Wait) => {}
            // The loop ends: a local task is dropped as soon as it is spawned.
            None => return Poll::Ready(Err(io::Error::other("the loop of the pool is ending"))),
        }
        let waker = cx.waker().clone();
        match with_state(&home, |state| state.wait(waker)) {
            Some(Ok(key)) => {
                *place = Some(Place {
                    home,
                    key: Some(key),
                });
                Poll::Pending
            }
            Some(Err(_)) | None => Poll::Ready(Err(io::Error::new(
                io::ErrorKind::ResourceBusy,
                "too many tasks wait for a connection of the pool",
            ))),
        }
    }
}

fn count(slot: &Slot, change: impl FnOnce(&mut super::PoolStats)) {
    if let Some(home) = slot.home() {
        // None: the future was moved to another thread. Counts are this loop's alone.
        let _ = with_state(home, |state| change(&mut state.counts));
    }
}

/// A place in the queue of a loop. Given up when dropped.
struct Place {
    home: Arc<Home>,
    /// `None` once the turn has come.
    key: Option<u64>,
}

enum Turn {
    Come(Option<Idle>, Arc<Home>),
    NotYet(Place),
    Elsewhere,
}

impl Place {
    fn poll(mut self, cx: &Context<'_>) -> Turn {
        let Some(key) = self.key else {
            return Turn::Elsewhere;
        };
        self.home.hear();
        match with_state(&self.home, |state| state.granted(key)) {
            Some(Some(idle)) => {
                self.key = None;
                return Turn::Come(idle, Arc::clone(&self.home));
            }
            Some(None) => {}
            None => return Turn::Elsewhere,
        }
        let waker = cx.waker().clone();
        // What comes back is the former waker, if it was here: its drop may run anything.
        drop(with_state(&self.home, |state| state.set_waker(key, waker)));
        Turn::NotYet(self)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(key) = self.key {
            let now = Instant::now();
            if !act(&self.home, |state| state.leave(key, now)) {
                self.home.tell_left(key);
            }
        }
    }
}

/// The connection, if it works.
async fn check(idle: Idle, settings: &Settings) -> Option<TcpStream> {
    let end = settings.ages.end_of(&idle);
    if end.is_some_and(|end| end <= Instant::now()) || !is_quiet(&idle.stream) {
        return None;
    }
    let Idle { stream, since, .. } = idle;
    let Some(ping) = &settings.ping else {
        return Some(stream);
    };
    if since.elapsed() < ping.after {
        return Some(stream);
    }
    match timeout(ping.limit, (ping.ask)(stream)).await {
        Ok(Ok(stream)) => Some(stream),
        Ok(Err(_)) | Err(_) => None,
    }
}

/// Whether there is nothing to read: no end, no error and no byte. It asks the kernel, because the
/// loop may not have heard yet of what is there.
fn is_quiet(stream: &TcpStream) -> bool {
    let looked = sys::peek(stream.as_fd(), &mut [0]);
    matches!(looked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
}
