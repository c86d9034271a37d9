//! Signals of the operating system.

use std::io;

use crate::runtime::context::require_io;

/// Waits for Ctrl-C.
///
/// # Errors
///
/// The handler cannot be installed.
///
/// # Panics
///
/// Where there is no runtime with IO.
///
/// # Cancel safety
///
/// A Ctrl-C that comes while nobody waits is lost, and does not end the program either: to lose none,
/// keep a [`Signal`](unix::Signal).
pub async fn ctrl_c() -> io::Result<()> {
    unix::signal(unix::SignalKind::interrupt())?.recv().await;
    Ok(())
}

/// Signals by their numbers.
pub mod unix {
    use super::{io, require_io};

    pub use oneloop::signal::unix::{Signal, SignalKind};

    /// Begins to listen for a signal.
    ///
    /// # Errors
    ///
    /// The signal cannot be caught, or the system refuses.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn signal(kind: SignalKind) -> io::Result<Signal> {
        require_io();
        oneloop::signal::unix::signal(kind)
    }
}
