//! Who waits for what on one loop: a slot for each registered descriptor.
//!
//! Place: called by the reactor; runs on the loop's own thread.
//!
//! # Invariants
//! I2. Plain memory: wakers are stored, taken and dropped by this thread alone. I5. A waker is
//! woken or dropped by the caller, after the borrow of the table has ended. I7. A key carries the
//! generation of its slot, so that a late event or message never reaches another descriptor.

use std::cell::{Cell, RefCell};
use std::sync::OnceLock;
use std::task::Waker;

use super::descriptor::Descriptor;
use super::readiness::{ERROR, PRIORITY, READ_CLOSED, READABLE, WRITABLE, WRITE_CLOSED};
use crate::contain::{drop_contained, wake_contained};
use crate::primitive::atomic::{AtomicU64, Ordering};
use crate::primitive::sync::Arc;
use crate::worker::Table;

/// Names a slot of one loop: generation in the high half, index in the low one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Key(u64);

impl Key {
    fn new(generation: u32, index: usize) -> Self {
        let index = u32::try_from(index).expect("fewer than 2^32 descriptors on one loop");
        Self(u64::from(generation) << 32 | u64::from(index))
    }

    pub(crate) fn from_u64(key: u64) -> Self {
        Self(key)
    }

    pub(crate) fn as_u64(self) -> u64 {
        self.0
    }

    pub(crate) fn index(self) -> u32 {
        self.0 as u32
    }

    fn generation(self) -> u32 {
        (self.0 >> 32) as u32
    }
}

/// Names one of many waiters of a slot. Never used again on the same loop, so that a waiter that
/// was woken and comes back late cannot touch another.
pub(crate) type WaiterNumber = u64;

/// One of many waiters, on a thread without a loop: it numbers itself, apart from those that the
/// loops number.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ForeignWaiter {
    pub(crate) number: WaiterNumber,
    pub(crate) mask: u64,
}

impl ForeignWaiter {
    pub(crate) fn new(mask: u64) -> Self {
        static NEXT: OnceLock<AtomicU64> = OnceLock::new();
        let next = NEXT.get_or_init(|| AtomicU64::new(0));
        Self {
            number: next.fetch_add(1, Ordering::Relaxed) | FOREIGN,
            mask,
        }
    }
}

const FOREIGN: WaiterNumber = 1 << 63;

/// A direction of a descriptor: input or output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Reading, accepting.
    Read,
    /// Writing, connecting.
    Write,
}

impl Direction {
    pub(crate) fn index(self) -> usize {
        self as usize
    }

    /// The readiness bits that make an operation of this direction worth trying.
    pub(crate) fn mask(self) -> u64 {
        match self {
            Self::Read => READABLE | READ_CLOSED | ERROR,
            Self::Write => WRITABLE | WRITE_CLOSED | ERROR,
        }
    }
}

#[derive(Debug)]
struct Slot {
    descriptor: Arc<Descriptor>,
    generation: u32,
    // Of the poll-style functions: the last one that polled for input.
    reader: Option<Waker>,
    // Made at the first need and kept with the slot: an idle connection waits for input alone.
    others: Option<Box<Others>>,
}

/// Who waits for anything but input, and beside others.
#[derive(Debug, Default)]
struct Others {
    // Of the poll-style functions: the last one that polled for output.
    writer: Option<Waker>,
    // The waiters of `ready`, `async_io` and of threads without a loop: any number.
    waiters: Vec<Waiter>,
}

#[derive(Debug)]
struct Waiter {
    number: WaiterNumber,
    mask: u64,
    waker: Waker,
}

/// What one event leaves to do, once no borrow is held.
#[derive(Debug)]
pub(crate) struct Due {
    /// Who waits for input: to be woken.
    pub(crate) reader: Option<Waker>,
    /// Others wait, maybe for this: see [`Slots::take_others`].
    pub(crate) has_others: bool,
    /// Both directions have their home elsewhere.
    pub(crate) moved_away: bool,
}

/// What is to be woken beside who waits for input, or after a removal, once no borrow is held.
#[derive(Debug, Default)]
pub(crate) struct ToWake {
    wakers: [Option<Waker>; 2],
    waiters: Vec<Waker>,
}

impl ToWake {
    pub(crate) fn wake(self) {
        for waker in self.wakers.into_iter().flatten().chain(self.waiters) {
            wake_contained(waker);
        }
    }
}

#[derive(Debug)]
pub(crate) struct Slots {
    slots: RefCell<Table<Slot>>,
    next_generation: Cell<u32>,
    next_waiter: Cell<WaiterNumber>,
}

impl Slots {
    pub(crate) fn new() -> Self {
        Self {
            slots: RefCell::new(Table::new()),
            next_generation: Cell::new(0),
            next_waiter: Cell::new(0),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.borrow().len()
    }

    pub(crate) fn insert(&self, descriptor: Arc<Descriptor>) -> Key {
        // The last generation is left out: with it a key could equal the doorbell's.
        let generation = self.next_generation.get();
        self.next_generation.set((generation + 1) % u32::MAX);
        let slot = Slot {
            descriptor,
            generation,
            reader: None,
            others: None,
        };
        Key::new(generation, self.slots.borrow_mut().insert(slot))
    }

    /// The descriptor of a slot, unless the key is stale.
    pub(crate) fn descriptor(&self, key: Key) -> Option<Arc<Descriptor>> {
        let slots = self.slots.borrow();
        let slot = slots.get(key.index() as usize)?;
        (slot.generation == key.generation()).then(|| Arc::clone(&slot.descriptor))
    }

    /// An event: sets the readiness and takes out who waits for input, if it tells of some. `None`
    /// for a stale key.
    #[inline]
    pub(crate) fn event(&self, key: Key, bits: u64, loop_id: u32) -> Option<Due> {
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(key.index() as usize)?;
        if slot.generation != key.generation() {
            return None;
        }
        slot.descriptor.readiness.set(bits);
        let is_input = bits & (Direction::Read.mask() | PRIORITY) != 0;
        Some(Due {
            reader: if is_input { slot.reader.take() } else { None },
            has_others: slot.others.is_some(),
            moved_away: !slot.is_home(loop_id),
        })
    }

    /// Takes out who else waits for an event with these bits. Nothing for a stale key.
    #[cold]
    pub(crate) fn take_others(&self, key: Key, bits: u64) -> ToWake {
        let mut to_wake = ToWake::default();
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(key.index() as usize);
        let slot = slot.filter(|slot| slot.generation == key.generation());
        if let Some(others) = slot.and_then(|slot| slot.others.as_mut()) {
            if bits & Direction::Write.mask() != 0 {
                to_wake.wakers[1] = others.writer.take();
            }
            if !others.waiters.is_empty() {
                to_wake.waiters = others.take_waiters(bits);
            }
        }
        to_wake
    }

    /// Whether a slot may go: no direction has its home at this loop, and nobody waits here.
    pub(crate) fn is_idle(&self, key: Key, loop_id: u32) -> bool {
        let slots = self.slots.borrow();
        slots.get(key.index() as usize).is_some_and(|slot| {
            slot.generation == key.generation()
                && !slot.is_home(loop_id)
                && slot.reader.is_none()
                && slot.others.as_ref().is_none_or(|others| others.is_empty())
        })
    }

    /// Takes a slot out, with all who wait there; nothing for a stale key.
    pub(crate) fn remove(&self, key: Key) -> ToWake {
        let removed = {
            let mut slots = self.slots.borrow_mut();
            match slots.get(key.index() as usize) {
                Some(slot) if slot.generation == key.generation() => {
                    Some(slots.remove(key.index() as usize))
                }
                _ => None,
            }
        };
        removed.map_or_else(ToWake::default, |slot| slot.into_parts().1)
    }

    /// Takes everything out.
    pub(crate) fn remove_all(&self) -> Vec<(Arc<Descriptor>, ToWake)> {
        let slots = std::mem::take(&mut *self.slots.borrow_mut());
        slots
            .into_iter()
            .map(|(_, slot)| slot.into_parts())
            .collect()
    }

    /// Makes `waker` the one waiter of a direction. The slot is known to be there.
    pub(crate) fn set_waker(&self, index: u32, direction: Direction, waker: &Waker) {
        let index = index as usize;
        let is_set = self.slots.borrow()[index]
            .waker(direction)
            .is_some_and(|current| current.will_wake(waker));
        if !is_set {
            let waker = waker.clone();
            let mut slots = self.slots.borrow_mut();
            let slot = slots.get_mut(index).expect("looked at a line above");
            let replaced = slot.replace_waker(direction, waker);
            drop(slots);
            drop_contained(replaced);
        }
    }

    /// Adds one of many waiters, or renews it if it still stands there, and says under which
    /// number. `None` for a stale key.
    pub(crate) fn set_waiter(
        &self,
        key: Key,
        number: Option<WaiterNumber>,
        mask: u64,
        waker: &Waker,
    ) -> Option<WaiterNumber> {
        let waker = waker.clone();
        let mut slots = self.slots.borrow_mut();
        let slot = slots.get_mut(key.index() as usize)?;
        if slot.generation != key.generation() {
            return None;
        }
        let waiters = &mut slot.others.get_or_insert_default().waiters;
        let standing = waiters
            .iter_mut()
            .find(|waiter| Some(waiter.number) == number);
        if let Some(waiter) = standing {
            let number = waiter.number;
            let replaced = std::mem::replace(&mut waiter.waker, waker);
            drop(slots);
            drop_contained(replaced);
            return Some(number);
        }
        let number = number
            .filter(|number| number & FOREIGN != 0)
            .unwrap_or_else(|| self.next_waiter.replace(self.next_waiter.get() + 1));
        waiters.push(Waiter {
            number,
            mask,
            waker,
        });
        Some(number)
    }

    /// Takes one of many waiters out, if it still stands there.
    pub(crate) fn remove_waiter(&self, key: Key, number: WaiterNumber) {
        let mut slots = self.slots.borrow_mut();
        let Some(slot) = slots.get_mut(key.index() as usize) else {
            return;
        };
        if slot.generation != key.generation() {
            return;
        }
        let Some(others) = &mut slot.others else {
            return;
        };
        let waiters = &mut others.waiters;
        let at = waiters.iter().position(|waiter| waiter.number == number);
        let removed = at.map(|at| waiters.swap_remove(at));
        drop(slots);
        drop_contained(removed);
    }
}

impl Slot {
    fn is_home(&self, loop_id: u32) -> bool {
        let homes = &self.descriptor.homes;
        homes.slot_at(0, loop_id).is_some() || homes.slot_at(1, loop_id).is_some()
    }

    fn waker(&self, direction: Direction) -> Option<&Waker> {
        match direction {
            Direction::Read => self.reader.as_ref(),
            Direction::Write => self.others.as_ref()?.writer.as_ref(),
        }
    }

    fn replace_waker(&mut self, direction: Direction, waker: Waker) -> Option<Waker> {
        match direction {
            Direction::Read => self.reader.replace(waker),
            Direction::Write => self.others.get_or_insert_default().writer.replace(waker),
        }
    }

    /// The descriptor, and all who wait.
    fn into_parts(self) -> (Arc<Descriptor>, ToWake) {
        let others = self.others.map(|others| *others).unwrap_or_default();
        let waiters = others.waiters.into_iter().map(|waiter| waiter.waker);
        let to_wake = ToWake {
            wakers: [self.reader, others.writer],
            waiters: waiters.collect(),
        };
        (self.descriptor, to_wake)
    }
}

impl Others {
    fn is_empty(&self) -> bool {
        self.writer.is_none() && self.waiters.is_empty()
    }

    fn take_waiters(&mut self, bits: u64) -> Vec<Waker> {
        let due = self
            .waiters
            .extract_if(.., |waiter| waiter.mask & bits != 0);
        due.map(|waiter| waiter.waker).collect()
    }
}
