//! Errors of timers.
//!
//! Place: made by `timeout` and by timers; they hold no state.

use std::fmt;
use std::io;

/// The time of a [`timeout`](super::timeout()) was over before its future was done.
///
/// Converts into an [`io::Error`] of kind [`TimedOut`](io::ErrorKind::TimedOut).
#[derive(Debug, PartialEq, Eq)]
pub struct Elapsed(());

impl Elapsed {
    pub(super) fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("deadline has elapsed")
    }
}

impl std::error::Error for Elapsed {}

impl From<Elapsed> for io::Error {
    fn from(_: Elapsed) -> Self {
        io::ErrorKind::TimedOut.into()
    }
}

/// A timer was polled before its deadline, and no loop is left to wait on: its runtime has been
/// shut down.
#[derive(Debug, PartialEq, Eq)]
pub struct ShutDown(());

impl ShutDown {
    pub(super) fn new() -> Self {
        Self(())
    }
}

impl fmt::Display for ShutDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(
            "a timer was polled before its deadline, but its runtime has been shut down: keep the \
             `Runtime` alive while timers are awaited",
        )
    }
}

impl std::error::Error for ShutDown {}

#[cfg(test)]
mod tests {
    use super::Elapsed;

    #[test]
    fn elapsed_can_be_sent_and_becomes_an_io_error() {
        fn assert_error<E: std::error::Error + Send + Sync + 'static>(_: &E) {}
        let elapsed = Elapsed::new();
        assert_error(&elapsed);
        assert_eq!(elapsed.to_string(), "deadline has elapsed");
        assert_eq!(
            std::io::Error::from(elapsed).kind(),
            std::io::ErrorKind::TimedOut
        );
    }
}
