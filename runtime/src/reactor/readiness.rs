//! What the kernel last said about one descriptor, in one atomic word.
//!
//! Place: set by the reactor on the loop's thread, read and cleared by whoever does the system
//! call, on any thread. Protocol file.
//!
//! ```text
//!   63                         6 5     4    3            2           1        0
//!   [ tick: events seen so far ][error|prio|write closed|read closed|writable|readable]
//! ```
//!
//! # Invariants
//! An event between "would block" and "clear" is not lost: `clear` takes the word that was seen
//! before the system call, and does nothing if the tick has moved since. Relied on by
//! `Source::poll_io`. Closed bits are never cleared: the kernel does not take them back. An
//! error is: it is reported once (ICMP on a datagram socket), and the socket lives on.
//!
//! # Why it is so
//! The reader of one half may do its system call on another thread than the loop which gets the
//! event, so the word is atomic; wakers are not here but in the loop's own slots (see `slots`),
//! where they are plain memory. 58 bits of tick do not wrap in the life of a machine, so there is
//! no ABA to argue about.

#![allow(unreachable_pub, reason = "the models import protocol types")]

use crate::primitive::atomic::{AtomicU64, Ordering, first_guess};

/// May read without blocking.
pub const READABLE: u64 = 1;
/// May write without blocking.
pub const WRITABLE: u64 = 1 << 1;
/// The peer has shut down its writing side, or all is closed.
pub const READ_CLOSED: u64 = 1 << 2;
/// The writing side is closed.
pub const WRITE_CLOSED: u64 = 1 << 3;
/// Out-of-band data or an exceptional condition (`EPOLLPRI`).
pub const PRIORITY: u64 = 1 << 4;
/// An error is pending on the descriptor.
pub const ERROR: u64 = 1 << 5;

const BITS: u64 = (1 << 6) - 1;
const TICK: u64 = 1 << 6;
const CLEARABLE: u64 = READABLE | WRITABLE | PRIORITY | ERROR;

/// The readiness word of a descriptor.
#[derive(Debug)]
pub struct Readiness(AtomicU64);

/// The word as it was at one moment: what a later `clear` refers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Seen(u64);

impl Seen {
    /// Whether no event has arrived between the two.
    #[must_use]
    #[inline]
    pub fn is_same_moment(self, other: Self) -> bool {
        self.0 / TICK == other.0 / TICK
    }

    /// The bits of `mask` that were set.
    #[must_use]
    #[inline]
    pub fn bits(self, mask: u64) -> u64 {
        self.0 & mask & BITS
    }

    /// Whether an operation that waits for any of `mask` may be tried.
    #[must_use]
    #[inline]
    pub fn is_ready(self, mask: u64) -> bool {
        self.bits(mask) != 0
    }
}

impl Readiness {
    /// Nothing seen yet.
    #[allow(clippy::new_without_default, reason = "there is no default descriptor")]
    pub fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    /// The word as it is now.
    #[inline]
    pub fn load(&self) -> Seen {
        // ORDERING: Acquire. Pairs with the Release in `set`: what the kernel told the loop before
        // is in effect for the system call that follows.
        Seen(self.0.load(Ordering::Acquire))
    }

    /// An event arrived with these bits. Loop's thread; several loops may hold the descriptor.
    #[inline]
    pub fn set(&self, bits: u64) {
        debug_assert_eq!(bits & !BITS, 0, "an event has no tick of its own");
        let mut now = first_guess(&self.0);
        loop {
            let next = (now | bits).wrapping_add(TICK);
            // ORDERING: Release, pairs with the Acquire in `load`.
            match self
                .0
                .compare_exchange_weak(now, next, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(newer) => now = newer,
            }
        }
    }

    /// The operation that `seen` allowed would block: takes `bits` back, unless an event has
    /// arrived since. True if they were taken back. Any thread.
    #[inline]
    pub fn clear(&self, seen: Seen, bits: u64) -> bool {
        let clearable = bits & CLEARABLE;
        let mut now = seen.0;
        loop {
            // ORDERING: Acquire on failure pairs with `set`, as in `load`; on success nothing is
            // published. The exchange fails if the tick moved: a blind `fetch_and` here loses the
            // event (mutant blind_clear, model readiness::event_races_clear).
            match self.0.compare_exchange_weak(
                now,
                now & !clearable,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return true,
                Err(newer) if newer / TICK == seen.0 / TICK => now = newer,
                Err(_) => return false,
            }
        }
    }
}
