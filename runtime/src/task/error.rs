//! Why a task gave no value.

use std::any::Any;
use std::fmt;
use std::io;

use super::Id;
use crate::primitive::sync::Mutex;

/// The task was aborted, or its runtime shut down, or it panicked.
pub struct JoinError {
    id: Id,
    reason: Reason,
}

enum Reason {
    Cancelled,
    // The mutex makes the payload, which is Send only, Sync.
    Panic(Mutex<Box<dyn Any + Send + 'static>>),
}

impl JoinError {
    pub(crate) fn cancelled(id: Id) -> Self {
        Self {
            id,
            reason: Reason::Cancelled,
        }
    }

    pub(crate) fn panic(id: Id, payload: Box<dyn Any + Send + 'static>) -> Self {
        Self {
            id,
            reason: Reason::Panic(Mutex::new(payload)),
        }
    }

    /// Whether the task was aborted, or dropped by the shutdown of its runtime.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.reason, Reason::Cancelled)
    }

    /// Whether the task, or the drop of its future, panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.reason, Reason::Panic(_))
    }

    /// The payload of the panic.
    ///
    /// # Panics
    ///
    /// If the task did not panic: ask [`is_panic`](Self::is_panic) first, or use
    /// [`try_into_panic`](Self::try_into_panic).
    #[track_caller]
    #[must_use]
    pub fn into_panic(self) -> Box<dyn Any + Send + 'static> {
        self.try_into_panic()
            .expect("`JoinError` reason is not a panic.")
    }

    /// The payload of the panic.
    ///
    /// # Errors
    ///
    /// Gives the error back if the task did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send + 'static>, Self> {
        match self.reason {
            Reason::Panic(payload) => Ok(payload.into_inner()),
            Reason::Cancelled => Err(self),
        }
    }

    /// The id of the task that failed.
    #[must_use]
    pub fn id(&self) -> Id {
        self.id
    }

    /// The panic's text, if it has one: the payload of `panic!` with a literal or a format.
    fn panic_text(&self) -> Option<String> {
        let Reason::Panic(payload) = &self.reason else {
            return None;
        };
        let payload = payload.lock();
        let literal = payload
            .downcast_ref::<&'static str>()
            .map(|text| (*text).to_owned());
        literal.or_else(|| payload.downcast_ref::<String>().cloned())
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.reason, self.panic_text()) {
            (Reason::Cancelled, _) => write!(f, "task {} was cancelled", self.id),
            (Reason::Panic(_), Some(text)) => {
                write!(f, "task {} panicked with message {text:?}", self.id)
            }
            (Reason::Panic(_), None) => write!(f, "task {} panicked", self.id),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.reason, self.panic_text()) {
            (Reason::Cancelled, _) => write!(f, "JoinError::Cancelled({:?})", self.id),
            (Reason::Panic(_), Some(text)) => {
                write!(f, "JoinError::Panic({:?}, {text:?}, ...)", self.id)
            }
            (Reason::Panic(_), None) => write!(f, "JoinError::Panic({:?}, ...)", self.id),
        }
    }
}

impl std::error::Error for JoinError {}

impl From<JoinError> for io::Error {
    fn from(error: JoinError) -> Self {
        let text = if error.is_cancelled() {
            "task was cancelled"
        } else {
            "task panicked"
        };
        Self::other(text)
    }
}
