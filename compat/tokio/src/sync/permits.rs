//! Permits that are counted, and a fair queue for those who wait for some.
//!
//! Place: under `Semaphore`, `Mutex`, `RwLock`, `OnceCell` and the bounded `mpsc`; calls
//! `wait_list`; any thread.
//!
//! ```text
//!   word:  [ free permits | WAITING | CLOSED ]
//!
//!   take:     enough free -> one exchange
//!             too few     -> take all, set WAITING, queue for the rest      (under the lock)
//!   give:     no WAITING  -> one exchange
//!             WAITING     -> to the first in the queue, and on to the next  (under the lock)
//! ```
//!
//! # Invariants
//! S1. WAITING is set exactly while the queue is not empty. It changes under the lock.
//! S2. While WAITING is set no permit is free: the first in the queue has taken them. So nobody
//! overtakes the queue, and the word does not change without the lock.
//! S3. A closed queue is empty. A waiter that is let go with permits missing finds CLOSED.
//! S4. Permits are free, with a holder, or with a waiter; they are never in two places, and a waiter
//! that leaves passes on what it has.
//!
//! # Why it is so
//! Handing permits to a queue under its lock, but taking and giving without one when nobody waits,
//! makes an uncontended lock two exchanges and a contended one first in, first out.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use oneloop::task::coop;

use super::wait_list::{WaitList, Waiter};
use super::wakers::Wakers;
use crate::primitive::atomic::{AtomicUsize, Ordering, first_guess};
use crate::primitive::{Mutex, constructor};

const CLOSED: usize = 1;
const WAITING: usize = 2;
const SHIFT: u32 = 2;

/// What a waiter has to get still.
type Missing = usize;

pub(crate) struct Permits {
    word: AtomicUsize,
    queue: Mutex<WaitList<Missing>>,
}

impl Permits {
    /// The word has room for them, and for as many again, so that an overflow is seen.
    pub(crate) const MAX: usize = usize::MAX >> 3;

    #[track_caller]
    pub(crate) fn new(permits: usize) -> Self {
        assert_permits(permits);
        Self::const_new(permits)
    }

    constructor! {
        pub(crate) const fn const_new(permits: usize) -> Self {
            assert!(permits <= Self::MAX, "a semaphore may not have more than MAX_PERMITS permits");
            Self {
                word: AtomicUsize::new(permits << SHIFT),
                queue: Mutex::new(WaitList::new()),
            }
        }
    }

    constructor! {
        pub(crate) const fn const_new_closed() -> Self {
            Self {
                word: AtomicUsize::new(CLOSED),
                queue: Mutex::new(WaitList::new()),
            }
        }
    }

    /// The free ones.
    pub(crate) fn available(&self) -> usize {
        // ORDERING: Acquire, pairs with the Release in `give`: who sees a permit back sees what its
        // holder did (a receiver that finds all of them back knows that no message is under way).
        self.word.load(Ordering::Acquire) >> SHIFT
    }

    pub(crate) fn is_closed(&self) -> bool {
        // ORDERING: Acquire, pairs with the exchange in `close`.
        self.word.load(Ordering::Acquire) & CLOSED != 0
    }

    /// Takes permits if so many are free and nobody waits for them.
    #[track_caller]
    pub(crate) fn try_take(&self, wanted: usize) -> Result<(), TryAcquireError> {
        assert_permits(wanted);
        self.change(|word| {
            if word & CLOSED != 0 {
                return Err(TryAcquireError::Closed);
            }
            if word >> SHIFT < wanted {
                return Err(TryAcquireError::NoPermits);
            }
            Ok(word - (wanted << SHIFT))
        })
        .map(|_| ())
    }

    /// Takes permits, waiting in the queue for those that are not free.
    #[track_caller]
    pub(crate) fn take(&self, wanted: usize) -> Acquire<'_> {
        assert_permits(wanted);
        Acquire {
            permits: self,
            wanted,
            stage: Stage::New,
            waiter: Waiter::new(0),
        }
    }

    /// Gives permits: back, or new ones.
    #[track_caller]
    pub(crate) fn give(&self, permits: usize) {
        if permits == 0 {
            return;
        }
        let without_waiters = self.change(|word| {
            if word & WAITING != 0 {
                return Err(());
            }
            Ok(with_more(word, permits))
        });
        if without_waiters.is_err() {
            self.give_to_queue(permits);
        }
    }

    #[cold]
    #[track_caller]
    fn give_to_queue(&self, permits: usize) {
        let mut wakers = Wakers::new();
        let mut queue = self.queue.lock();
        self.distribute(&mut queue, permits, &mut wakers);
        drop(queue);
        wakers.wake_all();
    }

    /// Takes free permits away for good, at most `most`. Gives how many.
    pub(crate) fn forget(&self, most: usize) -> usize {
        let before = self.change(|word| {
            let taken = most.min(word >> SHIFT);
            Ok::<_, ()>(word - (taken << SHIFT))
        });
        most.min(before.unwrap_or(0) >> SHIFT)
    }

    /// Lets nobody take permits any more, and ends all waits.
    pub(crate) fn close(&self) {
        let mut wakers = Wakers::new();
        let mut queue = self.queue.lock();
        // Before the waiters are let go: a waiter that is off the list with permits missing has to find
        // CLOSED. Under the lock: who queues has looked at CLOSED under it (S3).
        let closed = self.change(|word| Ok::<_, ()>((word | CLOSED) & !WAITING));
        debug_assert!(closed.is_ok());
        // The only waiter that has collected anything is the first; its future knows how much it
        // wanted, the queue does not, hence it gives back itself when it learns of the end.
        while let Some(waker) = queue.pop_front(|_| ()) {
            wakers.push(waker);
        }
        drop(queue);
        wakers.wake_all();
    }

    /// Hands out permits to the queue; what is left over becomes free. Ends WAITING with the queue.
    #[track_caller]
    fn distribute(&self, queue: &mut WaitList<Missing>, permits: usize, wakers: &mut Wakers) {
        let mut left = permits;
        while let Some(satisfied) = queue.first(|missing| {
            let given = left.min(*missing);
            left -= given;
            *missing -= given;
            *missing == 0
        }) {
            if !satisfied {
                break;
            }
            if let Some(waker) = queue.pop_front(|_| ()) {
                wakers.push(waker);
            }
        }
        if queue.is_empty() {
            let changed = self.change(|word| Ok::<_, ()>(with_more(word, left) & !WAITING));
            debug_assert!(changed.is_ok());
        }
    }

    /// Exchanges the word for what `next` makes of it, unless it refuses. Gives the former one.
    #[inline]
    fn change<E>(&self, next: impl Fn(usize) -> Result<usize, E>) -> Result<usize, E> {
        let mut word = first_guess(&self.word);
        loop {
            let new = match next(word) {
                Ok(new) => new,
                // The first guess is no reason to refuse: it may be old.
                Err(refusal) => {
                    // ORDERING: Acquire: a refusal for CLOSED is a look like `is_closed`.
                    let now = self.word.load(Ordering::Acquire);
                    if now == word {
                        return Err(refusal);
                    }
                    word = now;
                    continue;
                }
            };
            // ORDERING: AcqRel. Release publishes what the holder of a permit did, Acquire shows it
            // to the next. If weaker: semaphore::a_permit_publishes fails.
            match self
                .word
                .compare_exchange_weak(word, new, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Ok(word),
                Err(now) => word = now,
            }
        }
    }
}

/// The word with more free permits.
#[track_caller]
fn with_more(word: usize, permits: usize) -> usize {
    assert!(
        permits <= Permits::MAX - (word >> SHIFT).min(Permits::MAX),
        "number of added permits ({permits}) would overflow MAX_PERMITS ({})",
        Permits::MAX
    );
    word + (permits << SHIFT)
}

#[track_caller]
fn assert_permits(permits: usize) {
    assert!(
        permits <= Permits::MAX,
        "a semaphore may not have more than MAX_PERMITS permits ({})",
        Permits::MAX
    );
}

impl fmt::Debug for Permits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Semaphore")
            .field("permits", &self.available())
            .finish()
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    /// In the queue, or taken off it since the last poll.
    Waiting,
    /// Has all it wanted, and no budget yet to go on.
    Granted,
    Done,
}

/// A future that takes permits. Dropped before its end, it passes on what it has collected.
#[derive(Debug)]
pub(crate) struct Acquire<'a> {
    permits: &'a Permits,
    wanted: usize,
    stage: Stage,
    waiter: Waiter<Missing>,
}

impl Acquire<'_> {
    /// The first poll: takes the permits, or a place in the queue.
    fn begin(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<Result<(), AcquireError>> {
        match self.permits.try_take(self.wanted) {
            Ok(()) => return Poll::Ready(Ok(())),
            Err(TryAcquireError::Closed) => return Poll::Ready(Err(AcquireError(()))),
            Err(TryAcquireError::NoPermits) => {}
        }
        let wanted = self.wanted;
        let waker = cx.waker().clone();
        let mut queue = self.permits.queue.lock();
        let before = self.permits.change(|word| {
            if word & CLOSED != 0 {
                return Err(AcquireError(()));
            }
            let free = word >> SHIFT;
            Ok(if free >= wanted {
                word - (wanted << SHIFT)
            } else {
                WAITING
            })
        });
        let free = match before {
            Err(closed) => {
                drop(queue);
                return Poll::Ready(Err(closed));
            }
            Ok(word) => word >> SHIFT,
        };
        if free >= wanted {
            drop(queue);
            return Poll::Ready(Ok(()));
        }
        // SAFETY: the waiter is new, hence off the list, and this future is its owner.
        unsafe {
            self.waiter
                .entry_off_list(|missing| *missing = wanted - free)
        };
        // SAFETY: `permits` has one list, `Drop` removes the waiter, and `self` is pinned.
        unsafe { queue.push_back(self.as_ref().waiter(), Some(waker)) };
        drop(queue);
        Poll::Pending
    }

    /// A later poll.
    fn resume(self: Pin<&mut Self>, cx: &Context<'_>) -> Poll<Result<(), AcquireError>> {
        if self.waiter.is_linked() {
            let waker = cx.waker().clone();
            let old = {
                let mut queue = self.permits.queue.lock();
                queue.change_waker(self.as_ref().waiter(), waker)
            };
            if old.is_some() {
                return Poll::Pending;
            }
        }
        Poll::Ready(self.outcome())
    }

    /// What became of a wait that has ended.
    fn outcome(&self) -> Result<(), AcquireError> {
        debug_assert!(!self.waiter.is_linked());
        // SAFETY: this future owns the waiter, which is off the list.
        let missing = unsafe { self.waiter.entry_off_list(|missing| *missing) };
        self.unless_closed(self.wanted - missing)
    }

    /// Gives back what it has if the permits are closed (S4).
    fn unless_closed(&self, collected: usize) -> Result<(), AcquireError> {
        if !self.permits.is_closed() {
            debug_assert_eq!(collected, self.wanted);
            return Ok(());
        }
        self.permits.give(collected);
        Err(AcquireError(()))
    }

    fn waiter(self: Pin<&Self>) -> Pin<&Waiter<Missing>> {
        // SAFETY: the waiter is structurally pinned: it is not moved out of the future.
        unsafe { self.map_unchecked(|acquire| &acquire.waiter) }
    }

    fn stage(self: Pin<&mut Self>) -> &mut Stage {
        // SAFETY: the stage is not structurally pinned, and nothing else is reached through it.
        unsafe { &mut self.get_unchecked_mut().stage }
    }
}

impl Future for Acquire<'_> {
    type Output = Result<(), AcquireError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // The place in the queue does not wait for the budget: it is taken in the order of the polls.
        let granted = match self.stage {
            Stage::New | Stage::Done => self.as_mut().begin(cx),
            Stage::Waiting => self.as_mut().resume(cx),
            Stage::Granted => Poll::Ready(self.unless_closed(self.wanted)),
        };
        *self.as_mut().stage() = match &granted {
            Poll::Pending => Stage::Waiting,
            Poll::Ready(Ok(())) => Stage::Granted,
            Poll::Ready(Err(_)) => Stage::Done,
        };
        ready!(granted)?;
        ready!(coop::poll_proceed(cx)).made_progress();
        *self.stage() = Stage::Done;
        Poll::Ready(Ok(()))
    }
}

impl Drop for Acquire<'_> {
    fn drop(&mut self) {
        match self.stage {
            Stage::New | Stage::Done => return,
            Stage::Granted => return self.permits.give(self.wanted),
            Stage::Waiting => {}
        }
        // SAFETY: the future was pinned when it came to wait, and is not moved before it is gone.
        let this = unsafe { Pin::new_unchecked(&*self) };
        if self.waiter.is_linked() {
            let mut wakers = Wakers::new();
            let mut queue = self.permits.queue.lock();
            let removed = queue.remove(this.waiter());
            if let Some(waker) = removed {
                // SAFETY: the waiter was taken off the list, under its lock, by its owner.
                let missing = unsafe { self.waiter.entry_off_list(|missing| *missing) };
                self.permits
                    .distribute(&mut queue, self.wanted - missing, &mut wakers);
                drop(queue);
                drop(waker);
                wakers.wake_all();
                return;
            }
        }
        // The wait had ended without a poll.
        if self.outcome().is_ok() {
            self.permits.give(self.wanted);
        }
    }
}

/// The semaphore is closed: it lets nobody in any more.
#[derive(Debug)]
pub struct AcquireError(());

impl fmt::Display for AcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("semaphore closed")
    }
}

impl std::error::Error for AcquireError {}

/// Why permits could not be taken at once.
#[derive(Debug, PartialEq, Eq)]
pub enum TryAcquireError {
    /// The semaphore is closed.
    Closed,
    /// Too few permits are free.
    NoPermits,
}

impl fmt::Display for TryAcquireError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Closed => "semaphore closed",
            Self::NoPermits => "no permits available",
        })
    }
}

impl std::error::Error for TryAcquireError {}
