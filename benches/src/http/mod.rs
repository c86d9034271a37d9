//! HTTP under wrk: a hello and a file of 4 KiB, oneloop beside hyper on tokio, Go and nginx.
//!
//! Place: called by the program that compares; starts `servers` and `peers` in processes of their
//! own, drives them with `wrk`.
//!
//! ```text
//!   a round: each server in turn, alone on core 0, 100 connections
//!     first   wrk on core 1, one thread        requests/s, p99, processor time of the server
//!     then    wrk on both cores, two threads   processor time of the server, with a backlog
//! ```
//!
//! One core of wrk is about as slow as a server that says hello. A server that is faster waits for
//! it after every few requests, and what it does meanwhile, sleep or look, is in its processor time.
//! With wrk on both cores it has a backlog always, and only the requests count.
//!
//! Servers take turns, so what the machine does to one round it does to all of them. A program that
//! is not there (wrk, nginx, go, the example `httpd`) costs its rows and a line that says so; so does
//! a server that fails, which is a failure of the run.

mod peers;
mod processes;
mod servers;
mod wrk;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;

use self::peers::Folder;
use self::processes::{ServerProcess, ask};
use self::wrk::Place;
use crate::report::{Samples, Table, ratio};
use crate::turns::take_turns;

/// What to measure.
#[derive(Debug, Clone, Copy)]
pub struct Options {
    /// Turns of each server.
    pub rounds: usize,
    /// One round of one second: to see that everything works.
    pub is_quick: bool,
}

/// What was measured.
#[derive(Debug, Default)]
pub struct Report {
    /// One for each thing that is asked for.
    pub tables: Vec<Table>,
    /// A line for each server that is not there.
    pub skipped: Vec<String>,
    /// A line for each server that is there and failed: it is in no table.
    pub failed: Vec<String>,
    /// The goals that could be looked at.
    pub goals: Vec<Goal>,
}

/// A ratio that is promised.
#[derive(Debug, Clone)]
pub struct Goal {
    /// What the ratio is of.
    pub name: String,
    /// The ratio of the medians.
    pub ratio: f64,
    /// The promise in words, as `at most 1.00`.
    pub promise: String,
    /// Whether it is kept.
    pub is_met: bool,
}

/// Runs all servers that are there. `program` is one that answers `http NAME` by calling [`serve`].
///
/// # Errors
///
/// The folder that is served cannot be made. A server that fails is in [`Report::failed`].
pub fn run(program: &Path, options: &Options) -> io::Result<Report> {
    let mut report = Report::default();
    if !is_there("wrk", "--version") {
        report.skipped.push("http: skipped, no wrk".to_owned());
        return Ok(report);
    }
    let folder = Folder::new()?;
    let mut contenders = start(program, &folder, &mut report);
    let (rounds, seconds) = match options.is_quick {
        true => (1, 1),
        false => (options.rounds, SLICE_SECONDS),
    };
    keep(&mut contenders, 0, &mut report.failed, |contender| {
        contender.check()?;
        // Memory is there afterwards, and the files are open.
        contender.slice(Place::SecondCore, 1).map(drop)
    });
    for round in 0..rounds {
        keep(&mut contenders, round, &mut report.failed, |contender| {
            contender.measure(seconds)
        });
    }
    report.tables = vec![
        table(&contenders, "hello", NGINX_RETURN),
        table(&contenders, "4 KiB file", NGINX_FILE),
    ];
    report.goals = goals(&contenders);
    Ok(report)
}

/// The child's side of [`run`]: serves for ever.
///
/// # Errors
///
/// No server has this name; those of the server.
pub fn serve(name: &str, announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
    match name {
        "oneloop" => servers::run_oneloop(announce),
        "tokio" => servers::run_tokio(announce),
        _ => Err(io::Error::other(format!("no HTTP server is called {name}"))),
    }
}

/// A server and something to ask it for.
#[derive(Debug)]
struct Contender {
    name: &'static str,
    /// The table that it is in.
    what: &'static str,
    path: &'static str,
    process: Rc<ServerProcess>,
    requests_per_second: Samples,
    cpu_us: Samples,
    p99_ms: Samples,
    backlog_cpu_us: Samples,
}

impl Contender {
    /// Fails unless the answer is the one that all servers are to give.
    fn check(&self) -> io::Result<()> {
        let expected = match self.what {
            "hello" => HELLO.as_bytes().to_vec(),
            _ => peers::file(),
        };
        let (status, body) = ask(self.process.address(), self.path)?;
        if status != "HTTP/1.1 200 OK" || body != expected {
            let problem = format!("{} answers {status:?}, {} bytes", self.name, body.len());
            return Err(io::Error::other(problem));
        }
        Ok(())
    }

    /// What wrk found, and the processor time of the server for each request, in microseconds.
    fn slice(&self, place: Place, seconds: u64) -> io::Result<(wrk::Slice, f64)> {
        let before = self.process.cpu_times()?;
        let slice = wrk::run(self.process.address(), self.path, place, seconds)?;
        let used = self.process.cpu_times()?.since(&before);
        Ok((slice, used.as_secs_f64() * 1e6 / slice.requests as f64))
    }

    fn measure(&mut self, seconds: u64) -> io::Result<()> {
        let (slice, cpu_us) = self.slice(Place::SecondCore, seconds)?;
        self.requests_per_second.push(slice.requests_per_second);
        self.p99_ms.push(slice.p99.as_secs_f64() * 1e3);
        self.cpu_us.push(cpu_us);
        let (_, cpu_us) = self.slice(Place::BothCores, seconds)?;
        self.backlog_cpu_us.push(cpu_us);
        Ok(())
    }
}

/// Lets each one act, in the order of the turn; those that fail are out, with a line that says so.
fn keep(
    contenders: &mut Vec<Contender>,
    turn: usize,
    failed: &mut Vec<String>,
    act: impl FnMut(&mut Contender) -> io::Result<()>,
) {
    take_turns(contenders, turn, act, |out, error| {
        failed.push(failure(out.name, out.what, &error));
    });
}

/// In one line, though wrk's report has several.
fn failure(name: &str, what: &str, error: &io::Error) -> String {
    let error = error.to_string();
    let words: Vec<_> = error.split_whitespace().collect();
    format!("http: {name}, {what}: {}", words.join(" "))
}

/// Starts what is there, and says what is not and what does not start.
fn start(program: &Path, folder: &Folder, report: &mut Report) -> Vec<Contender> {
    let mut contenders = Vec::new();
    let failed = &mut report.failed;
    let mut add = |started, asked: &[Asked]| admit(&mut contenders, failed, started, asked);
    for (name, row) in [("oneloop", HYPER_ONELOOP), ("tokio", HYPER_TOKIO)] {
        let mut hyper = Command::new(program);
        let process = ServerProcess::start(hyper.args(["http", name]));
        add(process, &[(row, "hello", "/")]);
    }
    match peers::httpd(folder, FILE_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let how = "cargo build --release --example httpd";
            let line = format!("http: httpd skipped, not built: {how}");
            report.skipped.push(line);
        }
        kept => {
            let asked = [
                (HTTPD, "hello", "/hello"),
                (HTTPD_MEMORY, "4 KiB file", "/file"),
            ];
            add(kept, &asked);
            let sent = peers::httpd(folder, 0);
            add(sent, &[(HTTPD_SENDFILE, "4 KiB file", "/file")]);
        }
    }
    if is_there("nginx", "-v") {
        let asked = [
            (NGINX_RETURN, "hello", "/return"),
            (NGINX_FILE, "4 KiB file", "/file"),
        ];
        add(peers::nginx(folder), &asked);
    } else {
        let line = "http: nginx skipped, not installed";
        report.skipped.push(line.to_owned());
    }
    if is_there("go", "version") {
        add(peers::go(folder), &[(GO, "hello", "/")]);
    } else {
        let line = "http: Go skipped, not installed";
        report.skipped.push(line.to_owned());
    }
    contenders
}

/// One that does not start costs its rows.
fn admit(
    contenders: &mut Vec<Contender>,
    failed: &mut Vec<String>,
    started: io::Result<ServerProcess>,
    asked: &[Asked],
) {
    match started {
        Ok(process) => contenders.extend(asked_for(process, asked)),
        Err(error) => {
            let rows = asked.iter();
            failed.extend(rows.map(|&(name, what, _)| failure(name, what, &error)));
        }
    }
}

/// A contender for each thing that a process is asked for.
fn asked_for(process: ServerProcess, asked: &[Asked]) -> impl Iterator<Item = Contender> {
    let process = Rc::new(process);
    asked.iter().map(move |&(name, what, path)| Contender {
        name,
        what,
        path,
        process: Rc::clone(&process),
        requests_per_second: Samples::default(),
        cpu_us: Samples::default(),
        p99_ms: Samples::default(),
        backlog_cpu_us: Samples::default(),
    })
}

/// Whether a program can be started.
fn is_there(program: &str, harmless: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(harmless).stdin(Stdio::null());
    let started = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    started.is_ok()
}

/// All that were asked for the same, with ratios to one of them.
fn table(contenders: &[Contender], what: &str, against: &str) -> Table {
    let mut table = Table::new(&[
        "server",
        "asked for",
        "requests/s",
        "p99 ms",
        "CPU us/request",
        "with a backlog",
        &format!("requests/s over {against}"),
        "CPU",
        "with a backlog",
        "its spread %",
    ]);
    let against = find(contenders, against, what);
    for own in contenders.iter().filter(|own| own.what == what) {
        let over = |part: Part| match against {
            Some(against) => ratio(Some(part(own)), part(against)),
            None => String::new(),
        };
        table.row(&[
            own.name.to_owned(),
            what.to_owned(),
            format!("{:.0}", own.requests_per_second.median()),
            format!("{:.2}", own.p99_ms.median()),
            format!("{:.2}", own.cpu_us.median()),
            format!("{:.2}", own.backlog_cpu_us.median()),
            over(|it| &it.requests_per_second),
            over(|it| &it.cpu_us),
            over(|it| &it.backlog_cpu_us),
            format!("{:.1}", own.backlog_cpu_us.spread_percent()),
        ]);
    }
    table
}

fn find<'a>(contenders: &'a [Contender], name: &str, what: &str) -> Option<&'a Contender> {
    let mut all = contenders.iter();
    all.find(|own| own.name == name && own.what == what)
}

/// The promises, for the servers that are there.
fn goals(contenders: &[Contender]) -> Vec<Goal> {
    let ratio = |what, part: Part, ours, theirs| {
        let (ours, theirs) = find(contenders, ours, what).zip(find(contenders, theirs, what))?;
        Some(part(ours).median() / part(theirs).median())
    };
    let mut goals = Vec::new();
    for ours in [HYPER_ONELOOP, HTTPD] {
        for (theirs, max) in [(HYPER_TOKIO, 1.0), (NGINX_RETURN, 1.0), (GO, 0.5)] {
            goals.extend(
                ratio("hello", |it| &it.backlog_cpu_us, ours, theirs).map(|ratio| Goal {
                    name: format!("HTTP hello, CPU per request with a backlog, {ours} / {theirs}"),
                    ratio,
                    promise: format!("at most {max:.2}"),
                    is_met: ratio <= max,
                }),
            );
        }
    }
    let rates = [
        ("4 KiB file", HTTPD_MEMORY, NGINX_FILE, 1.4),
        ("4 KiB file", HTTPD_SENDFILE, NGINX_FILE, 1.0),
        ("hello", HYPER_ONELOOP, GO, 2.0),
        ("hello", HTTPD, GO, 2.0),
    ];
    for (what, ours, theirs, min) in rates {
        goals.extend(
            ratio(what, |it| &it.requests_per_second, ours, theirs).map(|ratio| Goal {
                name: format!("HTTP {what}, requests/s, {ours} / {theirs}"),
                ratio,
                promise: format!("at least {min:.2}"),
                is_met: ratio >= min,
            }),
        );
    }
    goals
}

/// The row of a server, its table, and the path that it is asked for.
type Asked = (&'static str, &'static str, &'static str);
/// One of a contender's figures.
type Part = fn(&Contender) -> &Samples;

const HYPER_ONELOOP: &str = "hyper on oneloop";
const HYPER_TOKIO: &str = "hyper on tokio current_thread";
const HTTPD: &str = "oneloop httpd";
/// It keeps files of this size: no file is opened for a request.
const HTTPD_MEMORY: &str = "oneloop httpd, from memory";
const HTTPD_SENDFILE: &str = "oneloop httpd, sendfile";
const NGINX_RETURN: &str = "nginx return";
const NGINX_FILE: &str = "nginx file";
const GO: &str = "Go net/http";

/// What a hello is answered with.
const HELLO: &str = "hello, world\n";
/// Bytes of the file.
const FILE_BYTES: usize = 4096;
/// How long a server's turn is in a round.
const SLICE_SECONDS: u64 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    /// It says that it listens, and ends with its input.
    fn contenders(asked: &[Asked]) -> Vec<Contender> {
        let script = "echo 127.0.0.1:1; cat";
        let process = ServerProcess::start(Command::new("sh").args(["-c", script])).unwrap();
        let mut all: Vec<_> = asked_for(process, asked).collect();
        for contender in &mut all {
            contender.requests_per_second.push(1.0);
            contender.backlog_cpu_us.push(1.0);
        }
        all
    }

    #[test]
    fn one_that_fails_is_out_of_its_table_and_the_others_stay() {
        let mut all = contenders(&[(HTTPD, "hello", "/"), (GO, "hello", "/"), (GO, "b", "/")]);
        let mut failed = Vec::new();
        keep(&mut all, 0, &mut failed, |contender| {
            match (contender.name, contender.what) {
                (GO, "hello") => Err(io::Error::other("wrk at b:\n  Socket errors: 1\n")),
                _ => Ok(()),
            }
        });
        let line = "http: Go net/http, hello: wrk at b: Socket errors: 1";
        assert_eq!(failed, [line]);
        assert_eq!(all.len(), 2);
        let table = table(&all, "hello", NGINX_RETURN);
        assert!(table.as_str().contains(HTTPD) && !table.as_str().contains(GO));
    }

    #[test]
    fn a_server_that_does_not_listen_costs_its_rows() {
        let asked = [(GO, "hello", "/"), (GO, "4 KiB file", "/file")];
        let mut all = contenders(&[(HTTPD, "hello", "/")]);
        let mut failed = Vec::new();
        // It ends without a word.
        let started = ServerProcess::start(&mut Command::new("true"));
        admit(&mut all, &mut failed, started, &asked);
        assert_eq!(all.len(), 1);
        let lines = asked
            .map(|(name, what, _)| format!("http: {name}, {what}: \"true\" does not listen: \"\""));
        assert_eq!(failed, lines);
    }

    #[test]
    fn the_goal_of_the_file_in_memory_says_so() {
        let all = contenders(&[
            (HTTPD_MEMORY, "4 KiB file", "/"),
            (NGINX_FILE, "4 KiB file", "/"),
        ]);
        let goals = goals(&all);
        let [goal] = &goals[..] else {
            panic!("{goals:?}");
        };
        let name = "HTTP 4 KiB file, requests/s, oneloop httpd, from memory / nginx file";
        assert_eq!((goal.name.as_str(), goal.is_met), (name, false));
    }
}
