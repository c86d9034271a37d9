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

/// Runs all tests of a file; those that fail or do not end, once more alone. Those that need not
/// pass run alone only: one that does not end would cost the whole limit of the file. A file that
/// does not list its tests, or that ends badly although each of them passed, fails as a whole.
pub(crate) fn run(executable: &Path, directory: &Path, need_not_pass: &[&str]) -> Result<Outcome> {
    let (listing, status) = output_of(executable, directory, &["--list"], TEST_LIMIT)?;
    let Some(names) = names_in(&listing, status) else {
        eprintln!("--- the tests are not listed\n{}", tail(&listing));
        return Ok(failed("(does not list its tests)"));
    };
    let (text, status) = output_of(executable, directory, &all_but(need_not_pass), FILE_LIMIT)?;
    let mut outcome = Outcome::new();
    let mut any_failed = false;
    for name in names {
        let verdict = match verdict_in(&text, &name) {
            Some(verdict @ (Verdict::Passed | Verdict::Ignored)) => verdict,
            _ if need_not_pass.contains(&name.as_str()) => {
                run_alone(executable, directory, &name, EXCEPTION_LIMIT)?
            }
            _ => {
                any_failed = true;
                run_alone(executable, directory, &name, TEST_LIMIT)?
            }
        };
        outcome.insert(name, verdict);
    }
    if !is_good(status) && !any_failed {
        eprintln!("--- the tests pass, and the file does not\n{}", tail(&text));
        outcome.append(&mut failed("(ends badly after its tests)"));
    }
    Ok(outcome)
}

/// What tells a file of tests to leave some out.
fn all_but<'a>(names: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = vec!["--exact"];
    arguments.extend(names.iter().flat_map(|&name| ["--skip", name]));
    arguments
}

fn failed(what: &str) -> Outcome {
    Outcome::from([(what.to_owned(), Verdict::Failed)])
}

fn is_good(status: Option<ExitStatus>) -> bool {
    status.is_some_and(|status| status.success())
}

fn run_alone(executable: &Path, directory: &Path, name: &str, limit: Duration) -> Result<Verdict> {
    let (text, status) = output_of(executable, directory, &["--exact", name], limit)?;
    let has_passed = is_good(status) && text.contains("1 passed");
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

/// The tests of a file by its answer to `--list`, unless it ended badly: then some may be missing.
fn names_in(listing: &str, status: Option<ExitStatus>) -> Option<Vec<String>> {
    let name = |line: &str| line.strip_suffix(": test").map(str::to_owned);
    is_good(status).then(|| listing.lines().filter_map(name).collect())
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
/// For a test that need not pass.
const EXCEPTION_LIMIT: Duration = Duration::from_secs(5);
const POLL_INTERVAL: Duration = Duration::from_millis(5);
const TAIL_LINES: usize = 30;

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use super::*;

    const LISTING: &str =
        "one: test\nmodule::two: test\nthree: benchmark\n\n2 tests, 1 benchmark\n";

    #[test]
    fn tests_are_taken_from_the_listing() {
        let status = Some(ExitStatus::from_raw(0));
        let names = names_in(LISTING, status).unwrap();
        assert_eq!(names, ["one", "module::two"]);
    }

    #[test]
    fn a_listing_that_ends_badly_is_not_believed() {
        let exited = ExitStatus::from_raw(101 << 8);
        let aborted = ExitStatus::from_raw(6);
        for status in [Some(exited), Some(aborted), None] {
            assert_eq!(names_in(LISTING, status), None, "{status:?}");
        }
    }

    #[test]
    fn a_file_that_does_not_list_its_tests_fails() {
        let directory =
            std::env::temp_dir().join(format!("conformance-run-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let outcome = run(Path::new("/bin/false"), &directory, &[]).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        assert_eq!(outcome, failed("(does not list its tests)"));
    }

    #[test]
    fn tests_that_need_not_pass_run_alone_only() {
        assert_eq!(
            all_but(&["one", "module::two"]),
            ["--exact", "--skip", "one", "--skip", "module::two"]
        );
        // This very binary: all but one of the tests that lie in this module, listed.
        let executable = std::env::current_exe().unwrap();
        let skipped = "run::tests::verdicts_are_taken_from_the_output";
        let mut arguments = all_but(&[skipped]);
        arguments.push("--list");
        let directory =
            std::env::temp_dir().join(format!("conformance-skip-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let (listing, status) = output_of(&executable, &directory, &arguments, TEST_LIMIT).unwrap();
        fs::remove_dir_all(&directory).unwrap();
        let names = names_in(&listing, status).unwrap();
        assert!(names.contains(&"run::tests::tests_are_taken_from_the_listing".to_owned()));
        assert!(!names.contains(&skipped.to_owned()));
    }

    #[test]
    fn verdicts_are_taken_from_the_output() {
        let text = "test one ... ok\ntest two - should panic ... ok\ntest three ... ignored, slow\n\
                    test four ... FAILED\n";
        assert_eq!(verdict_in(text, "one"), Some(Verdict::Passed));
        assert_eq!(verdict_in(text, "two"), Some(Verdict::Passed));
        assert_eq!(verdict_in(text, "three"), Some(Verdict::Ignored));
        assert_eq!(verdict_in(text, "four"), Some(Verdict::Failed));
        assert_eq!(verdict_in(text, "fo"), None);
    }
}
