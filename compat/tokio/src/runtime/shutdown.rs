//! The end of a runtime, in tokio's words, which programs and tests look for.
//!
//! Place: called by everything that waits for a source; runs on any thread.

#![cfg_attr(
    not(feature = "full"),
    allow(dead_code, reason = "each feature needs a part")
)]

use std::error::Error;
use std::fmt;
use std::io;
use std::task::Poll;

/// A result of oneloop's, to be told by tokio's error if it is that of a runtime that has ended.
pub(crate) trait InTokioWords {
    /// The same result; only the text of that one error changes.
    fn in_tokio_words(self) -> Self;
}

impl<T> InTokioWords for io::Result<T> {
    fn in_tokio_words(self) -> Self {
        self.map_err(reword)
    }
}

impl<T> InTokioWords for Poll<io::Result<T>> {
    fn in_tokio_words(self) -> Self {
        self.map_err(reword)
    }
}

#[cold]
fn reword(error: io::Error) -> io::Error {
    if oneloop::runtime::is_shutdown_error(&error) {
        io::Error::other(ShutDown)
    } else {
        error
    }
}

/// Whether an operation failed because its runtime has shut down.
#[cfg(feature = "rt")]
#[must_use]
pub fn is_rt_shutdown_err(err: &io::Error) -> bool {
    let is_ours = err.get_ref().is_some_and(|inner| inner.is::<ShutDown>());
    // What oneloop answers where nobody rewords it.
    is_ours || oneloop::runtime::is_shutdown_error(err)
}

#[derive(Debug)]
struct ShutDown;

impl fmt::Display for ShutDown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(SHUT_DOWN)
    }
}

impl Error for ShutDown {}

/// A runtime that is about to end, or has ended.
pub(crate) const SHUT_DOWN: &str = "A Tokio 1.x context was found, but it is being shutdown.";
