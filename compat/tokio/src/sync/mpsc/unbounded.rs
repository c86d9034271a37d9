//! The channel without a bound: sending never waits.
//!
//! Place: called by tasks and threads; calls `chan`.

use std::fmt;
use std::future::poll_fn;
use std::task::{Context, Poll};

use super::chan::{self, Rx, Tx, Unbounded, WeakTx};
use super::error::{SendError, TryRecvError};
use crate::sync::blocking::block_on;

/// A channel that takes all messages there is memory for. If the receiver is slower than the
/// senders, it grows without end.
///
/// # Examples
///
/// ```
/// # oneloop::block_on(async {
/// let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
/// sender.send("one").unwrap();
/// drop(sender);
/// assert_eq!(receiver.recv().await, Some("one"));
/// assert_eq!(receiver.recv().await, None);
/// # });
/// ```
pub fn unbounded_channel<T>() -> (UnboundedSender<T>, UnboundedReceiver<T>) {
    let (tx, rx) = chan::channel(Unbounded);
    (UnboundedSender { chan: tx }, UnboundedReceiver { chan: rx })
}

/// Sends messages. Made by [`unbounded_channel`]; cloned for more senders.
pub struct UnboundedSender<T> {
    chan: Tx<T, Unbounded>,
}

/// Can become an [`UnboundedSender`] while there is one. Made by [`UnboundedSender::downgrade`]. It
/// does not keep the channel open.
pub struct WeakUnboundedSender<T> {
    chan: WeakTx<T, Unbounded>,
}

/// Receives messages. Made by [`unbounded_channel`].
pub struct UnboundedReceiver<T> {
    chan: Rx<T, Unbounded>,
}

impl<T> UnboundedReceiver<T> {
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

    /// Lets no message be sent any more. Those that were can be received still.
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

impl<T> fmt::Debug for UnboundedReceiver<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedReceiver")
            .field("chan", &self.chan)
            .finish()
    }
}

impl<T> UnboundedSender<T> {
    /// Sends a message. Does not wait.
    ///
    /// # Errors
    ///
    /// Gives it back if the channel is closed, or its receiver gone.
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        self.chan.list.push_open(message).map_err(SendError)?;
        self.chan.wake_receiver();
        Ok(())
    }

    /// Waits until the channel is closed or its receiver is gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn closed(&self) {
        self.chan.closed().await;
    }

    /// Whether the channel is closed, or its receiver gone.
    pub fn is_closed(&self) -> bool {
        self.chan.is_closed()
    }

    /// Whether both send to one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        self.chan.same_channel(&other.chan)
    }

    /// A sender that does not keep the channel open.
    #[must_use = "Downgrade creates a WeakSender without destroying the original non-weak sender."]
    pub fn downgrade(&self) -> WeakUnboundedSender<T> {
        WeakUnboundedSender {
            chan: self.chan.downgrade(),
        }
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

impl<T> Clone for UnboundedSender<T> {
    fn clone(&self) -> Self {
        Self {
            chan: self.chan.clone(),
        }
    }
}

impl<T> fmt::Debug for UnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UnboundedSender")
            .field("chan", &self.chan)
            .finish()
    }
}

impl<T> WeakUnboundedSender<T> {
    /// A sender, unless all are gone.
    pub fn upgrade(&self) -> Option<UnboundedSender<T>> {
        let chan = self.chan.upgrade()?;
        Some(UnboundedSender { chan })
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

impl<T> Clone for WeakUnboundedSender<T> {
    fn clone(&self) -> Self {
        Self {
            chan: self.chan.clone(),
        }
    }
}

impl<T> fmt::Debug for WeakUnboundedSender<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WeakUnboundedSender").finish()
    }
}
