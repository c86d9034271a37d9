//! Room in a bounded channel that was taken before the message was there.
//!
//! Place: made by `Sender::reserve*`; calls `chan`.

use std::fmt;

use super::bounded::Sender;
use super::chan::{Bounded, Tx};

/// Room for one message. Made by [`Sender::reserve`] and its like; given back when dropped.
pub struct Permit<'a, T> {
    chan: &'a Tx<T, Bounded>,
}

impl<'a, T> Permit<'a, T> {
    /// The caller has taken the permit.
    pub(super) fn new(chan: &'a Tx<T, Bounded>) -> Self {
        Self { chan }
    }

    /// Sends the message. Does not wait, and does not fail: if the channel was closed meanwhile, the
    /// receiver still gets what was reserved before, unless it is gone.
    pub fn send(self, value: T) {
        let chan = std::mem::ManuallyDrop::new(self).chan;
        chan.push(value);
    }
}

impl<T> Drop for Permit<'_, T> {
    fn drop(&mut self) {
        give_back(self.chan, 1);
    }
}

impl<T> fmt::Debug for Permit<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("chan", &self.chan).finish()
    }
}

/// Gives room back. A closed channel may come to its end by that.
pub(super) fn give_back<T>(chan: &Tx<T, Bounded>, permits: usize) {
    chan.limit.permits.give(permits);
    wake_if_drained(chan);
}

/// Wakes the receiver of a closed channel when all permits are back.
pub(super) fn wake_if_drained<T>(chan: &Tx<T, Bounded>) {
    if chan.is_closed() && chan.limit.has_all() {
        chan.wake_receiver();
    }
}

/// Room for some messages. Made by [`Sender::reserve_many`]; what is not used is given back when
/// dropped.
pub struct PermitIterator<'a, T> {
    chan: &'a Tx<T, Bounded>,
    n: usize,
}

impl<'a, T> PermitIterator<'a, T> {
    /// The caller has taken the permits.
    pub(super) fn new(chan: &'a Tx<T, Bounded>, n: usize) -> Self {
        Self { chan, n }
    }
}

impl<'a, T> Iterator for PermitIterator<'a, T> {
    type Item = Permit<'a, T>;

    fn next(&mut self) -> Option<Self::Item> {
        self.n = self.n.checked_sub(1)?;
        Some(Permit::new(self.chan))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.n, Some(self.n))
    }
}

impl<T> ExactSizeIterator for PermitIterator<'_, T> {}
impl<T> std::iter::FusedIterator for PermitIterator<'_, T> {}

impl<T> Drop for PermitIterator<'_, T> {
    fn drop(&mut self) {
        if self.n > 0 {
            give_back(self.chan, self.n);
        }
    }
}

impl<T> fmt::Debug for PermitIterator<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PermitIterator")
            .field("chan", &self.chan)
            .field("capacity", &self.n)
            .finish()
    }
}

/// Room for one message, with the sender it was reserved by. Made by [`Sender::reserve_owned`];
/// given back when dropped.
pub struct OwnedPermit<T> {
    /// None once the permit was used.
    chan: Option<Tx<T, Bounded>>,
}

impl<T> OwnedPermit<T> {
    /// The caller has taken the permit.
    pub(super) fn new(chan: Tx<T, Bounded>) -> Self {
        Self { chan: Some(chan) }
    }

    /// Sends the message, and gives the sender back. Does not wait, and does not fail.
    pub fn send(mut self, value: T) -> Sender<T> {
        let chan = self.take();
        chan.push(value);
        Sender::from_tx(chan)
    }

    /// Gives the room back, and the sender to the caller.
    pub fn release(mut self) -> Sender<T> {
        let chan = self.take();
        give_back(&chan, 1);
        Sender::from_tx(chan)
    }

    /// Whether both are of one channel.
    pub fn same_channel(&self, other: &Self) -> bool {
        match (&self.chan, &other.chan) {
            (Some(one), Some(other)) => one.same_channel(other),
            _ => false,
        }
    }

    /// Whether this is of the sender's channel.
    pub fn same_channel_as_sender(&self, sender: &Sender<T>) -> bool {
        self.chan
            .as_ref()
            .is_some_and(|chan| chan.same_channel(sender.tx()))
    }

    fn take(&mut self) -> Tx<T, Bounded> {
        self.chan.take().expect("a permit is used once")
    }
}

impl<T> Drop for OwnedPermit<T> {
    fn drop(&mut self) {
        if let Some(chan) = &self.chan {
            give_back(chan, 1);
        }
    }
}

impl<T> fmt::Debug for OwnedPermit<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OwnedPermit")
            .field("chan", &self.chan)
            .finish()
    }
}
