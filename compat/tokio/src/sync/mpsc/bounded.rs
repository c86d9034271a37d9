//! The channel with a bound: who sends waits for room.
//!
//! Place: called by tasks and threads; calls `chan` and `permits`.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};
#[cfg(feature = "time")]
use std::time::Duration;

use super::chan::{self, Bounded, Rx, Tx, WeakTx};
#[cfg(feature = "time")]
use super::error::SendTimeoutError;
use super::error::{SendError, TryRecvError, TrySendError};
use super::permit::{OwnedPermit, Permit, PermitIterator, wake_if_drained};
use crate::sync::TryAcquireError;
use crate::sync::blocking::block_on;
use crate::sync::permits::Permits;

/// A channel that has room for `buffer` messages.
///
/// # Panics
///
/// If `buffer` is zero, or exceeds [`Semaphore::MAX_PERMITS`](crate::sync::Semaphore::MAX_PERMITS).
///
/// # Examples
///
/// ```
/// # oneloop::block_on(async {
/// let (sender, mut receiver) = tokio::sync::mpsc::channel(1);
/// oneloop::spawn(async move {
///     for n in 0..3 {
///         sender.send(n).await.unwrap();
///     }
/// });
/// let mut sum = 0;
/// while let Some(n) = receiver.recv().await {
///     sum += n;
/// }
/// assert_eq!(sum, 3);
/// # });
/// ```
#[track_caller]
pub fn channel<T>(buffer: usize) -> (Sender<T>, Receiver<T>) {
    assert!(buffer > 0, "mpsc bounded channel requires buffer > 0");
    let (tx, rx) = chan::channel(Bounded {
        permits: Permits::new(buffer),
        messages_max: buffer,
    });
    (Sender { chan: tx }, Receiver { chan: rx })
}

/// Sends messages. Made by [`channel`]; cloned for more senders.
pub struct Sender<T> {
    chan: Tx<T, Bounded>,
}

/// Can become a [`Sender`] while there is one. Made by [`Sender::downgrade`]. It does not keep the
/// channel open.
pub struct WeakSender<T> {
    chan: WeakTx<T, Bounded>,
}

/// Receives messages. Made by [`channel`].
pub struct Receiver<T> {
    chan: Rx<T, Bounded>,
}

impl<T> Unpin for Receiver<T> {}

impl<T> Receiver<T> {
    /// The next message. None: the channel is closed and empty, or all senders are gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn recv(&mut self) -> Option<T> {
        poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// Waits for messages and puts those that are there, at most `limit`, at the end of `buffer`.
    /// Gives their number; zero as `recv` gives None, and for a `limit` of zero.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn recv_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> usize {
        poll_fn(|cx| self.poll_recv_many(cx, buffer, limit)).await
    }

    /// The next message, if it is there.
    ///
    /// # Errors
    ///
    /// If there is none now, or never will be.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        self.chan.try_recv()
    }

    /// As [`recv`](Self::recv); the thread sleeps meanwhile.
    ///
    /// # Panics
    ///
    /// On a thread that drives tasks.
    #[track_caller]
    pub fn blocking_recv(&mut self) -> Option<T> {
        block_on(self.recv())
    }

    /// As [`recv_many`](Self::recv_many); the thread sleeps meanwhile.
    ///
    /// # Panics
    ///
    /// On a thread that drives tasks.
    #[track_caller]
    pub fn blocking_recv_many(&mut self, buffer: &mut Vec<T>, limit: usize) -> usize {
        block_on(self.recv_many(buffer, limit))
    }

    /// Lets no message be sent any more. Those that were, and those for which there is a
    /// [`Permit`], can be received still.
    pub fn close(&mut self) {
        self.chan.close();
    }

    /// Whether nothing can be sent any more: closed, or all senders gone.
    pub fn is_closed(&self) -> bool {
        self.chan.is_closed()
    }

    /// Whether no message is there.
    pub fn is_empty(&self) -> bool {
        self.chan.len() == 0
    }

    /// How many messages are there.
    pub fn len(&self) -> usize {
        self.chan.len()
    }

    /// For how many messages there is room now.
    pub fn capacity(&self) -> usize {
        self.chan.limit.permits.available()
    }

    /// For how many messages there is room when the channel is empty.
    pub fn max_capacity(&self) -> usize {
        self.chan.limit.messages_max
    }

    /// As [`recv`](Self::recv), for a future of one's own.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<T>> {
        self.chan.poll_recv(cx)
    }

    /// As [`recv_many`](Self::recv_many), for a future of one's own.
    pub fn poll_recv_many(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut Vec<T>,
        limit: usize,
    ) -> Poll<usize> {
        self.chan.poll_recv_many(cx, buffer, limit)
    }

    /// How many senders there are.
    pub fn sender_strong_count(&self) -> usize {
        self.chan.senders()
    }

    /// How many weak senders there are.
    pub fn sender_weak_count(&self) -> usize {
        self.chan.weak_senders()
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Receiver")
            .field("chan", &self.chan)
            .finish()
    }
}

impl<T> Sender<T> {
    pub(super) fn from_tx(chan: Tx<T, Bounded>) -> Self {
        Self { chan }
    }

    pub(super) fn tx(&self) -> &Tx<T, Bounded> {
        &self.chan
    }

    /// Sends a message, waiting for room.
    ///
    /// # Errors
    ///
    /// Gives it back if the channel is closed, or becomes so meanwhile.
    ///
    /// # Cancel safety
    ///
    /// The message is not sent, and dropped. [`reserve`](Self::reserve) keeps it.
    pub async fn send(&self, value: T) -> Result<(), SendError<T>> {
        match self.reserve().await {
            Ok(permit) => {
                permit.send(value);
                Ok(())
            }
            Err(SendError(())) => Err(SendError(value)),
        }
    }

    /// Waits until the channel is closed or its receiver is gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn closed(&self) {
        self.chan.closed().await;
    }

    /// Sends a message if there is room.
    ///
    /// # Errors
    ///
    /// Gives it back if there is none, or the channel is closed.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        match self.try_take(1) {
            Ok(()) => {
                self.chan.push(message);
                Ok(())
            }
            Err(TryAcquireError::Closed) => Err(TrySendError::Closed(message)),
            Err(TryAcquireError::NoPermits) => Err(TrySendError::Full(message)),
        }
    }

    /// Sends a message, waiting at most so long for room.
    ///
    /// # Errors
    ///
    /// Gives it back if there was none in that time, or the channel is closed.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or without its timers.
    ///
    /// # Cancel safety
    ///
    /// The message is not sent, and dropped.
    #[cfg(feature = "time")]
    pub async fn send_timeout(
        &self,
        value: T,
        timeout: Duration,
    ) -> Result<(), SendTimeoutError<T>> {
        assert!(
            oneloop::runtime::Handle::try_current().is_ok(),
            "there is no reactor running, must be called from the context of a Tokio 1.x runtime"
        );
        match oneloop::time::timeout(timeout, self.reserve()).await {
            Ok(Ok(permit)) => {
                permit.send(value);
                Ok(())
            }
            Ok(Err(SendError(()))) => Err(SendTimeoutError::Closed(value)),
            Err(_) => Err(SendTimeoutError::Timeout(value)),
        }
    }

    /// As [`send`](Self::send); the thread sleeps meanwhile.
    ///
    /// # Errors
    ///
    /// Gives the message back if the channel is closed, or becomes so meanwhile.
    ///
    /// # Panics
    ///
    /// On a thread that drives tasks.
    #[track_caller]
    pub fn blocking_send(&self, value: T) -> Result<(), SendError<T>> {
        block_on(self.send(value))
    }

    /// Whether the channel is closed, or its receiver gone.
    pub fn is_closed(&self) -> bool {
        self.chan.is_closed()
    }

    /// Takes room for a message, waiting for it.
    ///
    /// # Errors
    ///
    /// If the channel is closed, or becomes so meanwhile.
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost.
    pub async fn reserve(&self) -> Result<Permit<'_, T>, SendError<()>> {
        self.take(1).await?;
        Ok(Permit::new(&self.chan))
    }

    /// Takes room for `n` messages, waiting for it.
    ///
    /// # Errors
    ///
    /// If the channel is closed, or becomes so meanwhile, or has not so much room when empty.
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost.
    pub async fn reserve_many(&self, n: usize) -> Result<PermitIterator<'_, T>, SendError<()>> {
        self.take(n).await?;
        Ok(PermitIterator::new(&self.chan, n))
    }

    /// Takes room for a message, waiting for it. The permit has the sender with it.
    ///
    /// # Errors
    ///
    /// If the channel is closed, or becomes so meanwhile.
    ///
    /// # Cancel safety
    ///
    /// The place in the queue is lost, and the sender dropped.
    pub async fn reserve_owned(self) -> Result<OwnedPermit<T>, SendError<()>> {
        self.take(1).await?;
        Ok(OwnedPermit::new(self.chan))
    }

    /// Takes room for a message if there is some.
    ///
    /// # Errors
    ///
    /// If there is none, or the channel is closed.
    pub fn try_reserve(&self) -> Result<Permit<'_, T>, TrySendError<()>> {
        self.try_take(1).map_err(|error| refused(&error, ()))?;
        Ok(Permit::new(&self.chan))
    }

    /// Takes room for `n` messages if there is so much.
    ///
    /// # Errors
    ///
    /// If there is less, or the channel is closed.
    pub fn try_reserve_many(&self, n: usize) -> Result<PermitIterator<'_, T>, TrySendError<()>> {
        if n > self.max_capacity() {
            return Err(TrySendError::Full(()));
        }
        self.try_take(n).map_err(|error| refused(&error, ()))?;
        Ok(PermitIterator::new(&self.chan, n))
    }

    /// Takes room for a message if there is some. The permit has the sender with it.
    ///
    /// # Errors
    ///
    /// Gives the sender back if there is none, or the channel is closed.
    pub fn try_reserve_owned(self) -> Result<OwnedPermit<T>, TrySendError<Self>> {
        match self.try_take(1) {
            Ok(()) => Ok(OwnedPermit::new(self.chan)),
            Err(error) => Err(refused(&error, self)),
        }
    }

    /// Whether both send to one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        self.chan.same_channel(&other.chan)
    }

    /// For how many messages there is room now.
    pub fn capacity(&self) -> usize {
        self.chan.limit.permits.available()
    }

    /// A sender that does not keep the channel open.
    #[must_use = "Downgrade creates a WeakSender without destroying the original non-weak sender."]
    pub fn downgrade(&self) -> WeakSender<T> {
        WeakSender {
            chan: self.chan.downgrade(),
        }
    }

    /// For how many messages there is room when the channel is empty.
    pub fn max_capacity(&self) -> usize {
        self.chan.limit.messages_max
    }

    /// How many senders there are.
    pub fn strong_count(&self) -> usize {
        self.chan.senders()
    }

    /// How many weak senders there are.
    pub fn weak_count(&self) -> usize {
        self.chan.weak_senders()
    }

    fn try_take(&self, permits: usize) -> Result<(), TryAcquireError> {
        self.chan.limit.permits.try_take(permits)
    }

    async fn take(&self, permits: usize) -> Result<(), SendError<()>> {
        /// A wait that ends without permits has given back what it had: a closed channel may come to
        /// its end by that.
        struct WithoutPermits<'a, T>(Option<&'a Tx<T, Bounded>>);

        impl<T> Drop for WithoutPermits<'_, T> {
            fn drop(&mut self) {
                if let Some(chan) = self.0 {
                    wake_if_drained(chan);
                }
            }
        }

        if permits > self.max_capacity() {
            return Err(SendError(()));
        }
        let mut without_permits = WithoutPermits(Some(&self.chan));
        if self.chan.limit.permits.take(permits).await.is_err() {
            return Err(SendError(()));
        }
        without_permits.0 = None;
        Ok(())
    }
}

fn refused<V>(error: &TryAcquireError, value: V) -> TrySendError<V> {
    match error {
        TryAcquireError::Closed => TrySendError::Closed(value),
        TryAcquireError::NoPermits => TrySendError::Full(value),
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        Self {
            chan: self.chan.clone(),
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sender").field("chan", &self.chan).finish()
    }
}

impl<T> WeakSender<T> {
    /// A sender, unless all are gone.
    pub fn upgrade(&self) -> Option<Sender<T>> {
        self.chan.upgrade().map(Sender::from_tx)
    }

    /// How many senders there are.
    pub fn strong_count(&self) -> usize {
        self.chan.senders()
    }

    /// How many weak senders there are.
    pub fn weak_count(&self) -> usize {
        self.chan.weak_senders()
    }
}

impl<T> Clone for WeakSender<T> {
    fn clone(&self) -> Self {
        Self {
            chan: self.chan.clone(),
        }
    }
}

impl<T> fmt::Debug for WeakSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakSender").finish()
    }
}
