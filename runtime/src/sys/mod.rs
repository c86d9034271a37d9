//! The operating system: the only place that makes system calls for the loop.
//!
//! Place: called by the reactor and by `Remote`; `wait` on the loop's own thread, all else on any.
//!
//! A back end provides
//! - `Poller::new`, and `add`/`delete` of a descriptor for both directions, edge-triggered, with a
//!   key of 64 bits that comes back with each event; any thread, no allocation;
//! - `Poller::add_exclusive`: the same for input alone, of a descriptor that stands in several
//!   pollers: where the system can do it, it wakes one that sleeps in `wait`, and not all;
//! - `Poller::ring`: ends the current or the next `wait`; any thread. If it cannot, it ends the process,
//!   except in a child of fork(2);
//! - `Poller::wait`: fills `Events`, at most [`EVENTS_PER_WAIT_MAX`] at a time, in one system call
//!   where the system has such a call; `None` waits without limit;
//! - `Events::iter`: pairs of key and readiness bits.
//!
//! - `SHORT_TRANSFER_DRAINS`: whether a transfer shorter than asked for tells that an edge follows
//!   before the next one can succeed.
//!
//! Back ends: `epoll` on Linux, `portable` over the `polling` crate elsewhere (kqueue), and under
//! loom an in-memory `double`. `--cfg oneloop_portable` selects `portable` on Linux too, so that
//! its tests run there.

use std::fmt::Display;

#[cfg(all(target_os = "linux", not(oneloop_portable), not(loom)))]
mod epoll;
#[cfg(all(target_os = "linux", not(oneloop_portable), not(loom)))]
pub(crate) use epoll::{Events, Poller, SHORT_TRANSFER_DRAINS};

#[cfg(all(any(not(target_os = "linux"), oneloop_portable), not(loom)))]
mod portable;
#[cfg(all(any(not(target_os = "linux"), oneloop_portable), not(loom)))]
pub(crate) use portable::{Events, Poller, SHORT_TRANSFER_DRAINS};

#[cfg(loom)]
mod double;
#[cfg(loom)]
pub(crate) use double::{Events, Poller, SHORT_TRANSFER_DRAINS};

#[cfg(not(loom))]
pub(crate) mod children;
pub(crate) mod cpus;
pub(crate) mod pages;
#[cfg(not(loom))]
pub(crate) mod pipes;
#[cfg(not(loom))]
pub(crate) mod signals;

/// Events taken from the kernel in one system call. More wait for the next turn, which then does
/// not sleep. About as many as the tasks of a turn, so that what was fetched to hand an event out is
/// still in the cache when its task runs: `benches/NOTES.md`. A buffer costs 12 bytes an entry.
pub(crate) const EVENTS_PER_WAIT_MAX: usize = 64;

/// The id of this process: another one in a child of fork(2). A system call.
pub(crate) fn process_id() -> u32 {
    std::process::id()
}

/// Ends the process: a loop has lost the descriptors it lives by.
///
/// The system's errors of the wait and of the doorbell (`EBADF`, `EINVAL`; `EPERM` of a filter of system
/// calls) do not pass. A loop that goes on in spite of them goes round for ever, or sleeps through its
/// wake-ups. One that ended would have to end its tasks here (I1), for which it has to wait for them; and
/// to close what it takes for its descriptors, which by now may be files of others. So nothing is unwound.
#[cold]
pub(crate) fn end_process(what: &str, error: impl Display) -> ! {
    struct Abort;
    impl Drop for Abort {
        fn drop(&mut self) {
            std::process::abort();
        }
    }
    let _instead_of_unwinding = Abort;
    // A panic, so that the application's hook reports it as it does others.
    panic!(
        "a oneloop loop {what}: {error}. Other code of this process has closed the loop's descriptors, or \
         denies it system calls; the process ends"
    )
}

/// The key of the doorbell; no slot has it.
pub(crate) const DOORBELL_KEY: u64 = u64::MAX - 1;
