//! The loop of oneloop: an async runtime in which every worker thread runs a single-threaded
//! executor around its own reactor.
//!
//! ```text
//!                     other threads
//!                          |  Message            (worker/inbox, worker/doorbell)
//!                          v
//!  +----------------- one loop, one thread ------------------+
//!  |  inbox -> ready tasks -> events -> due timers -> sleep  |   worker
//!  |      ^                       |            |             |
//!  |      +------- wakers --------+------------+             |   task
//!  |                    time/wheel        reactor/slots      |
//!  +---------------------------------------------------------+
//!                                              |  one system call a turn
//!                                           kernel               (sys)
//! ```
//!
//! To follow one wake-up: the kernel reports an event to `reactor::Reactor::wait`; the slot it
//! names gives up its waker; the waker, async-task's, calls `task::schedule`, which puts the task
//! into the queue of this thread's `worker::Local`, or into its home's inbox; the next turn polls
//! it, and the socket's read, `reactor::Source::poll_io`, finds the word of readiness set.
//!
//! The modules stand in the order in which one reads them.

#![deny(unsafe_op_in_unsafe_fn)]

mod blocking;
pub mod buf;
mod contain;
#[cfg(not(loom))]
pub mod fs;
mod metrics;
mod primitive;
#[cfg(not(loom))]
pub mod process;
mod reactor;
pub mod runtime;
#[cfg(not(loom))]
pub mod signal;
mod sys;
pub mod task;
pub mod time;
mod worker;

pub(crate) use runtime::context;

/// Descriptors on the loop.
pub mod io {
    pub use crate::reactor::{Direction, Interest, Ready, ReadyEvent, Source};
}

/// The protocol files, for their models.
#[cfg(loom)]
#[doc(hidden)]
pub mod protocol {
    pub use crate::buf::home;
    pub use crate::reactor::{homes, readiness};
    pub use crate::task::control;
    pub use crate::worker::{doorbell, inbox};
}
