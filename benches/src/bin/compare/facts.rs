//! Where and with what it was measured.

use std::fs;
use std::process::Command;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use oneloop_benches::report::Table;

/// The machine and the versions.
pub(crate) fn table() -> Table {
    let cores = thread::available_parallelism().map_or(0, usize::from);
    let mut table = Table::with_words(2, &["", ""]);
    let mut row = |name: &str, fact: Option<String>| {
        if let Some(fact) = fact {
            table.row(&[name, &fact]);
        }
    };
    row("date", Some(date(SystemTime::now())));
    row(
        "processor",
        processor().map(|name| format!("{name}, {cores} cores")),
    );
    row("kernel", read_line("/proc/sys/kernel/osrelease"));
    row("compiler", output("rustc", &["--version"]));
    row(
        "oneloop",
        output("git", &["describe", "--always", "--dirty"]),
    );
    row("go", output("go", &["version"]));
    row("peers", Some(peers(LOCK_FILE)));
    table
}

/// `2026-01-31 08:05 UTC`.
fn date(time: SystemTime) -> String {
    let seconds = time
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs());
    let (year, month, day) = civil(seconds / 86_400);
    let minutes = seconds / 60;
    let (hour, minute) = (minutes / 60 % 24, minutes % 60);
    format!("{year}-{month:02}-{day:02} {hour:02}:{minute:02} UTC")
}

/// Year, month and day of a day after 1970-01-01.
fn civil(mut day: u64) -> (u64, u64, u64) {
    let is_leap = |year: u64| {
        year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400))
    };
    let mut year = 1970;
    loop {
        let days = if is_leap(year) { 366 } else { 365 };
        if day < days {
            break;
        }
        day -= days;
        year += 1;
    }
    let february = if is_leap(year) { 29 } else { 28 };
    let months = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let mut month = 1;
    for days in months {
        if day < days {
            break;
        }
        day -= days;
        month += 1;
    }
    (year, month, day + 1)
}

fn processor() -> Option<String> {
    let text = fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
}

fn read_line(path: &str) -> Option<String> {
    Some(fs::read_to_string(path).ok()?.trim().to_owned())
}

/// The first line that a program prints, if it is installed and succeeds.
fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let line = text.lines().next()?.to_owned();
    output.status.success().then_some(line)
}

/// The versions that this program was built with.
fn peers(lock_file: &str) -> String {
    let versions = PEERS.iter().filter_map(|name| {
        let version = locked_version(lock_file, name)?;
        Some(format!("{name} {version}"))
    });
    versions.collect::<Vec<_>>().join(", ")
}

/// The first version of a package.
fn locked_version<'a>(lock_file: &'a str, name: &str) -> Option<&'a str> {
    let wanted = format!("name = \"{name}\"");
    let mut lines = lock_file.lines();
    lines.find(|line| **line == wanted)?;
    lines
        .next()?
        .strip_prefix("version = \"")?
        .strip_suffix('"')
}

const LOCK_FILE: &str = include_str!("../../../../Cargo.lock");
const PEERS: [&str; 8] = [
    "tokio",
    "smol",
    "async-executor",
    "async-io",
    "monoio",
    "glommio",
    "compio",
    "hyper",
];

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn dates() {
        let at = |seconds| date(UNIX_EPOCH + Duration::from_secs(seconds));
        assert_eq!(at(0), "1970-01-01 00:00 UTC");
        assert_eq!(at(951_782_400), "2000-02-29 00:00 UTC");
        assert_eq!(at(951_868_800), "2000-03-01 00:00 UTC");
        assert_eq!(at(1_798_761_599), "2026-12-31 23:59 UTC");
    }

    #[test]
    fn versions_are_those_of_the_lock_file() {
        let lock_file = "[[package]]\nname = \"tokio\"\nversion = \"1.2.3\"\n";
        assert_eq!(peers(lock_file), "tokio 1.2.3");
        assert_eq!(locked_version(lock_file, "toki"), None);
        assert!(peers(LOCK_FILE).starts_with("tokio 1."));
    }
}
