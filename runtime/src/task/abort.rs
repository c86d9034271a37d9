//! Aborting a task from any thread.

use std::fmt;
use std::ptr::NonNull;
use std::task::Waker;

use super::{Id, Meta};

/// Aborts a task, and tells whether it has finished, without waiting for it.
///
/// # Threads
///
/// Any thread, also after the runtime is gone: then nothing happens.
pub struct AbortHandle {
    // Keeps the task allocated, and with it the metadata.
    waker: Waker,
    meta: NonNull<Meta>,
}

// SAFETY: `meta` is a shared reference to `Meta` that lasts as long as `waker`; `Meta` is Send and
// Sync (its cells are touched by the home loop's thread alone), and so is `Waker`.
unsafe impl Send for AbortHandle {}
// SAFETY: as above.
unsafe impl Sync for AbortHandle {}

impl std::panic::UnwindSafe for AbortHandle {}
impl std::panic::RefUnwindSafe for AbortHandle {}

impl AbortHandle {
    /// `waker` is one of the task whose metadata `meta` is.
    pub(super) fn new(waker: Waker, meta: &Meta) -> Self {
        Self {
            waker,
            meta: NonNull::from(meta),
        }
    }

    fn meta(&self) -> &Meta {
        // SAFETY: the waker holds a reference of the task, so its header is allocated.
        unsafe { self.meta.as_ref() }
    }

    /// Aborts the task: its home loop drops the future, and the joiner gets a cancelled
    /// [`JoinError`](super::JoinError). A task that finishes before that gives its value.
    pub fn abort(&self) {
        if self.meta().control.request_abort() {
            self.waker.wake_by_ref();
        }
    }

    /// Whether the task has ended: its future has been dropped.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.meta().control.is_finished()
    }

    /// The task's id.
    #[must_use]
    pub fn id(&self) -> Id {
        self.meta().id
    }
}

impl Clone for AbortHandle {
    fn clone(&self) -> Self {
        Self {
            waker: self.waker.clone(),
            meta: self.meta,
        }
    }
}

impl fmt::Debug for AbortHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AbortHandle")
            .field("id", &self.id())
            .finish()
    }
}
