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

use super::source::wait_remotely;
use super::{Descriptor, Direction, Interest, Key, Message, WaiterNumber};
use crate::context;
use crate::primitive::sync::Arc;
use crate::runtime::Handle;
use crate::worker::{self, Local, Remote};

#[derive(Debug)]
pub(super) struct ReadyFuture<'a> {
    descriptor: &'a Arc<Descriptor>,
    handle: &'a Handle,
    interest: Interest,
    place: Option<WaitingPlace>,
}

#[derive(Debug)]
struct WaitingPlace {
    remote: Arc<Remote>,
    key: Key,
    number: WaiterNumber,
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
            place: None,
        }
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
        let mask = self.interest.mask();
        let attached = local
            .reactor
            .attach(local, self.descriptor, self.direction())?;
        let Ok(key) = attached else {
            unreachable!("the source is borrowed, so it is not gone")
        };
        if self
            .place
            .as_ref()
            .is_some_and(|place| !local.is(&place.remote))
        {
            self.leave();
        }
        let number = self
            .place
            .as_ref()
            .filter(|place| place.key == key)
            .map(|it| it.number);
        let number = local.reactor.set_waiter(key, number, mask, cx.waker());
        let number = number.expect("the slot was attached on this thread just now");
        match &mut self.place {
            Some(place) => (place.key, place.number) = (key, number),
            None => {
                let remote = Arc::clone(local.remote());
                self.place = Some(WaitingPlace {
                    remote,
                    key,
                    number,
                });
            }
        }
        Ok(())
    }

    fn leave(&mut self) {
        let Some(place) = self.place.take() else {
            return;
        };
        context::with_local(|local| match local {
            Some(local) if local.is(&place.remote) => {
                local.reactor.remove_waiter(place.key, place.number);
            }
            _ => {
                let message = Message::RemoveWaiter(place.key, place.number);
                // Refused: that loop has ended, and its slots with it.
                let _ = place.remote.send(worker::Message::Source(message));
            }
        });
    }
}

impl Future for ReadyFuture<'_> {
    type Output = io::Result<u64>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mask = self.interest.mask();
        let mut bits = self.descriptor.readiness.load().bits(mask);
        if bits == 0 {
            let direction = self.direction();
            context::with_local(|local| match local {
                Some(local) => self.wait_in(local, cx),
                None => wait_remotely(self.descriptor, self.handle, direction, mask, cx),
            })?;
            // A loop elsewhere may have heard of an event in the meantime. Only here: who saw
            // readiness above has not registered, and another thread may have used it up since.
            bits = self.descriptor.readiness.load().bits(mask);
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
