//! How many loops this process may usefully run, and pinning a thread to a core.
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
