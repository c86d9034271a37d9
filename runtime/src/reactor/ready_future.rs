//! One of many waiters for the readiness of a source.
//!
//! Place: made by `Source::ready` and `Source::async_io`; polled on any thread.
//!
//! # Invariants
//! Readiness alone is no operation and costs no budget: what is done with it does.
//! A waiter that is dropped leaves its slot: directly on its loop, by a message from elsewhere.

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::readiness::Seen;
use super::source::wait_remotely;
use super::{Descriptor, Direction, ForeignWaiter, Interest, Key, Message, WaiterNumber};
use crate::context;
use crate::primitive::sync::Arc;
use crate::runtime::{Handle, runtime_is_gone};
use crate::worker::{self, Local, Remote};

#[derive(Debug)]
pub(super) struct ReadyFuture<'a> {
    descriptor: &'a Arc<Descriptor>,
    handle: &'a Handle,
    interest: Interest,
    /// Bits that were set at this moment say nothing new.
    after: Option<Seen>,
    place: Option<WaitingPlace>,
}

#[derive(Debug)]
struct WaitingPlace {
    remote: Arc<Remote>,
    at: At,
}

#[derive(Debug, Clone, Copy)]
enum At {
    /// In a slot of the loop that polled.
    Slot(Key, WaiterNumber),
    /// Wherever a loop has put it for a thread without one.
    Foreign(ForeignWaiter),
}

impl<'a> ReadyFuture<'a> {
    pub(super) fn new(
        descriptor: &'a Arc<Descriptor>,
        handle: &'a Handle,
        interest: Interest,
    ) -> Self {
        Self {
            descriptor,
            handle,
            interest,
            after: None,
            place: None,
        }
    }

    /// Waits for an event that is later than `seen`.
    pub(super) fn after(
        descriptor: &'a Arc<Descriptor>,
        handle: &'a Handle,
        interest: Interest,
        seen: Seen,
    ) -> Self {
        let mut this = Self::new(descriptor, handle, interest);
        this.after = Some(seen);
        this
    }

    fn bits(&self) -> u64 {
        let now = self.descriptor.readiness.load();
        if self.after.is_some_and(|seen| seen.is_same_moment(now)) {
            return 0;
        }
        now.bits(self.interest.mask())
    }

    /// The direction whose loop watches for this interest: reading, unless only output is wanted.
    fn direction(&self) -> Direction {
        let only_output = self.interest.is_writable()
            && !self.interest.is_readable()
            && !self.interest.is_priority();
        if only_output {
            Direction::Write
        } else {
            Direction::Read
        }
    }

    fn wait_in(&mut self, local: &Local, cx: &Context<'_>) -> io::Result<()> {
        if self.descriptor.has_ended_with(self.handle) {
            return Err(runtime_is_gone());
        }
        let mask = self.interest.mask();
        let attached = local
            .reactor
            .attach(local, self.descriptor, self.direction())?;
        let Ok(key) = attached else {
            unreachable!("the source is borrowed, so it is not gone")
        };
        let number = match &self.place {
            Some(WaitingPlace {
                remote,
                at: At::Slot(at, number),
            }) if local.is(remote) && *at == key => Some(*number),
            _ => {
                self.leave();
                None
            }
        };
        let number = local.reactor.set_waiter(key, number, mask, cx.waker());
        let number = number.expect("the slot was attached on this thread just now");
        let at = At::Slot(key, number);
        match &mut self.place {
            Some(place) => place.at = at,
            None => {
                let remote = Arc::clone(local.remote());
                self.place = Some(WaitingPlace { remote, at });
            }
        }
        Ok(())
    }

    fn wait_remotely(&mut self, cx: &Context<'_>) -> io::Result<()> {
        let waiter = match self.place {
            Some(WaitingPlace {
                at: At::Foreign(waiter),
                ..
            }) => waiter,
            _ => ForeignWaiter::new(self.interest.mask()),
        };
        let direction = self.direction();
        let remote = wait_remotely(self.descriptor, self.handle, direction, Some(waiter), cx)?;
        let is_there = |place: &WaitingPlace| Arc::ptr_eq(&place.remote, &remote);
        if !self.place.as_ref().is_some_and(is_there) {
            self.leave();
        }
        let at = At::Foreign(waiter);
        self.place = Some(WaitingPlace { remote, at });
        Ok(())
    }

    fn leave(&mut self) {
        let Some(place) = self.place.take() else {
            return;
        };
        let message = match place.at {
            At::Slot(key, number) => Message::RemoveWaiter(key, number),
            At::Foreign(waiter) => {
                Message::RemoveForeign(Arc::clone(self.descriptor), waiter.number)
            }
        };
        context::with_local(|local| match local {
            Some(local) if local.is(&place.remote) => local.reactor.receive(local, message),
            _ => {
                // Refused: that loop has ended, and its slots with it.
                let _ = place.remote.send(worker::Message::Source(message));
            }
        });
    }
}

impl Future for ReadyFuture<'_> {
    type Output = io::Result<u64>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut bits = self.bits();
        if bits == 0 {
            context::with_turning_loop(|local| match local {
                Some(local) => self.wait_in(local, cx),
                None => self.wait_remotely(cx),
            })?;
            // A loop elsewhere may have heard of an event in the meantime. Only here: who saw
            // readiness above has not registered, and another thread may have used it up since.
            bits = self.bits();
        } else if self.descriptor.homes.is_nowhere() {
            // Readiness that no loop has told is not all there is to know: who asks again and again
            // for the end hears of it only if one watches. From a thread without a loop each asking
            // would be a message; there the end is told after a "would block".
            context::with_turning_loop(|local| {
                // An attempt: what is ready may be used even if nobody can watch.
                let _ = local.map(|local| self.wait_in(local, cx));
            });
        }
        match bits {
            0 => Poll::Pending,
            bits => Poll::Ready(Ok(bits)),
        }
    }
}

impl Drop for ReadyFuture<'_> {
    fn drop(&mut self) {
        self.leave();
    }
}
