//! Task ids: unique in the process, taken in blocks so that loops share no counter.

use std::cell::Cell;
use std::fmt;
use std::num::NonZeroU64;

use crate::primitive::counter::{Counter, Ordering};
use crate::primitive::thread_local;

/// Identifies a task among all tasks of the process, finished ones included.
///
/// Ids are not consecutive, and their order says nothing about time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Id(NonZeroU64);

impl Id {
    /// The next id. Any thread.
    #[inline]
    pub(crate) fn next() -> Self {
        thread_local! {
            static BLOCK: Cell<(u64, u64)> = const { Cell::new((1, 1)) };
        }
        let fresh = || {
            let start = NEXT_BLOCK.fetch_add(IDS_PER_BLOCK, Ordering::Relaxed);
            (start, start + IDS_PER_BLOCK)
        };
        let taken = BLOCK.try_with(|block| {
            let (next, end) = block.get();
            let (next, end) = if next == end { fresh() } else { (next, end) };
            block.set((next + 1, end));
            next
        });
        // A thread whose locals are gone (a spawn inside a destructor) takes a block for one id.
        let id = taken.unwrap_or_else(|_| fresh().0);
        Self(NonZeroU64::new(id).expect("blocks start at 1, and 2^64 ids are not reached"))
    }

    /// The id as a number, for logs.
    #[must_use]
    pub fn as_u64(self) -> u64 {
        self.0.get()
    }
}

impl fmt::Display for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Debug for Id {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Id({})", self.0)
    }
}

static NEXT_BLOCK: Counter = Counter::new(1);
const IDS_PER_BLOCK: u64 = 1024;
