//! Learning of the end of a child.

use std::io;
use std::process::ExitStatus;
use std::task::{Context, Poll};

use crate::signal::unix::{Signal, SignalKind, signal};

/// Tells when to ask for a child's status.
#[derive(Debug)]
pub(super) enum Exit {
    /// The child's pidfd, readable from its end on.
    #[cfg(target_os = "linux")]
    Pidfd(crate::reactor::Source<std::os::fd::OwnedFd>),
    /// `SIGCHLD`, where the system knows no pidfd.
    Signal(Box<Signal>),
}

impl Exit {
    #[track_caller]
    pub(super) fn of(id: u32) -> io::Result<Self> {
        #[cfg(target_os = "linux")]
        if let Some(pidfd) = pidfd(id) {
            return Ok(Self::Pidfd(crate::reactor::Source::new(pidfd)?));
        }
        // Not used where there is a pidfd.
        let _ = id;
        signal(SignalKind::child()).map(|signal| Self::Signal(Box::new(signal)))
    }

    /// Asks with `try_wait`, now and after each hint, until there is a status.
    pub(super) fn poll(
        &mut self,
        cx: &mut Context<'_>,
        mut try_wait: impl FnMut() -> io::Result<Option<ExitStatus>>,
    ) -> Poll<io::Result<ExitStatus>> {
        match self {
            #[cfg(target_os = "linux")]
            Self::Pidfd(pidfd) => pidfd.poll_io(cx, crate::reactor::Direction::Read, |_| {
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

/// None if the system knows no pidfds (Linux before 5.3) or refuses them to this process.
#[cfg(target_os = "linux")]
fn pidfd(id: u32) -> Option<std::os::fd::OwnedFd> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let pid = Pid::from_raw(i32::try_from(id).ok()?)?;
    pidfd_open(pid, PidfdFlags::NONBLOCK).ok()
}
