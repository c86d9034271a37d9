//! This process: its processor time and its cores; and what a process has in memory.

use std::fs;
use std::io;
use std::time::Duration;

use rustix::param::clock_ticks_per_second;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Processor time of all threads of this process so far, user and system.
#[must_use]
pub fn cpu_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::try_from(time).expect("the clock began at the start of the process")
}

/// Processor time of all children of this process that have ended and were waited for, user and
/// system, in ticks of 10 ms.
///
/// # Errors
///
/// There is no `/proc`.
pub fn children_cpu_time() -> io::Result<Duration> {
    let stat = fs::read_to_string("/proc/self/stat")?;
    // Behind the name, which may have anything in it: proc(5) counts from 1, and the state is 3.
    let fields = stat
        .rsplit_once(')')
        .map(|(_, fields)| fields.split_ascii_whitespace());
    let times = fields.map(|fields| fields.skip(16 - 3).take(2).map(str::parse::<u64>));
    let ticks: Option<u64> =
        times.and_then(|mut times| Some(times.next()?.ok()? + times.next()?.ok()?));
    let ticks = ticks.ok_or_else(|| io::Error::other("no times in /proc/self/stat"))?;
    Ok(Duration::from_secs(ticks) / clock_ticks_per_second() as u32)
}

/// What a process has in memory of its own: anonymous pages, without those of files.
///
/// # Errors
///
/// The process has ended.
pub fn resident_bytes(pid: u32) -> io::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("RssAnon:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: Option<u64> = kib.and_then(|kib| kib.trim().parse().ok());
    kib.map(|kib| kib * 1024)
        .ok_or_else(|| io::Error::other("no RssAnon in /proc"))
}

/// Lets this process, and those that it will start, open as many descriptors as the system lets it,
/// but at least `needed`.
///
/// # Errors
///
/// The system lets it open fewer.
pub fn allow_descriptors(needed: usize) -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    if limit.maximum.is_some_and(|maximum| maximum < needed as u64) {
        let maximum = limit.maximum.unwrap_or_default();
        return Err(io::Error::other(format!(
            "{needed} open files are needed and the hard limit is {maximum} (`ulimit -Hn`): raise \
             it, or measure with fewer connections"
        )));
    }
    let wanted = Rlimit {
        current: limit.maximum,
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, wanted)?)
}

/// Pins this thread, and the threads that it will start, to one of the cores that it may use.
///
/// # Errors
///
/// The system refuses, or there are not so many cores.
pub fn pin(core: usize) -> io::Result<()> {
    pin_within(&sched_getaffinity(None)?, core)
}

/// Starts something with threads of its own on the second core and keeps this thread on the first,
/// so that two sides of a wake-up never share a core. Ends with the value that is returned.
///
/// # Errors
///
/// The system refuses, there is one core only, or `start` fails.
pub fn apart<T>(start: impl FnOnce() -> io::Result<T>) -> io::Result<(T, Apart)> {
    let apart = Apart {
        allowed: sched_getaffinity(None)?,
    };
    pin_within(&apart.allowed, FAR_CORE)?;
    let started = start()?;
    pin_within(&apart.allowed, NEAR_CORE)?;
    Ok((started, apart))
}

/// While it lives, this thread stays on the first core. Made by [`apart`].
#[derive(Debug)]
pub struct Apart {
    allowed: CpuSet,
}

impl Apart {
    /// Moves this thread to the second core: for a side that runs on a thread started from here.
    ///
    /// # Errors
    ///
    /// The system refuses.
    pub fn go_far(&self) -> io::Result<()> {
        pin_within(&self.allowed, FAR_CORE)
    }
}

impl Drop for Apart {
    fn drop(&mut self) {
        // It was this thread's mask before: only a change of the cgroup can make it fail.
        let _ = sched_setaffinity(None, &self.allowed);
    }
}

fn pin_within(allowed: &CpuSet, core: usize) -> io::Result<()> {
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

const NEAR_CORE: usize = 0;
const FAR_CORE: usize = 1;

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_child_that_has_ended_has_used_time() {
        let before = children_cpu_time().unwrap();
        let work = "i=0; while [ $i -lt 300000 ]; do i=$((i + 1)); done";
        let mut child = Command::new("sh").args(["-c", work]).spawn().unwrap();
        assert!(child.wait().unwrap().success());
        let used = children_cpu_time().unwrap() - before;
        assert!(used >= Duration::from_millis(10), "{used:?}");
        assert!(used < Duration::from_secs(60), "{used:?}");
    }

    #[test]
    fn too_few_descriptors_are_an_error_that_says_what_to_do() {
        allow_descriptors(64).unwrap();
        if getrlimit(Resource::Nofile).maximum.is_some() {
            let error = allow_descriptors(1 << 40).unwrap_err().to_string();
            assert!(error.contains("1099511627776 open files"), "{error}");
            assert!(error.contains("ulimit -Hn"), "{error}");
        }
    }
}
