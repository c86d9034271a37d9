//! Arenas: pieces of huge pages that are cut into blocks of one class.
//!
//! Place: a pool has its [`Arenas`] and is touched by its thread alone; an [`Arena`] is shared with
//! the blocks that lie in it, and takes them back on any thread.
//!
//! ```text
//!   pool ---> Arenas: those of each class, oldest first
//!                |
//!                v          one reference each
//!              Arena <------------------------------ Block: out, or in the pool's free lists
//!                |
//!                +--> vacant: places that no block has
//! ```
//!
//! # Invariants
//! A place is one block's or vacant. The mapping stays while a block lies in it, and while the pool
//! keeps the arena: that is until the last of its blocks is freed (`forget_if_vacant`) or the pool
//! ends, so that leases may be longer-lived than their loop.
//!
//! # Why it is so
//! An arena has blocks of one size, so that a vacant place always fits. New blocks come from the
//! oldest arena that has a place, so that the younger ones empty and are given back. The pool's lists
//! know nothing of arenas: they keep the order in which blocks came back.

use std::ptr::NonNull;

use super::block::{CLASSES, Class};
use crate::primitive::sync::{Arc, Mutex};
use crate::sys::pages::{HUGE_PAGE_BYTES, HugePage};

/// A piece of memory that is cut into blocks.
#[derive(Debug)]
pub(super) struct Arena {
    piece: HugePage,
    class: Class,
    /// Places, counted in blocks from the start.
    vacant: Mutex<Vec<u16>>,
}

impl Arena {
    fn new(class: Class) -> Option<Arc<Self>> {
        // Why the system refuses is of no use to anybody: the heap serves instead.
        let piece = HugePage::new().ok()?;
        Some(Arc::new(Self {
            piece,
            class,
            // The first is given out first, so that an arena fills from its start.
            vacant: Mutex::new((0..places(class)).rev().collect()),
        }))
    }

    /// A place for a block.
    fn take(&self) -> Option<NonNull<u8>> {
        let place = self.vacant.lock().pop()?;
        let offset = usize::from(place) * self.class.bytes();
        let start = self.piece.start();
        // Within the piece, so it does not wrap around.
        NonNull::new(start.as_ptr().wrapping_add(offset))
    }

    /// Takes back what [`take`](Self::take) gave. Any thread.
    pub(super) fn put(&self, bytes: NonNull<u8>) {
        let offset = bytes.addr().get() - self.piece.start().addr().get();
        let place = u16::try_from(offset / self.class.bytes());
        debug_assert!(place.is_ok(), "the block lies in this arena");
        self.vacant.lock().extend(place);
    }

    fn is_vacant(&self) -> bool {
        self.vacant.lock().len() == usize::from(places(self.class))
    }
}

/// How many blocks lie in an arena: from 2 to 1024.
fn places(class: Class) -> u16 {
    (HUGE_PAGE_BYTES / class.bytes()) as u16
}

/// The arenas of a pool.
#[derive(Debug)]
pub(super) struct Arenas {
    /// By class, oldest first.
    kept: [Vec<Arc<Arena>>; CLASSES],
    /// How many those are.
    count: usize,
    may_grow: bool,
    refusals: u64,
}

impl Arenas {
    /// None yet, and none ever unless `are_wanted`.
    pub(super) fn new(are_wanted: bool) -> Self {
        Self {
            kept: [const { Vec::new() }; CLASSES],
            count: 0,
            may_grow: are_wanted,
            refusals: 0,
        }
    }

    /// A place for a block. None: take it from the heap. The first refusal of the system ends the
    /// asking: a pool at the limit of its address space would make system calls for each block.
    pub(super) fn take(&mut self, class: Class) -> Option<(Arc<Arena>, NonNull<u8>)> {
        let kept = &mut self.kept[class.index()];
        let place = |arena: &Arc<Arena>| Some((Arc::clone(arena), arena.take()?));
        if let Some(found) = kept.iter().find_map(place) {
            return Some(found);
        }
        if !self.may_grow {
            return None;
        }
        let Some(arena) = Arena::new(class) else {
            self.may_grow = false;
            self.refusals += 1;
            return None;
        };
        let found = place(&arena);
        kept.push(arena);
        self.count += 1;
        found
    }

    /// A block of this arena was freed: if it was the last, the arena is unmapped.
    pub(super) fn forget_if_vacant(&mut self, arena: &Arc<Arena>) {
        if arena.is_vacant() {
            let kept = &mut self.kept[arena.class.index()];
            let before = kept.len();
            kept.retain(|other| !Arc::ptr_eq(other, arena));
            self.count -= before - kept.len();
        }
    }

    /// Leaves the arenas to the blocks that lie in them.
    pub(super) fn forget_all(&mut self) {
        self.may_grow = false;
        self.count = 0;
        for kept in &mut self.kept {
            kept.clear();
        }
    }

    /// Bytes that are mapped.
    pub(super) fn bytes(&self) -> usize {
        self.count * HUGE_PAGE_BYTES
    }

    pub(super) fn refusals(&self) -> u64 {
        self.refusals
    }
}
