//! The queue itself: blocks in a chain, written by many, read by one.
//!
//! Place: inside `chan`; `push` by any thread, the rest by the receiver's.
//!
//! ```text
//!   oldest ----> reading ----> ... ----> writing ----> ... ----> last
//!   (receiver)   (receiver)              (senders look for their block from here)
//! ```
//!
//! # Invariants
//! Q1. A position is claimed once, by an addition to `claims`. The message of it is written in the
//! block where it belongs.
//! Q2. `writing` leaves a block only when it is full: no sender with a claim in it looks for it.
//! Q3. A block is used again only when `writing` has left it and all that were claimed before that
//! have been read: a sender who looked at `writing` earlier has written its message, and is gone.
//!
//! # Why it is so
//! The receiver has to know when no sender walks through a block. Counting senders in and out would
//! be two more exchanges for each message; the note made once a block (Q3) costs nothing per message.

use std::ptr::{self, NonNull};

use super::block::{Block, PLACES, start_of};
use crate::primitive::atomic::{AtomicPtr, AtomicUsize, Ordering, first_guess};
use crate::primitive::{CachePadded, UnsafeCell};

/// In `claims`: no position may be claimed any more.
const CLOSED: usize = 1;
/// In `claims`: one position.
const CLAIM: usize = 2;
/// Positions go round: they have one bit less than `claims`.
const POSITIONS: usize = usize::MAX / CLAIM;

pub(super) struct List<T> {
    senders: CachePadded<Senders<T>>,
    receiver: CachePadded<UnsafeCell<Reading<T>>>,
}

struct Senders<T> {
    /// Positions claimed, and CLOSED.
    claims: AtomicUsize,
    /// Where to look for one's block.
    writing: AtomicPtr<Block<T>>,
    /// A block to be used again, or null.
    spare: AtomicPtr<Block<T>>,
}

struct Reading<T> {
    /// The position to be read next.
    position: usize,
    /// The block that was read last.
    block: NonNull<Block<T>>,
    /// The first block of the chain.
    oldest: NonNull<Block<T>>,
}

// SAFETY: messages go from thread to thread; the blocks are the list's.
unsafe impl<T: Send> Send for List<T> {}
// SAFETY: a place has one writer and then one reader (K1, Q1); `receiver` is the receiver's, by the
// contracts below.
unsafe impl<T: Send> Sync for List<T> {}

impl<T> List<T> {
    pub(super) fn new() -> Self {
        let first = Box::into_raw(Block::new(0));
        // SAFETY: a box is not null.
        let block = unsafe { NonNull::new_unchecked(first) };
        Self {
            senders: CachePadded(Senders {
                claims: AtomicUsize::new(0),
                writing: AtomicPtr::new(first),
                spare: AtomicPtr::new(ptr::null_mut()),
            }),
            receiver: CachePadded(UnsafeCell::new(Reading {
                position: 0,
                block,
                oldest: block,
            })),
        }
    }

    /// Puts a message at the end.
    pub(super) fn push(&self, message: T) {
        // ORDERING: AcqRel. Acquire pairs with the Release in `pass`: who claims after the note finds
        // `writing` moved on (Q3). Release, for the exchanges on one word.
        let claims = self.senders.claims.fetch_add(CLAIM, Ordering::AcqRel);
        self.write(claims / CLAIM, message);
    }

    /// Puts a message at the end, unless the list is closed. Gives it back then.
    pub(super) fn push_open(&self, message: T) -> Result<(), T> {
        let mut claims = first_guess(&self.senders.claims);
        loop {
            if claims & CLOSED != 0 {
                return Err(message);
            }
            // ORDERING: AcqRel, as in `push`; Acquire on failure to see what came before the close.
            match self.senders.claims.compare_exchange_weak(
                claims,
                claims.wrapping_add(CLAIM),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(now) => claims = now,
            }
        }
        self.write(claims / CLAIM, message);
        Ok(())
    }

    fn write(&self, position: usize, message: T) {
        let block = self.find_block(start_of(position));
        // SAFETY: the block cannot be used again before this position is read (Q3).
        let block = unsafe { block.as_ref() };
        // SAFETY: the position was claimed by the caller (Q1), and the block is its own.
        unsafe { block.write(position, message) };
    }

    /// The block that starts there. For a sender that has claimed a position in it.
    fn find_block(&self, start: usize) -> NonNull<Block<T>> {
        // ORDERING: Acquire, pairs with the Release in `pass` and with the making of a block.
        let mut at = self.senders.writing.load(Ordering::Acquire);
        // Whether all blocks before this one are out of sight: then this one may go, too.
        let mut is_first = true;
        loop {
            // SAFETY: `writing` and the blocks after it are not used again before this sender's
            // position is read (Q2, Q3).
            let block = unsafe { &*at };
            if block.start() == start {
                return NonNull::from(block);
            }
            let next = self.next_of(block);
            is_first = is_first && block.is_full() && self.pass(at, next);
            at = next;
        }
    }

    /// Lets senders look from the next block on. False if another sender did so.
    fn pass(&self, full: *mut Block<T>, next: *mut Block<T>) -> bool {
        let senders = &self.senders;
        // ORDERING: Release, pairs with the Acquire in `find_block`: the next block is visible.
        if senders
            .writing
            .compare_exchange(full, next, Ordering::Release, Ordering::Relaxed)
            .is_err()
        {
            return false;
        }
        // ORDERING: AcqRel, an exchange that changes nothing: a sender that claims after it sees
        // `writing` moved on; one that claimed before it is counted (Q3). A load would not be ordered
        // after the store above. If weaker: mpsc::blocks_are_used_again fails.
        let claims = senders.claims.fetch_or(0, Ordering::AcqRel);
        // SAFETY: this sender's own position is not read yet: the block is still in the chain (Q3).
        let full = unsafe { &*full };
        // SAFETY: the exchange above succeeds for one sender.
        unsafe { full.set_passed(claims / CLAIM) };
        true
    }

    /// The block after this one, made if there is none.
    fn next_of(&self, block: &Block<T>) -> *mut Block<T> {
        // ORDERING: Acquire, pairs with the Release below: the block is visible.
        let next = block.next.load(Ordering::Acquire);
        if !next.is_null() {
            return next;
        }
        let made = self.make_block(block.start().wrapping_add(PLACES) & POSITIONS);
        // ORDERING: AcqRel. Release publishes the new block, Acquire shows another's.
        match block.next.compare_exchange(
            ptr::null_mut(),
            made,
            Ordering::AcqRel,
            Ordering::Acquire,
        ) {
            Ok(_) => made,
            Err(others) => {
                // SAFETY: the block was made here and not published.
                unsafe { self.keep_or_free(made) };
                others
            }
        }
    }

    fn make_block(&self, start: usize) -> *mut Block<T> {
        // ORDERING: Acquire, pairs with the Release in `keep_or_free`.
        let spare = self.senders.spare.swap(ptr::null_mut(), Ordering::Acquire);
        if spare.is_null() {
            return Box::into_raw(Block::new(start));
        }
        // SAFETY: whoever takes the spare block out has it alone.
        unsafe { &mut *spare }.renew(start);
        spare
    }

    /// Keeps a block as the spare one, or frees it.
    ///
    /// # Safety
    ///
    /// The caller has the block alone, and it has no message.
    unsafe fn keep_or_free(&self, block: *mut Block<T>) {
        // ORDERING: Release, pairs with the Acquire in `make_block`.
        let kept = self.senders.spare.compare_exchange(
            ptr::null_mut(),
            block,
            Ordering::Release,
            Ordering::Relaxed,
        );
        if kept.is_err() {
            // SAFETY: the block is the caller's alone, and came from a box.
            drop(unsafe { Box::from_raw(block) });
        }
    }

    /// Lets `push_open` fail from now on.
    pub(super) fn close(&self) {
        // ORDERING: AcqRel: a sender that fails sees what came before the close, and what was claimed
        // before it is seen by the receiver.
        self.senders.claims.fetch_or(CLOSED, Ordering::AcqRel);
    }

    pub(super) fn is_closed(&self) -> bool {
        // ORDERING: Acquire, pairs with `close`.
        self.senders.claims.load(Ordering::Acquire) & CLOSED != 0
    }

    /// How many messages were claimed and not read.
    ///
    /// # Safety
    ///
    /// The caller is the receiver.
    pub(super) unsafe fn len(&self) -> usize {
        // ORDERING: Acquire: what was sent before the caller learned of it is counted.
        let claimed = self.senders.claims.load(Ordering::Acquire) / CLAIM;
        self.receiver.with(|reading| {
            // SAFETY: the receiver is the caller's.
            let position = unsafe { (*reading).position };
            claimed.wrapping_sub(position) & POSITIONS
        })
    }

    /// Takes the first message, if it is written.
    ///
    /// # Safety
    ///
    /// The caller is the receiver, and alone in here.
    pub(super) unsafe fn pop(&self) -> Option<T> {
        self.receiver.with_mut(|reading| {
            // SAFETY: the receiver is the caller's alone.
            let reading = unsafe { &mut *reading };
            self.go_to_block(reading)?;
            // SAFETY: the block is in the chain, and the receiver alone takes blocks out.
            let block = unsafe { reading.block.as_ref() };
            if !block.is_ready(reading.position) {
                return None;
            }
            // SAFETY: the position is ready, and the next line makes this its only reading.
            let message = unsafe { block.read(reading.position) };
            reading.position = reading.position.wrapping_add(1) & POSITIONS;
            Some(message)
        })
    }

    /// Goes on to the block of the position. None: there is none yet.
    fn go_to_block(&self, reading: &mut Reading<T>) -> Option<()> {
        let start = start_of(reading.position);
        // SAFETY: the block is in the chain, and the receiver alone takes blocks out.
        let block = unsafe { reading.block.as_ref() };
        if block.start() == start {
            return Some(());
        }
        // ORDERING: Acquire, pairs with the Release in `next_of`.
        reading.block = NonNull::new(block.next.load(Ordering::Acquire))?;
        self.take_back(reading);
        Some(())
    }

    /// Takes the blocks out of the chain that no sender can reach.
    fn take_back(&self, reading: &mut Reading<T>) {
        while reading.oldest != reading.block {
            // SAFETY: the block is in the chain.
            let block = unsafe { reading.oldest.as_ref() };
            let Some(passed_at) = block.passed_at() else {
                return;
            };
            // What is left to read is less than half of all positions.
            let behind = passed_at.wrapping_sub(reading.position) & POSITIONS;
            if behind != 0 && behind <= POSITIONS / 2 {
                return;
            }
            let next = block.next.load(Ordering::Relaxed);
            let Some(next) = NonNull::new(next) else {
                return;
            };
            let free = std::mem::replace(&mut reading.oldest, next);
            // SAFETY: no sender reaches the block (Q3), and its messages were read.
            unsafe { self.keep_or_free(free.as_ptr()) };
        }
    }
}

impl<T> Drop for List<T> {
    fn drop(&mut self) {
        // SAFETY: the list is nobody else's any more.
        while let Some(message) = unsafe { self.pop() } {
            drop(message);
        }
        let oldest = self.receiver.with(|reading| {
            // SAFETY: as above.
            unsafe { (*reading).oldest }
        });
        let mut at = oldest.as_ptr();
        while !at.is_null() {
            // SAFETY: the blocks of the chain came from boxes, and are each freed once.
            let block = unsafe { Box::from_raw(at) };
            at = block.next.load(Ordering::Relaxed);
        }
        let spare = self.senders.spare.load(Ordering::Relaxed);
        if !spare.is_null() {
            // SAFETY: the spare block is not in the chain.
            drop(unsafe { Box::from_raw(spare) });
        }
    }
}
