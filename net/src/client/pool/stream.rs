//! A connection of a pool while somebody uses it.
//!
//! Place: made by `checkout`, used and dropped by tasks; goes back only on its own loop.

use std::ops::{Deref, DerefMut};

use oneloop_runtime::time::Instant;

use super::slot::Slot;
use crate::TcpStream;

/// A connection of a [`Pool`](super::Pool). It is a [`TcpStream`] for all that is done with it.
///
/// Dropped, it goes back to the pool if it was [marked as reusable](Self::set_reusable) and this is
/// a thread of its loop; else it is closed.
#[derive(Debug)]
pub struct PooledStream {
    /// `None` only while it is dropped or taken out.
    parts: Option<(TcpStream, Slot)>,
    /// When it was connected.
    made: Instant,
    is_reusable: bool,
    is_reused: bool,
}

impl PooledStream {
    pub(super) fn new(stream: TcpStream, slot: Slot, made: Instant, is_reused: bool) -> Self {
        Self {
            parts: Some((stream, slot)),
            made,
            is_reusable: false,
            is_reused,
        }
    }

    /// Says whether somebody else may use the connection after this: the exchange is complete, and
    /// no byte of it is left on its way. False until it is said.
    ///
    /// Say it when the last byte of an answer has been read, and take it back before the next
    /// request: a task that is cancelled in between then closes the connection, and nobody reads
    /// the rest of its answer.
    pub fn set_reusable(&mut self, value: bool) {
        self.is_reusable = value;
    }

    /// Whether the connection was used before. A first request on it may fail because the server
    /// closed it at that very moment: if it may be sent twice, try again.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        self.is_reused
    }

    /// Closes the connection, reusable or not.
    pub fn discard(mut self) {
        self.is_reusable = false;
    }

    /// Takes the connection out of the pool, which may then make another one.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "an invariant, not a contract")]
    pub fn into_inner(mut self) -> TcpStream {
        let (stream, _slot) = self.parts.take().expect(WHOLE);
        stream
    }
}

impl Deref for PooledStream {
    type Target = TcpStream;

    fn deref(&self) -> &TcpStream {
        &self.parts.as_ref().expect(WHOLE).0
    }
}

impl DerefMut for PooledStream {
    fn deref_mut(&mut self) -> &mut TcpStream {
        &mut self.parts.as_mut().expect(WHOLE).0
    }
}

impl Drop for PooledStream {
    fn drop(&mut self) {
        let Some((stream, slot)) = self.parts.take() else {
            return;
        };
        if self.is_reusable {
            slot.give_back_with(stream, self.made);
        } else {
            // Closed before its slot is free: the limit holds at every moment.
            drop(stream);
            drop(slot);
        }
    }
}

const WHOLE: &str = "the parts leave with the stream itself";
