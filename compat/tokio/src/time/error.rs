//! Errors of timers.

use std::fmt;

pub use oneloop::time::error::Elapsed;

/// What tokio's timers may fail with. Kept for programs that name it: no timer of this package
/// makes one.
#[derive(Debug, Copy, Clone)]
pub struct Error(Kind);

#[derive(Debug, Copy, Clone, PartialEq, Eq)]
enum Kind {
    Shutdown,
    AtCapacity,
    Invalid,
}

impl Error {
    /// The timer's runtime has shut down.
    #[must_use]
    pub fn shutdown() -> Self {
        Self(Kind::Shutdown)
    }

    /// Whether this is [`shutdown`](Self::shutdown).
    #[must_use]
    pub fn is_shutdown(&self) -> bool {
        self.0 == Kind::Shutdown
    }

    /// There are too many timers.
    #[must_use]
    pub fn at_capacity() -> Self {
        Self(Kind::AtCapacity)
    }

    /// Whether this is [`at_capacity`](Self::at_capacity).
    #[must_use]
    pub fn is_at_capacity(&self) -> bool {
        self.0 == Kind::AtCapacity
    }

    /// The timer was set up wrongly.
    #[must_use]
    pub fn invalid() -> Self {
        Self(Kind::Invalid)
    }

    /// Whether this is [`invalid`](Self::invalid).
    #[must_use]
    pub fn is_invalid(&self) -> bool {
        self.0 == Kind::Invalid
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Kind::Shutdown => "the runtime has shut down, and its timers with it",
            Kind::AtCapacity => "there are too many timers",
            Kind::Invalid => "the timer's duration is out of range",
        })
    }
}

impl std::error::Error for Error {}
