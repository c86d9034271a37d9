//! A part of the queue: a fixed number of places for messages.
//!
//! Place: inside `list`.
//!
//! # Invariants
//! K1. A place is written by the sender who claimed its position, once; it is the receiver's from
//! the moment its bit in `ready` is set.

use std::mem::MaybeUninit;
use std::ptr;

use crate::primitive::UnsafeCell;
use crate::primitive::atomic::{AtomicBool, AtomicPtr, AtomicU32, Ordering};

/// Places in a block. A power of two, and not more than the bits of `ready`.
pub(super) const PLACES: usize = if cfg!(loom) { 2 } else { 32 };

const ALL_READY: u32 = u32::MAX >> (u32::BITS as usize - PLACES);

pub(super) struct Block<T> {
    /// The position of the first place. Written while one thread has the block.
    start: UnsafeCell<usize>,
    /// The next block, once there is one.
    pub(super) next: AtomicPtr<Self>,
    /// One bit for each place that is written.
    ready: AtomicU32,
    /// Whether `passed_at` is written.
    passed: AtomicBool,
    /// The claims that were made when new senders stopped coming here.
    passed_at: UnsafeCell<usize>,
    places: [UnsafeCell<MaybeUninit<T>>; PLACES],
}

/// The start of the block that has this position.
pub(super) fn start_of(position: usize) -> usize {
    position & !(PLACES - 1)
}

fn place_of(position: usize) -> usize {
    position & (PLACES - 1)
}

impl<T> Block<T> {
    pub(super) fn new(start: usize) -> Box<Self> {
        Box::new(Self {
            start: UnsafeCell::new(start),
            next: AtomicPtr::new(ptr::null_mut()),
            ready: AtomicU32::new(0),
            passed: AtomicBool::new(false),
            passed_at: UnsafeCell::new(0),
            places: std::array::from_fn(|_| UnsafeCell::new(MaybeUninit::uninit())),
        })
    }

    /// Makes a block, of which the messages were read, a new one.
    pub(super) fn renew(&mut self, start: usize) {
        self.start = UnsafeCell::new(start);
        self.next = AtomicPtr::new(ptr::null_mut());
        self.ready = AtomicU32::new(0);
        self.passed = AtomicBool::new(false);
    }

    pub(super) fn start(&self) -> usize {
        self.start.with(|start| {
            // SAFETY: it is not changed while the block is in the list.
            unsafe { *start }
        })
    }

    /// Writes a message into its place.
    ///
    /// # Safety
    ///
    /// The caller has claimed the position, which lies in this block, and writes it once. It touches
    /// the block no more.
    pub(super) unsafe fn write(&self, position: usize, message: T) {
        let place = place_of(position);
        self.places[place].with_mut(|cell| {
            // SAFETY: nobody else has the place (K1).
            unsafe { (*cell).write(message) };
        });
        // ORDERING: AcqRel. Release publishes the message to the receiver, and, with Acquire, all of
        // them to who finds the block full. If weaker: mpsc::messages_are_published fails.
        self.ready.fetch_or(1 << place, Ordering::AcqRel);
    }

    /// Whether the message of this position is written.
    pub(super) fn is_ready(&self, position: usize) -> bool {
        // ORDERING: Acquire, pairs with the Release in `write`.
        self.ready.load(Ordering::Acquire) & (1 << place_of(position)) != 0
    }

    /// Whether all places are written.
    pub(super) fn is_full(&self) -> bool {
        // ORDERING: Acquire, pairs with the Release in `write`.
        self.ready.load(Ordering::Acquire) == ALL_READY
    }

    /// Takes the message out.
    ///
    /// # Safety
    ///
    /// The caller is the receiver, the position is ready, and is read once.
    pub(super) unsafe fn read(&self, position: usize) -> T {
        self.places[place_of(position)].with_mut(|cell| {
            // SAFETY: the place is the receiver's (K1).
            let place = unsafe { &*cell };
            // SAFETY: the place has a message, which is read once.
            unsafe { place.assume_init_read() }
        })
    }

    /// Notes how many claims there were when new senders stopped coming to this block.
    ///
    /// # Safety
    ///
    /// The caller is the one who took the block out of the senders' sight.
    pub(super) unsafe fn set_passed(&self, claims: usize) {
        self.passed_at.with_mut(|passed_at| {
            // SAFETY: one sender takes the block out of sight; the receiver looks after `passed`.
            unsafe { *passed_at = claims };
        });
        // ORDERING: Release, pairs with the Acquire in `passed_at`.
        self.passed.store(true, Ordering::Release);
    }

    /// How many claims there were when new senders stopped coming to this block, if they did.
    pub(super) fn passed_at(&self) -> Option<usize> {
        // ORDERING: Acquire, pairs with the Release in `set_passed`.
        if !self.passed.load(Ordering::Acquire) {
            return None;
        }
        Some(self.passed_at.with(|passed_at| {
            // SAFETY: it is written, and not changed while the block is in the list.
            unsafe { *passed_at }
        }))
    }
}
