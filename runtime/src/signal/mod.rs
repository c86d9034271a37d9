//! Signals of the operating system as futures.
//!
//! Place: used by applications; a listener is a pipe on the loop whose other end the signal
//! handler writes to.
//!
//! ```text
//!   kernel -> handler (signal-hook-registry) -> write(2) into the pipe of each listener
//!                                                          |  readiness, as of any descriptor
//!                                                          v
//!                                              Signal::recv on any loop of any runtime
//! ```
//!
//! # Why it is so
//! Elsewhere one pipe for the process is read by one driver, which tells all listeners through
//! memory that threads share. A pipe for each listener needs neither driver nor sharing, follows
//! its task from loop to loop, and dies with its listener; the price is two descriptors, for a
//! thing of which a program has two or three.

pub mod unix;

use std::io;

/// Waits for Ctrl-C (`SIGINT`).
///
/// After the first call the signal does not end the process any more, also when nobody waits: see
/// [`unix::signal`].
///
/// # Errors
///
/// Those of [`unix::signal`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// A signal that comes while nobody waits is lost: to lose none, keep a
/// [`Signal`](unix::Signal).
#[track_caller]
pub fn ctrl_c() -> impl Future<Output = io::Result<()>> {
    let signal = unix::signal(unix::SignalKind::interrupt());
    async move {
        signal?.recv().await;
        Ok(())
    }
}
