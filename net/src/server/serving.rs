//! The task of one connection: it runs the handler and watches over the limits.
//!
//! Place: spawned by the acceptor of its loop; runs on that loop's thread.
//!
//! # Invariants
//! - The handler is polled before the limits are looked at, so bytes that were there in time count,
//!   also if the loop was late.
//! - A handler whose connection was ended is not polled again; its future is dropped here.

use std::cell::Cell;
use std::future::poll_fn;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;

use super::config::Outcome;
use super::connection::Connection;
use super::link::{HANDLER, Link};
use crate::TcpStream;

/// Serves one connection until its handler ends or it is ended from outside.
pub(super) fn serve<H, F>(
    link: Rc<Link>,
    stream: Rc<TcpStream>,
    handler: Rc<H>,
) -> impl Future<Output = ()>
where
    H: Fn(Connection) -> F,
    F: Future<Output: Outcome>,
{
    // Made before the task is: dropped unpolled, it leaves the registry all the same.
    let place = Place::new(&link);
    let connection = Connection::new(stream, &link);
    async move {
        let mut handler = pin!(place.call(|| handler(connection)));
        let mut idle = pin!(link.watch_idle());
        let mut reading = pin!(link.watch_reading());
        let mut writing = pin!(link.watch_writing());
        poll_fn(|cx| {
            link.keep_task(cx.waker());
            if link.has_ended() {
                return Poll::Ready(());
            }
            if let Poll::Ready(outcome) = place.call(|| handler.as_mut().poll(cx)) {
                place.note(&outcome);
                return Poll::Ready(());
            }
            if idle.as_mut().poll(cx).is_ready() || link.has_ended() {
                return Poll::Ready(());
            }
            // These two never end.
            let _ = (reading.as_mut().poll(cx), writing.as_mut().poll(cx));
            Poll::Pending
        })
        .await;
    }
}

/// The handler's place among those that run.
struct Place {
    link: Rc<Link>,
    is_inside: Cell<bool>,
}

impl Place {
    fn new(link: &Rc<Link>) -> Self {
        let handlers = &link.registry.handlers;
        handlers.set(handlers.get() + 1);
        Self {
            link: Rc::clone(link),
            is_inside: Cell::new(false),
        }
    }

    /// Calls code of the handler's.
    fn call<R>(&self, code: impl FnOnce() -> R) -> R {
        self.is_inside.set(true);
        let result = code();
        self.is_inside.set(false);
        result
    }

    fn note(&self, outcome: &impl Outcome) {
        let counts = self.link.registry.counts();
        match outcome.is_success() {
            true => counts.finished.add(1),
            false => counts.failed.add(1),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let registry = &self.link.registry;
        // The handler did not come back from the call.
        if self.is_inside.get() {
            registry.counts().panicked.add(1);
        }
        registry.handlers.set(registry.handlers.get() - 1);
        self.link.leave(HANDLER);
        registry.changed.wake_all();
    }
}
