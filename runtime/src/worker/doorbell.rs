//! Decides who rings when work arrives for a loop that may be asleep.
//!
//! Place: called by [`Inbox`](super::inbox::Inbox); `announce` and `awake` on the loop's own
//! thread, `take_duty` on any thread. Protocol file.
//!
//! ```text
//!              announce()                    take_duty() = true, at most one caller
//!   AWAKE ------------------> SLEEPING ----------------------------------> AWAKE
//!     ^                          |
//!     +--------------------------+  awake(): the loop itself, after any wake
//! ```
//!
//! # Invariants
//! I3. A wake is never lost, and there is at most one ring per announced sleep. Kept by the two
//! fences below; relied on by `Inbox::push` and the loop.
//!
//! # Why it is so
//! A mutex and a system call per message (muduo) cost more than the message. A flag without the
//! fences loses wakes on every machine with store buffers, x86 included.

#![allow(unreachable_pub, reason = "the models import protocol types")]

use crate::primitive::atomic::{AtomicBool, Ordering, fence};

/// The flag "the loop has announced that it sleeps, and nobody has taken the duty to ring".
#[derive(Debug)]
pub struct Doorbell {
    sleeping: AtomicBool,
}

impl Doorbell {
    /// A loop that is awake.
    #[allow(
        clippy::new_without_default,
        reason = "a loop without a doorbell means nothing"
    )]
    pub fn new() -> Self {
        Self {
            sleeping: AtomicBool::new(false),
        }
    }

    /// Announces sleep. Loop's thread. The caller looks at its work once more afterwards, and
    /// calls [`awake`](Self::awake) if there is some.
    pub fn announce(&self) {
        // ORDERING: AcqRel on the swap. Acquire pairs with the AcqRel swap of a ringer of an
        // earlier sleep; a plain store could be overtaken by that ringer's swap.
        self.sleeping.swap(true, Ordering::AcqRel);
        // ORDERING: SeqCst fence, pairs with the one in `take_duty`. Of the two fences one comes
        // first: either the look at the queue that follows sees the message, or the sender sees
        // the flag. Without it: loom inbox::push_races_sleep fails (mutant no_announce_fence).
        fence(Ordering::SeqCst);
    }

    /// Takes the announcement back. Loop's thread, after any return from sleep and after an
    /// announced sleep that is not carried out. True if nobody had taken the duty to ring.
    pub fn awake(&self) -> bool {
        // ORDERING: AcqRel. Acquire pairs with the swap in `take_duty`, so that what the ringer
        // pushed before is seen by the drain that follows.
        self.sleeping.swap(false, Ordering::AcqRel)
    }

    /// After work was published: true if the caller has to ring. Any thread.
    #[must_use = "who gets true must ring, or the loop sleeps on"]
    pub fn take_duty(&self) -> bool {
        // ORDERING: SeqCst fence, pairs with the one in `announce`: see there.
        // Without it: loom inbox::push_races_sleep fails (mutant no_push_fence).
        fence(Ordering::SeqCst);
        // ORDERING: the load is Relaxed, the fence orders it. It spares the read-modify-write,
        // which would bounce the cache line, while the loop is awake. The swap is AcqRel: Release
        // publishes the message to `awake`, and the swap makes the duty exclusive.
        self.sleeping.load(Ordering::Relaxed) && self.sleeping.swap(false, Ordering::AcqRel)
    }
}
