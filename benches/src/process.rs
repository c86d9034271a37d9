//! This process: its processor time and its cores.

use std::io;
use std::time::Duration;

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Processor time of all threads of this process so far, user and system.
#[must_use]
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("the clock began at the start of the process")
}

/// Pins this thread, and the threads that it will start, to one of the cores that it may use.
///
/// # Errors
///
/// The system refuses, or there are not so many cores.
pub fn pin(core: usize) -> io::Result<()> {
    let allowed = sched_getaffinity(None)?;
    let chosen = (0..CpuSet::MAX_CPU)
        .filter(|&core| allowed.is_set(core))
        .nth(core);
    let Some(chosen) = chosen else {
        return Err(io::Error::other(format!("there is no core {core} here")));
    };
    let mut only = CpuSet::new();
    only.set(chosen);
    Ok(sched_setaffinity(None, &only)?)
}
