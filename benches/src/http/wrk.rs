//! wrk: the load generator that is not ours, and what it prints.
//!
//! Place: called by the module above once for each slice of a round.

use std::io;
use std::net::SocketAddr;
use std::process::{Command, Stdio};
use std::time::Duration;

use super::CONNECTIONS;
use super::processes::spawn_pinned;
use crate::child::LOAD_CORE;
use crate::process::children_cpu_time;

/// What one run of wrk found.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slice {
    pub(super) requests: u64,
    pub(super) requests_per_second: f64,
    pub(super) p99: Duration,
    /// Processor time of wrk itself.
    pub(super) cpu: Duration,
}

/// Where wrk runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// One thread on the second core, which the server does not use.
    SecondCore,
    /// Two threads on both cores: requests always wait for the server.
    BothCores,
}

/// Drives a server for whole seconds.
pub(super) fn run(
    address: SocketAddr,
    path: &str,
    place: Place,
    seconds: u64,
) -> io::Result<Slice> {
    let threads = match place {
        Place::SecondCore => "1",
        Place::BothCores => "2",
    };
    let mut wrk = Command::new("wrk");
    wrk.arg("--latency")
        .args(["-t", threads, "-c", &CONNECTIONS.to_string()])
        .args(["-d", &format!("{seconds}s")])
        .arg(format!("http://{address}{path}"))
        .stdin(Stdio::null())
        .stdout(Stdio::piped());
    let cpu_before = children_cpu_time()?;
    let wrk = match place {
        Place::SecondCore => spawn_pinned(&mut wrk, LOAD_CORE)?,
        Place::BothCores => wrk.spawn()?,
    };
    let output = wrk.wait_with_output()?;
    let cpu = children_cpu_time()?.saturating_sub(cpu_before);
    let report = String::from_utf8_lossy(&output.stdout);
    parse(&report, cpu)
        .ok_or_else(|| io::Error::other(format!("wrk at {address}{path}:\n{report}")))
}

/// Nothing if a request has failed or none was answered, or the report is another one than wrk 4's.
fn parse(report: &str, cpu: Duration) -> Option<Slice> {
    // Lines that are there only if there is something to report.
    if report.contains("Socket errors") || report.contains("Non-2xx") {
        return None;
    }
    let after = |label: &str| {
        let lines = report.lines().map(str::trim);
        lines.filter_map(|line| line.strip_prefix(label)).next()
    };
    let requests = report.lines().find(|line| line.contains("requests in"))?;
    let requests = requests.split_whitespace().next()?.parse().ok()?;
    // A slice is shorter than wrk waits for an answer: a server that hangs shows here only.
    if requests == 0 {
        return None;
    }
    Some(Slice {
        requests,
        requests_per_second: after("Requests/sec:")?.trim().parse().ok()?,
        p99: duration(after("99%")?.trim())?,
        cpu,
    })
}

/// A time as wrk writes it: `461.00us`, `1.33ms`, `1.00s`.
fn duration(text: &str) -> Option<Duration> {
    let unit = text.trim_start_matches(|it: char| it.is_ascii_digit() || it == '.');
    let number: f64 = text.strip_suffix(unit)?.parse().ok()?;
    let seconds = match unit {
        "us" => number / 1e6,
        "ms" => number / 1e3,
        "s" => number,
        _ => return None,
    };
    Duration::try_from_secs_f64(seconds).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CPU: Duration = Duration::from_millis(1980);
    const REPORT: &str = "\
Running 2s test @ http://127.0.0.1:8080/
  1 threads and 100 connections
  Thread Stats   Avg      Stdev     Max   +/- Stdev
    Latency   473.33us   65.10us   2.41ms   93.33%
  Latency Distribution
     50%  461.00us
     99%    1.33ms
  419512 requests in 2.00s, 52.01MB read
Requests/sec: 209683.15
Transfer/sec:     26.00MB
";

    #[test]
    fn a_report_is_read() {
        let slice = Slice {
            requests: 419_512,
            requests_per_second: 209_683.15,
            p99: Duration::from_micros(1330),
            cpu: CPU,
        };
        assert_eq!(parse(REPORT, CPU), Some(slice));
    }

    #[test]
    fn a_report_of_errors_is_no_figure() {
        for report in [
            format!("{REPORT}  Socket errors: read 1\n"),
            format!("{REPORT}  Non-2xx or 3xx responses: 7\n"),
            REPORT.replace("419512", "0"),
            "unable to connect".to_owned(),
        ] {
            assert_eq!(parse(&report, CPU), None);
        }
    }

    #[test]
    fn durations_have_units() {
        assert_eq!(duration("461.00us"), Some(Duration::from_micros(461)));
        assert_eq!(duration("1.00s"), Some(Duration::from_secs(1)));
        assert_eq!(duration("3h"), None);
    }
}
