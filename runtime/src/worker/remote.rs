//! What any thread may touch of a loop.
//!
//! Place: held by handles, sources and timers, and known to tasks; runs on any thread.
//!
//! # Invariants
//! I2. Nothing of the loop's own state is here: an inbox, the poller (its system calls are safe
//! from any thread) and words that the owner publishes.

use std::fmt;
use std::io;
use std::os::fd::BorrowedFd;

use super::Message;
use super::inbox::{Duty, Inbox};
use crate::metrics::Published;
use crate::primitive::CachePadded;
use crate::primitive::counter::{Counter, Ordering};
use crate::primitive::sync::Arc;
use crate::sys;

/// Identifies a loop. Never used again in the life of the process.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LoopId(u32);

impl LoopId {
    fn next() -> Self {
        static NEXT: Counter = Counter::new(1);
        let id = NEXT.fetch_add(1, Ordering::Relaxed);
        Self(u32::try_from(id).expect("fewer than 2^32 loops are made in one process"))
    }

    pub(crate) fn as_u32(self) -> u32 {
        self.0
    }
}

impl fmt::Debug for LoopId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "LoopId({})", self.0)
    }
}

impl fmt::Display for LoopId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A loop, seen from any thread.
#[derive(Debug)]
pub(crate) struct Remote {
    id: LoopId,
    poller: sys::Poller,
    pub(super) inbox: CachePadded<Inbox<Message>>,
    pub(crate) published: CachePadded<Published>,
}

impl Remote {
    pub(crate) fn new() -> io::Result<Self> {
        Ok(Self {
            id: LoopId::next(),
            poller: sys::Poller::new()?,
            inbox: CachePadded::new(Inbox::new()),
            published: CachePadded::new(Published::default()),
        })
    }

    pub(crate) fn id(&self) -> LoopId {
        self.id
    }

    /// Sends a message, and rings if the loop sleeps. Gives it back if the loop has ended.
    pub(crate) fn send(&self, message: Message) -> Result<(), Message> {
        self.carry_out(self.inbox.push(message)?);
        Ok(())
    }

    /// Ends the intake: every later message is refused.
    pub(super) fn close(&self) {
        self.carry_out(self.inbox.close());
    }

    fn carry_out(&self, duty: Duty) {
        if duty == Duty::Ring {
            self.poller.ring();
        }
    }

    /// How much this loop has to do, as another loop or a thread outside sees it: its live tasks
    /// and those on their way to it.
    pub(crate) fn load(&self) -> usize {
        self.published.live_tasks() + self.inbox.len()
    }

    /// Messages that wait in the inbox.
    pub(crate) fn inbox_depth(&self) -> usize {
        self.inbox.len()
    }

    pub(crate) fn poller(&self) -> &sys::Poller {
        &self.poller
    }

    /// Takes a descriptor off this loop's poller. Any thread; the caller still holds it open.
    pub(crate) fn forget_descriptor(&self, fd: BorrowedFd<'_>) {
        // It fails if the descriptor is not registered (the user has put another in its place with
        // dup2(2)) or if the poller is gone: either way there is nothing to undo.
        let _ = self.poller.delete(fd);
    }
}

/// A loop, as its tasks know it: without a count of its own.
///
/// # Why it is so
/// Tasks come and go on one loop, and a count for each would be two atomic operations for each, on a
/// line that all threads share. It is not needed: a loop waits for the last of its futures (I1), and
/// no task is sent home after that.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HomeLoop(*const Remote);

// SAFETY: it stands for an `Arc<Remote>`, which is Send and Sync.
unsafe impl Send for HomeLoop {}
// SAFETY: as above.
unsafe impl Sync for HomeLoop {}

impl HomeLoop {
    #[inline]
    pub(crate) fn of(remote: &Arc<Remote>) -> Self {
        Self(Arc::as_ptr(remote))
    }

    /// Whether it is that one. To be asked while the home exists, or another loop may stand where it
    /// was: for a task that is not finished, or at its end by who ends it.
    #[inline]
    pub(super) fn is(self, remote: &Arc<Remote>) -> bool {
        self.0 == Arc::as_ptr(remote)
    }

    /// The loop, with a count.
    ///
    /// # Safety
    ///
    /// It exists: somebody holds it.
    pub(crate) unsafe fn remote(self) -> Arc<Remote> {
        // SAFETY: the pointer is that of an `Arc` (what `as_ptr` gives is what `into_raw` gives), of
        // which the caller knows that it exists.
        unsafe { Arc::increment_strong_count(self.0) };
        // SAFETY: it takes over the count that was just made.
        unsafe { Arc::from_raw(self.0) }
    }
}
