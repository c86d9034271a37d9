//! Which loop each direction of a descriptor is registered with.
//!
//! Place: in each source; `is` and `take_over` on the thread of the loop that polls. Protocol
//! file.
//!
//! # Invariants
//! A direction follows its poller: it belongs to the loop that took it over last, and only loop L
//! makes itself the home. So "L is the home", read on L's thread, stays true until another loop
//! takes over, and that loop then tells L with a message. Each change of home gives exactly one
//! loop the duty to tell exactly one other.
//!
//! # Why it is so
//! A lock would do, but the question "registered here?" is asked at every poll.

#![allow(unreachable_pub, reason = "the models import protocol types")]

use crate::primitive::atomic::{AtomicU64, Ordering};

/// The home of each direction: 0 is read, 1 is write. A word is the loop's id in the high half and
/// the slot's index in the low one; 0 is nowhere (no loop has id 0).
#[derive(Debug)]
pub struct Homes([AtomicU64; 2]);

impl Homes {
    /// Registered nowhere.
    #[allow(
        clippy::new_without_default,
        reason = "part of a descriptor, never alone"
    )]
    pub fn new() -> Self {
        Self([AtomicU64::new(0), AtomicU64::new(0)])
    }

    /// The slot's index, if loop `id` is the home. On that loop's thread.
    #[inline]
    pub fn slot_at(&self, direction: usize, id: u32) -> Option<u32> {
        // Relaxed: only this thread writes this loop's id, so the answer yes is its own store; the
        // answer no leads to `take_over`, which orders.
        let word = self.0[direction].load(Ordering::Relaxed);
        ((word >> 32) as u32 == id).then_some(word as u32)
    }

    /// The loop that is the home now, as a hint for other threads.
    pub fn loop_id(&self, direction: usize) -> u32 {
        (self.0[direction].load(Ordering::Relaxed) >> 32) as u32
    }

    /// Whether no loop watches for any direction, as a hint.
    pub fn is_nowhere(&self) -> bool {
        self.0.iter().all(|home| home.load(Ordering::Relaxed) == 0)
    }

    /// Loop `id` is no longer the home of any direction. On that loop's thread.
    pub fn leave(&self, id: u32) {
        for home in &self.0 {
            let word = home.load(Ordering::Relaxed);
            if (word >> 32) as u32 == id {
                // ORDERING: AcqRel, as in `take_over`. It fails if another loop has become the home
                // in between, which then needs no word from this one: its key is stale here.
                let _ = home.compare_exchange(word, 0, Ordering::AcqRel, Ordering::Relaxed);
            }
        }
    }

    /// Makes loop `id` the home, with its slot. The loop that was the home before, if it is
    /// another one: the caller tells it. On the new home's thread.
    pub fn take_over(&self, direction: usize, id: u32, slot: u32) -> Option<u32> {
        let word = u64::from(id) << 32 | u64::from(slot);
        // ORDERING: AcqRel. Each change reads the change before it, so that of two loops that take
        // over at once each tells a different former home (mutant home_store: a plain store lets
        // both tell the same one, and one registration is never given up).
        let before = (self.0[direction].swap(word, Ordering::AcqRel) >> 32) as u32;
        (before != 0 && before != id).then_some(before)
    }
}
