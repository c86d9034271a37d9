//! A signal that tasks wait for.
//!
//! Place: called by tasks and threads, and under `watch`, `Barrier`, `SetOnce` and the channels'
//! `closed`; calls `wait_list`; any thread.
//!
//! ```text
//!   word:  [ rounds | WAITING | PERMIT ]
//!
//!   notify_one:      nobody waits -> PERMIT        somebody waits -> takes one off the list
//!   notify_waiters:  rounds + 1, and takes all off the list
//!   a wait ends if:  a PERMIT is there, or rounds moved since it was made, or it was taken off
//! ```
//!
//! # Invariants
//! N1. WAITING is set exactly while the list is not empty. It changes under the lock.
//! N2. PERMIT and WAITING are never set together: who waits found no permit, in one exchange.
//! N3. A signal for one that was not consumed is passed on when its future is dropped.
//!
//! # Why it is so
//! A counter of rounds lets a future that was made before `notify_waiters` and is polled after it
//! see the signal, without a registration when it is made. All of a round are taken off at once:
//! a list that is emptied in portions needs a guard against those who come meanwhile.

use std::future::Future;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};

use super::wait_list::{WaitList, Waiter};
use super::wakers::Wakers;
use crate::primitive::atomic::{AtomicUsize, Ordering, first_guess};
use crate::primitive::{Mutex, constructor};

const PERMIT: usize = 1;
const WAITING: usize = 2;
const ROUND: usize = 4;
const ROUNDS: usize = !(ROUND - 1);

/// How a waiter was taken off the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Signal {
    /// `notify_one`, for the one that waits longest.
    First,
    /// `notify_last`, for the one that came last.
    Last,
    /// `notify_waiters`.
    All,
}

/// What the list tells a waiter.
type Told = Option<Signal>;

/// Wakes one task or all that wait. Carries no data.
///
/// [`notify_one`](Self::notify_one) without a waiter is remembered, once; the next
/// [`notified`](Self::notified) completes at once. [`notify_waiters`](Self::notify_waiters) is for
/// those whose future exists when it is called.
///
/// # Examples
///
/// ```
/// # oneloop::block_on(async {
/// use std::sync::Arc;
/// use tokio::sync::Notify;
///
/// let notify = Arc::new(Notify::new());
/// let teller = Arc::clone(&notify);
/// let told = oneloop::spawn(async move { teller.notify_one() });
/// notify.notified().await;
/// told.await.unwrap();
/// # });
/// ```
#[derive(Debug)]
pub struct Notify {
    word: AtomicUsize,
    waiters: Mutex<WaitList<Told>>,
}

impl UnwindSafe for Notify {}
impl RefUnwindSafe for Notify {}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl Notify {
    /// A signal that was not given yet.
    pub fn new() -> Self {
        Self::const_new()
    }

    constructor! {
        /// A signal for a `static`.
        pub const fn const_new() -> Self {
            Self {
                word: AtomicUsize::new(0),
                waiters: Mutex::new(WaitList::new()),
            }
        }
    }

    /// Waits for a signal. It counts from now on for [`notify_waiters`](Self::notify_waiters), and
    /// from its first poll (or [`enable`](Notified::enable)) on for
    /// [`notify_one`](Self::notify_one).
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost; a signal for one goes to the next.
    pub fn notified(&self) -> Notified<'_> {
        Notified {
            notify: self,
            wait: Wait::new(self),
        }
    }

    /// As [`notified`](Self::notified), with a future that keeps the `Notify` alive.
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost; a signal for one goes to the next.
    pub fn notified_owned(self: Arc<Self>) -> OwnedNotified {
        let wait = Wait::new(&self);
        OwnedNotified { notify: self, wait }
    }

    /// Wakes the task that waits longest, or lets the next one pass if none waits.
    pub fn notify_one(&self) {
        self.signal_one(Signal::First);
    }

    /// Wakes the task that came last, or lets the next one pass if none waits.
    pub fn notify_last(&self) {
        self.signal_one(Signal::Last);
    }

    /// Wakes all tasks that wait. Nothing is remembered for later ones.
    pub fn notify_waiters(&self) {
        let alone = self.change(|word| (word & WAITING == 0).then(|| word.wrapping_add(ROUND)));
        if alone.is_none() {
            self.signal_all();
        }
    }

    fn signal_one(&self, signal: Signal) {
        let alone = self.change(|word| (word & WAITING == 0).then_some(word | PERMIT));
        if alone.is_none() {
            let mut waiters = self.waiters.lock();
            let waker = self.signal_one_locked(&mut waiters, signal);
            drop(waiters);
            if let Some(waker) = waker {
                waker.wake();
            }
        }
    }

    /// Signals one, and gives its waker to be called after the lock.
    fn signal_one_locked(&self, waiters: &mut WaitList<Told>, signal: Signal) -> Option<Waker> {
        let popped = if signal == Signal::Last {
            waiters.pop_back(|told| *told = Some(signal))
        } else {
            waiters.pop_front(|told| *told = Some(signal))
        };
        let Some(waker) = popped else {
            // The last one left between the look at the word and the lock.
            self.change(|word| Some(word | PERMIT));
            return None;
        };
        self.waiting_ends_with(waiters);
        waker
    }

    #[cold]
    fn signal_all(&self) {
        let mut wakers = Wakers::new();
        let mut waiters = self.waiters.lock();
        while let Some(waker) = waiters.pop_front(|told| *told = Some(Signal::All)) {
            wakers.push(waker);
        }
        self.change(|word| Some(word.wrapping_add(ROUND) & !WAITING));
        drop(waiters);
        wakers.wake_all();
    }

    /// Keeps N1 after a waiter was taken off.
    fn waiting_ends_with(&self, waiters: &WaitList<Told>) {
        if waiters.is_empty() {
            self.change(|word| Some(word & !WAITING));
        }
    }

    /// Exchanges the word for what `next` makes of it, unless it refuses. Gives the former one.
    #[inline]
    fn change(&self, next: impl Fn(usize) -> Option<usize>) -> Option<usize> {
        let mut word = first_guess(&self.word);
        loop {
            let Some(new) = next(word) else {
                // ORDERING: Acquire, as the exchange. The first guess is no reason to refuse.
                let now = self.word.load(Ordering::Acquire);
                if now == word {
                    return None;
                }
                word = now;
                continue;
            };
            // ORDERING: AcqRel. Release publishes what was done before the signal, Acquire shows it
            // to who consumes it. If weaker: notify::a_permit_publishes fails.
            match self
                .word
                .compare_exchange_weak(word, new, Ordering::AcqRel, Ordering::Acquire)
            {
                Ok(_) => return Some(word),
                Err(now) => word = now,
            }
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    New,
    Waiting,
    Done,
}

/// What the two futures have in common: one wait for one `Notify`.
#[derive(Debug)]
struct Wait {
    stage: Stage,
    /// The rounds of the `Notify` when this was made.
    rounds: usize,
    waiter: Waiter<Told>,
}

impl Wait {
    fn new(notify: &Notify) -> Self {
        // ORDERING: Acquire: a round that is counted already is not one to wait for, and what was
        // done before it is visible to who made the future.
        let word = notify.word.load(Ordering::Acquire);
        Self {
            stage: Stage::New,
            rounds: word & ROUNDS,
            waiter: Waiter::new(None),
        }
    }

    /// Polls, without a context for `enable`.
    fn poll(mut self: Pin<&mut Self>, notify: &Notify, cx: Option<&Context<'_>>) -> Poll<()> {
        let outcome = match self.stage {
            Stage::New => self.as_mut().begin(notify, cx),
            Stage::Waiting => self.as_mut().resume(notify, cx),
            Stage::Done => Poll::Ready(()),
        };
        *self.stage() = if outcome.is_ready() {
            Stage::Done
        } else {
            Stage::Waiting
        };
        outcome
    }

    /// Consumes a signal that is there, or takes a place in the queue.
    fn begin(self: Pin<&mut Self>, notify: &Notify, cx: Option<&Context<'_>>) -> Poll<()> {
        let rounds = self.rounds;
        let told = |word: usize| word & ROUNDS != rounds;
        let permit = notify.change(|word| {
            (told(word) || word & PERMIT != 0).then(|| {
                // A round that passed leaves the permit to others.
                if told(word) { word } else { word & !PERMIT }
            })
        });
        if permit.is_some() {
            return Poll::Ready(());
        }
        let waker = cx.map(|cx| cx.waker().clone());
        let mut waiters = notify.waiters.lock();
        let before = notify.change(|word| {
            Some(if told(word) {
                word
            } else if word & PERMIT != 0 {
                word & !PERMIT
            } else {
                word | WAITING
            })
        });
        if before.is_none_or(|word| told(word) || word & PERMIT != 0) {
            drop(waiters);
            return Poll::Ready(());
        }
        // SAFETY: the waiter is new, hence off the list; a `Notify` has one list; `leave`, called by
        // the drop of the future, removes the waiter; `self` is pinned.
        unsafe { waiters.push_back(self.as_ref().waiter(), waker) };
        Poll::Pending
    }

    fn resume(self: Pin<&mut Self>, notify: &Notify, cx: Option<&Context<'_>>) -> Poll<()> {
        if !self.waiter.is_linked() {
            return Poll::Ready(());
        }
        let Some(waker) = cx.map(|cx| cx.waker().clone()) else {
            return Poll::Pending;
        };
        let old = notify
            .waiters
            .lock()
            .change_waker(self.as_ref().waiter(), waker);
        match old {
            Some(_) => Poll::Pending,
            None => Poll::Ready(()),
        }
    }

    /// The future is dropped.
    fn leave(self: Pin<&mut Self>, notify: &Notify) {
        if self.stage != Stage::Waiting {
            return;
        }
        if self.waiter.is_linked() {
            let mut waiters = notify.waiters.lock();
            let removed = waiters.remove(self.as_ref().waiter());
            if removed.is_some() {
                notify.waiting_ends_with(&waiters);
                drop(waiters);
                // The waker is dropped after the lock.
                drop(removed);
                return;
            }
        }
        // SAFETY: this future owns the waiter, which is off the list.
        let told = unsafe { self.waiter.entry_off_list(|told| *told) };
        // A signal for one that nobody saw (N3).
        if let Some(signal @ (Signal::First | Signal::Last)) = told {
            notify.signal_one(signal);
        }
    }

    fn waiter(self: Pin<&Self>) -> Pin<&Waiter<Told>> {
        // SAFETY: the waiter is structurally pinned: it is not moved out of the future.
        unsafe { self.map_unchecked(|wait| &wait.waiter) }
    }

    fn stage(self: Pin<&mut Self>) -> &mut Stage {
        // SAFETY: the stage is not structurally pinned, and nothing else is reached through it.
        unsafe { &mut self.get_unchecked_mut().stage }
    }
}

/// Waits for a signal of a [`Notify`]. Made by [`Notify::notified`].
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct Notified<'a> {
    notify: &'a Notify,
    wait: Wait,
}

impl<'a> Notified<'a> {
    /// Takes a place in the queue without a poll: signals given from now on reach this future. True
    /// if a signal was there already.
    pub fn enable(self: Pin<&mut Self>) -> bool {
        let (notify, wait) = self.parts();
        wait.poll(notify, None).is_ready()
    }

    fn parts(self: Pin<&mut Self>) -> (&'a Notify, Pin<&mut Wait>) {
        // SAFETY: `wait` is structurally pinned: it is not moved out of the future.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        (this.notify, unsafe { Pin::new_unchecked(&mut this.wait) })
    }
}

impl Future for Notified<'_> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (notify, wait) = self.parts();
        wait.poll(notify, Some(cx))
    }
}

impl Drop for Notified<'_> {
    fn drop(&mut self) {
        // SAFETY: the future is not moved before it is gone.
        let (notify, wait) = unsafe { Pin::new_unchecked(self) }.parts();
        wait.leave(notify);
    }
}

/// Waits for a signal of a [`Notify`], and keeps it alive. Made by [`Notify::notified_owned`].
#[derive(Debug)]
#[must_use = "futures do nothing unless you `.await` or poll them"]
pub struct OwnedNotified {
    notify: Arc<Notify>,
    wait: Wait,
}

impl OwnedNotified {
    /// Takes a place in the queue without a poll: signals given from now on reach this future. True
    /// if a signal was there already.
    pub fn enable(self: Pin<&mut Self>) -> bool {
        let (notify, wait) = self.parts();
        wait.poll(notify, None).is_ready()
    }

    fn parts(self: Pin<&mut Self>) -> (&Notify, Pin<&mut Wait>) {
        // SAFETY: `wait` is structurally pinned: it is not moved out of the future.
        let this = unsafe { self.get_unchecked_mut() };
        // SAFETY: as above.
        (&this.notify, unsafe { Pin::new_unchecked(&mut this.wait) })
    }
}

impl Future for OwnedNotified {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let (notify, wait) = self.parts();
        wait.poll(notify, Some(cx))
    }
}

impl Drop for OwnedNotified {
    fn drop(&mut self) {
        // SAFETY: the future is not moved before it is gone.
        let (notify, wait) = unsafe { Pin::new_unchecked(self) }.parts();
        wait.leave(notify);
    }
}
