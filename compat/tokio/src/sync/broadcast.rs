//! A channel on which every receiver gets every message.
//!
//! Place: called by tasks and threads; calls `wait_list`, `notify`; any thread.
//!
//! ```text
//!   ring of slots:   [ 8 ][ 9 ][ 6 ][ 7 ]        tail.position = 10
//!                            a receiver at 5 has lost one; one at 10 waits
//! ```
//!
//! # Invariants
//! B1. A message is in the slot of its position until the ring comes round. It leaves earlier when
//! the last of those who were there when it was sent has received it.
//! B2. The tail's lock is taken before a slot's, never after it.
//! B3. A receiver waits in the tail's list only if the tail stands at its position.
//!
//! # Why it is so
//! A receiver that is behind takes the lock of one slot alone, and does not meet the senders. A
//! message is cloned under that lock, because two clones at once would ask for `T: Sync`; the last
//! receiver clones without it.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use self::error::{RecvError, SendError, TryRecvError};
use super::blocking::block_on;
use super::charge::charged;
use super::notify::Notify;
use super::wait_list::{WaitList, Waiter};
use super::wakers::Wakers;
use crate::primitive::atomic::{AtomicUsize, Ordering, first_guess};
use crate::primitive::{Arc, Mutex, MutexGuard};

const RECEIVERS_MAX: usize = usize::MAX >> 2;

/// A channel that keeps the last `capacity` messages, rounded up to a power of two. A receiver that
/// is slower loses the oldest, and is told so.
///
/// # Panics
///
/// If `capacity` is zero or exceeds `usize::MAX / 2`.
///
/// # Examples
///
/// ```
/// # oneloop::block_on(async {
/// let (sender, mut one) = tokio::sync::broadcast::channel(4);
/// let mut other = sender.subscribe();
/// sender.send("news").unwrap();
/// assert_eq!(one.recv().await, Ok("news"));
/// assert_eq!(other.recv().await, Ok("news"));
/// # });
/// ```
#[track_caller]
pub fn channel<T: Clone>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(capacity);
    let receiver = sender.subscribe();
    (sender, receiver)
}

/// Sends messages to all. Made by [`channel`]; cloned for more senders.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// Can become a [`Sender`] while there is one. Made by [`Sender::downgrade`]. It does not keep the
/// channel open.
pub struct WeakSender<T> {
    shared: Arc<Shared<T>>,
}

/// Receives messages. Made by [`channel`] and [`Sender::subscribe`].
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The position of the message to be received next.
    next: u64,
}

struct Shared<T> {
    slots: Box<[Mutex<Slot<T>>]>,
    tail: Mutex<Tail>,
    senders: AtomicUsize,
    weak_senders: AtomicUsize,
    receivers_gone: Notify,
}

struct Slot<T> {
    /// The position of the message, and one; zero before the first.
    sequence: u64,
    /// How many have not received it.
    unread: usize,
    message: Option<T>,
}

impl<T> Slot<T> {
    /// Counts one receiver off. Gives the message if that was the last.
    fn count_off(&mut self) -> Option<T> {
        self.unread -= 1;
        if self.unread == 0 {
            self.message.take()
        } else {
            None
        }
    }
}

struct Tail {
    /// The position of the next message.
    position: u64,
    receivers: usize,
    /// Whether all senders are gone.
    ended: bool,
    waiters: WaitList<()>,
}

impl Tail {
    fn take_waiters(&mut self) -> Wakers {
        let mut wakers = Wakers::new();
        while let Some(waker) = self.waiters.pop_front(|()| ()) {
            wakers.push(waker);
        }
        wakers
    }
}

impl<T> Shared<T> {
    fn slot(&self, position: u64) -> &Mutex<Slot<T>> {
        // The number of slots is a power of two: what the cast cuts off does not count.
        &self.slots[position as usize & (self.slots.len() - 1)]
    }

    /// The slot of the message at `next`, which moves on. If there is no message, `when_empty` is
    /// called under the tail's lock; it runs no code of others.
    fn find(
        &self,
        next: &mut u64,
        when_empty: impl FnOnce(&mut Tail),
    ) -> Result<MutexGuard<'_, Slot<T>>, TryRecvError> {
        let slot = self.slot(*next).lock();
        if slot.sequence == *next + 1 {
            *next += 1;
            return Ok(slot);
        }
        drop(slot);
        // Nobody sends while the tail is locked (B2).
        let mut tail = self.tail.lock();
        if tail.position == *next {
            if tail.ended {
                return Err(TryRecvError::Closed);
            }
            when_empty(&mut tail);
            return Err(TryRecvError::Empty);
        }
        let oldest = tail.position.saturating_sub(self.slots.len() as u64);
        if *next < oldest {
            let missed = oldest - *next;
            *next = oldest;
            return Err(TryRecvError::Lagged(missed));
        }
        // Sent between the two looks.
        let slot = self.slot(*next).lock();
        debug_assert_eq!(slot.sequence, *next + 1);
        *next += 1;
        Ok(slot)
    }

    fn senders(&self) -> usize {
        // ORDERING: Acquire, pairs with the Release in the drop of a sender.
        self.senders.load(Ordering::Acquire)
    }

    fn weak_senders(&self) -> usize {
        self.weak_senders.load(Ordering::Relaxed)
    }
}

impl<T> Sender<T> {
    /// A sender without a receiver: see [`subscribe`](Self::subscribe). For `capacity` see
    /// [`channel`].
    ///
    /// # Panics
    ///
    /// If `capacity` is zero or exceeds `usize::MAX / 2`.
    #[track_caller]
    pub fn new(capacity: usize) -> Self {
        assert!(capacity > 0, "broadcast channel capacity cannot be zero");
        assert!(
            capacity <= usize::MAX >> 1,
            "broadcast channel capacity exceeded `usize::MAX / 2`"
        );
        let slots = (0..capacity.next_power_of_two()).map(|_| {
            Mutex::new(Slot {
                sequence: 0,
                unread: 0,
                message: None,
            })
        });
        Self {
            shared: Arc::new(Shared {
                slots: slots.collect(),
                tail: Mutex::new(Tail {
                    position: 0,
                    receivers: 0,
                    ended: false,
                    waiters: WaitList::new(),
                }),
                senders: AtomicUsize::new(1),
                weak_senders: AtomicUsize::new(0),
                receivers_gone: Notify::new(),
            }),
        }
    }

    /// Sends a message to all receivers there are. Does not wait. Gives their number.
    ///
    /// # Errors
    ///
    /// Gives the message back if there is none.
    pub fn send(&self, value: T) -> Result<usize, SendError<T>> {
        let mut tail = self.shared.tail.lock();
        let receivers = tail.receivers;
        if receivers == 0 {
            drop(tail);
            return Err(SendError(value));
        }
        let overwritten = {
            let mut slot = self.shared.slot(tail.position).lock();
            slot.sequence = tail.position + 1;
            slot.unread = receivers;
            slot.message.replace(value)
        };
        tail.position += 1;
        let wakers = tail.take_waiters();
        drop(tail);
        wakers.wake_all();
        drop(overwritten);
        Ok(receivers)
    }

    /// A receiver of the messages that are sent from now on.
    ///
    /// # Panics
    ///
    /// If there are `usize::MAX / 4` receivers.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(&self.shared)
    }

    /// A sender that does not keep the channel open.
    #[must_use = "Downgrade creates a WeakSender without destroying the original non-weak sender."]
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender::new(&self.shared)
    }

    /// How many messages are kept that somebody has not received.
    pub fn len(&self) -> usize {
        let tail = self.shared.tail.lock();
        let kept = tail.position.min(self.shared.slots.len() as u64);
        // Who has not received a message has not received the later ones either.
        let (mut unread, mut read) = (tail.position, tail.position - kept);
        while read < unread {
            let middle = read + (unread - read) / 2;
            if self.shared.slot(middle).lock().unread == 0 {
                read = middle + 1;
            } else {
                unread = middle;
            }
        }
        // At most the number of slots.
        (tail.position - unread) as usize
    }

    /// Whether all messages were received by all.
    pub fn is_empty(&self) -> bool {
        let tail = self.shared.tail.lock();
        match tail.position.checked_sub(1) {
            Some(last) => self.shared.slot(last).lock().unread == 0,
            None => true,
        }
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.tail.lock().receivers
    }

    /// Whether both send to one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn closed(&self) {
        loop {
            // Made before the look: an end after it is not missed.
            let receivers_gone = self.shared.receivers_gone.notified();
            if self.receiver_count() == 0 {
                return;
            }
            receivers_gone.await;
        }
    }

    /// How many senders there are.
    pub fn strong_count(&self) -> usize {
        self.shared.senders()
    }

    /// How many weak senders there are.
    pub fn weak_count(&self) -> usize {
        self.shared.weak_senders()
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.senders.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // ORDERING: AcqRel: the last one has seen the messages of the others.
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            let wakers = {
                let mut tail = self.shared.tail.lock();
                tail.ended = true;
                tail.take_waiters()
            };
            wakers.wake_all();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broadcast::Sender")
    }
}

impl<T> WeakSender<T> {
    fn new(shared: &Arc<Shared<T>>) -> Self {
        shared.weak_senders.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(shared),
        }
    }

    /// A sender, unless all are gone.
    #[must_use]
    pub fn upgrade(&self) -> Option<Sender<T>> {
        let senders = &self.shared.senders;
        let mut count = first_guess(senders);
        loop {
            if count == 0 {
                // The first guess is no reason to give up. None left is final.
                count = self.shared.senders();
                if count == 0 {
                    return None;
                }
            }
            match senders.compare_exchange_weak(
                count,
                count + 1,
                Ordering::Relaxed,
                Ordering::Relaxed,
            ) {
                Ok(_) => {
                    return Some(Sender {
                        shared: Arc::clone(&self.shared),
                    });
                }
                Err(now) => count = now,
            }
        }
    }

    /// How many senders there are.
    pub fn strong_count(&self) -> usize {
        self.shared.senders()
    }

    /// How many weak senders there are.
    pub fn weak_count(&self) -> usize {
        self.shared.weak_senders()
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        Self::new(&self.shared)
    }
}

impl<T> Drop for WeakSender<T> {
    fn drop(&mut self) {
        self.shared.weak_senders.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broadcast::WeakSender")
    }
}

impl<T> Receiver<T> {
    fn new(shared: &Arc<Shared<T>>) -> Self {
        let next = {
            let mut tail = shared.tail.lock();
            assert!(tail.receivers < RECEIVERS_MAX, "max receivers");
            tail.receivers += 1;
            tail.position
        };
        Self {
            shared: Arc::clone(shared),
            next,
        }
    }

    /// How many messages were sent and not received here, those that are lost included.
    pub fn len(&self) -> usize {
        // A number of messages, in a word.
        (self.shared.tail.lock().position - self.next) as usize
    }

    /// Whether there is no message.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether both receive from one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// How many senders there are.
    pub fn sender_strong_count(&self) -> usize {
        self.shared.senders()
    }

    /// How many weak senders there are.
    pub fn sender_weak_count(&self) -> usize {
        self.shared.weak_senders()
    }

    /// Whether all senders are gone.
    pub fn is_closed(&self) -> bool {
        self.shared.senders() == 0
    }
}

impl<T: Clone> Receiver<T> {
    /// Another receiver, of the messages that are sent from now on.
    ///
    /// # Panics
    ///
    /// If there are `usize::MAX / 4` receivers.
    pub fn resubscribe(&self) -> Self {
        Self::new(&self.shared)
    }

    /// The next message.
    ///
    /// # Errors
    ///
    /// If all senders are gone and their messages received, or messages were lost: then the next call
    /// gives the oldest that is kept.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn recv(&mut self) -> Result<T, RecvError> {
        charged(Recv {
            receiver: self,
            has_waited: false,
            waiter: Waiter::new(()),
        })
        .await
    }

    /// The next message, if it is there.
    ///
    /// # Errors
    ///
    /// If there is none now, or never will be, or messages were lost: then the next call gives the
    /// oldest that is kept.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.receive(|_| ())
    }

    /// As [`recv`](Self::recv); the thread sleeps meanwhile.
    ///
    /// # Errors
    ///
    /// As `recv`.
    ///
    /// # Panics
    ///
    /// On a thread that drives tasks.
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Result<T, RecvError> {
        block_on(self.recv())
    }

    fn receive(&mut self, when_empty: impl FnOnce(&mut Tail)) -> Result<T, TryRecvError> {
        let mut slot = self.shared.find(&mut self.next, when_empty)?;
        // Counted before the clone, which may panic: the message counts as received.
        if let Some(last) = slot.count_off() {
            drop(slot);
            return Ok(last.clone());
        }
        // The clone runs under the slot's lock alone.
        slot.message.clone().ok_or(TryRecvError::Closed)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        /// Tells the senders even if the drop of a message panics.
        struct Tell<'a>(Option<&'a Notify>);

        impl Drop for Tell<'_> {
            fn drop(&mut self) {
                if let Some(notify) = self.0 {
                    notify.notify_waiters();
                }
            }
        }

        let (end, is_last) = {
            let mut tail = self.shared.tail.lock();
            tail.receivers -= 1;
            (tail.position, tail.receivers == 0)
        };
        let _tell = Tell(is_last.then_some(&self.shared.receivers_gone));
        while self.next < end {
            // A lost message needs no counting off; there is one at every position before the end.
            if let Ok(mut slot) = self.shared.find(&mut self.next, |_| ()) {
                let message = slot.count_off();
                drop(slot);
                drop(message);
            }
        }
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("broadcast::Receiver")
    }
}

/// Waits for the next message.
struct Recv<'a, T> {
    receiver: &'a mut Receiver<T>,
    has_waited: bool,
    waiter: Waiter<()>,
}

impl<T: Clone> Future for Recv<'_, T> {
    type Output = Result<T, RecvError>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        // SAFETY: the waiter, which is structurally pinned, is not moved below.
        let this = unsafe { self.get_unchecked_mut() };
        match this.receiver.try_recv() {
            Err(TryRecvError::Empty) => {}
            other => return Poll::Ready(without_empty(other)),
        }
        let waker = cx.waker().clone();
        // SAFETY: the waiter is pinned with the future.
        let waiter = unsafe { Pin::new_unchecked(&this.waiter) };
        let mut old = None;
        let result = this.receiver.receive(|tail| {
            if waiter.is_linked() {
                old = tail.waiters.change_waker(waiter, waker).flatten();
            } else {
                // SAFETY: the waiter is off the list; the channel has one list; `Drop` removes the
                // waiter; it is pinned.
                unsafe { tail.waiters.push_back(waiter, Some(waker)) };
            }
        });
        drop(old);
        match result {
            Err(TryRecvError::Empty) => {
                this.has_waited = true;
                Poll::Pending
            }
            other => Poll::Ready(without_empty(other)),
        }
    }
}

fn without_empty<T>(result: Result<T, TryRecvError>) -> Result<T, RecvError> {
    result.map_err(|error| match error {
        TryRecvError::Lagged(missed) => RecvError::Lagged(missed),
        TryRecvError::Closed | TryRecvError::Empty => RecvError::Closed,
    })
}

impl<T> Drop for Recv<'_, T> {
    fn drop(&mut self) {
        if !self.has_waited || !self.waiter.is_linked() {
            return;
        }
        // SAFETY: the future was pinned when it came to wait, and is not moved before it is gone.
        let waiter = unsafe { Pin::new_unchecked(&self.waiter) };
        let removed = {
            let mut tail = self.receiver.shared.tail.lock();
            tail.waiters.remove(waiter)
        };
        // The waker is dropped after the lock.
        drop(removed);
    }
}

/// The errors of this channel.
pub mod error {
    use std::fmt;

    /// There is no receiver: the message was not sent.
    #[derive(Debug)]
    pub struct SendError<T>(pub T);

    impl<T> fmt::Display for SendError<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("channel closed")
        }
    }

    impl<T: fmt::Debug> std::error::Error for SendError<T> {}

    /// Why no message was received.
    #[derive(Debug, PartialEq, Eq, Clone)]
    pub enum RecvError {
        /// There never will be one: all senders are gone.
        Closed,
        /// So many messages were lost. The next call gives the oldest that is kept.
        Lagged(u64),
    }

    impl fmt::Display for RecvError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Closed => f.write_str("channel closed"),
                Self::Lagged(missed) => write!(f, "channel lagged by {missed}"),
            }
        }
    }

    impl std::error::Error for RecvError {}

    /// Why no message was received at once.
    #[derive(Debug, PartialEq, Eq, Clone)]
    pub enum TryRecvError {
        /// There is none now.
        Empty,
        /// There never will be one: all senders are gone.
        Closed,
        /// So many messages were lost. The next call gives the oldest that is kept.
        Lagged(u64),
    }

    impl fmt::Display for TryRecvError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            match self {
                Self::Empty => f.write_str("channel empty"),
                Self::Closed => f.write_str("channel closed"),
                Self::Lagged(missed) => write!(f, "channel lagged by {missed}"),
            }
        }
    }

    impl std::error::Error for TryRecvError {}
}
