//! Hierarchical timer wheel: keeps values until their tick has come, and hands them out in order.
//!
//! Place: called by `driver`; calls nothing but `slab`. Protocol file: runs on the owning thread,
//! in plain memory, and knows neither clocks nor wakers, only `u64` ticks that never go back.
//!
//! ```text
//! tick (64 bits)  |level 10| ... |level 2 |level 1 |level 0 |      6 bits, one digit, a level
//!
//! level 2  [ ][ ][x][ ] ...      a slot spans 64 * 64 ticks
//! level 1  [ ][x][ ][x] ...      a slot spans 64 ticks
//! level 0  [x][ ][ ][x] ...      a slot is one tick
//! ```
//!
//! An entry lives on the level of the highest digit in which its tick differs from `elapsed`, in the
//! slot of that digit. When `elapsed` reaches the start of a slot above level 0, the entries of the
//! slot move down (a cascade); on level 0 they are due. The eleven levels cover every `u64`, so no
//! tick is out of range and no slot ever stands for two rounds.
//!
//! # Invariants
//!
//! W1. `elapsed` never passes the start of an occupied slot. Kept by `expire_next`, which empties or
//!     cascades a slot before it goes on; relied on by `slot_of` (a digit stays the highest that
//!     differs until the slot is reached).
//! W2. Every entry on a lower level is due before every entry on a higher one, and within a level
//!     slots are due in the order of their numbers, because all higher digits equal those of
//!     `elapsed`. So the next slot is the lowest bit of the lowest level that is occupied.
//! W3. A bit of `occupied` is set exactly if the list of that slot is not empty.
//! W4. `next` is at or before the tick of every entry, if it is known.
//! W5. A sequence number is given once, so a key that is not current matches nothing.
//!
//! # Why it is so
//!
//! A binary heap needs O(log n) to cancel and most timers are cancelled. A wheel without cascades
//! (each level fires with its own precision) would be late by up to one sixty-fourth of the delay.
//! Generations kept in each slab entry would wrap for a hot entry after 2^32 arms, which is minutes
//! under load; one counter of 64 bits never does, and the entry is still 48 bytes with a waker.

extern crate alloc;

use alloc::boxed::Box;

use slab::Slab;

/// What [`Wheel::arm`] gives back: names one armed entry, and nothing once that is gone.
///
/// Packed, as each timer holds one: 12 bytes, and room for what else the timer has to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(Rust, packed(4))]
pub(crate) struct Key {
    sequence: u64,
    index: u32,
}

/// The wheel. `V` is what is handed out when its time has come; for the runtime, a waker.
#[derive(Debug)]
pub(crate) struct Wheel<V> {
    /// The tick up to which everything due has been handed out.
    elapsed: u64,
    /// What is known of the earliest entry.
    next: Next,
    sequence: u64,
    /// One bit a level: some slot of it is occupied.
    levels: u16,
    occupied: [u64; LEVELS],
    slots: Box<[List; LEVELS * SLOTS]>,
    entries: Slab<Entry<V>>,
}

impl<V> Wheel<V> {
    /// Makes an empty wheel that stands at tick 0.
    pub(crate) fn new() -> Self {
        Self {
            elapsed: 0,
            next: Next::Never,
            sequence: 0,
            levels: 0,
            occupied: [0; LEVELS],
            slots: Box::new([List::EMPTY; LEVELS * SLOTS]),
            entries: Slab::new(),
        }
    }

    /// The number of armed entries.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is armed.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// The tick that the wheel has reached.
    pub(crate) fn elapsed(&self) -> u64 {
        self.elapsed
    }

    /// Moves an empty wheel on to `now`, so that the next entry is filed near its level. Does
    /// nothing if the wheel is not empty or already further.
    pub(crate) fn skip_to(&mut self, now: u64) {
        if self.is_empty() && now > self.elapsed {
            self.elapsed = now;
        }
    }

    /// Puts `value` in, to be handed out once the wheel has reached the tick `when`; at the next
    /// [`Wheel::expire_next`] if it has already.
    pub(crate) fn arm(&mut self, when: u64, value: V) -> Key {
        self.sequence += 1;
        let sequence = self.sequence;
        let index = self.entries.insert(Entry {
            value,
            when,
            sequence,
            previous: NIL,
            next: NIL,
            slot: 0,
        });
        // Four thousand million entries of 48 bytes: memory has run out long before.
        let index = u32::try_from(index).expect("at most 2^32 - 1 timers a loop");
        self.link(index);
        self.note_earliest(when);
        Key { sequence, index }
    }

    /// Takes an entry out. `None` if it is not armed any more.
    pub(crate) fn cancel(&mut self, key: Key) -> Option<V> {
        self.get(key)?;
        Some(self.remove(key.index).1)
    }

    /// Moves an entry to another tick; its key stays good. Tells whether it was still armed.
    pub(crate) fn rearm(&mut self, key: Key, when: u64) -> bool {
        let Some(entry) = self.get(key) else {
            return false;
        };
        let before = entry.when;
        if before != when {
            self.unlink(key.index);
            self.forget_earliest(before);
            self.entries[key.index as usize].when = when;
            self.link(key.index);
            self.note_earliest(when);
        }
        true
    }

    /// The value of an armed entry.
    pub(crate) fn value_mut(&mut self, key: Key) -> Option<&mut V> {
        let entry = self.entries.get_mut(key.index as usize)?;
        (entry.sequence == key.sequence).then_some(&mut entry.value)
    }

    /// The tick at which [`Wheel::expire_next`] should next be called; `None` if nothing is armed.
    ///
    /// It is never later than the earliest entry. It is exact unless that entry shares a slot above
    /// level 0 with at least [`PEEK_MAX`] others; then it is the start of that slot, where a call
    /// only cascades. So a wake-up for nothing happens at most once a level, and only for many.
    pub(crate) fn next_expiry(&mut self) -> Option<u64> {
        match self.next {
            Next::Never => None,
            Next::At(tick) if tick > self.elapsed => Some(tick),
            // A bound that has been reached is due, or was the start of a slot.
            Next::At(_) | Next::Unknown => {
                let earliest = self.find_earliest();
                self.next = earliest.map_or(Next::Never, Next::At);
                earliest
            }
        }
    }

    /// Hands out one value that is due at tick `now`, with the tick it was armed for. `None` if
    /// nothing else is due; only then has the wheel reached `now`.
    ///
    /// Values come in the order of their ticks, and those of one tick in the order in which they were
    /// armed: a slot is cascaded before anything can be armed below it. What was armed for the past
    /// stands at the tick that had been reached. A `now` before that of an earlier call counts as
    /// that one.
    pub(crate) fn expire_next(&mut self, now: u64) -> Option<(u64, V)> {
        loop {
            let Some((level, slot, start)) = self.next_slot() else {
                self.elapsed = self.elapsed.max(now);
                return None;
            };
            debug_assert!(start >= self.elapsed, "W1");
            if start > now.max(self.elapsed) {
                self.elapsed = self.elapsed.max(now);
                return None;
            }
            // Nothing stands before `start` (W2), so `elapsed` may go there.
            self.elapsed = start;
            if level == 0 {
                let index = self.slots[usize::from(slot)].head;
                return Some(self.remove(index));
            }
            self.cascade(slot);
        }
    }

    /// Takes any entry out, whenever it is due. To empty the wheel at the end.
    pub(crate) fn take_any(&mut self) -> Option<V> {
        let (_, slot, _) = self.next_slot()?;
        let index = self.slots[usize::from(slot)].head;
        Some(self.remove(index).1)
    }

    fn get(&self, key: Key) -> Option<&Entry<V>> {
        let entry = self.entries.get(key.index as usize)?;
        (entry.sequence == key.sequence).then_some(entry)
    }

    /// The slot that is due first: its level, its number and the tick at which it begins.
    fn next_slot(&self) -> Option<(u32, u16, u64)> {
        if self.levels == 0 {
            return None;
        }
        let level = self.levels.trailing_zeros();
        let digit = self.occupied[level as usize].trailing_zeros();
        let shift = level * SLOT_BITS;
        // All digits above come from `elapsed` (W2), all below are zero.
        let above = self.elapsed >> shift >> SLOT_BITS << SLOT_BITS;
        let start = (above | u64::from(digit)) << shift;
        Some((level, slot_number(level, digit), start))
    }

    /// Moves every entry of a slot that `elapsed` has reached to the levels below.
    fn cascade(&mut self, slot: u16) {
        let list = core::mem::replace(&mut self.slots[usize::from(slot)], List::EMPTY);
        self.mark_empty(slot);
        let mut index = list.head;
        while index != NIL {
            let next = self.entries[index as usize].next;
            self.link(index);
            index = next;
        }
    }

    /// Appends an entry to the list of the slot in which it belongs.
    fn link(&mut self, index: u32) {
        let entry = &mut self.entries[index as usize];
        let slot = slot_of(self.elapsed, entry.when);
        let list = &mut self.slots[usize::from(slot)];
        let tail = list.tail;
        entry.slot = slot;
        entry.previous = tail;
        entry.next = NIL;
        list.tail = index;
        if tail == NIL {
            list.head = index;
            let level = usize::from(slot) / SLOTS;
            self.occupied[level] |= 1 << (usize::from(slot) % SLOTS);
            self.levels |= 1 << level;
        } else {
            self.entries[tail as usize].next = index;
        }
    }

    /// Takes an entry out of the list in which it stands.
    fn unlink(&mut self, index: u32) {
        let entry = &self.entries[index as usize];
        let (slot, previous, next) = (entry.slot, entry.previous, entry.next);
        let list = &mut self.slots[usize::from(slot)];
        if next == NIL {
            list.tail = previous;
        } else {
            self.entries[next as usize].previous = previous;
        }
        if previous == NIL {
            list.head = next;
            if next == NIL {
                self.mark_empty(slot);
            }
        } else {
            self.entries[previous as usize].next = next;
        }
    }

    fn mark_empty(&mut self, slot: u16) {
        let level = usize::from(slot) / SLOTS;
        self.occupied[level] &= !(1 << (usize::from(slot) % SLOTS));
        if self.occupied[level] == 0 {
            self.levels &= !(1 << level);
        }
    }

    /// Unlinks and frees an entry.
    fn remove(&mut self, index: u32) -> (u64, V) {
        self.unlink(index);
        let entry = self.entries.remove(index as usize);
        self.forget_earliest(entry.when);
        if self.entries.is_empty() && self.entries.capacity() > KEPT_ENTRIES_MAX {
            self.entries = Slab::new();
        }
        (entry.when, entry.value)
    }

    /// An entry for `when` has come.
    fn note_earliest(&mut self, when: u64) {
        match self.next {
            Next::Never => self.next = Next::At(when),
            Next::At(tick) if when < tick => self.next = Next::At(when),
            Next::At(_) | Next::Unknown => {}
        }
    }

    /// An entry for `when` has gone.
    fn forget_earliest(&mut self, when: u64) {
        if matches!(self.next, Next::At(tick) if when <= tick) {
            self.next = Next::Unknown;
        }
    }

    fn find_earliest(&self) -> Option<u64> {
        let (level, slot, start) = self.next_slot()?;
        if level == 0 {
            return Some(start);
        }
        let mut earliest = u64::MAX;
        let mut index = self.slots[usize::from(slot)].head;
        for _ in 0..PEEK_MAX {
            if index == NIL {
                return Some(earliest);
            }
            let entry = &self.entries[index as usize];
            earliest = earliest.min(entry.when);
            index = entry.next;
        }
        Some(if index == NIL { earliest } else { start })
    }
}

/// What is known of the earliest tick.
#[derive(Clone, Copy, Debug)]
enum Next {
    Never,
    At(u64),
    Unknown,
}

/// One armed entry, linked by index into the list of its slot.
#[derive(Debug)]
struct Entry<V> {
    value: V,
    when: u64,
    sequence: u64,
    previous: u32,
    next: u32,
    /// Level times [`SLOTS`] plus digit.
    slot: u16,
}

#[derive(Clone, Copy, Debug)]
struct List {
    head: u32,
    tail: u32,
}

impl List {
    const EMPTY: Self = Self {
        head: NIL,
        tail: NIL,
    };
}

/// The slot for tick `when`, seen from `elapsed`; what is past belongs in the slot of `elapsed`.
fn slot_of(elapsed: u64, when: u64) -> u16 {
    let when = when.max(elapsed);
    // The lowest bit is set so that equal ticks give level 0.
    let level = (63 - ((elapsed ^ when) | 1).leading_zeros()) / SLOT_BITS;
    let digit = (when >> (level * SLOT_BITS)) % SLOTS as u64;
    slot_number(level, digit as u32)
}

/// The arguments are below [`LEVELS`] and [`SLOTS`], so nothing is cut off.
fn slot_number(level: u32, digit: u32) -> u16 {
    (level * SLOTS as u32 + digit) as u16
}

/// Bits of a tick that one level looks at.
const SLOT_BITS: u32 = 6;
/// Slots a level: as many as the bits of its occupancy word.
const SLOTS: usize = 1 << SLOT_BITS;
/// Levels: enough for all 64 bits of a tick.
const LEVELS: usize = 64_usize.div_ceil(SLOT_BITS as usize);
/// Entries of a coarse slot that `next_expiry` looks at before it settles for the slot's start.
const PEEK_MAX: usize = 16;
/// Entries whose memory an empty wheel keeps (192 KiB with wakers).
const KEPT_ENTRIES_MAX: usize = 4096;
/// The index that is none.
const NIL: u32 = u32::MAX;

#[cfg(test)]
mod tests;
