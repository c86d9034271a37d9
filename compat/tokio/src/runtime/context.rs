//! What has to be there before a task, a socket or a timer can be made.
//!
//! Place: called by every constructor that needs a runtime; reads what the builder left with the
//! runtime.

#![cfg_attr(
    not(feature = "full"),
    allow(dead_code, reason = "each feature needs a part")
)]

use std::fmt;

use oneloop::runtime::Handle;

use super::shutdown::InTokioWords;

/// What the builder was told that oneloop has no place for. Kept as the runtime's user data; a
/// runtime that was made with oneloop's own builder has none, and can do everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Setup {
    pub(super) has_io: bool,
    pub(super) has_time: bool,
    pub(super) name: Option<String>,
}

/// The runtime that was entered last on this thread.
#[track_caller]
pub(crate) fn current() -> Handle {
    match Handle::try_current() {
        Ok(handle) => handle,
        Err(error) => panic!("{}", ContextError::from(&error)),
    }
}

/// Panics unless sockets may be made here.
#[track_caller]
pub(crate) fn require_io() {
    let has_io = |handle: &Handle| handle.user_data::<Setup>().is_none_or(|setup| setup.has_io);
    assert!(ask(has_io), "{IO_DISABLED}");
}

/// As [`require_io`]; an error if the runtime shuts down.
#[track_caller]
pub(crate) fn running_io() -> std::io::Result<()> {
    require_io();
    ask(Handle::check_running).in_tokio_words()
}

/// Panics unless timers may be made here.
#[track_caller]
pub(crate) fn require_time() {
    let has_time = |handle: &Handle| {
        handle
            .user_data::<Setup>()
            .is_none_or(|setup| setup.has_time)
    };
    assert!(ask(has_time), "{TIME_DISABLED}");
}

/// Panics on a thread that drives async code.
#[track_caller]
pub(super) fn require_may_block() {
    assert!(!oneloop::runtime::is_driving_tasks(), "{NESTED}");
}

/// Panics unless there is a runtime.
#[track_caller]
pub(crate) fn require() {
    ask(|_| ());
}

#[track_caller]
fn ask<R>(question: impl FnOnce(&Handle) -> R) -> R {
    match Handle::with_current(question) {
        Ok(answer) => answer,
        Err(error) => panic!("{}", ContextError::from(&error)),
    }
}

/// Why there is no runtime, in tokio's words, which programs and tests look for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ContextError {
    Missing,
    ThreadIsEnding,
}

impl From<&oneloop::runtime::TryCurrentError> for ContextError {
    fn from(error: &oneloop::runtime::TryCurrentError) -> Self {
        if error.is_thread_local_destroyed() {
            Self::ThreadIsEnding
        } else {
            Self::Missing
        }
    }
}

impl fmt::Display for ContextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Missing => {
                "there is no reactor running, must be called from the context of a Tokio 1.x runtime"
            }
            Self::ThreadIsEnding => {
                "The Tokio context thread-local variable has been destroyed."
            }
        })
    }
}

const IO_DISABLED: &str = "A Tokio 1.x context was found, but IO is disabled. Call `enable_io` on \
                           the runtime builder to enable IO.";
const TIME_DISABLED: &str = "A Tokio 1.x context was found, but timers are disabled. Call \
                             `enable_time` on the runtime builder to enable timers.";
/// tokio's words, which programs and tests look for.
const NESTED: &str = "Cannot start a runtime from within a runtime. This happens because a function \
                      (like `block_on`) attempted to block the current thread while the thread is \
                      being used to drive asynchronous tasks. If you are in an async function, use \
                      `.await` on the future instead of blocking on it.";
