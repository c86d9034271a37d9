//! What the bounded and the unbounded channel have in common.
//!
//! Place: inside the handles of `bounded` and `unbounded`; calls `list`, `waker_slot`, `notify`.
//!
//! # Invariants
//! C1. The receiver reports the end when all senders are gone, or it was closed, and nothing is under
//! way any more: no message in the list, no permit with a sender.
//! C2. What ends a wait of the receiver wakes it afterwards: a message, the last sender's end, and the
//! last permit that comes back after the close.

use std::fmt;
use std::panic::{RefUnwindSafe, UnwindSafe};
use std::task::{Context, Poll, ready};

use oneloop::task::coop;

use super::error::TryRecvError;
use super::list::List;
use crate::primitive::atomic::{AtomicUsize, Ordering, first_guess};
use crate::primitive::{Arc, CachePadded, UnsafeCell, yield_now};
use crate::sync::notify::Notify;
use crate::sync::permits::Permits;
use crate::sync::waker_slot::WakerSlot;

/// How much may be in a channel.
pub(super) trait Limit: Sized {
    fn close<T>(chan: &Chan<T, Self>);
    fn is_closed<T>(chan: &Chan<T, Self>) -> bool;
    /// Whether nothing is under way, said by the receiver, which knows whether the list is empty.
    fn is_idle(&self, list_is_empty: bool) -> bool;
    /// The receiver has taken so many messages out.
    fn received(&self, messages: usize);
}

/// Room for so many messages, given out as permits.
#[derive(Debug)]
pub(super) struct Bounded {
    pub(super) permits: Permits,
    pub(super) messages_max: usize,
}

impl Bounded {
    /// Whether all permits are back.
    pub(super) fn has_all(&self) -> bool {
        self.permits.available() == self.messages_max
    }
}

impl Limit for Bounded {
    fn close<T>(chan: &Chan<T, Self>) {
        chan.limit.permits.close();
    }

    fn is_closed<T>(chan: &Chan<T, Self>) -> bool {
        chan.limit.permits.is_closed()
    }

    fn is_idle(&self, _list_is_empty: bool) -> bool {
        // A message keeps its permit until it is received.
        self.has_all()
    }

    fn received(&self, messages: usize) {
        self.permits.give(messages);
    }
}

/// No limit.
#[derive(Debug)]
pub(super) struct Unbounded;

impl Limit for Unbounded {
    fn close<T>(chan: &Chan<T, Self>) {
        chan.list.close();
    }

    fn is_closed<T>(chan: &Chan<T, Self>) -> bool {
        chan.list.is_closed()
    }

    fn is_idle(&self, list_is_empty: bool) -> bool {
        list_is_empty
    }

    fn received(&self, _messages: usize) {}
}

/// A channel, shared by all its handles.
pub(super) struct Chan<T, L> {
    pub(super) list: List<T>,
    pub(super) limit: L,
    receiver_waker: CachePadded<WakerSlot>,
    receiver_closed: Notify,
    senders: AtomicUsize,
    weak_senders: AtomicUsize,
    /// The receiver's own: whether it called `close`.
    closed_by_receiver: UnsafeCell<bool>,
}

// SAFETY: messages and the flag go with the channel.
unsafe impl<T: Send, L: Send> Send for Chan<T, L> {}
// SAFETY: `closed_by_receiver` is touched by the one receiver alone; the rest is shared as it is.
unsafe impl<T: Send, L: Sync> Sync for Chan<T, L> {}
impl<T, L> UnwindSafe for Chan<T, L> {}
impl<T, L> RefUnwindSafe for Chan<T, L> {}

impl<T, L: Limit> Chan<T, L> {
    /// A channel with one sender.
    pub(super) fn new(limit: L) -> Self {
        Self {
            list: List::new(),
            limit,
            receiver_waker: CachePadded(WakerSlot::new()),
            receiver_closed: Notify::new(),
            senders: AtomicUsize::new(1),
            weak_senders: AtomicUsize::new(0),
            closed_by_receiver: UnsafeCell::new(false),
        }
    }

    /// Puts a message into the list, and wakes the receiver.
    pub(super) fn push(&self, message: T) {
        self.list.push(message);
        self.wake_receiver();
    }

    pub(super) fn wake_receiver(&self) {
        self.receiver_waker.wake();
    }

    pub(super) fn is_closed(&self) -> bool {
        L::is_closed(self)
    }

    /// Waits until the receiver is closed or gone.
    pub(super) async fn closed(&self) {
        // Made before the look: a close after it is not missed.
        let closed = self.receiver_closed.notified();
        if !self.is_closed() {
            closed.await;
        }
    }

    pub(super) fn senders(&self) -> usize {
        // ORDERING: Acquire, pairs with the Release in `Tx::drop`: who finds none finds all messages.
        self.senders.load(Ordering::Acquire)
    }

    pub(super) fn weak_senders(&self) -> usize {
        self.weak_senders.load(Ordering::Relaxed)
    }
}

impl<T, L: fmt::Debug> fmt::Debug for Chan<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Chan")
            .field("semaphore", &self.limit)
            .field("tx_count", &self.senders)
            .finish_non_exhaustive()
    }
}

/// The part of a sender: keeps the channel open.
pub(super) struct Tx<T, L: Limit>(Arc<Chan<T, L>>);

impl<T, L: Limit> Tx<T, L> {
    pub(super) fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    pub(super) fn downgrade(&self) -> WeakTx<T, L> {
        WeakTx::new(Arc::clone(&self.0))
    }
}

impl<T, L: Limit> std::ops::Deref for Tx<T, L> {
    type Target = Chan<T, L>;

    fn deref(&self) -> &Chan<T, L> {
        &self.0
    }
}

impl<T, L: Limit> Clone for Tx<T, L> {
    fn clone(&self) -> Self {
        self.0.senders.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(&self.0))
    }
}

impl<T, L: Limit> Drop for Tx<T, L> {
    fn drop(&mut self) {
        // ORDERING: AcqRel. Release publishes this sender's messages to who finds no sender any more,
        // Acquire those of the senders that left before.
        if self.0.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.0.wake_receiver();
        }
    }
}

impl<T, L: Limit + fmt::Debug> fmt::Debug for Tx<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tx").field("inner", &self.0).finish()
    }
}

/// The part of a weak sender: does not keep the channel open.
pub(super) struct WeakTx<T, L: Limit>(Arc<Chan<T, L>>);

impl<T, L: Limit> WeakTx<T, L> {
    fn new(chan: Arc<Chan<T, L>>) -> Self {
        chan.weak_senders.fetch_add(1, Ordering::Relaxed);
        Self(chan)
    }

    /// A sender, unless all are gone.
    pub(super) fn upgrade(&self) -> Option<Tx<T, L>> {
        let senders = &self.0.senders;
        let mut count = first_guess(senders);
        loop {
            if count == 0 {
                // The first guess is no reason to give up. None left is final.
                // ORDERING: Acquire, as in `Chan::senders`.
                count = senders.load(Ordering::Acquire);
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
                Ok(_) => return Some(Tx(Arc::clone(&self.0))),
                Err(now) => count = now,
            }
        }
    }
}

impl<T, L: Limit> std::ops::Deref for WeakTx<T, L> {
    type Target = Chan<T, L>;

    fn deref(&self) -> &Chan<T, L> {
        &self.0
    }
}

impl<T, L: Limit> Clone for WeakTx<T, L> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.0))
    }
}

impl<T, L: Limit> Drop for WeakTx<T, L> {
    fn drop(&mut self) {
        self.0.weak_senders.fetch_sub(1, Ordering::Relaxed);
    }
}

/// The part of the receiver, of which there is one.
pub(super) struct Rx<T, L: Limit>(Arc<Chan<T, L>>);

/// The two ends of a new channel.
pub(super) fn channel<T, L: Limit>(limit: L) -> (Tx<T, L>, Rx<T, L>) {
    let chan = Arc::new(Chan::new(limit));
    (Tx(Arc::clone(&chan)), Rx(chan))
}

impl<T, L: Limit> Rx<T, L> {
    pub(super) fn close(&mut self) {
        let was_closed = self.0.closed_by_receiver.with_mut(|closed| {
            // SAFETY: the flag is the receiver's, which is borrowed to change.
            unsafe { std::mem::replace(&mut *closed, true) }
        });
        if !was_closed {
            L::close(&self.0);
            self.0.receiver_closed.notify_waiters();
        }
    }

    /// Whether nothing can be sent any more.
    pub(super) fn is_closed(&self) -> bool {
        self.0.is_closed() || self.0.senders() == 0
    }

    pub(super) fn len(&self) -> usize {
        // SAFETY: this is the receiver.
        unsafe { self.0.list.len() }
    }

    pub(super) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        let operation = ready!(coop::poll_proceed(cx));
        let received = match self.receive() {
            Err(TryRecvError::Empty) => {
                self.0.receiver_waker.register(cx.waker());
                match self.receive() {
                    Err(TryRecvError::Empty) => return Poll::Pending,
                    other => other,
                }
            }
            other => other,
        };
        operation.made_progress();
        Poll::Ready(received.ok())
    }

    pub(super) fn poll_recv_many(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<T>,
        limit: usize,
    ) -> Poll<usize> {
        let operation = ready!(coop::poll_proceed(cx));
        if limit == 0 {
            operation.made_progress();
            return Poll::Ready(0);
        }
        let mut received = self.receive_many(buffer, limit);
        if received == Err(TryRecvError::Empty) {
            self.0.receiver_waker.register(cx.waker());
            received = self.receive_many(buffer, limit);
        }
        if received == Err(TryRecvError::Empty) {
            return Poll::Pending;
        }
        operation.made_progress();
        Poll::Ready(received.unwrap_or(0))
    }

    pub(super) fn try_recv(&mut self) -> Result<T, TryRecvError> {
        loop {
            match self.receive() {
                // A sender has claimed the first place and not written it yet, and messages behind it
                // may be there already: to say `Empty` now would deny them.
                Err(TryRecvError::Empty) if self.len() > 0 => yield_now(),
                other => return other,
            }
        }
    }

    /// The first message, or what its absence means (C1).
    fn receive(&mut self) -> Result<T, TryRecvError> {
        // Looked at before the list: a sender that is gone has left its messages there.
        let ended = self.0.senders() == 0;
        // SAFETY: this is the receiver, borrowed to change.
        match unsafe { self.0.list.pop() } {
            Some(message) => {
                self.0.limit.received(1);
                Ok(message)
            }
            None if ended || self.is_drained() => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    /// At least one message and at most `limit`, or what their absence means (C1).
    fn receive_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> Result<usize, TryRecvError> {
        let ended = self.0.senders() == 0;
        let mut received = 0;
        while received < limit {
            // SAFETY: this is the receiver, borrowed to change.
            let Some(message) = (unsafe { self.0.list.pop() }) else {
                break;
            };
            buffer.push(message);
            received += 1;
        }
        if received > 0 {
            self.0.limit.received(received);
            return Ok(received);
        }
        Err(if ended || self.is_drained() {
            TryRecvError::Disconnected
        } else {
            TryRecvError::Empty
        })
    }

    /// Whether the receiver was closed, and nothing is under way.
    fn is_drained(&self) -> bool {
        let closed = self.0.closed_by_receiver.with(|closed| {
            // SAFETY: the flag is the receiver's.
            unsafe { *closed }
        });
        closed && self.0.limit.is_idle(self.len() == 0)
    }
}

impl<T, L: Limit> std::ops::Deref for Rx<T, L> {
    type Target = Chan<T, L>;

    fn deref(&self) -> &Chan<T, L> {
        &self.0
    }
}

impl<T, L: Limit> Drop for Rx<T, L> {
    fn drop(&mut self) {
        /// Goes on after a message whose drop panics.
        struct Drain<'a, T, L: Limit>(&'a mut Rx<T, L>);

        impl<T, L: Limit> Drop for Drain<'_, T, L> {
            fn drop(&mut self) {
                while self.0.receive().is_ok() {}
            }
        }

        self.close();
        self.0.receiver_waker.clear();
        let drain = Drain(self);
        while drain.0.receive().is_ok() {}
    }
}

impl<T, L: Limit + fmt::Debug> fmt::Debug for Rx<T, L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rx").field("inner", &self.0).finish()
    }
}
