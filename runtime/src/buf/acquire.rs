//! Waiting for a block at the cap.
//!
//! Place: polled by tasks on any thread; a waiter stands in the queue of one loop's pool, which
//! answers on its own thread.
//!
//! ```text
//!            pool: answer                 poll
//!   Waiting ---------------> Answered ------------> (taken)
//!     |  pool: evict (the loop is left, or ends)
//!     +------------------------> Evicted ---poll---> asks again where it is polled
//!     |  drop, or poll on another loop
//!     +------------------------> Cancelled: the pool passes over it
//! ```
//!
//! # Invariants
//! Under the lock nothing of the user's runs: wakers are woken and dropped after it (I5). A lease
//! that was answered to a waiter who has gone goes home, and so to the next.

use std::fmt;
use std::mem;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use super::block::Class;
use super::pool::{Pool, PoolHome, Refusal};
use super::{AcquireError, BufferPool, Lease};
use crate::contain::wake_contained;
use crate::context;
use crate::primitive::sync::{Arc, Mutex};
use crate::task::coop;

/// A block to come. Made by [`BufferPool::acquire`](super::BufferPool::acquire).
#[must_use = "futures do nothing unless polled"]
pub struct Acquire {
    bytes: usize,
    /// None until it had to wait.
    waiter: Option<Arc<Waiter>>,
}

impl Acquire {
    pub(super) fn new(bytes: usize) -> Self {
        Self {
            bytes,
            waiter: None,
        }
    }

    /// Asks the pool of this thread's loop.
    fn ask(&mut self, cx: &Context<'_>) -> Poll<Result<Lease, AcquireError>> {
        match BufferPool::current().try_acquire(self.bytes) {
            Err(error) if error.is_full() => {}
            outcome => return Poll::Ready(outcome),
        }
        context::with_local(|local| {
            // Only a loop's pool is ever full, and only a class has room in it.
            let (Some(local), Some(class)) = (local, Class::for_bytes(self.bytes)) else {
                unreachable!("what is full is a loop's pool");
            };
            let waiter = Waiter::new(class, &local.pool, cx.waker());
            local.pool.enqueue(Arc::clone(&waiter));
            let outcome = waiter.poll(cx.waker(), &local.pool);
            self.waiter = Some(waiter);
            match outcome {
                Polled::Answered(answer) => self.finish(answer),
                Polled::Waits | Polled::Gone => Poll::Pending,
            }
        })
    }

    fn finish(&mut self, answer: Result<Lease, Refusal>) -> Poll<Result<Lease, AcquireError>> {
        self.waiter = None;
        // A pool answers with a block, or because the system has none.
        Poll::Ready(answer.map_err(|_| AcquireError::out_of_memory(self.bytes)))
    }
}

impl Future for Acquire {
    type Output = Result<Lease, AcquireError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let coop = ready!(coop::poll_proceed(cx));
        let outcome = match &self.waiter {
            None => self.ask(cx),
            Some(waiter) => {
                let polled = context::with_local(|local| match local {
                    Some(local) => waiter.poll(cx.waker(), &local.pool),
                    None => Polled::Gone,
                });
                match polled {
                    Polled::Waits => Poll::Pending,
                    Polled::Answered(answer) => self.finish(answer),
                    Polled::Gone => {
                        self.leave();
                        self.ask(cx)
                    }
                }
            }
        };
        if outcome.is_ready() {
            coop.made_progress();
        }
        outcome
    }
}

impl Acquire {
    fn leave(&mut self) {
        if let Some(waiter) = self.waiter.take() {
            waiter.cancel();
        }
    }
}

impl Drop for Acquire {
    fn drop(&mut self) {
        self.leave();
    }
}

impl fmt::Debug for Acquire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Acquire")
            .field("bytes", &self.bytes)
            .field("waits", &self.waiter.is_some())
            .finish()
    }
}

/// Somebody in the queue of a pool.
#[derive(Debug)]
pub(super) struct Waiter {
    class: Class,
    home: Arc<PoolHome>,
    state: Mutex<State>,
}

#[derive(Debug)]
enum State {
    Waiting(Waker),
    Answered(Result<Lease, Refusal>),
    Evicted,
    Cancelled,
}

/// What a waiter is told.
enum Polled {
    Waits,
    Answered(Result<Lease, Refusal>),
    /// It stands in no queue of this loop.
    Gone,
}

impl Waiter {
    pub(super) fn new(class: Class, pool: &Pool, waker: &Waker) -> Arc<Self> {
        Arc::new(Self {
            class,
            home: Arc::clone(pool.home()),
            state: Mutex::new(State::Waiting(waker.clone())),
        })
    }

    pub(super) fn class(&self) -> Class {
        self.class
    }

    pub(super) fn is_cancelled(&self) -> bool {
        matches!(*self.state.lock(), State::Cancelled)
    }

    /// A block for it, or none for good. Pool's thread.
    pub(super) fn answer(&self, answer: Result<Lease, Refusal>) {
        let mut state = self.state.lock();
        if !matches!(*state, State::Waiting(_)) {
            drop(state);
            // Cancelled in this moment: the lease goes home, to the next.
            return drop(answer);
        }
        let before = mem::replace(&mut *state, State::Answered(answer));
        drop(state);
        before.wake();
    }

    /// It has to ask elsewhere. Pool's thread.
    pub(super) fn evict(&self) {
        let mut state = self.state.lock();
        if !matches!(*state, State::Waiting(_)) {
            return;
        }
        let before = mem::replace(&mut *state, State::Evicted);
        drop(state);
        before.wake();
    }

    fn poll(&self, waker: &Waker, pool: &Pool) -> Polled {
        let is_here = Arc::ptr_eq(&self.home, pool.home());
        let new = waker.clone();
        let mut state = self.state.lock();
        let next = match &*state {
            State::Waiting(_) if is_here => State::Waiting(new),
            State::Answered(_) => State::Cancelled,
            _ => return Polled::Gone,
        };
        let before = mem::replace(&mut *state, next);
        drop(state);
        match before {
            State::Answered(answer) => Polled::Answered(answer),
            // The former waker is dropped here.
            _ => Polled::Waits,
        }
    }

    /// Leaves the queue. Any thread.
    pub(super) fn cancel(&self) {
        let before = mem::replace(&mut *self.state.lock(), State::Cancelled);
        if matches!(before, State::Waiting(_)) {
            drop(before);
            // It may have stood first, and kept others from what there was.
            context::with_local(|local| match local {
                Some(local) if Arc::ptr_eq(&self.home, local.pool.home()) => local.pool.serve(),
                _ => self.home.tell(),
            });
        }
    }
}

impl State {
    fn wake(self) {
        if let Self::Waiting(waker) = self {
            wake_contained(waker);
        }
    }
}
