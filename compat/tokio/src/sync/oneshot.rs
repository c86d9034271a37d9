//! A channel for one value.
//!
//! Place: called by tasks and threads; calls the cooperative budget; any thread.
//!
//! ```text
//!            send / drop of the sender          close / drop of the receiver
//!   open --------------------------------> SENT     open --------> CLOSED, then never SENT
//!                 each side sets its WAKER bit when it waits for the other's end
//! ```
//!
//! # Invariants
//! X1. SENT and CLOSED are set at most once, and SENT never after CLOSED.
//! X2. The value is the sender's until SENT, then the receiver's. It stays the sender's if CLOSED
//! came first.
//! X3. A side's waker is its own while its bit is clear; while the bit is set, the other side may
//! read it, once it has set its final bit. So a side that clears its bit and sees the other's final
//! bit in the same exchange leaves the waker alone.
//!
//! # Why it is so
//! One word and three cells in one allocation: a request and its reply are the commonest use, and
//! cost no lock.

use std::fmt;
use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use oneloop::task::coop;

use self::error::{RecvError, TryRecvError};
use super::blocking::block_on;
use crate::primitive::atomic::{AtomicUsize, Ordering, first_guess};
use crate::primitive::{Arc, UnsafeCell};

/// The receiver's waker may be read by the sender.
const RX_WAKER: usize = 1;
/// The sender is done: the value is there, or never will be.
const SENT: usize = 2;
/// The receiver takes no value any more.
const CLOSED: usize = 4;
/// The sender's waker may be read by the receiver.
const TX_WAKER: usize = 8;

/// A channel for one value.
///
/// # Examples
///
/// ```
/// # oneloop::block_on(async {
/// let (reply, answer) = tokio::sync::oneshot::channel();
/// oneloop::spawn(async move { reply.send(42) }).await.unwrap().unwrap();
/// assert_eq!(answer.await, Ok(42));
/// # });
/// ```
#[track_caller]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let inner = Arc::new(Inner {
        word: AtomicUsize::new(0),
        value: UnsafeCell::new(None),
        rx_waker: UnsafeCell::new(None),
        tx_waker: UnsafeCell::new(None),
    });
    let sender = Sender {
        inner: Some(Arc::clone(&inner)),
    };
    (sender, Receiver { inner: Some(inner) })
}

/// Sends the one value. Made by [`channel`].
#[derive(Debug)]
pub struct Sender<T> {
    /// None once the value was sent.
    inner: Option<Arc<Inner<T>>>,
}

/// Waits for the one value: a future. Made by [`channel`].
#[derive(Debug)]
pub struct Receiver<T> {
    /// None once the end of the channel was reported.
    inner: Option<Arc<Inner<T>>>,
}

impl<T> Sender<T> {
    /// Sends the value. Does not wait.
    ///
    /// # Errors
    ///
    /// Gives it back if the receiver is closed or gone.
    pub fn send(mut self, t: T) -> Result<(), T> {
        let inner = self.take_inner();
        inner.value.with_mut(|value| {
            // SAFETY: the value is the sender's, of which there is one (X2).
            unsafe { *value = Some(t) };
        });
        if inner.finish() {
            return Ok(());
        }
        // Closed came first: the value is the sender's still.
        match inner.take_value() {
            Some(value) => Err(value),
            None => unreachable!("nobody else takes a value that was not sent"),
        }
    }

    /// Waits until the receiver is closed or gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn closed(&mut self) {
        poll_fn(|cx| self.poll_closed(cx)).await;
    }

    /// Whether the receiver is closed or gone.
    pub fn is_closed(&self) -> bool {
        self.inner().has(CLOSED)
    }

    /// As [`closed`](Self::closed), for a future of one's own.
    pub fn poll_closed(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let operation = ready!(coop::poll_proceed(cx));
        let inner = self.inner();
        if inner.has(CLOSED) || inner.register(&inner.tx_waker, TX_WAKER, CLOSED, cx.waker()) {
            operation.made_progress();
            return Poll::Ready(());
        }
        Poll::Pending
    }

    fn inner(&self) -> &Inner<T> {
        self.inner
            .as_ref()
            .expect("a sender is gone once it has sent")
    }

    fn take_inner(&mut self) -> Arc<Inner<T>> {
        self.inner
            .take()
            .expect("a sender is gone once it has sent")
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        if let Some(inner) = &self.inner {
            // Without a value: the receiver learns that none will come. If it is closed it knows.
            inner.finish();
        }
    }
}

impl<T> Receiver<T> {
    /// Takes no value any more, except one that was sent before.
    pub fn close(&mut self) {
        if let Some(inner) = &self.inner {
            inner.close();
        }
    }

    /// Whether the end of the channel was reported: polling again would panic.
    pub fn is_terminated(&self) -> bool {
        self.inner.is_none()
    }

    /// Whether no value waits to be received.
    pub fn is_empty(&self) -> bool {
        let Some(inner) = &self.inner else {
            return true;
        };
        if !inner.has(SENT) {
            return true;
        }
        inner.value.with(|value| {
            // SAFETY: the value is the receiver's, which is borrowed (X2).
            unsafe { &*value }.is_none()
        })
    }

    /// The value, if it was sent.
    ///
    /// # Errors
    ///
    /// If it was not yet, or never will be.
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let Some(inner) = &self.inner else {
            return Err(TryRecvError::Closed);
        };
        let result = match inner.load() {
            word if word & SENT != 0 => inner.take_value().ok_or(TryRecvError::Closed),
            word if word & CLOSED != 0 => Err(TryRecvError::Closed),
            _ => return Err(TryRecvError::Empty),
        };
        self.inner = None;
        result
    }

    /// Waits for the value; the thread sleeps meanwhile.
    ///
    /// # Errors
    ///
    /// If the sender is gone without having sent.
    ///
    /// # Panics
    ///
    /// On a thread that drives tasks.
    #[track_caller]
    pub fn blocking_recv(self) -> Result<T, RecvError> {
        block_on(self)
    }
}

impl<T> Future for Receiver<T> {
    type Output = Result<T, RecvError>;

    /// # Panics
    ///
    /// If the end of the channel was reported already.
    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let Some(inner) = &self.inner else {
            panic!("called after complete");
        };
        let operation = ready!(coop::poll_proceed(cx));
        let result = match inner.load() {
            word if word & SENT != 0 => inner.take_value().ok_or(RecvError(())),
            word if word & CLOSED != 0 => Err(RecvError(())),
            _ if inner.register(&inner.rx_waker, RX_WAKER, SENT, cx.waker()) => {
                inner.take_value().ok_or(RecvError(()))
            }
            _ => return Poll::Pending,
        };
        operation.made_progress();
        self.inner = None;
        Poll::Ready(result)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        if let Some(inner) = &self.inner
            && inner.close() & SENT != 0
        {
            // Now, and not when the sender lets go of its half.
            drop(inner.take_value());
        }
    }
}

/// What the two sides share.
struct Inner<T> {
    word: AtomicUsize,
    value: UnsafeCell<Option<T>>,
    rx_waker: UnsafeCell<Option<Waker>>,
    tx_waker: UnsafeCell<Option<Waker>>,
}

// SAFETY: the value is with one side at a time (X2), the wakers are `Send` and `Sync`.
unsafe impl<T: Send> Send for Inner<T> {}
// SAFETY: as for `Send`: the cells are reached by the rules X2 and X3.
unsafe impl<T: Send> Sync for Inner<T> {}

impl<T> Inner<T> {
    fn load(&self) -> usize {
        // ORDERING: Acquire, pairs with the Release in `finish` and `close`: the value and the other
        // side's waker are visible. If weaker: oneshot::a_value_is_published fails.
        self.word.load(Ordering::Acquire)
    }

    fn has(&self, bit: usize) -> bool {
        self.load() & bit != 0
    }

    /// The sender's end. False if the receiver's came first.
    fn finish(&self) -> bool {
        let mut word = first_guess(&self.word);
        loop {
            if word & CLOSED != 0 {
                // ORDERING: Acquire. The guess was a look without one.
                let now = self.word.load(Ordering::Acquire);
                debug_assert!(now & CLOSED != 0);
                return false;
            }
            // ORDERING: AcqRel. Release publishes the value, Acquire shows the receiver's waker.
            match self.word.compare_exchange_weak(
                word,
                word | SENT,
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
        if word & RX_WAKER != 0 {
            wake(&self.rx_waker);
        }
        true
    }

    /// The receiver's end. Gives the word before.
    fn close(&self) -> usize {
        // ORDERING: AcqRel. Acquire shows a value that was sent and the sender's waker, Release
        // orders what the receiver did before the sender's look.
        let word = self.word.fetch_or(CLOSED, Ordering::AcqRel);
        if word & (CLOSED | SENT) == 0 && word & TX_WAKER != 0 {
            wake(&self.tx_waker);
        }
        word
    }

    /// Takes the value. For the side whose it is.
    fn take_value(&self) -> Option<T> {
        self.value.with_mut(|value| {
            // SAFETY: the caller's side has the value: the receiver after SENT, the sender after a
            // CLOSED that came before (X2).
            unsafe { (*value).take() }
        })
    }

    /// Leaves a waker for the other side. True if the other side has come to its end meanwhile.
    fn register(
        &self,
        cell: &UnsafeCell<Option<Waker>>,
        bit: usize,
        end: usize,
        waker: &Waker,
    ) -> bool {
        if self.load() & bit != 0 {
            let same = cell.with(|held| {
                // SAFETY: only this side writes the cell; the other may read beside it (X3).
                unsafe { &*held }
                    .as_ref()
                    .is_some_and(|held| held.will_wake(waker))
            });
            if same {
                return self.has(end);
            }
            // ORDERING: AcqRel, see below: whether the other side reads the waker is decided here.
            if self.word.fetch_and(!bit, Ordering::AcqRel) & end != 0 {
                return true;
            }
        }
        let new = waker.clone();
        let old = cell.with_mut(|held| {
            // SAFETY: the bit is clear and was so before the other side's end: the waker is this
            // side's (X3).
            unsafe { (*held).replace(new) }
        });
        drop(old);
        // ORDERING: AcqRel. Release publishes the waker, Acquire shows what the other side did
        // before its end. If weaker: oneshot::a_value_is_published fails.
        self.word.fetch_or(bit, Ordering::AcqRel) & end != 0
    }
}

/// Calls the other side's waker, after this side has set its final bit and seen the other's bit.
fn wake(cell: &UnsafeCell<Option<Waker>>) {
    cell.with(|held| {
        // SAFETY: the other side does not write its waker after this side's end (X3).
        if let Some(waker) = unsafe { &*held } {
            waker.wake_by_ref();
        }
    });
}

impl<T: fmt::Debug> fmt::Debug for Inner<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("state", &State(self.word.load(Ordering::Relaxed)))
            .finish()
    }
}

struct State(usize);

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("is_complete", &(self.0 & SENT != 0))
            .field("is_closed", &(self.0 & CLOSED != 0))
            .field("is_rx_task_set", &(self.0 & RX_WAKER != 0))
            .field("is_tx_task_set", &(self.0 & TX_WAKER != 0))
            .finish()
    }
}

/// The errors of this channel.
pub mod error {
    use std::fmt;

    /// The sender is gone without having sent.
    #[derive(Debug, Eq, PartialEq, Clone)]
    pub struct RecvError(pub(super) ());

    impl fmt::Display for RecvError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("channel closed")
        }
    }

    impl std::error::Error for RecvError {}

    /// Why there is no value to receive.
    #[derive(Debug, Eq, PartialEq, Clone)]
    pub enum TryRecvError {
        /// It was not sent yet.
        Empty,
        /// It never will be, or was received already.
        Closed,
    }

    impl fmt::Display for TryRecvError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Empty => "channel empty",
                Self::Closed => "channel closed",
            })
        }
    }

    impl std::error::Error for TryRecvError {}
}
