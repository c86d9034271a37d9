//! The operating system: the only place that makes system calls for the loop.
//!
//! Place: called by the reactor and by `Remote`; `wait` on the loop's own thread, all else on any.
//!
//! A back end provides
//! - `Poller::new`, and `add`/`delete` of a descriptor for both directions, edge-triggered, with a
//!   key of 64 bits that comes back with each event; any thread, no allocation;
//! - `Poller::ring`: ends the current or the next `wait`; any thread;
//! - `Poller::wait`: fills `Events`, at most [`EVENTS_PER_WAIT_MAX`] at a time, in one system call
//!   where the system has such a call; `None` waits without limit;
//! - `Events::iter`: pairs of key and readiness bits.
//!
//! Back ends: `epoll` on Linux, `portable` over the `polling` crate elsewhere (kqueue), and under
//! loom an in-memory `double`.

#[cfg(all(target_os = "linux", not(loom)))]
mod epoll;
#[cfg(all(target_os = "linux", not(loom)))]
pub(crate) use epoll::{Events, Poller};

#[cfg(all(not(target_os = "linux"), not(loom)))]
mod portable;
#[cfg(all(not(target_os = "linux"), not(loom)))]
pub(crate) use portable::{Events, Poller};

#[cfg(loom)]
mod double;
#[cfg(loom)]
pub(crate) use double::{Events, Poller};

pub(crate) mod cpus;

/// Events taken from the kernel in one system call. More wait for the next turn, which then does
/// not sleep. A buffer costs 12 bytes an entry.
pub(crate) const EVENTS_PER_WAIT_MAX: usize = 1024;

/// The key of the doorbell; no slot has it.
pub(crate) const DOORBELL_KEY: u64 = u64::MAX - 1;
