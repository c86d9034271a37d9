//! HTTP: a hello and a file of 4 KiB, oneloop beside hyper on tokio, Go and nginx, under wrk and
//! under a generator of our own.
//!
//! Place: called by the program that compares; starts `servers` and `peers` in processes of their
//! own, drives them with `wrk` and with [`load`](crate::load).
//!
//! ```text
//!   a round: all servers take turns under each generator, each alone on core 0, 100 connections
//!     wrk on core 1, one thread        requests/s, p99, processor time of the server
//!     wrk on both cores, two threads   processor time of the server, with a backlog
//!     our own on core 1, four turns    all of it
//! ```
//!
//! # Why it is so
//! wrk is the client that is not ours. But one core of it is about as slow as a server that says
//! hello. A server that is faster waits for it after every few requests: its requests are wrk's, and
//! what it does meanwhile, sleep or look, is in its processor time. With wrk on both cores it has a
//! backlog always, and only its processor time counts. Our own generator is cheap enough that one core
//! of it keeps a server busy.
//!
//! Servers take turns, so what the machine does to one round it does to all of them. A program that
//! is not there (wrk, nginx, go, the example `httpd`) costs its rows and a line that says so; so does
//! a server that fails, which is a failure of the run.

mod contender;
mod peers;
mod processes;
mod servers;
mod summary;
mod wrk;

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::rc::Rc;
use std::time::Duration;

use self::contender::{Contender, Generator, Resource};
use self::peers::Folder;
use self::processes::ServerProcess;
use crate::load::{Http, Load};
use crate::report::Table;
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
    /// One for each generator.
    pub sections: Vec<Section>,
    /// A line for each server that is not there.
    pub skipped: Vec<String>,
    /// A line for each server that is there and failed: it is in no table.
    pub failed: Vec<String>,
    /// The goals that could be looked at.
    pub goals: Vec<Goal>,
}

/// What was found under one generator.
#[derive(Debug, Clone)]
pub struct Section {
    /// The generator in words.
    pub title: &'static str,
    /// How it was measured.
    pub about: &'static str,
    /// One for each thing that is asked for.
    pub tables: Vec<Table>,
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

/// Runs all servers that are there. `program` is one that answers `http NAME` by calling [`serve`],
/// and `get ADDRESS PATH WHAT` by calling [`load`].
///
/// # Errors
///
/// The folder that is served cannot be made. A server that fails is in [`Report::failed`].
pub fn run(program: &Path, options: &Options) -> io::Result<Report> {
    let mut report = Report::default();
    let generators = Generator::present();
    if !generators.contains(&Generator::Wrk) {
        let line = "http: wrk skipped, not installed";
        report.skipped.push(line.to_owned());
    }
    let folder = Folder::new()?;
    let mut contenders = start(program, &folder, &mut report);
    let failed = &mut report.failed;
    keep(&mut contenders, 0, failed, |contender| {
        contender.check()?;
        // Memory is there afterwards, and the files are open.
        contender.warm_up(program, WARM_UP)
    });
    for round in 0..options.rounds {
        for &generator in &generators {
            let (turns, time) = generator.turns(options.is_quick);
            for turn in 0..turns {
                keep(&mut contenders, round * turns + turn, failed, |contender| {
                    contender.measure(generator, program, time)
                });
            }
        }
    }
    report.sections = summary::sections(&contenders);
    report.goals = summary::goals(&contenders);
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

/// The child's side of a generator of our own: connections that will ask for a path, and what has
/// to come back by its name in the report.
///
/// # Errors
///
/// Nothing has this name; those of [`Load::get`].
pub fn load(address: SocketAddr, path: &str, what: &str) -> io::Result<Load<Http>> {
    let resource = Resource::from_name(what);
    let resource = resource.ok_or_else(|| io::Error::other(format!("there is no {what}")))?;
    Load::get(address, path, resource.body(), CONNECTIONS)
}

/// Lets each one act, in the order of the turn; those that fail are out, with a line that says so.
fn keep(
    contenders: &mut Vec<Contender>,
    turn: usize,
    failed: &mut Vec<String>,
    act: impl FnMut(&mut Contender) -> io::Result<()>,
) {
    take_turns(contenders, turn, act, |out, error| {
        failed.push(failure(out.name, out.resource, &error));
    });
}

/// In one line, though wrk's report has several.
fn failure(name: &str, resource: Resource, error: &io::Error) -> String {
    let error = error.to_string();
    let words: Vec<_> = error.split_whitespace().collect();
    let (what, words) = (resource.name(), words.join(" "));
    format!("http: {name}, {what}: {words}")
}

/// Starts what is there, and says what is not and what does not start.
fn start(program: &Path, folder: &Folder, report: &mut Report) -> Vec<Contender> {
    let mut contenders = Vec::new();
    let failed = &mut report.failed;
    let mut add = |started, asked: &[Asked]| admit(&mut contenders, failed, started, asked);
    for (name, row) in [("oneloop", HYPER_ONELOOP), ("tokio", HYPER_TOKIO)] {
        let mut hyper = Command::new(program);
        let process = ServerProcess::start(hyper.args(["http", name]));
        add(process, &[(row, Resource::Hello, "/")]);
    }
    match peers::httpd(folder, FILE_BYTES) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let how = "cargo build --release --example httpd";
            let line = format!("http: httpd skipped, not built: {how}");
            report.skipped.push(line);
        }
        kept => {
            let asked = [
                (HTTPD, Resource::Hello, "/hello"),
                (HTTPD_MEMORY, Resource::File, "/file"),
            ];
            add(kept, &asked);
            let sent = peers::httpd(folder, 0);
            add(sent, &[(HTTPD_SENDFILE, Resource::File, "/file")]);
        }
    }
    if is_there("nginx", "-v") {
        let asked = [
            (NGINX_RETURN, Resource::Hello, "/return"),
            (NGINX_FILE, Resource::File, "/file"),
        ];
        add(peers::nginx(folder), &asked);
    } else {
        let line = "http: nginx skipped, not installed";
        report.skipped.push(line.to_owned());
    }
    if is_there("go", "version") {
        add(peers::go(folder), &[(GO, Resource::Hello, "/")]);
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
            failed.extend(rows.map(|&(name, resource, _)| failure(name, resource, &error)));
        }
    }
}

/// A contender for each thing that a process is asked for.
fn asked_for(process: ServerProcess, asked: &[Asked]) -> impl Iterator<Item = Contender> {
    let process = Rc::new(process);
    let contender = move |&(name, resource, path): &Asked| {
        Contender::new(name, resource, path, Rc::clone(&process))
    };
    asked.iter().map(contender)
}

/// Whether a program can be started.
fn is_there(program: &str, harmless: &str) -> bool {
    let mut command = Command::new(program);
    command.arg(harmless).stdin(Stdio::null());
    let started = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    started.is_ok()
}

/// The row of a server, what it is asked for, and by which path.
type Asked = (&'static str, Resource, &'static str);

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
/// Connections of each generator, one request in flight on each.
const CONNECTIONS: usize = 100;
const WARM_UP: Duration = Duration::from_millis(500);

#[cfg(test)]
mod tests {
    use super::*;
    use crate::contest::Metric;

    /// It says that it listens, and ends with its input.
    fn contenders(asked: &[Asked]) -> Vec<Contender> {
        let script = "echo 127.0.0.1:1; cat";
        let process = ServerProcess::start(Command::new("sh").args(["-c", script])).unwrap();
        let mut all: Vec<_> = asked_for(process, asked).collect();
        for contender in &mut all {
            for generator in Generator::ALL {
                let figures = contender.under_mut(generator);
                figures.push(Metric::RequestsPerSecond, 1.0);
                figures.push(Metric::CpuMicros, 1.0);
            }
        }
        all
    }

    /// Of the section of a generator, all tables.
    fn text(section: &Section) -> String {
        section.tables.iter().map(Table::as_str).collect()
    }

    #[test]
    fn one_that_fails_is_out_of_all_tables_and_the_others_stay() {
        let mut all = contenders(&[
            (HTTPD, Resource::Hello, "/"),
            (GO, Resource::Hello, "/"),
            (GO, Resource::File, "/"),
        ]);
        let mut failed = Vec::new();
        keep(&mut all, 0, &mut failed, |contender| {
            match (contender.name, contender.resource) {
                (GO, Resource::Hello) => Err(io::Error::other("wrk at b:\n  Socket errors: 1\n")),
                _ => Ok(()),
            }
        });
        let line = "http: Go net/http, hello: wrk at b: Socket errors: 1";
        assert_eq!(failed, [line]);
        assert_eq!(all.len(), 2);
        let sections = summary::sections(&all);
        assert_eq!(sections.len(), 2);
        for section in sections {
            let text = text(&section);
            assert!(text.contains(&format!("| {HTTPD} | hello | 1 |")), "{text}");
            assert!(
                text.contains(&format!("| {GO} | 4 KiB file | 1 |")),
                "{text}"
            );
            assert!(!text.contains(&format!("| {GO} | hello |")), "{text}");
        }
    }

    #[test]
    fn a_server_that_does_not_listen_costs_its_rows() {
        let asked = [(GO, Resource::Hello, "/"), (GO, Resource::File, "/file")];
        let mut all = contenders(&[(HTTPD, Resource::Hello, "/")]);
        let mut failed = Vec::new();
        // It ends without a word.
        let started = ServerProcess::start(&mut Command::new("true"));
        admit(&mut all, &mut failed, started, &asked);
        assert_eq!(all.len(), 1);
        let problem = "\"true\" does not listen: \"\"";
        let lines = ["hello", "4 KiB file"].map(|what| format!("http: {GO}, {what}: {problem}"));
        assert_eq!(failed, lines);
    }

    #[test]
    fn a_goal_has_a_row_for_each_generator() {
        let mut all = contenders(&[
            (HTTPD_MEMORY, Resource::File, "/"),
            (NGINX_FILE, Resource::File, "/"),
        ]);
        for figure in [1.5, 1.5] {
            let own = all[0].under_mut(Generator::Own);
            own.push(Metric::RequestsPerSecond, figure);
        }
        let goals = summary::goals(&all);
        let goals: Vec<_> = goals.iter().map(|it| (&*it.name, it.is_met)).collect();
        let name = |under| {
            format!("HTTP 4 KiB file, requests/s {under}, oneloop httpd, from memory / nginx file")
        };
        let (wrk, own) = (name("under wrk"), name("under our own"));
        assert_eq!(goals, [(&*wrk, false), (&*own, true)]);
    }

    #[test]
    fn without_wrk_there_is_one_section_and_no_goal_of_wrk() {
        let process =
            ServerProcess::start(Command::new("sh").args(["-c", "echo 127.0.0.1:1; cat"]));
        let asked = [(HTTPD, Resource::Hello, "/"), (GO, Resource::Hello, "/")];
        let mut all: Vec<_> = asked_for(process.unwrap(), &asked).collect();
        for contender in &mut all {
            let figures = contender.under_mut(Generator::Own);
            figures.push(Metric::CpuMicros, 1.0);
            figures.push(Metric::RequestsPerSecond, 1.0);
        }
        let sections = summary::sections(&all);
        assert_eq!(sections.len(), 1);
        assert_eq!(sections[0].title, "under a generator of our own");
        let goals = summary::goals(&all);
        assert_eq!(goals.len(), 2);
        assert!(goals.iter().all(|goal| goal.name.contains("under our own")));
    }
}
