//! What a server has counted.
//!
//! Place: each loop writes its own words, any thread reads them.
//!
//! # Invariants
//! I2. A word has one writer, its loop's thread, so an addition is a load and a store. Relaxed: the
//! numbers order nothing.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// A number that its owner changes and anybody reads.
#[derive(Debug, Default)]
pub(super) struct Count(AtomicU64);

impl Count {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }

    /// Owner's thread.
    pub(super) fn add(&self, amount: u64) {
        self.0.store(self.get().wrapping_add(amount), Relaxed);
    }

    /// Owner's thread.
    pub(super) fn subtract(&self, amount: u64) {
        self.0.store(self.get().wrapping_sub(amount), Relaxed);
    }
}

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident,)+) => {
        /// What a server has counted since it began, over all its loops. Made by
        /// [`ServerHandle::counts`](super::ServerHandle::counts).
        #[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct Counts {
            /// Connections at this moment: accepted within the limit, and their handler has not
            /// ended or their socket is not closed.
            pub connections: usize,
            /// Bytes reserved at this moment: see
            /// [`Connection::reserve`](super::Connection::reserve).
            pub reserved_bytes: usize,
            /// Errors of accept(2) that the listeners survived, such as `EMFILE`: see
            /// [`TcpListener::accept`](crate::TcpListener::accept).
            pub accept_errors: u64,
            $($(#[$doc])* pub $name: u64,)+
        }

        /// The words of one loop, on cache lines of their own.
        #[derive(Debug, Default)]
        #[repr(align(128))]
        pub(super) struct LoopCounts {
            $(pub(super) $name: Count,)+
        }

        impl LoopCounts {
            pub(super) fn add_to(&self, sum: &mut Counts) {
                $(sum.$name += self.$name.get();)+
            }
        }
    };
}

counts! {
    /// Connections at this moment that wait for a request: see
    /// [`ConnectionState::Idle`](super::ConnectionState::Idle).
    idle,
    /// Connections that were given to a handler.
    accepted,
    /// Handlers that ended with success.
    finished,
    /// Handlers that ended with an error.
    failed,
    /// Handlers that panicked.
    panicked,
    /// Connections closed because they were idle for too long.
    idle_timeouts,
    /// Reads that failed because their request took too long.
    read_timeouts,
    /// Writes that failed because the peer took nothing for too long.
    write_timeouts,
    /// Times that a connection had to wait because the server was full (policy `Pause`, and
    /// `ShedIdle` without an idle connection on its loop).
    paused,
    /// Connections that were accepted and closed because the server was full (policy `Reject`).
    rejected,
    /// Idle connections that were closed in favour of a new one (policy `ShedIdle`).
    shed,
    /// Times that accepting or reading had to wait because of the memory cap.
    memory_waits,
    /// Idle connections that a drain closed.
    drained_idle,
    /// Busy connections that the deadline of a drain cut.
    cut,
}
