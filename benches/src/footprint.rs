//! What an idle task costs in memory, measured in a process of its own: there the heap holds nothing
//! else, so that what is resident is what the tasks need.
//!
//! Place: called by `ratios`, which is also the child process.

use std::env;
use std::io;
use std::process::{self, Command, Stdio};

use crate::process::resident_bytes;
use crate::runtimes::{Oneloop, Runtime, Smol, TokioCurrent};
use crate::workloads::idle_tasks;

/// Bytes of resident memory for each of `count` tasks that wait for ever, on the runtime of this
/// name: everything that grows with them, tables and queues included.
///
/// # Errors
///
/// The child process does not start, fails, or knows no such runtime.
pub fn idle_task_bytes(runtime: &str, count: u64) -> io::Result<f64> {
    let child = Command::new(env::current_exe()?)
        .args([CHILD, runtime, &count.to_string()])
        .stdin(Stdio::null())
        .stderr(Stdio::inherit())
        .output()?;
    if !child.status.success() {
        return Err(io::Error::other(format!("{CHILD}: {}", child.status)));
    }
    let bytes = String::from_utf8_lossy(&child.stdout).trim().parse();
    let bytes: u64 = bytes.map_err(|_| io::Error::other("the child tells no number"))?;
    Ok(bytes as f64 / count as f64)
}

/// Does the work of the child process if the arguments ask for it: returns the bytes to tell.
///
/// # Errors
///
/// An argument is wrong, or the runtime does not start.
pub fn run_as_child(arguments: &[String]) -> io::Result<Option<u64>> {
    let [command, runtime, count] = arguments else {
        return Ok(None);
    };
    if command != CHILD {
        return Ok(None);
    }
    let invalid = || io::Error::new(io::ErrorKind::InvalidInput, "no such runtime or count");
    let count = count.parse().map_err(|_| invalid())?;
    let grown = match runtime.as_str() {
        Oneloop::NAME => growth::<Oneloop>(count)?,
        TokioCurrent::NAME => growth::<TokioCurrent>(count)?,
        Smol::NAME => growth::<Smol>(count)?,
        _ => return Err(invalid()),
    };
    Ok(Some(grown))
}

fn growth<R: Runtime>(count: u64) -> io::Result<u64> {
    let runtime = R::start()?;
    // What is made at the first use is made.
    idle_tasks(&runtime, 1);
    let before = resident_bytes(process::id())?;
    idle_tasks(&runtime, count);
    Ok(resident_bytes(process::id())?.saturating_sub(before))
}

const CHILD: &str = "idle-tasks";
