//! A value that one side changes and the other side watches.
//!
//! Place: called by tasks and threads; calls `notify`; any thread.
//!
//! ```text
//!   send:     lock, change the value, version + 1, unlock, wake all
//!   changed:  version differs from the one seen last -> done, else wait
//! ```
//!
//! # Invariants
//! V1. The version moves while the value is locked for writing: who reads the value under the lock
//! reads the version that belongs to it.
//!
//! # Why it is so
//! Receivers borrow the value instead of cloning it, hence the lock; what they wait for is the
//! version, which needs none.

use std::fmt;
use std::ops::Deref;

use super::charge::charged;
use super::notify::Notify;
use crate::primitive::atomic::{AtomicUsize, Ordering};
use crate::primitive::{Arc, RwLock, RwLockReadGuard};

/// In the state: all senders are gone.
const CLOSED: usize = 1;
/// In the state: one version.
const VERSION: usize = 2;

/// A channel that keeps the last value only, beginning with `init`.
///
/// # Examples
///
/// ```
/// # oneloop::block_on(async {
/// let (sender, mut receiver) = tokio::sync::watch::channel("begin");
/// oneloop::spawn(async move { sender.send("end") });
/// receiver.wait_for(|value| *value == "end").await.unwrap();
/// # });
/// ```
pub fn channel<T>(init: T) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared {
        value: RwLock::new(init),
        state: AtomicUsize::new(0),
        receivers: AtomicUsize::new(1),
        senders: AtomicUsize::new(1),
        changed: Notify::new(),
        receivers_gone: Notify::new(),
    });
    let sender = Sender {
        shared: Arc::clone(&shared),
    };
    (
        sender,
        Receiver {
            shared,
            version: Version(0),
        },
    )
}

/// Changes the value. Made by [`channel`]; cloned for more senders.
#[derive(Debug)]
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

/// Watches the value. Made by [`channel`]; cloned for more receivers.
#[derive(Debug)]
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The one that was seen last.
    version: Version,
}

/// A borrowed value. While it lives, no sender can change the value: a sender that wants to blocks
/// its thread.
#[derive(Debug)]
pub struct Ref<'a, T> {
    inner: RwLockReadGuard<'a, T>,
    has_changed: bool,
}

impl<T> Ref<'_, T> {
    /// Whether the receiver had not seen this value before.
    pub fn has_changed(&self) -> bool {
        self.has_changed
    }
}

impl<T> Deref for Ref<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Version(usize);

struct Shared<T> {
    value: RwLock<T>,
    /// The version, and CLOSED.
    state: AtomicUsize,
    receivers: AtomicUsize,
    senders: AtomicUsize,
    /// The version moved, or the last sender went.
    changed: Notify,
    /// The last receiver went.
    receivers_gone: Notify,
}

impl<T> Shared<T> {
    fn state(&self) -> usize {
        // ORDERING: Acquire, pairs with the Release in `send_if_modified` and in the drop of the last
        // sender. If weaker: watch::a_change_is_published fails.
        self.state.load(Ordering::Acquire)
    }

    fn version(&self) -> Version {
        Version(self.state() & !CLOSED)
    }

    fn is_closed(&self) -> bool {
        self.state() & CLOSED != 0
    }

    /// What there is to say to a receiver that saw this version last. Marks it seen.
    fn news(&self, seen: &mut Version) -> Option<Result<(), error::RecvError>> {
        let state = self.state();
        let now = Version(state & !CLOSED);
        if *seen != now {
            *seen = now;
            return Some(Ok(()));
        }
        (state & CLOSED != 0).then_some(Err(error::RecvError(())))
    }

    async fn changed(&self, seen: &mut Version) -> Result<(), error::RecvError> {
        loop {
            // Made before the look: a change after it is not missed.
            let changed = self.changed.notified();
            if let Some(news) = self.news(seen) {
                return news;
            }
            changed.await;
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Shared<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("value", &self.value)
            .field("version", &self.version())
            .field("is_closed", &self.is_closed())
            .field("ref_count_rx", &self.receivers)
            .finish()
    }
}

impl<T> Receiver<T> {
    fn new(shared: &Arc<Shared<T>>, version: Version) -> Self {
        shared.receivers.fetch_add(1, Ordering::Relaxed);
        Self {
            shared: Arc::clone(shared),
            version,
        }
    }

    /// The value, without marking it seen.
    pub fn borrow(&self) -> Ref<'_, T> {
        let inner = self.shared.value.read();
        let has_changed = self.version != self.shared.version();
        Ref { inner, has_changed }
    }

    /// The value, marked as seen: [`changed`](Self::changed) waits for the next.
    pub fn borrow_and_update(&mut self) -> Ref<'_, T> {
        let inner = self.shared.value.read();
        let now = self.shared.version();
        let has_changed = std::mem::replace(&mut self.version, now) != now;
        Ref { inner, has_changed }
    }

    /// Whether there is a value that was not seen.
    ///
    /// # Errors
    ///
    /// If all senders are gone, even then.
    pub fn has_changed(&self) -> Result<bool, error::RecvError> {
        let state = self.shared.state();
        if state & CLOSED != 0 {
            return Err(error::RecvError(()));
        }
        Ok(self.version != Version(state & !CLOSED))
    }

    /// Whether all senders are gone.
    pub fn is_closed(&self) -> bool {
        self.shared.is_closed()
    }

    /// Takes the value for one that was not seen.
    pub fn mark_changed(&mut self) {
        self.version.0 = self.version.0.wrapping_sub(VERSION);
    }

    /// Takes the value for one that was seen.
    pub fn mark_unchanged(&mut self) {
        self.version = self.shared.version();
    }

    /// Waits for a value that was not seen, and marks it seen.
    ///
    /// # Errors
    ///
    /// If there is none, and all senders are gone.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn changed(&mut self) -> Result<(), error::RecvError> {
        charged(self.shared.changed(&mut self.version)).await
    }

    /// Waits for a value of which `f` gives true, and marks those seen that it was asked about. It is
    /// asked about the present one first.
    ///
    /// # Errors
    ///
    /// If all senders are gone, and it gave false for the last value.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost, except that values were marked seen.
    pub async fn wait_for(
        &mut self,
        f: impl FnMut(&T) -> bool,
    ) -> Result<Ref<'_, T>, error::RecvError> {
        charged(wait_for(&self.shared, &mut self.version, f)).await
    }

    /// Whether both watch one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

async fn wait_for<'a, T>(
    shared: &'a Shared<T>,
    seen: &mut Version,
    mut f: impl FnMut(&T) -> bool,
) -> Result<Ref<'a, T>, error::RecvError> {
    let mut closed = false;
    loop {
        {
            let inner = shared.value.read();
            let now = shared.version();
            let has_changed = std::mem::replace(seen, now) != now;
            // The last value before the close is asked about once.
            if (!closed || has_changed) && f(&inner) {
                return Ok(Ref { inner, has_changed });
            }
        }
        if closed {
            return Err(error::RecvError(()));
        }
        closed = shared.changed(seen).await.is_err();
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        Self::new(&self.shared, self.version)
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        // Whoever is woken by the signal sees this, too: the signal publishes.
        if self.shared.receivers.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.shared.receivers_gone.notify_waiters();
        }
    }
}

impl<T> Sender<T> {
    /// A sender without a receiver: see [`subscribe`](Self::subscribe).
    pub fn new(init: T) -> Self {
        channel(init).0
    }

    /// Sets the value.
    ///
    /// # Errors
    ///
    /// Gives it back if there is no receiver.
    pub fn send(&self, value: T) -> Result<(), error::SendError<T>> {
        if self.receiver_count() == 0 {
            return Err(error::SendError(value));
        }
        self.send_replace(value);
        Ok(())
    }

    /// Changes the value in its place, whether there is a receiver or not. `modify` runs under the
    /// value's lock. If it panics, the value stays as it left it, and is not new to anybody.
    pub fn send_modify<F>(&self, modify: F)
    where
        F: FnOnce(&mut T),
    {
        self.send_if_modified(|value| {
            modify(value);
            true
        });
    }

    /// As [`send_modify`](Self::send_modify); receivers are told if `modify` gives true. Gives what
    /// it gave.
    pub fn send_if_modified<F>(&self, modify: F) -> bool
    where
        F: FnOnce(&mut T) -> bool,
    {
        {
            let mut value = self.shared.value.write();
            if !modify(&mut value) {
                return false;
            }
            // ORDERING: Release, pairs with the Acquire in `Shared::state`. Under the lock (V1).
            self.shared.state.fetch_add(VERSION, Ordering::Release);
        }
        self.shared.changed.notify_waiters();
        true
    }

    /// Sets the value, whether there is a receiver or not. Gives the former one.
    pub fn send_replace(&self, mut value: T) -> T {
        self.send_modify(|old| std::mem::swap(old, &mut value));
        value
    }

    /// The value.
    pub fn borrow(&self) -> Ref<'_, T> {
        Ref {
            inner: self.shared.value.read(),
            has_changed: false,
        }
    }

    /// Whether there is no receiver.
    pub fn is_closed(&self) -> bool {
        self.receiver_count() == 0
    }

    /// Waits until there is no receiver.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn closed(&self) {
        charged(self.closed_uncharged()).await;
    }

    async fn closed_uncharged(&self) {
        loop {
            // Made before the look: an end after it is not missed.
            let receivers_gone = self.shared.receivers_gone.notified();
            if self.is_closed() {
                return;
            }
            receivers_gone.await;
        }
    }

    /// A receiver that has seen the present value.
    pub fn subscribe(&self) -> Receiver<T> {
        Receiver::new(&self.shared, self.shared.version())
    }

    /// How many receivers there are.
    pub fn receiver_count(&self) -> usize {
        self.shared.receivers.load(Ordering::Relaxed)
    }

    /// How many senders there are.
    pub fn sender_count(&self) -> usize {
        self.shared.senders.load(Ordering::Relaxed)
    }

    /// Whether both change the value of one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
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

impl<T: Default> Default for Sender<T> {
    fn default() -> Self {
        Self::new(T::default())
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        // ORDERING: AcqRel: the last one has seen the changes of the others, and publishes them.
        if self.shared.senders.fetch_sub(1, Ordering::AcqRel) == 1 {
            // ORDERING: Release, pairs with the Acquire in `Shared::state`.
            self.shared.state.fetch_or(CLOSED, Ordering::Release);
            self.shared.changed.notify_waiters();
        }
    }
}

/// The errors of this channel.
pub mod error {
    use std::error::Error;
    use std::fmt;

    /// There is no receiver: the value was not set.
    #[derive(PartialEq, Eq, Clone, Copy)]
    pub struct SendError<T>(pub T);

    impl<T> fmt::Debug for SendError<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("SendError").finish_non_exhaustive()
        }
    }

    impl<T> fmt::Display for SendError<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("channel closed")
        }
    }

    impl<T> Error for SendError<T> {}

    /// All senders are gone: the value will not change any more.
    #[derive(Debug, Clone)]
    pub struct RecvError(pub(super) ());

    impl fmt::Display for RecvError {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("channel closed")
        }
    }

    impl Error for RecvError {}
}
