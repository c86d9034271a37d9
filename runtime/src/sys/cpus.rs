//! How many loops this process may usefully run, and what a loop's thread asks of the scheduler.
//!
//! Place: called by the builder; any thread.
//!
//! # Why it is so
//! `std::thread::available_parallelism` respects the affinity mask and, on Linux, the cgroup CPU
//! quota (v1 and v2, all levels), rounding the quota down to at least one. That is the number
//! wanted here, from a source that is kept up to date.

use std::io;

/// Cores in the affinity mask, limited by the cgroup quota, at least 1.
pub(crate) fn available() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Has the kernel end this thread's sleeps on time: by default it may add 50 us to each, to wake
/// several threads at once (prctl(2), `PR_SET_TIMERSLACK`).
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn sleep_precisely() {
    let nanosecond = std::num::NonZeroU64::MIN;
    // It fails under a filter of system calls only: then timers are later by the default slack.
    let _ = rustix::thread::set_current_timer_slack(Some(nanosecond));
}

/// Runs a function that starts a process or a thread, without handing on what
/// [`sleep_precisely`] set: children inherit the slack, and theirs is not ours to choose.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn with_default_slack<R>(start: impl FnOnce() -> R) -> R {
    use rustix::thread::{current_timer_slack, set_current_timer_slack};
    let is_precise = current_timer_slack().is_ok_and(|slack| slack == 1);
    if is_precise {
        // As in `sleep_precisely`; none is the thread's default, which it had at its start.
        let _ = set_current_timer_slack(None);
    }
    let started = start();
    if is_precise {
        sleep_precisely();
    }
    started
}

/// Nothing: this system adds no slack, or has no way to say so.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn sleep_precisely() {}

#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn with_default_slack<R>(start: impl FnOnce() -> R) -> R {
    start()
}

/// Pins the calling thread to one core.
#[cfg(any(target_os = "linux", target_os = "android"))]
pub(crate) fn pin_current_thread(core: usize) -> io::Result<()> {
    use rustix::thread::{CpuSet, sched_setaffinity};
    if core >= CpuSet::MAX_CPU {
        return Err(io::Error::from(io::ErrorKind::InvalidInput));
    }
    let mut set = CpuSet::new();
    set.set(core);
    Ok(sched_setaffinity(None, &set)?)
}

/// Pins the calling thread to one core: not offered on this system.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
pub(crate) fn pin_current_thread(_core: usize) -> io::Result<()> {
    Err(io::Error::from(io::ErrorKind::Unsupported))
}
