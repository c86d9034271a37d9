//! The errors of these channels. Those of sending give the message back.

use std::error::Error;
use std::fmt;

/// The channel is closed: the message was not sent.
#[derive(PartialEq, Eq, Clone, Copy)]
pub struct SendError<T>(pub T);

impl<T> fmt::Debug for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SendError").finish_non_exhaustive()
    }
}

impl<T> fmt::Display for SendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("channel closed")
    }
}

impl<T> Error for SendError<T> {}

/// Why a message could not be sent at once.
#[derive(PartialEq, Eq, Clone, Copy)]
pub enum TrySendError<T> {
    /// There is no room now.
    Full(T),
    /// The channel is closed.
    Closed(T),
}

impl<T> TrySendError<T> {
    /// The message.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(message) | Self::Closed(message) => message,
        }
    }
}

impl<T> fmt::Debug for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In quotes, as tokio has it, without asking the message for anything.
        fmt::Debug::fmt(
            match self {
                Self::Full(_) => "Full(..)",
                Self::Closed(_) => "Closed(..)",
            },
            f,
        )
    }
}

impl<T> fmt::Display for TrySendError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "no available capacity",
            Self::Closed(_) => "channel closed",
        })
    }
}

impl<T> Error for TrySendError<T> {}

impl<T> From<SendError<T>> for TrySendError<T> {
    fn from(error: SendError<T>) -> Self {
        Self::Closed(error.0)
    }
}

/// Why there is no message to receive.
#[derive(PartialEq, Eq, Clone, Copy, Debug)]
pub enum TryRecvError {
    /// There is none now.
    Empty,
    /// There never will be one: all senders are gone, or the channel is closed and drained.
    Disconnected,
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(
            match self {
                Self::Empty => "receiving on an empty channel",
                Self::Disconnected => "receiving on a closed channel",
            },
            f,
        )
    }
}

impl Error for TryRecvError {}

/// Not used: the end of a channel is `None`.
#[derive(Debug, Clone)]
#[doc(hidden)]
#[deprecated(note = "This type is unused because recv returns an Option.")]
pub struct RecvError(());

#[allow(deprecated, reason = "the type is kept for those who name it")]
impl fmt::Display for RecvError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("channel closed")
    }
}

#[allow(deprecated, reason = "the type is kept for those who name it")]
impl Error for RecvError {}

#[cfg(feature = "time")]
pub use timeout::SendTimeoutError;

#[cfg(feature = "time")]
mod timeout {
    use std::error::Error;
    use std::fmt;

    /// Why a message could not be sent in time.
    #[derive(PartialEq, Eq, Clone, Copy)]
    pub enum SendTimeoutError<T> {
        /// There was no room in that time.
        Timeout(T),
        /// The channel is closed.
        Closed(T),
    }

    impl<T> SendTimeoutError<T> {
        /// The message.
        pub fn into_inner(self) -> T {
            match self {
                Self::Timeout(message) | Self::Closed(message) => message,
            }
        }
    }

    impl<T> fmt::Debug for SendTimeoutError<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            fmt::Debug::fmt(
                match self {
                    Self::Timeout(_) => "Timeout(..)",
                    Self::Closed(_) => "Closed(..)",
                },
                f,
            )
        }
    }

    impl<T> fmt::Display for SendTimeoutError<T> {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str(match self {
                Self::Timeout(_) => "timed out waiting on send operation",
                Self::Closed(_) => "channel closed",
            })
        }
    }

    impl<T> Error for SendTimeoutError<T> {}
}
