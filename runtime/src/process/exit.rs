//! Learning of the end of a child.

use std::io;
use std::os::fd::OwnedFd;
use std::process::ExitStatus;
use std::task::{Context, Poll};

use crate::reactor::{Direction, Source};
use crate::signal::unix::{Signal, SignalKind, signal};
use crate::sys::children::pidfd;

/// Tells when to ask for a child's status.
#[derive(Debug)]
pub(super) enum Exit {
    /// The child's pidfd, readable from its end on.
    Pidfd(Source<OwnedFd>),
    /// `SIGCHLD`, where the system knows no pidfd.
    Signal(Box<Signal>),
}

impl Exit {
    #[track_caller]
    pub(super) fn of(id: u32) -> io::Result<Self> {
        if let Some(pidfd) = pidfd(id) {
            return Ok(Self::Pidfd(Source::outliving(pidfd)));
        }
        signal(SignalKind::child()).map(|signal| Self::Signal(Box::new(signal)))
    }

    /// Asks with `try_wait`, now and after each hint, until there is a status.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut try_wait: impl FnMut() -> io::Result<Option<ExitStatus>>,
    ) -> Poll<io::Result<ExitStatus>> {
        match self {
            Self::Pidfd(pidfd) => pidfd.poll_io(cx, Direction::Read, |_| {
                try_wait()?.ok_or_else(|| io::ErrorKind::WouldBlock.into())
            }),
            Self::Signal(signal) => loop {
                // The hint is waited for before the question: a child that ends in between is seen.
                let hint = signal.poll_recv(cx);
                if let Some(status) = try_wait()? {
                    return Poll::Ready(Ok(status));
                }
                match hint {
                    Poll::Ready(Some(())) => {}
                    Poll::Ready(None) => {
                        return Poll::Ready(Err(crate::runtime::runtime_is_gone()));
                    }
                    Poll::Pending => return Poll::Pending,
                }
            },
        }
    }
}
