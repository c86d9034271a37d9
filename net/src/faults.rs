//! What an accept does about an error: go on, pause, or give up.
//!
//! Place: owned by `Acceptor`, calls the timer; runs on any thread that accepts.
//!
//! ```text
//!                     | connection lost -> next connection, at most RETRIES_MAX times in a row
//! error of accept(2) -+ no descriptor or memory -> pause 10, 20, 40, 80, 100, 100 ... ms
//!                     + anything else -> the caller's
//! ```
//!
//! # Invariants
//! - An error that the listener survives costs at most one system call per pause and acceptor,
//!   so a full descriptor table is no busy loop (R20).
//! - Nothing is lost by a pause: the connection stays in the kernel's queue and the readiness
//!   of the listener stays set, so the attempt after the pause needs no new event.
//! - No lock is held while a timer is polled or dropped (I5).

use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use oneloop_runtime::time::{Sleep, sleep};
use rustix::io::Errno;

/// The errors of one listener.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Errors that were survived, since the listener was made.
    survived: AtomicU64,
    /// Pauses since the last connection. All acceptors of the listener share it: if one found
    /// the table full, so will the next.
    streak: AtomicU32,
    /// The pause that `poll_accept` is in.
    pause: Mutex<Option<Pin<Box<Sleep>>>>,
}

/// What to do about an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remedy {
    /// It concerned one connection, which is gone. The next one may be fine.
    Next,
    /// The process or the machine has run out of something. It may come back.
    Pause,
    /// The listener cannot work.
    GiveUp,
}

impl Faults {
    /// Errors survived so far.
    pub(crate) fn survived(&self) -> u64 {
        self.survived.load(Relaxed)
    }

    /// Calls `accept` until it gives a connection, or an error that is not about the single
    /// connection, or too many of those in a row.
    pub(crate) fn skip_lost<T>(&self, mut accept: impl FnMut() -> io::Result<T>) -> io::Result<T> {
        for _ in 1..RETRIES_MAX {
            match accept() {
                Err(error) if remedy(&error) == Remedy::Next => {
                    self.survived.fetch_add(1, Relaxed);
                }
                outcome => return outcome,
            }
        }
        accept()
    }

    /// Notes that a connection has arrived.
    pub(crate) fn recovered(&self) {
        // A load first: in good times acceptors on several loops must not write to one line.
        if self.streak.load(Relaxed) != 0 {
            self.streak.store(0, Relaxed);
        }
    }

    /// Counts an error and tells how long to pause because of it.
    ///
    /// # Errors
    ///
    /// The error itself if no pause helps.
    pub(crate) fn pause_after(&self, error: io::Error) -> io::Result<Duration> {
        if remedy(&error) == Remedy::GiveUp {
            return Err(error);
        }
        self.survived.fetch_add(1, Relaxed);
        // Wraps after 2^32 pauses of 100 ms, and then only starts again with a short pause.
        Ok(pause_length(self.streak.fetch_add(1, Relaxed)))
    }

    /// Waits until the pause that `poll_accept` is in, if any, is over.
    pub(crate) fn poll_pause(&self, cx: &mut Context<'_>) -> Poll<()> {
        let Some(mut pause) = self.swap_pause(None) else {
            return Poll::Ready(());
        };
        let over = pause.as_mut().poll(cx);
        if over.is_pending() {
            // What another thread has put there meanwhile ends here, outside the lock.
            drop(self.swap_pause(Some(pause)));
        }
        over
    }

    /// Begins a pause for `poll_accept`.
    pub(crate) fn start_pause(&self, length: Duration) {
        drop(self.swap_pause(Some(Box::pin(sleep(length)))));
    }

    fn swap_pause(&self, new: Option<Pin<Box<Sleep>>>) -> Option<Pin<Box<Sleep>>> {
        // A panic cannot have left the option half written.
        let mut pause = self.pause.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut pause, new)
    }
}

/// Sorts the errors of accept(2).
fn remedy(error: &io::Error) -> Remedy {
    let Some(errno) = Errno::from_io_error(error) else {
        return Remedy::GiveUp;
    };
    match errno {
        // The client went away, or a firewall refused it.
        Errno::CONNABORTED | Errno::CONNRESET | Errno::PROTO | Errno::PERM => Remedy::Next,
        // Linux passes on what had already happened to the connection.
        Errno::NETDOWN | Errno::NETUNREACH | Errno::HOSTDOWN | Errno::HOSTUNREACH => Remedy::Next,
        Errno::NOPROTOOPT | Errno::OPNOTSUPP | Errno::TIMEDOUT => Remedy::Next,
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Errno::NONET => Remedy::Next,
        Errno::MFILE | Errno::NFILE | Errno::NOBUFS | Errno::NOMEM => Remedy::Pause,
        #[cfg(any(target_os = "linux", target_os = "android"))]
        Errno::NOSR => Remedy::Pause,
        _ => Remedy::GiveUp,
    }
}

/// The pause after so many others: twice the one before, within bounds.
fn pause_length(pauses_before: u32) -> Duration {
    PAUSE_MIN
        .saturating_mul(1 << pauses_before.min(10))
        .min(PAUSE_MAX)
}

/// Attempts in a row for connections that are lost already. Each failure takes its connection
/// out of the queue, with rare exceptions (a security module that refuses the call itself):
/// for these there is an end.
const RETRIES_MAX: u32 = 64;
const PAUSE_MIN: Duration = Duration::from_millis(10);
const PAUSE_MAX: Duration = Duration::from_millis(100);

#[cfg(test)]
mod tests {
    use super::*;

    fn os(errno: Errno) -> io::Error {
        io::Error::from_raw_os_error(errno.raw_os_error())
    }

    #[test]
    fn pauses_double_up_to_a_tenth_of_a_second() {
        let lengths: Vec<u128> = (0..6).map(|n| pause_length(n).as_millis()).collect();
        assert_eq!(lengths, [10, 20, 40, 80, 100, 100]);
        assert_eq!(pause_length(u32::MAX), PAUSE_MAX);
    }

    #[test]
    fn lost_connection_leads_to_the_next_one_at_once() {
        let faults = Faults::default();
        let lost = [
            Errno::CONNABORTED,
            Errno::PROTO,
            Errno::PERM,
            Errno::NETDOWN,
        ];
        let mut outcomes = lost.into_iter().map(|errno| Err(os(errno))).chain([Ok(7)]);
        assert_eq!(faults.skip_lost(|| outcomes.next().unwrap()).unwrap(), 7);
        assert_eq!(faults.survived(), 4);
    }

    #[test]
    fn endless_lost_connections_end_in_a_pause() {
        let faults = Faults::default();
        let mut calls = 0;
        let error = faults
            .skip_lost(|| -> io::Result<()> {
                calls += 1;
                Err(os(Errno::PERM))
            })
            .unwrap_err();
        assert_eq!(calls, RETRIES_MAX);
        assert_eq!(faults.pause_after(error).unwrap(), PAUSE_MIN);
        assert_eq!(faults.survived(), u64::from(RETRIES_MAX));
    }

    #[test]
    fn shortage_pauses_longer_until_a_connection_arrives() {
        let faults = Faults::default();
        for errno in [Errno::MFILE, Errno::NFILE, Errno::NOBUFS, Errno::NOMEM] {
            let outcome = faults.skip_lost(|| -> io::Result<()> { Err(os(errno)) });
            assert!(
                faults.pause_after(outcome.unwrap_err()).is_ok(),
                "{errno:?}"
            );
        }
        assert_eq!(faults.pause_after(os(Errno::MFILE)).unwrap(), PAUSE_MAX);
        faults.recovered();
        assert_eq!(faults.pause_after(os(Errno::MFILE)).unwrap(), PAUSE_MIN);
        assert_eq!(faults.survived(), 6);
    }

    #[test]
    fn broken_listener_is_the_callers_error() {
        let faults = Faults::default();
        for errno in [Errno::BADF, Errno::INVAL, Errno::NOTSOCK] {
            assert!(faults.pause_after(os(errno)).is_err());
        }
        assert!(
            faults
                .pause_after(io::Error::other("the runtime has shut down"))
                .is_err()
        );
        assert_eq!(faults.survived(), 0);
    }
}
