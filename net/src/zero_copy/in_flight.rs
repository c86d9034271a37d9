//! The memory that the kernel may still send from.
//!
//! Place: owned by `held`; told by it what was sent and what the kernel says. Makes no system call.
//!
//! ```text
//!   kernel's number   first   first+1   first+2   first+3
//!   sends             [owner] [  -  ]   [owner]   [owner]      "-": released, not yet at the front
//! ```
//!
//! # Invariants
//! - An owner is dropped by the notice of its send and by nothing else, or never. A notice that
//!   cannot be about one of the sends releases nothing.
//! - The number of a send is known before a second one is made: `may_send`.
//!
//! # Why it is so
//! The kernel counts from 0 on a new socket, but nobody can ask it how far it has come on one that
//! was used before. So the first send is made alone, and its notice tells.

use std::collections::VecDeque;
use std::fmt;
use std::mem::{self, ManuallyDrop};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bytes::Bytes;

use super::notices::Notice;

/// The sends whose memory was not released, in the order of their numbers.
#[derive(Default)]
pub(super) struct InFlight {
    /// `None`: released, and one before it is not. The first one never is.
    sends: VecDeque<Option<Bytes>>,
    /// The number of the first send, or of the next one if there is none. `None`: not known yet.
    first: Option<u32>,
    bytes: usize,
    was_copied: bool,
}

impl InFlight {
    pub(super) fn is_empty(&self) -> bool {
        self.sends.is_empty()
    }

    /// Bytes whose memory was not released.
    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether the kernel has copied bytes of these sends after all.
    pub(super) fn was_copied(&self) -> bool {
        self.was_copied
    }

    /// Whether the number of the next send would be known, or found by its notice.
    pub(super) fn may_send(&self) -> bool {
        (self.first.is_some() || self.sends.is_empty()) && self.sends.len() < SENDS_MAX
    }

    /// Makes room for one more send, so that keeping its owner cannot fail.
    pub(super) fn reserve(&mut self) {
        self.sends.reserve(1);
    }

    /// The kernel sends from this memory.
    pub(super) fn push(&mut self, owner: Bytes) {
        debug_assert!(self.may_send(), "a send whose number nobody knows");
        self.bytes += owner.len();
        self.sends.push_back(Some(owner));
    }

    /// The kernel has released the memory of some sends. Their owners are dropped, when all is
    /// booked: one of them may panic.
    pub(super) fn release(&mut self, notice: Notice) {
        let is_of_the_only_one = self.sends.len() == 1 && notice.first == notice.last;
        let found = is_of_the_only_one.then_some(notice.first);
        let Some(first) = self.first.or(found) else {
            return;
        };
        self.first = Some(first);
        self.was_copied |= notice.copied;
        let len = self.sends.len();
        let start = (notice.first.wrapping_sub(first) as usize).min(len);
        let more = notice.last.wrapping_sub(notice.first) as usize;
        let end = start.saturating_add(more).saturating_add(1).min(len);
        let released: Vec<Bytes> = self
            .sends
            .range_mut(start..end)
            .filter_map(Option::take)
            .collect();
        self.bytes -= released.iter().map(Bytes::len).sum::<usize>();
        while let Some(None) = self.sends.front() {
            self.sends.pop_front();
            self.first = self.first.map(|first| first.wrapping_add(1));
        }
        drop(released);
    }
}

impl Drop for InFlight {
    /// Nobody will hear of what is left: its owners are never dropped.
    fn drop(&mut self) {
        // Their memory stays as it is for the rest of the process, which is what the kernel needs.
        let _never_dropped = ManuallyDrop::new(mem::take(&mut self.sends));
        ABANDONED_BYTES.fetch_add(self.bytes as u64, Relaxed);
    }
}

/// The bytes of memory that was never freed, in all of this process, because nobody was left to
/// learn when the kernel had sent from it.
///
/// That happens to what is in flight when a runtime ends, and to what the kernel did not release
/// after a connection was reset.
#[must_use]
pub fn abandoned_bytes() -> u64 {
    ABANDONED_BYTES.load(Relaxed)
}

/// Relaxed: it orders nothing.
static ABANDONED_BYTES: AtomicU64 = AtomicU64::new(0);

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight")
            .field("sends", &self.sends.len())
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

/// The sends that may be in flight at once. Far below half of the kernel's numbers, so that none of
/// them can be mistaken for another.
const SENDS_MAX: usize = 1 << 16;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;

    use super::*;

    /// Owners whose drops are counted.
    #[derive(Default)]
    struct Owners(Arc<AtomicUsize>);

    struct Owner(Vec<u8>, Arc<AtomicUsize>);

    impl AsRef<[u8]> for Owner {
        fn as_ref(&self) -> &[u8] {
            &self.0
        }
    }

    impl Drop for Owner {
        fn drop(&mut self) {
            self.1.fetch_add(1, Relaxed);
        }
    }

    impl Owners {
        fn make(&self, len: usize) -> Bytes {
            Bytes::from_owner(Owner(vec![0; len], Arc::clone(&self.0)))
        }

        fn dropped(&self) -> usize {
            self.0.load(Relaxed)
        }
    }

    fn notice(first: u32, last: u32) -> Notice {
        Notice {
            first,
            last,
            copied: false,
        }
    }

    /// Sends in flight of 1, 2, ... `count` bytes, whose first has this number.
    fn sent_from(first: u32, count: usize, owners: &Owners) -> InFlight {
        let mut in_flight = InFlight::default();
        in_flight.first = Some(first);
        for len in 1..=count {
            in_flight.push(owners.make(len));
        }
        in_flight
    }

    #[test]
    fn numbers_go_on_where_they_wrap_around() {
        for before in 0..=6 {
            let owners = Owners::default();
            let first = 0_u32.wrapping_sub(before);
            let mut in_flight = sent_from(first, 6, &owners);
            in_flight.release(notice(first.wrapping_add(1), first.wrapping_add(2)));
            assert_eq!((owners.dropped(), in_flight.bytes()), (2, 21 - 5));
            in_flight.release(notice(first, first));
            assert_eq!((owners.dropped(), in_flight.bytes()), (3, 21 - 6));
            in_flight.push(owners.make(7));
            in_flight.release(notice(first.wrapping_add(3), first.wrapping_add(6)));
            assert_eq!((owners.dropped(), in_flight.bytes()), (7, 0));
            assert!(in_flight.is_empty());
        }
    }

    #[test]
    fn out_of_order_and_repeated_notices_release_each_owner_once() {
        let owners = Owners::default();
        let mut in_flight = sent_from(100, 5, &owners);
        for (first, last, dropped) in [
            (104, 104, 1),
            (102, 102, 2),
            (102, 104, 3),
            (100, 100, 4),
            (100, 100, 4),
            (99, 99, 4),
            (101, 104, 5),
            (101, 104, 5),
        ] {
            in_flight.release(notice(first, last));
            assert_eq!(owners.dropped(), dropped, "{first}..={last}");
        }
        assert!(in_flight.is_empty());
    }

    #[test]
    fn notices_about_other_sends_release_nothing() {
        let owners = Owners::default();
        let mut in_flight = sent_from(u32::MAX, 2, &owners);
        for (first, last) in [
            (1, 1),
            (1, u32::MAX),
            (u32::MAX - 1, u32::MAX - 1),
            (7, 3),
            (1 << 31, (1 << 31) + 5),
        ] {
            in_flight.release(notice(first, last));
            assert_eq!(owners.dropped(), 0, "{first}..={last}");
        }
        assert_eq!(in_flight.bytes(), 3);
    }

    #[test]
    fn first_notice_tells_from_where_the_kernel_counts() {
        let owners = Owners::default();
        let mut in_flight = InFlight::default();
        assert!(in_flight.may_send());
        in_flight.push(owners.make(1));
        assert!(!in_flight.may_send(), "its number is not known yet");
        in_flight.release(notice(41, 42));
        assert_eq!(owners.dropped(), 0, "two sends, and only one is ours");
        in_flight.release(notice(u32::MAX, u32::MAX));
        assert_eq!(owners.dropped(), 1);
        assert!(in_flight.may_send());
        in_flight.push(owners.make(1));
        assert!(in_flight.may_send());
        in_flight.release(notice(0, 0));
        assert_eq!(owners.dropped(), 2);
    }

    #[test]
    fn abandoned_owners_are_never_dropped() {
        let owners = Owners::default();
        let mut in_flight = sent_from(0, 3, &owners);
        in_flight.release(notice(1, 1));
        let before = abandoned_bytes();
        drop(in_flight);
        assert_eq!(owners.dropped(), 1);
        // Other tests abandon some as well.
        assert!(abandoned_bytes() >= before + 4);
    }
}
