//! A number of things that may be out at once, on all loops together: connections, or bytes.
//!
//! Place: shared by the loops of a server; runs on any thread. Explored by `loom-tests/tests/gate.rs`
//! as it is.
//!
//! ```text
//!  word:  | taken ............................. | WAITING |
//!  take:  room and nobody waits -> one compare-and-swap
//!         else -> queue, under the lock, with WAITING set
//!  give:  one subtraction; WAITING was set -> serve the queue, under the lock
//! ```
//!
//! # Invariants
//! - What is taken never exceeds the limit.
//! - First come, first served: nobody passes who waits, so a large request is not starved by small
//!   ones.
//! - No room is left unused while the first in the queue fits: WAITING is set and cleared under the
//!   lock, and lies in the word that a giver changes, so either the giver sees it, or the waiter,
//!   who looks again after it has set it, sees the room.
//! - I5: no waker is woken or dropped under the lock.

use std::collections::{BTreeSet, VecDeque};
use std::future::Future;
use std::mem;
use std::pin::Pin;
use std::sync::PoisonError;
use std::task::{Context, Poll, Waker};

use super::primitive::{Arc, AtomicUsize, Mutex, MutexGuard, Relaxed};

/// The lowest bit of the word: somebody is in the queue.
const WAITING: usize = 1;
/// What one unit adds to the word.
const ONE: usize = 2;

/// A limit on what is out at once.
#[derive(Debug)]
pub(super) struct Gate {
    limit: usize,
    /// Relaxed everywhere: it counts, and no other memory depends on it. The queue has its lock.
    word: AtomicUsize,
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    next: u64,
    waiting: VecDeque<Waiting>,
    /// Those who have been served and do not know it yet.
    served: BTreeSet<u64>,
}

#[derive(Debug)]
struct Waiting {
    number: u64,
    amount: usize,
    waker: Waker,
}

impl Gate {
    /// A limit of `limit` units, which counts as the largest there is if it is larger.
    pub(super) fn new(limit: usize) -> Self {
        Self {
            limit: limit.min(usize::MAX / ONE / 2),
            word: AtomicUsize::new(0),
            queue: Mutex::new(Queue::default()),
        }
    }

    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// The units that are out.
    pub(super) fn taken(&self) -> usize {
        self.word.load(Relaxed) / ONE
    }

    /// Whether somebody waits for room.
    pub(super) fn is_waited_for(&self) -> bool {
        self.word.load(Relaxed) & WAITING != 0
    }

    /// Takes so many units if there is room and nobody waits.
    pub(super) fn try_take(&self, amount: usize) -> bool {
        self.add_if(amount, |word| word & WAITING == 0)
    }

    /// Waits for its turn and for room, and takes so many units. More than the limit are never
    /// there: the caller asks for no more.
    pub(super) fn take(self: &Arc<Self>, amount: usize) -> Take {
        debug_assert!(amount <= self.limit);
        Take {
            gate: Arc::clone(self),
            amount,
            number: None,
        }
    }

    /// Gives back what was taken.
    pub(super) fn give(&self, amount: usize) {
        let before = self.word.fetch_sub(amount * ONE, Relaxed);
        debug_assert!(before / ONE >= amount, "more came back than was taken");
        if before & WAITING != 0 {
            let mut woken = Vec::new();
            self.serve(&mut self.lock(), &mut woken);
            woken.into_iter().for_each(Waker::wake);
        }
    }

    fn add_if(&self, amount: usize, may: impl Fn(usize) -> bool) -> bool {
        let room = |word: usize| self.limit.saturating_sub(word / ONE) >= amount;
        let add = |word: usize| (may(word) && room(word)).then_some(word + amount * ONE);
        self.word.fetch_update(Relaxed, Relaxed, add).is_ok()
    }

    /// Takes for those in the queue, in their order, as far as there is room.
    fn serve(&self, queue: &mut Queue, woken: &mut Vec<Waker>) {
        while let Some(first) = queue.waiting.front() {
            if !self.add_if(first.amount, |_| true) {
                return;
            }
            if let Some(first) = queue.waiting.pop_front() {
                queue.served.insert(first.number);
                woken.push(first.waker);
            }
        }
        self.word.fetch_and(!WAITING, Relaxed);
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // Nothing panics under the lock but for want of memory.
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A wait for units of a [`Gate`]. They are the caller's when it completes.
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub(super) struct Take {
    gate: Arc<Gate>,
    amount: usize,
    /// The number in the queue, while it is in there.
    number: Option<u64>,
}

impl Take {
    fn join(&mut self, waker: &Waker) -> Poll<()> {
        let waker = waker.clone();
        let mut woken = Vec::new();
        let mut queue = self.gate.lock();
        let number = queue.next;
        queue.next += 1;
        queue.waiting.push_back(Waiting {
            number,
            amount: self.amount,
            waker,
        });
        self.gate.word.fetch_or(WAITING, Relaxed);
        // Room that was given back before the bit was set was offered to nobody.
        self.gate.serve(&mut queue, &mut woken);
        let is_served = queue.served.remove(&number);
        drop(queue);
        self.number = (!is_served).then_some(number);
        woken.into_iter().for_each(Waker::wake);
        if is_served {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Future for Take {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let Some(number) = self.number else {
            if self.gate.try_take(self.amount) {
                return Poll::Ready(());
            }
            return self.join(cx.waker());
        };
        let mut waker = cx.waker().clone();
        let mut queue = self.gate.lock();
        if queue.served.remove(&number) {
            drop(queue);
            self.number = None;
            return Poll::Ready(());
        }
        if let Ok(at) = queue.waiting.binary_search_by_key(&number, |it| it.number) {
            mem::swap(&mut queue.waiting[at].waker, &mut waker);
        }
        drop(queue);
        drop(waker);
        Poll::Pending
    }
}

impl Drop for Take {
    fn drop(&mut self) {
        let Some(number) = self.number else {
            return;
        };
        let (mut woken, mut left) = (Vec::new(), None);
        let mut queue = self.gate.lock();
        let is_served = queue.served.remove(&number);
        if let Ok(at) = queue.waiting.binary_search_by_key(&number, |it| it.number) {
            left = queue.waiting.remove(at);
            // Those behind may fit where this one did not.
            self.gate.serve(&mut queue, &mut woken);
        }
        drop(queue);
        drop(left);
        woken.into_iter().for_each(Waker::wake);
        if is_served {
            self.gate.give(self.amount);
        }
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use std::pin::pin;
    use std::sync::atomic::AtomicBool;
    use std::task::Wake;
    use std::thread;

    use super::*;

    #[derive(Default)]
    struct Rung(AtomicBool);

    impl Wake for Rung {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Relaxed);
        }
    }

    fn poll(take: &mut Pin<&mut Take>) -> (bool, Arc<Rung>) {
        let rung = Arc::new(Rung::default());
        let waker = Waker::from(Arc::clone(&rung));
        let outcome = take.as_mut().poll(&mut Context::from_waker(&waker));
        (outcome.is_ready(), rung)
    }

    #[test]
    fn takes_up_to_the_limit_and_not_beyond() {
        let gate = Gate::new(3);
        assert!(gate.try_take(2) && !gate.try_take(2) && gate.try_take(1));
        assert_eq!(gate.taken(), 3);
        gate.give(2);
        assert!(gate.try_take(2));
    }

    #[test]
    fn nobody_passes_who_waits() {
        let gate = Arc::new(Gate::new(4));
        assert!(gate.try_take(3));
        let mut large = pin!(gate.take(3));
        let mut small = pin!(gate.take(1));
        let (large_is_ready, large_rung) = poll(&mut large);
        let (small_is_ready, small_rung) = poll(&mut small);
        // There is room for the small one, but it came later.
        assert!(!large_is_ready && !small_is_ready && !gate.try_take(1));
        gate.give(3);
        assert!(large_rung.0.load(Relaxed) && small_rung.0.load(Relaxed));
        assert!(poll(&mut large).0 && poll(&mut small).0);
        assert_eq!(gate.taken(), 4);
        assert!(!gate.is_waited_for());
    }

    #[test]
    fn who_leaves_the_queue_lets_others_through() {
        let gate = Arc::new(Gate::new(4));
        assert!(gate.try_take(2));
        let mut large = Box::pin(gate.take(3));
        let mut small = pin!(gate.take(2));
        assert!(!poll(&mut large.as_mut()).0);
        let (_, rung) = poll(&mut small);
        drop(large);
        assert!(rung.0.load(Relaxed) && poll(&mut small).0);
        assert_eq!(gate.taken(), 4);
    }

    #[test]
    fn who_leaves_after_being_served_gives_back() {
        let gate = Arc::new(Gate::new(1));
        assert!(gate.try_take(1));
        let mut first = Box::pin(gate.take(1));
        let mut second = pin!(gate.take(1));
        assert!(!poll(&mut first.as_mut()).0 && !poll(&mut second).0);
        gate.give(1);
        drop(first);
        assert!(poll(&mut second).0);
        gate.give(1);
        assert_eq!(gate.taken(), 0);
    }

    #[test]
    fn threads_that_take_and_give_lose_no_wake_up() {
        let gate = Arc::new(Gate::new(3));
        let worker = || {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                for round in 0..2_000 {
                    let amount = 1 + round % 3;
                    futures_lite::future::block_on(gate.take(amount));
                    assert!(gate.taken() <= 3);
                    gate.give(amount);
                }
            })
        };
        let workers: Vec<_> = (0..4).map(|_| worker()).collect();
        for worker in workers {
            worker.join().unwrap();
        }
        assert_eq!((gate.taken(), gate.is_waited_for()), (0, false));
    }
}
