//! Accepting: what listeners of all families have in common.
//!
//! Place: owned by a listener, calls `Source` to wait and `faults` about errors; runs on any thread
//! that polls a task.
//!
//! # Invariants
//! - A connection is taken out of the kernel's queue only in the poll that hands it out, so a
//!   dropped `accept` loses none.
//! - `accept` and `poll_accept` survive whatever clients do and whatever the machine lacks.
//!
//! # Why it is so
//! Servers written for tokio treat an error of `accept` as fatal, or log it and call again at
//! once: the first stops serving, the second keeps a processor busy for as long as the
//! descriptor table is full. Neither is what anybody wanted, so the pause is here. Who wants to
//! see every error calls `try_accept`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task::{Context, Poll, ready};

use oneloop_runtime::io::{Direction, Interest, Ready, Source};
use oneloop_runtime::time::sleep;

use crate::faults::Faults;
use crate::sys;

/// A listening socket of std's, `L`. The caller says how a connection `C` is accepted from it.
#[derive(Debug)]
pub(crate) struct Acceptor<L: AsFd> {
    io: Source<L>,
    faults: Faults,
}

impl<L: AsFd> Acceptor<L> {
    #[track_caller]
    pub(crate) fn new(listener: L) -> io::Result<Self> {
        Ok(Self {
            io: Source::new(listener)?,
            faults: Faults::default(),
        })
    }

    /// For a listening socket that an acceptor on each of several loops uses: see
    /// [`Source::exclusive`].
    #[track_caller]
    pub(crate) fn exclusive(listener: L) -> io::Result<Self> {
        Ok(Self {
            io: Source::exclusive(listener)?,
            faults: Faults::default(),
        })
    }

    /// Has the next poll look at the queue, whatever was heard of it.
    pub(crate) fn assume_ready(&self) {
        self.io.assume_ready(Ready::READABLE);
    }

    pub(crate) fn get_ref(&self) -> &L {
        self.io.get_ref()
    }

    pub(crate) fn into_inner(self) -> L {
        self.io.into_inner()
    }

    /// Errors survived so far.
    pub(crate) fn accept_errors(&self) -> u64 {
        self.faults.survived()
    }

    /// Waits for the next connection.
    ///
    /// # Errors
    ///
    /// Those that no pause mends.
    pub(crate) async fn accept<C>(
        &self,
        accept: fn(BorrowedFd<'_>) -> io::Result<C>,
    ) -> io::Result<C> {
        loop {
            let attempt = |listener: &L| self.faults.skip_lost(|| accept(listener.as_fd()));
            match self.io.async_io(Interest::READABLE, attempt).await {
                Ok(connection) => {
                    self.faults.recovered();
                    return Ok(connection);
                }
                Err(error) => sleep(self.faults.pause_after(error)?).await,
            }
        }
    }

    /// Polls for the next connection. The task that polled last is woken.
    pub(crate) fn poll_accept<C>(
        &self,
        cx: &mut Context<'_>,
        accept: fn(BorrowedFd<'_>) -> io::Result<C>,
    ) -> Poll<io::Result<C>> {
        loop {
            ready!(self.faults.poll_pause(cx));
            let attempt = |listener: &L| self.faults.skip_lost(|| accept(listener.as_fd()));
            match ready!(self.io.poll_io(cx, Direction::Read, attempt)) {
                Ok(connection) => {
                    self.faults.recovered();
                    return Poll::Ready(Ok(connection));
                }
                Err(error) => self.faults.start_pause(self.faults.pause_after(error)?),
            }
        }
    }

    /// Polls for what is left in the queue of a listener that is about to end: asks the kernel, also
    /// if the loop has seen no event. Clients that went away are passed over. A shortage is waited out
    /// while somebody waits, as in [`poll_accept`](Self::poll_accept).
    ///
    /// # Errors
    ///
    /// `WouldBlock` if nothing is left; otherwise those that no pause mends.
    pub(crate) fn poll_accept_rest<C>(
        &self,
        cx: &mut Context<'_>,
        accept: fn(BorrowedFd<'_>) -> io::Result<C>,
    ) -> Poll<io::Result<C>> {
        loop {
            ready!(self.faults.poll_pause(cx));
            let listener = self.io.get_ref().as_fd();
            match self.faults.skip_lost(|| accept(listener)) {
                Ok(connection) => {
                    self.faults.recovered();
                    return Poll::Ready(Ok(connection));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    return Poll::Ready(Err(error));
                }
                Err(error) => {
                    let pause = self.faults.pause_after(error)?;
                    // The kernel takes the descriptor first: it is short of one for nobody, too.
                    if !sys::has_input(listener) {
                        return Poll::Ready(Err(io::ErrorKind::WouldBlock.into()));
                    }
                    self.faults.start_pause(pause);
                }
            }
        }
    }

    /// Accepts if a connection is there, and hides no error.
    pub(crate) fn try_accept<C>(
        &self,
        accept: fn(BorrowedFd<'_>) -> io::Result<C>,
    ) -> io::Result<C> {
        let attempt = |listener: &L| accept(listener.as_fd());
        let connection = self.io.try_io(Interest::READABLE, attempt)?;
        self.faults.recovered();
        Ok(connection)
    }
}
