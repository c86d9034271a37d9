//! A descriptor on the loop: what sockets are made of.
//!
//! Place: used by the net crate and by applications with descriptors of their own; polled on any
//! thread.
//!
//! # Invariants
//! Try first, then wait: where a direction is not registered with the loop that polls, the system
//! call is tried at once, and only "would block" registers. After that the word of readiness says
//! whether a call is worth making, so that one message costs one read, one write and a share of
//! one wait.

use std::fmt;
use std::io;
use std::os::fd::{AsFd, AsRawFd};
use std::task::{Context, Poll, ready};

use super::readiness::{ERROR, PRIORITY, READABLE, Seen, WRITABLE};
use super::ready_future::ReadyFuture;
use super::{Descriptor, Direction, ForeignWaiter, Interest, Kind, Message, Ready};
use crate::context;
use crate::primitive::sync::Arc;
use crate::runtime::{Handle, is_driving_tasks, runtime_is_gone};
use crate::sys::{DOORBELL_KEY, SHORT_TRANSFER_DRAINS};
use crate::task::coop;
use crate::worker::{self, Local, Remote};

/// A non-blocking descriptor whose readiness the loops watch.
///
/// Each direction is registered lazily, at its first "would block", with the loop that polls it,
/// and follows its poller from loop to loop. Dropping the source takes the registrations back and
/// drops `T`.
///
/// # Threads
///
/// May be polled, used and dropped on any thread, also on the loops of other runtimes. Polled on a
/// thread that runs no loop (a thread of the blocking pool with an executor of its own), it is
/// watched by a loop of the runtime that was current when the source was made.
pub struct Source<T: AsFd> {
    // None only between `into_inner` and the end of the drop.
    io: Option<T>,
    descriptor: Arc<Descriptor>,
    handle: Handle,
}

/// What a source was ready for at one moment.
#[derive(Debug, Clone, Copy)]
pub struct ReadyEvent {
    seen: Seen,
    ready: Ready,
}

impl ReadyEvent {
    /// What it was ready for, of what was waited for.
    #[must_use]
    pub fn ready(&self) -> Ready {
        self.ready
    }

    /// As if it had been ready for this as well, or for this alone.
    #[must_use]
    pub fn with_ready(self, ready: Ready) -> Self {
        Self { ready, ..self }
    }
}

impl<T: AsFd> Source<T> {
    /// Puts `io` on the loops. Makes no system call.
    ///
    /// The descriptor has to be in non-blocking mode, or operations block the loop.
    ///
    /// # Errors
    ///
    /// None now; a descriptor that epoll cannot watch (a regular file) gives `EPERM` at its first
    /// wait.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn new(io: T) -> io::Result<Self> {
        Ok(Self::with_kind(io, Handle::current(), Kind::OfRuntime))
    }

    /// As [`new`](Self::new), for a listening socket that a source on each of several loops
    /// watches: a new connection wakes one loop that sleeps (`EPOLLEXCLUSIVE`) where the system
    /// can do that, and all of them elsewhere. Only input is watched.
    ///
    /// A loop that is woken and then does not accept keeps the news to itself: who uses this looks
    /// at the queue from time to time, on another loop.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn exclusive(io: T) -> io::Result<Self> {
        Ok(Self::with_kind(io, Handle::current(), Kind::Exclusive))
    }

    /// As [`new`](Self::new), for what belongs to the process and not to the runtime, such as a
    /// child: it goes on after the runtime.
    #[cfg(not(loom))]
    #[track_caller]
    pub(crate) fn outliving(io: T) -> Self {
        Self::with_kind(io, Handle::current(), Kind::OutlivesRuntime)
    }

    fn with_kind(io: T, handle: Handle, kind: Kind) -> Self {
        let descriptor = Descriptor::new(io.as_fd().as_raw_fd(), kind);
        Self {
            io: Some(io),
            descriptor: Arc::new(descriptor),
            handle,
        }
    }

    /// Takes it as ready until an operation answers `WouldBlock`: for a descriptor that probably is,
    /// such as a connection that was just accepted, whose client may have spoken already.
    pub fn assume_ready(&self, ready: Ready) {
        self.descriptor.readiness.set(ready.bits());
    }

    /// The descriptor's owner.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "an invariant, not a contract")]
    pub fn get_ref(&self) -> &T {
        self.io.as_ref().expect(HAS_IO)
    }

    /// The runtime that was current when the source was made.
    #[must_use]
    pub fn runtime(&self) -> &Handle {
        &self.handle
    }

    /// Takes the registrations back and gives the descriptor's owner out.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "an invariant, not a contract")]
    pub fn into_inner(mut self) -> T {
        self.unregister();
        self.io.take().expect(HAS_IO)
    }

    /// Tries `op` when the direction may be ready; waits when it answers `WouldBlock`.
    ///
    /// One waiter for each direction: the last one that polled is woken.
    ///
    /// # Errors
    ///
    /// `op`'s; those of the registration (`ENOMEM`, `ENOSPC`, `EPERM`: epoll_ctl(2)); and `Other`
    /// on a thread without a loop if the runtime has shut down.
    pub fn poll_io<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        op: impl FnMut(&T) -> io::Result<R>,
    ) -> Poll<io::Result<R>> {
        self.poll_op(cx, direction, op, |_| false)
    }

    /// As [`poll_io`](Self::poll_io) for a transfer of at most `want` bytes. A shorter result
    /// tells that the kernel's buffer is empty (or full), so that the next call waits for an event
    /// without another system call (epoll(7), questions and answers 9).
    ///
    /// # Errors
    ///
    /// As [`poll_io`](Self::poll_io).
    pub fn poll_transfer(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        want: usize,
        op: impl FnMut(&T) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        self.poll_transfer_of(cx, direction, op, |&count| 0 < count && count < want)
    }

    /// As [`poll_transfer`](Self::poll_transfer) for an operation that does more than move bytes,
    /// such as finding room for them once there are some. `is_short` says of its result whether
    /// fewer bytes came than were asked for, and some.
    ///
    /// # Errors
    ///
    /// As [`poll_io`](Self::poll_io).
    #[inline]
    pub fn poll_transfer_of<R>(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
        op: impl FnMut(&T) -> io::Result<R>,
        is_short: impl FnOnce(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        let drained = |result: &R| SHORT_TRANSFER_DRAINS && is_short(result);
        self.poll_op(cx, direction, op, drained)
    }

    /// Waits until the direction may be ready. One waiter for each direction.
    ///
    /// # Errors
    ///
    /// As [`poll_io`](Self::poll_io), `op`'s aside.
    pub fn poll_ready(&self, cx: &mut Context<'_>, direction: Direction) -> Poll<io::Result<()>> {
        ready!(coop::poll_may_proceed(cx));
        context::with_local(|local| {
            self.wait_in(local, self.slot_at(local, direction), cx, direction)?;
            if self.descriptor.readiness.load().is_ready(direction.mask()) {
                coop::charge();
                return Poll::Ready(Ok(()));
            }
            Poll::Pending
        })
    }

    /// Waits until the source is ready for some of `interest`. Any number of tasks may wait.
    ///
    /// # Errors
    ///
    /// As [`poll_io`](Self::poll_io), `op`'s aside.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: readiness stays until an operation answers `WouldBlock`.
    pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
        let bits = ReadyFuture::new(&self.descriptor, &self.handle, interest).await?;
        Ok(Ready::from_bits(bits))
    }

    /// As [`ready`](Self::ready), with the moment of the readiness: [`clear_ready`](Self::clear_ready)
    /// takes back what was seen then, and nothing later.
    ///
    /// # Errors
    ///
    /// As [`poll_io`](Self::poll_io), `op`'s aside.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: readiness stays until it is taken back.
    pub async fn ready_event(&self, interest: Interest) -> io::Result<ReadyEvent> {
        ReadyFuture::new(&self.descriptor, &self.handle, interest).await?;
        Ok(self.event(interest.mask()))
    }

    /// Waits until the direction may be ready, and says at which moment it was. One waiter for each
    /// direction.
    ///
    /// # Errors
    ///
    /// As [`poll_io`](Self::poll_io), `op`'s aside.
    pub fn poll_ready_event(
        &self,
        cx: &mut Context<'_>,
        direction: Direction,
    ) -> Poll<io::Result<ReadyEvent>> {
        ready!(self.poll_ready(cx, direction))?;
        Poll::Ready(Ok(self.event(direction.mask())))
    }

    /// Takes readiness back that was seen at an event, unless a later one has arrived since. The
    /// end of input or output is never taken back.
    pub fn clear_ready(&self, event: ReadyEvent, ready: Ready) {
        self.descriptor.readiness.clear(event.seen, ready.bits());
    }

    fn event(&self, mask: u64) -> ReadyEvent {
        let seen = self.descriptor.readiness.load();
        ReadyEvent {
            seen,
            ready: Ready::from_bits(seen.bits(mask)),
        }
    }

    /// Has the loop of this thread watch the descriptor from now on, without waiting for a first
    /// "would block". On a thread without a loop it only asks the system whether it could.
    ///
    /// # Errors
    ///
    /// Those of epoll_ctl(2): `EPERM` for a regular file, `EBADF` if it is not open, `ENOSPC` and
    /// `ENOMEM` at a limit; `Other` if the runtime has shut down.
    pub fn watch(&self) -> io::Result<()> {
        self.handle.check_running()?;
        context::with_local(|local| match local {
            Some(local) => {
                for direction in [Direction::Read, Direction::Write] {
                    let attached = local.reactor.attach(local, &self.descriptor, direction)?;
                    debug_assert!(
                        attached.is_ok(),
                        "the source is borrowed, so it is not gone"
                    );
                }
                Ok(())
            }
            None => self.check(),
        })
    }

    fn check(&self) -> io::Result<()> {
        let fd = self.get_ref().as_fd();
        let remote = self.handle.any_remote();
        // The loop passes over events of the doorbell.
        match remote.poller().add(fd, DOORBELL_KEY) {
            Ok(()) => {
                remote.forget_descriptor(fd);
                Ok(())
            }
            // Registered there already: it can be watched.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// As [`try_io`](Self::try_io) for a source that is [watched](Self::watch): without a call if no
    /// readiness was heard of.
    ///
    /// # Errors
    ///
    /// `op`'s; `WouldBlock`.
    pub fn try_ready_io<R>(
        &self,
        interest: Interest,
        op: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        if !self.descriptor.readiness.load().is_ready(interest.mask()) {
            return Err(io::ErrorKind::WouldBlock.into());
        }
        self.try_io(interest, op)
    }

    /// Tries `op` until it answers something else than `WouldBlock`, waiting for `interest` in
    /// between. Any number of tasks may wait.
    ///
    /// # Errors
    ///
    /// As [`poll_io`](Self::poll_io).
    ///
    /// # Cancel safety
    ///
    /// Safe: `op` either completed and this future was ready, or it did nothing.
    pub async fn async_io<R>(
        &self,
        interest: Interest,
        mut op: impl FnMut(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        loop {
            let attempt = |cx: &mut Context<'_>| {
                ready!(coop::poll_may_proceed(cx));
                loop {
                    let seen = self.descriptor.readiness.load();
                    match self.try_io(interest, &mut op) {
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            return Poll::Ready(Err(seen));
                        }
                        result => {
                            coop::charge();
                            return Poll::Ready(Ok(result));
                        }
                    }
                }
            };
            match std::future::poll_fn(attempt).await {
                Ok(result) => return result,
                // Bits that stay set, such as the end of input while `op` waits for output, are no
                // reason to try again.
                Err(seen) => {
                    ReadyFuture::after(&self.descriptor, &self.handle, interest, seen).await?;
                }
            }
        }
    }

    /// Tries `op` once, without waiting. `WouldBlock` takes the readiness for `interest` back that
    /// was there before the call.
    ///
    /// # Errors
    ///
    /// `op`'s, `Interrupted` included.
    pub fn try_io<R>(
        &self,
        interest: Interest,
        op: impl FnOnce(&T) -> io::Result<R>,
    ) -> io::Result<R> {
        let seen = self.descriptor.readiness.load();
        let result = op(self.get_ref());
        if let Err(error) = &result
            && error.kind() == io::ErrorKind::WouldBlock
        {
            self.descriptor.readiness.clear(seen, interest.mask());
        }
        result
    }

    #[inline]
    fn poll_op<R>(
        &self,
        cx: &Context<'_>,
        direction: Direction,
        mut op: impl FnMut(&T) -> io::Result<R>,
        drained: impl FnOnce(&R) -> bool,
    ) -> Poll<io::Result<R>> {
        ready!(coop::poll_may_proceed(cx));
        let readiness = &self.descriptor.readiness;
        context::with_local(|local| {
            let mut is_home = self.slot_at(local, direction).is_some();
            let mut blocked_at = None;
            loop {
                let seen = readiness.load();
                if !is_home || seen.is_ready(direction.mask()) {
                    match op(self.get_ref()) {
                        Ok(result) => {
                            // Urgent data ends a read early and says nothing about the rest.
                            if !seen.is_ready(PRIORITY) && drained(&result) {
                                readiness.clear(seen, clearable(direction));
                            }
                            coop::charge();
                            return Poll::Ready(Ok(result));
                        }
                        Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                            readiness.clear(seen, clearable(direction));
                            blocked_at = Some(seen);
                        }
                        Err(error) => {
                            coop::charge();
                            return Poll::Ready(Err(error));
                        }
                    }
                }
                // Looked up again: `op` may have turned this loop, and a slot is only a place.
                self.wait_in(local, self.slot_at(local, direction), cx, direction)?;
                is_home = true;
                // Bits that stay set say nothing new after the operation that has just blocked.
                let now = readiness.load();
                if !now.is_ready(direction.mask())
                    || blocked_at.is_some_and(|seen: Seen| seen.is_same_moment(now))
                {
                    return Poll::Pending;
                }
            }
        })
    }

    /// The slot of a direction at the loop of this thread, if that is its home.
    #[inline]
    fn slot_at(&self, local: Option<&Local>, direction: Direction) -> Option<u32> {
        let id = local?.id().as_u32();
        self.descriptor.homes.slot_at(direction.index(), id)
    }

    /// Makes the polling task the waiter of a direction: in this loop, where it has this slot or
    /// none yet, or from a thread without a loop in the loop that watches the source. The caller
    /// looks at the readiness afterwards.
    #[inline]
    fn wait_in(
        &self,
        local: Option<&Local>,
        slot: Option<u32>,
        cx: &Context<'_>,
        direction: Direction,
    ) -> io::Result<()> {
        // Inside `block_in_place` the loop of this thread stands still.
        let local = local.filter(|_| is_driving_tasks());
        match (local, slot) {
            (Some(local), Some(index)) => {
                local.reactor.set_waker(index, direction, cx.waker());
                Ok(())
            }
            _ => self.wait_first(local, cx, direction),
        }
    }

    /// As `wait_in`, for the first wait here.
    #[cold]
    fn wait_first(
        &self,
        local: Option<&Local>,
        cx: &Context<'_>,
        direction: Direction,
    ) -> io::Result<()> {
        let Some(local) = local else {
            let descriptor = &self.descriptor;
            return wait_remotely(descriptor, &self.handle, direction, None, cx).map(drop);
        };
        // In the loop of `poll_op` it may have become the home since.
        let index = match self.slot_at(Some(local), direction) {
            Some(index) => index,
            None if self.descriptor.has_ended_with(&self.handle) => return Err(runtime_is_gone()),
            None => match local.reactor.attach(local, &self.descriptor, direction)? {
                Ok(key) => key.index(),
                Err(_) => unreachable!("the source is borrowed, so it is not gone"),
            },
        };
        local.reactor.set_waker(index, direction, cx.waker());
        Ok(())
    }

    fn unregister(&self) {
        for place in self.descriptor.unregister_all() {
            context::with_local(|local| match local {
                Some(local) if local.is(&place.remote) => local.reactor.remove(place.key),
                _ => {
                    let message = worker::Message::Source(Message::Remove(place.key));
                    // Refused: that loop has ended, and its slots with it.
                    let _ = place.remote.send(message);
                }
            });
        }
    }
}

/// Has a loop of the runtime watch the source for a thread that runs none. That loop.
pub(super) fn wait_remotely(
    descriptor: &Arc<Descriptor>,
    handle: &Handle,
    direction: Direction,
    waiter: Option<ForeignWaiter>,
    cx: &Context<'_>,
) -> io::Result<Arc<Remote>> {
    if let Some(error) = descriptor.take_refusal() {
        return Err(error);
    }
    let message = || {
        let descriptor = Arc::clone(descriptor);
        let waker = cx.waker().clone();
        worker::Message::Source(Message::Wait {
            descriptor,
            direction,
            waiter,
            waker,
        })
    };
    let home = descriptor.place_at(descriptor.homes.loop_id(direction.index()));
    if let Some((remote, _)) = home
        && handle.remote_of(remote.id()).is_some()
        && !context::stands_still(&remote)
        && remote.send(message()).is_ok()
    {
        return Ok(remote);
    }
    let remote = handle.any_remote();
    match remote.send(message()) {
        Ok(()) => Ok(Arc::clone(remote)),
        Err(_) => Err(runtime_is_gone()),
    }
}

fn clearable(direction: Direction) -> u64 {
    match direction {
        Direction::Read => READABLE | ERROR,
        Direction::Write => WRITABLE | ERROR,
    }
}

const HAS_IO: &str = "the descriptor is there until the source is consumed";

// After a panic the words of readiness and the registrations are as good as before.
impl<T: AsFd> std::panic::UnwindSafe for Source<T> {}
impl<T: AsFd> std::panic::RefUnwindSafe for Source<T> {}

impl<T: AsFd> Drop for Source<T> {
    fn drop(&mut self) {
        if self.io.is_some() {
            self.unregister();
        }
    }
}

impl<T: AsFd + fmt::Debug> fmt::Debug for Source<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Source")
            .field("io", &self.io)
            .finish_non_exhaustive()
    }
}
