//! Running a file of tests under a limit of time, and what its output says of each test.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::Result;

/// What became of a test.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// It failed beside the others and passed alone.
    PassedAlone,
    Failed,
    /// The suite itself leaves it out.
    Ignored,
}

/// The verdicts of a file, by the name of the test.
pub(crate) type Outcome = BTreeMap<String, Verdict>;

/// Runs all tests of a file; those that fail or do not end, once more alone.
pub(crate) fn run(executable: &Path, directory: &Path) -> Result<Outcome> {
    let names = list(executable, directory)?;
    let (text, _) = output_of(executable, directory, &[], FILE_LIMIT)?;
    let mut outcome = Outcome::new();
    for name in names {
        let verdict = match verdict_in(&text, &name) {
            Some(verdict @ (Verdict::Passed | Verdict::Ignored)) => verdict,
            _ => run_alone(executable, directory, &name)?,
        };
        outcome.insert(name, verdict);
    }
    Ok(outcome)
}

fn run_alone(executable: &Path, directory: &Path, name: &str) -> Result<Verdict> {
    let (text, status) = output_of(executable, directory, &["--exact", name], TEST_LIMIT)?;
    let has_passed = status.is_some_and(|status| status.success()) && text.contains("1 passed");
    if !has_passed {
        let end = if status.is_none() {
            "does not end"
        } else {
            "fails"
        };
        eprintln!("--- {name} {end}\n{}", tail(&text));
    }
    Ok(if has_passed {
        Verdict::PassedAlone
    } else {
        Verdict::Failed
    })
}

/// The outcome of a file that does not compile: all its tests fail.
pub(crate) fn not_compiled(source: &Path) -> Result<Outcome> {
    let text = fs::read_to_string(source)?;
    let is_test = |line: &&str| line.trim_start().starts_with("#[test]") || line.contains("::test");
    let count = text.lines().filter(is_test).count().max(1);
    let name = |number| format!("(does not compile, test {number} of {count})");
    Ok((1..=count)
        .map(|number| (name(number), Verdict::Failed))
        .collect())
}

fn list(executable: &Path, directory: &Path) -> Result<Vec<String>> {
    let (text, _) = output_of(executable, directory, &["--list"], TEST_LIMIT)?;
    let name = |line: &str| line.strip_suffix(": test").map(str::to_owned);
    Ok(text.lines().filter_map(name).collect())
}

/// What the harness printed for a test, if it did: `test NAME ... ok`, perhaps with
/// ` - should panic` behind the name.
fn verdict_in(text: &str, name: &str) -> Option<Verdict> {
    let result = text.lines().find_map(|line| {
        let rest = line.strip_prefix("test ")?.strip_prefix(name)?;
        let rest = rest.strip_prefix(" - should panic").unwrap_or(rest);
        rest.strip_prefix(" ... ")
    })?;
    match result {
        "ok" => Some(Verdict::Passed),
        result if result.starts_with("ignored") => Some(Verdict::Ignored),
        _ => Some(Verdict::Failed),
    }
}

/// What a run prints, and how it ended unless it had to be ended.
fn output_of(
    executable: &Path,
    directory: &Path,
    arguments: &[&str],
    limit: Duration,
) -> Result<(String, Option<ExitStatus>)> {
    let path = directory.join("output.txt");
    let output = File::create(&path)?;
    let mut child = Command::new(executable)
        .args(arguments)
        .current_dir(directory)
        .env("CARGO_MANIFEST_DIR", directory)
        .env("RUST_BACKTRACE", "0")
        .stdin(Stdio::null())
        .stderr(output.try_clone()?)
        .stdout(output)
        // A group of its own: what the tests start ends with them.
        .process_group(0)
        .spawn()?;
    let deadline = Instant::now() + limit;
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break Some(status);
        }
        if Instant::now() > deadline {
            break None;
        }
        thread::sleep(POLL_INTERVAL);
    };
    if status.is_none() {
        let group = Pid::from_child(&child);
        kill_process_group(group, Signal::KILL).map_err(io::Error::from)?;
        child.wait()?;
    }
    let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
    Ok((text, status))
}

fn tail(text: &str) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n")
}

const FILE_LIMIT: Duration = Duration::from_secs(60);
const TEST_LIMIT: Duration = Duration::from_secs(30);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
const TAIL_LINES: usize = 30;
