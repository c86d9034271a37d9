//! Why a task gave no value.

use std::any::Any;
use std::fmt;
use std::io;

use super::Id;
use crate::primitive::sync::Mutex;

/// The task was aborted, or its runtime shut down, or it panicked.
// One pointer, because each task has room for its result.
pub struct JoinError(Box<Failure>);

struct Failure {
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
        Self(Box::new(Failure {
            id,
            reason: Reason::Cancelled,
        }))
    }

    pub(crate) fn panic(id: Id, payload: Box<dyn Any + Send + 'static>) -> Self {
        Self(Box::new(Failure {
            id,
            reason: Reason::Panic(Mutex::new(payload)),
        }))
    }

    /// Whether the task was aborted, or dropped by the shutdown of its runtime.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self.0.reason, Reason::Cancelled)
    }

    /// Whether the task, or the drop of its future, panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self.0.reason, Reason::Panic(_))
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
        if self.is_cancelled() {
            return Err(self);
        }
        match self.0.reason {
            Reason::Panic(payload) => Ok(payload.into_inner()),
            Reason::Cancelled => unreachable!("asked above"),
        }
    }

    /// The id of the task that failed.
    #[must_use]
    pub fn id(&self) -> Id {
        self.0.id
    }

    /// The panic's text, if it has one: the payload of `panic!` with a literal or a format.
    fn panic_text(&self) -> Option<String> {
        let Reason::Panic(payload) = &self.0.reason else {
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
        match (&self.0.reason, self.panic_text()) {
            (Reason::Cancelled, _) => write!(f, "task {} was cancelled", self.0.id),
            (Reason::Panic(_), Some(text)) => {
                write!(f, "task {} panicked with message {text:?}", self.0.id)
            }
            (Reason::Panic(_), None) => write!(f, "task {} panicked", self.0.id),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (&self.0.reason, self.panic_text()) {
            (Reason::Cancelled, _) => write!(f, "JoinError::Cancelled({:?})", self.0.id),
            (Reason::Panic(_), Some(text)) => {
                write!(f, "JoinError::Panic({:?}, {text:?}, ...)", self.0.id)
            }
            (Reason::Panic(_), None) => write!(f, "JoinError::Panic({:?}, ...)", self.0.id),
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
