//! Signals by their numbers.

use std::ffi::c_int;
use std::io;
use std::os::fd::OwnedFd;
use std::task::{Context, Poll, ready};

use crate::reactor::{Direction, Source};
use crate::sys::{pipes, signals};

/// Which signal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SignalKind(c_int);

impl SignalKind {
    /// A signal by its number.
    #[must_use]
    pub const fn from_raw(signum: c_int) -> Self {
        Self(signum)
    }

    /// The number.
    #[must_use]
    pub const fn as_raw_value(&self) -> c_int {
        self.0
    }

    /// `SIGALRM`: a timer of alarm(2) has run out.
    #[must_use]
    pub const fn alarm() -> Self {
        Self(signals::SIGALRM)
    }

    /// `SIGCHLD`: a child process has ended or stopped.
    #[must_use]
    pub const fn child() -> Self {
        Self(signals::SIGCHLD)
    }

    /// `SIGHUP`: the terminal is gone; by custom, read the configuration again.
    #[must_use]
    pub const fn hangup() -> Self {
        Self(signals::SIGHUP)
    }

    /// `SIGINT`: Ctrl-C.
    #[must_use]
    pub const fn interrupt() -> Self {
        Self(signals::SIGINT)
    }

    /// `SIGIO`: a descriptor is ready.
    #[must_use]
    pub const fn io() -> Self {
        Self(signals::SIGIO)
    }

    /// `SIGPIPE`: a write to a pipe that nobody reads. Rust programs ignore it from the start.
    #[must_use]
    pub const fn pipe() -> Self {
        Self(signals::SIGPIPE)
    }

    /// `SIGQUIT`: Ctrl-\.
    #[must_use]
    pub const fn quit() -> Self {
        Self(signals::SIGQUIT)
    }

    /// `SIGTERM`: please end.
    #[must_use]
    pub const fn terminate() -> Self {
        Self(signals::SIGTERM)
    }

    /// `SIGUSR1`.
    #[must_use]
    pub const fn user_defined1() -> Self {
        Self(signals::SIGUSR1)
    }

    /// `SIGUSR2`.
    #[must_use]
    pub const fn user_defined2() -> Self {
        Self(signals::SIGUSR2)
    }

    /// `SIGWINCH`: the terminal's window has another size.
    #[must_use]
    pub const fn window_change() -> Self {
        Self(signals::SIGWINCH)
    }
}

impl From<c_int> for SignalKind {
    fn from(signum: c_int) -> Self {
        Self::from_raw(signum)
    }
}

impl From<SignalKind> for c_int {
    fn from(kind: SignalKind) -> Self {
        kind.as_raw_value()
    }
}

/// Listens for a signal. Made by [`signal`].
///
/// Signals that come between two waits count as one, as the kernel itself counts them. A signal that
/// came up to 100 ms before the listener was made, and that nobody else listened to, counts: a
/// listener that is dropped and made again misses nothing.
///
/// # Threads
///
/// May be polled and dropped on any thread.
#[derive(Debug)]
pub struct Signal {
    pipe: Source<OwnedFd>,
    // The other end of the pipe; dropped, it tells of no more signals.
    _handler: signals::Handler,
}

/// Begins to listen for a signal: from this call on it does not do what it does by default, for
/// the rest of the process's life, also after all listeners are gone (sigaction(2) has no way back
/// that would not race with others who listen).
///
/// # Errors
///
/// `Other` for signals that cannot be caught or must not be (`SIGKILL`, `SIGSTOP`, `SIGSEGV`,
/// `SIGILL`, `SIGFPE`), and for numbers that are none; those of pipe2(2) and sigaction(2).
///
/// # Panics
///
/// Outside a runtime.
#[track_caller]
pub fn signal(kind: SignalKind) -> io::Result<Signal> {
    let (reader, writer) = pipes::pipe()?;
    let pipe = Source::new(reader)?;
    Ok(Signal {
        pipe,
        _handler: signals::Handler::install(kind.0, writer)?,
    })
}

impl Signal {
    /// Waits for the signal. `None` if no loop can watch for it: the runtime has shut down, or the
    /// system refuses (epoll_ctl(2): `ENOMEM`, `ENOSPC`). After a refusal it may be called again.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn recv(&mut self) -> Option<()> {
        std::future::poll_fn(|cx| self.poll_recv(cx)).await
    }

    /// The poll behind [`recv`](Self::recv), with the same answers. The task that polled last is
    /// woken.
    pub fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Option<()>> {
        let mut signals = [0; SIGNALS_PER_READ];
        // All that have come: they count as one.
        let read = |pipe: &OwnedFd| {
            let mut count = pipes::read(pipe, &mut signals)?;
            while count == SIGNALS_PER_READ {
                // An error: there are no more.
                count = pipes::read(pipe, &mut signals).unwrap_or(0);
            }
            Ok(count)
        };
        match ready!(
            self.pipe
                .poll_transfer(cx, Direction::Read, SIGNALS_PER_READ, read)
        ) {
            Ok(_) => Poll::Ready(Some(())),
            // No loop is left to wait on, or it cannot watch the pipe: an answer is better than a wait
            // that would not end.
            Err(_) => Poll::Ready(None),
        }
    }
}

/// More than come between two waits in practice. A full pipe has 65,536.
const SIGNALS_PER_READ: usize = 256;
