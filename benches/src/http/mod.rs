//! HTTP under wrk: a hello and a file of 4 KiB, oneloop beside hyper on tokio, Go and nginx.
//!
//! Place: called by the program that compares; starts `servers` and `peers` in processes of their
//! own, drives them with `wrk`.
//!
//! ```text
//!   core 0: the servers, one of them busy at a time      core 1: wrk, 1 thread, 100 connections
//!
//!   a round: each server in turn for some seconds; requests/s, processor time of the server, p99
//! ```
//!
//! Servers take turns, so what the machine does to one round it does to all of them. A program that
//! is not there (wrk, nginx, go, the example `httpd`) costs its rows and a line that says so.

mod peers;
mod processes;
mod servers;
mod wrk;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};

use self::peers::Folder;
use self::processes::{ServerProcess, ask};
use crate::report::{Samples, Table, ratio};

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
/// A server or wrk fails, or an answer is wrong.
pub fn run(program: &Path, options: &Options) -> io::Result<Report> {
    let mut report = Report::default();
    if !is_there("wrk", "--version") {
        report.skipped.push("http: skipped, no wrk".to_owned());
        return Ok(report);
    }
    let folder = Folder::new()?;
    let mut contenders = start(program, &folder, &mut report.skipped)?;
    let (rounds, seconds) = match options.is_quick {
        true => (1, 1),
        false => (options.rounds, SLICE_SECONDS),
    };
    for contender in &contenders {
        contender.check()?;
        // Memory is there afterwards, and the files are open.
        contender.slice(1)?;
    }
    for _ in 0..rounds {
        for contender in &mut contenders {
            contender.measure(seconds)?;
        }
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
    process: std::rc::Rc<ServerProcess>,
    requests_per_second: Samples,
    cpu_us: Samples,
    p99_ms: Samples,
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

    fn slice(&self, seconds: u64) -> io::Result<wrk::Slice> {
        wrk::run(self.process.address(), self.path, seconds)
    }

    fn measure(&mut self, seconds: u64) -> io::Result<()> {
        let before = self.process.cpu_time()?;
        let slice = self.slice(seconds)?;
        let used = self.process.cpu_time()? - before;
        self.requests_per_second.push(slice.requests_per_second);
        self.cpu_us
            .push(used.as_secs_f64() * 1e6 / slice.requests as f64);
        self.p99_ms.push(slice.p99.as_secs_f64() * 1e3);
        Ok(())
    }
}

/// Starts what is there, and says what is not.
fn start(program: &Path, folder: &Folder, skipped: &mut Vec<String>) -> io::Result<Vec<Contender>> {
    let mut contenders = Vec::new();
    let mut add = |process: ServerProcess, asked: &[(&'static str, &'static str, &'static str)]| {
        let process = std::rc::Rc::new(process);
        contenders.extend(asked.iter().map(|&(name, what, path)| Contender {
            name,
            what,
            path,
            process: std::rc::Rc::clone(&process),
            requests_per_second: Samples::default(),
            cpu_us: Samples::default(),
            p99_ms: Samples::default(),
        }));
    };
    for (name, row) in [("oneloop", HYPER_ONELOOP), ("tokio", HYPER_TOKIO)] {
        let mut hyper = Command::new(program);
        let process = ServerProcess::start(hyper.args(["http", name]))?;
        add(process, &[(row, "hello", "/")]);
    }
    match peers::httpd(folder, FILE_BYTES) {
        Ok(kept) => {
            add(
                kept,
                &[(HTTPD, "hello", "/hello"), (HTTPD, "4 KiB file", "/file")],
            );
            let sent = peers::httpd(folder, 0)?;
            add(sent, &[(HTTPD_SENDFILE, "4 KiB file", "/file")]);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let how = "cargo build --release --example httpd";
            skipped.push(format!("http: httpd skipped, not built: {how}"));
        }
        Err(error) => return Err(error),
    }
    if is_there("nginx", "-v") {
        let asked = [
            (NGINX_RETURN, "hello", "/return"),
            (NGINX_FILE, "4 KiB file", "/file"),
        ];
        add(peers::nginx(folder)?, &asked);
    } else {
        skipped.push("http: nginx skipped, not installed".to_owned());
    }
    if is_there("go", "version") {
        add(peers::go(folder)?, &[(GO, "hello", "/")]);
    } else {
        skipped.push("http: Go skipped, not installed".to_owned());
    }
    Ok(contenders)
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
        "CPU us/request",
        "p99 ms",
        &format!("requests/s over {against}"),
        &format!("CPU over {against}"),
        "spread of CPU %",
    ]);
    let against = find(contenders, against, what);
    for own in contenders.iter().filter(|own| own.what == what) {
        let over = |part: fn(&Contender) -> &Samples| match against {
            Some(against) => ratio(Some(part(own)), part(against)),
            None => String::new(),
        };
        table.row(&[
            own.name.to_owned(),
            what.to_owned(),
            format!("{:.0}", own.requests_per_second.median()),
            format!("{:.2}", own.cpu_us.median()),
            format!("{:.2}", own.p99_ms.median()),
            over(|it| &it.requests_per_second),
            over(|it| &it.cpu_us),
            format!("{:.1}", own.cpu_us.spread_percent()),
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
    let mut goals = Vec::new();
    let mut cpu_at_most = |ours: &'static str, theirs: &'static str| {
        let (Some(a), Some(b)) = (
            find(contenders, ours, "hello"),
            find(contenders, theirs, "hello"),
        ) else {
            return;
        };
        let ratio = a.cpu_us.median() / b.cpu_us.median();
        goals.push(Goal {
            name: format!("HTTP hello, CPU per request, {ours} over {theirs}"),
            ratio,
            promise: format!("at most {CPU_RATIO_MAX:.2}"),
            is_met: ratio <= CPU_RATIO_MAX,
        });
    };
    for ours in [HYPER_ONELOOP, HTTPD] {
        for theirs in [HYPER_TOKIO, NGINX_RETURN] {
            cpu_at_most(ours, theirs);
        }
    }
    let mut rate_at_least = |ours: &'static str, theirs: &'static str, what, min: f64| {
        let (Some(a), Some(b)) = (find(contenders, ours, what), find(contenders, theirs, what))
        else {
            return;
        };
        let ratio = a.requests_per_second.median() / b.requests_per_second.median();
        goals.push(Goal {
            name: format!("HTTP {what}, requests/s, {ours} over {theirs}"),
            ratio,
            promise: format!("at least {min:.2}"),
            is_met: ratio >= min,
        });
    };
    rate_at_least(HTTPD, NGINX_FILE, "4 KiB file", 1.4);
    rate_at_least(HTTPD_SENDFILE, NGINX_FILE, "4 KiB file", 1.0);
    rate_at_least(HYPER_ONELOOP, GO, "hello", 2.0);
    rate_at_least(HTTPD, GO, "hello", 2.0);
    goals
}

const HYPER_ONELOOP: &str = "hyper on oneloop";
const HYPER_TOKIO: &str = "hyper on tokio current_thread";
const HTTPD: &str = "oneloop httpd";
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
/// A tolerance for ratios of processor time that are promised to be 1.
const CPU_RATIO_MAX: f64 = 1.0;
