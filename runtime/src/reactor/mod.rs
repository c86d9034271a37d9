//! The descriptors of one loop, and one turn of their events.
//!
//! Place: called by the turn (`wait`), by sources that are polled on this loop (`attach`), and for
//! messages of sources elsewhere (`receive`); runs on the loop's own thread.
//!
//! ```text
//!   Source --Arc--> Descriptor { readiness, homes, places } <--Arc-- Slot { reader, others }
//!   any thread      atomics and a lock for changes                   this loop's thread alone
//! ```
//!
//! A direction is registered at its first "would block", with the loop that polls it, edge-
//! triggered, for both directions in one `epoll_ctl`; polled on another loop, it is registered
//! there too, and the former home gives its slot up as soon as nobody waits in it.
//!
//! # Invariants
//! I5, I7: see `slots` and `descriptor`. The buffer of events is taken out while wakers run: one of
//! them may turn the loop (a `block_on` inside `block_in_place`), which then has a buffer of its own.
//!
//! # Why it is so
//! A task that accepts on loop A and serves on loop B costs nothing this way, and wakers need no
//! lock. When two loops wait for one direction at once (several tasks accept from one listener),
//! both stay registered until the next event, so neither misses it and they do not take the
//! registration from each other in circles.

mod descriptor;
pub mod homes;
mod interest;
pub mod readiness;
mod ready_future;
mod slots;
mod source;

use std::cell::Cell;
use std::fmt;
use std::io;
use std::task::Waker;
use std::time::Duration;

pub(crate) use descriptor::{Descriptor, Kind};
pub use interest::{Interest, Ready};
pub use slots::Direction;
pub(crate) use slots::{ForeignWaiter, Key, WaiterNumber};
pub use source::{ReadyEvent, Source};

use crate::contain::{contained, drop_contained, wake_contained};
use crate::primitive::sync::Arc;
use crate::sys::{self, DOORBELL_KEY};
use crate::worker::Local;
use descriptor::SourceIsGone;
use slots::Slots;

/// What sources tell a loop from other threads.
#[derive(Debug)]
pub(crate) enum Message {
    /// A thread without a loop waits in this direction: as one of many, or as its one poller.
    Wait {
        descriptor: Arc<Descriptor>,
        direction: Direction,
        waiter: Option<ForeignWaiter>,
        waker: Waker,
    },
    /// It waits no more.
    RemoveForeign(Arc<Descriptor>, WaiterNumber),
    /// Another loop has taken a direction over.
    TakenOver(Key),
    /// One of many waiters has gone.
    RemoveWaiter(Key, WaiterNumber),
    /// The source has gone, and its registration with it.
    Remove(Key),
}

pub(crate) struct Reactor {
    slots: Slots,
    events: Cell<Option<sys::Events>>,
}

impl Reactor {
    pub(crate) fn new() -> Self {
        Self {
            slots: Slots::new(),
            events: Cell::new(None),
        }
    }

    /// Registered descriptors.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.len() == 0
    }

    /// One system call: waits for events, and wakes who waits for them. The number of events, the
    /// doorbell's left out.
    pub(crate) fn wait(&self, local: &Local, timeout: Option<Duration>) -> usize {
        let mut events = self.events.take().unwrap_or_else(sys::Events::new);
        let poller = local.remote().poller();
        if let Err(error) = poller.wait(&mut events, timeout) {
            sys::end_process("cannot wait for events", error);
        }
        let count = self.dispatch(local, &events);
        self.events.set(Some(events));
        count
    }

    fn dispatch(&self, local: &Local, events: &sys::Events) -> usize {
        let loop_id = local.id().as_u32();
        let mut count = 0;
        for (key, bits) in events.iter() {
            if key == DOORBELL_KEY {
                continue;
            }
            count += 1;
            let key = Key::from_u64(key);
            let Some(due) = self.slots.event(key, bits, loop_id) else {
                continue;
            };
            if let Some(waker) = due.reader {
                wake_contained(waker);
            }
            if due.has_others {
                self.slots.take_others(key, bits).wake();
            }
            if due.moved_away {
                self.give_up_if_idle(local, key);
            }
        }
        local.counts.io_events.add(count as u64);
        count
    }

    pub(crate) fn receive(&self, local: &Local, message: Message) {
        match message {
            Message::Wait {
                descriptor,
                direction,
                waiter,
                waker,
            } => {
                self.wait_for_other_thread(local, &descriptor, direction, waiter, waker);
            }
            Message::RemoveForeign(descriptor, number) => {
                if let Some((_, key)) = descriptor.place_at(local.id().as_u32()) {
                    self.slots.remove_waiter(key, number);
                }
            }
            Message::TakenOver(key) => {
                local.counts.source_moves.add(1);
                self.give_up_if_idle(local, key);
            }
            Message::RemoveWaiter(key, number) => {
                self.slots.remove_waiter(key, number);
                self.give_up_if_idle(local, key);
            }
            Message::Remove(key) => self.remove(key),
        }
    }

    /// Makes this loop the home of a direction, registering the descriptor if it has no slot here.
    /// The index of its slot.
    pub(crate) fn attach(
        &self,
        local: &Local,
        descriptor: &Arc<Descriptor>,
        direction: Direction,
    ) -> io::Result<Result<Key, SourceIsGone>> {
        let mut made = None;
        let registered = descriptor.register(local.remote(), || {
            let key = self.slots.insert(Arc::clone(descriptor));
            made = Some(key);
            key
        });
        let key = match registered {
            Ok(Ok(key)) => key,
            Ok(Err(gone)) => return Ok(Err(gone)),
            Err(error) => {
                if let Some(key) = made {
                    self.slots.remove(key).wake();
                }
                return Err(error);
            }
        };
        let id = local.id().as_u32();
        let former = descriptor
            .homes
            .take_over(direction.index(), id, key.index());
        if let Some((remote, key)) = former.and_then(|former| descriptor.place_at(former)) {
            // Refused: that loop has ended, and its slots with it.
            let _ = remote.send(crate::worker::Message::Source(Message::TakenOver(key)));
        }
        Ok(Ok(key))
    }

    pub(crate) fn set_waker(&self, index: u32, direction: Direction, waker: &Waker) {
        self.slots.set_waker(index, direction, waker);
    }

    pub(crate) fn set_waiter(
        &self,
        key: Key,
        number: Option<WaiterNumber>,
        mask: u64,
        waker: &Waker,
    ) -> Option<WaiterNumber> {
        self.slots.set_waiter(key, number, mask, waker)
    }

    /// The source is gone. Its waiters, if any are left, are woken and find out.
    pub(crate) fn remove(&self, key: Key) {
        self.slots.remove(key).wake();
    }

    /// The loop ends, or is not driven for a while: takes all registrations back and wakes all who
    /// wait, so that they register elsewhere, or see the end.
    pub(crate) fn close(&self, local: &Local) {
        for (descriptor, to_wake) in self.slots.remove_all() {
            descriptor.homes.leave(local.id().as_u32());
            descriptor.unregister(local.id());
            to_wake.wake();
        }
    }

    fn give_up_if_idle(&self, local: &Local, key: Key) {
        if !self.slots.is_idle(key, local.id().as_u32()) {
            return;
        }
        if let Some(descriptor) = self.slots.descriptor(key) {
            descriptor.unregister(local.id());
        }
        self.slots.remove(key).wake();
    }

    fn wait_for_other_thread(
        &self,
        local: &Local,
        descriptor: &Arc<Descriptor>,
        direction: Direction,
        waiter: Option<ForeignWaiter>,
        waker: Waker,
    ) {
        let key = match self.attach(local, descriptor, direction) {
            Ok(Ok(key)) => key,
            Ok(Err(SourceIsGone)) => return wake_contained(waker),
            Err(error) => {
                descriptor.refuse(error);
                return wake_contained(waker);
            }
        };
        let mut mask = direction.mask();
        // The clone is foreign code, as the drop below is.
        let is_set = contained(|| match waiter {
            Some(waiter) => {
                mask = waiter.mask;
                self.slots
                    .set_waiter(key, Some(waiter.number), mask, &waker);
            }
            None => self.slots.set_waker(key.index(), direction, &waker),
        });
        // An event may have come between the waiter's look and this message.
        if !is_set || descriptor.readiness.load().is_ready(mask) {
            wake_contained(waker);
        } else {
            drop_contained(waker);
        }
    }
}

impl fmt::Debug for Reactor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reactor")
            .field("sources", &self.len())
            .finish_non_exhaustive()
    }
}
