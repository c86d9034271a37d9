//! What a connection is in the middle of, for as long as a value lives.
//!
//! Place: made by `Connection`; stays on its loop's thread.

use std::cell::Cell;
use std::task::Poll;

use super::connection::Connection;
use super::link::Link;

/// A request of a connection, until it is dropped. Made by
/// [`Connection::request_guard`](super::Connection::request_guard).
pub struct RequestGuard<'a>(&'a Link);

impl<'a> RequestGuard<'a> {
    pub(super) fn new(link: &'a Link) -> Self {
        link.mark();
        Self(link)
    }
}

impl Drop for RequestGuard<'_> {
    fn drop(&mut self) {
        self.0.unmark();
    }
}

impl std::fmt::Debug for RequestGuard<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("RequestGuard").field(&self.0.id).finish()
    }
}

/// Memory that a handler may use, until it is dropped. Made by
/// [`Connection::reserve`](super::Connection::reserve).
pub struct Reservation<'a> {
    link: &'a Link,
    bytes: usize,
}

impl<'a> Reservation<'a> {
    /// Owns bytes that were taken from the server's memory.
    pub(super) fn new(link: &'a Link, bytes: usize) -> Self {
        link.reserved_bytes.set(link.reserved_bytes.get() + bytes);
        Self { link, bytes }
    }

    /// How many bytes it is for.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }
}

impl Drop for Reservation<'_> {
    fn drop(&mut self) {
        let reserved = &self.link.reserved_bytes;
        reserved.set(reserved.get() - self.bytes);
        self.link.registry.shared.memory.give(self.bytes);
    }
}

impl std::fmt::Debug for Reservation<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Reservation").field(&self.bytes).finish()
    }
}

/// A wait for the drain.
pub(super) struct DrainWait<'a>(&'a Link);

impl<'a> DrainWait<'a> {
    pub(super) fn new(link: &'a Link) -> Self {
        link.drain_waits.set(link.drain_waits.get() + 1);
        Self(link)
    }
}

impl Drop for DrainWait<'_> {
    fn drop(&mut self) {
        self.0.drain_waits.set(self.0.drain_waits.get() - 1);
    }
}

/// A read that has got a part of what it wants.
pub(super) struct PartialRead<'a>(&'a Link);

impl<'a> PartialRead<'a> {
    pub(super) fn new(link: &'a Link) -> Self {
        link.partial_read_begins();
        Self(link)
    }
}

impl Drop for PartialRead<'_> {
    fn drop(&mut self) {
        self.0.partial_read_ends();
    }
}

/// A read: dropped while it waits, it says so.
pub(super) struct ReadWait<'a> {
    connection: &'a Connection,
    is_waiting: Cell<bool>,
}

impl<'a> ReadWait<'a> {
    pub(super) fn new(connection: &'a Connection) -> Self {
        Self {
            connection,
            is_waiting: Cell::new(false),
        }
    }

    pub(super) fn note<R>(&self, outcome: Poll<R>) -> Poll<R> {
        self.is_waiting.set(outcome.is_pending());
        outcome
    }
}

impl Drop for ReadWait<'_> {
    fn drop(&mut self) {
        if self.is_waiting.get() {
            self.connection.read_given_up();
        }
    }
}

/// A write: when it is over, none waits.
pub(super) struct WriteWait<'a>(pub(super) &'a Link);

impl Drop for WriteWait<'_> {
    fn drop(&mut self) {
        self.0.write_given_up();
    }
}
