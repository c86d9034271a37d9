//! Every server echoes what it is sent, answers for its processor time, and ends with its parent.
//!
//! With the feature `peers` the other runtimes too; what this system does not have is skipped with a
//! line that says why.

#![forbid(unsafe_code)]
#![allow(clippy::print_stderr, reason = "says what is skipped")]

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use oneloop_benches::child::{Cores, ServerProcess};
use oneloop_benches::load::{Load, Shape, Until};
use oneloop_benches::servers::{ServeOptions, Server};

#[test]
fn one_loop_echoes_small_and_large_messages() {
    for server in present() {
        assert_echoes(server, 1, 10, 64, 5_000);
        assert_echoes(server, 1, 10, LARGE_BYTES, 500);
    }
}

#[test]
fn one_loop_echoes_on_a_thousand_connections() {
    for server in present() {
        assert_echoes(server, 1, 1_000, 64, 10_000);
        assert_echoes(server, 1, 1_000, LARGE_BYTES, 3_000);
    }
}

#[test]
fn two_loops_echo() {
    for server in present().filter(|server| server.scales()) {
        assert_echoes(server, 2, 10, 64, 5_000);
        assert_echoes(server, 2, 100, LARGE_BYTES, 500);
    }
}

#[test]
fn every_loop_has_its_listener() {
    let peers = Server::PEERS.into_iter();
    let share_nothing = peers.filter(|server| server.name() != "go" && server.missing().is_none());
    for server in share_nothing.chain([Server::OneloopPerLoop]) {
        let listening = within_deadline(server, move || {
            let options = ServeOptions {
                buffer_bytes: 4096,
                loops: 3,
            };
            let process = start(server, &options)?;
            count_listeners(process.address())
        });
        assert_eq!(listening.unwrap(), 3, "{}", server.name());
    }
}

/// The sockets that listen at an address, from the table of proc(5).
fn count_listeners(address: SocketAddr) -> io::Result<usize> {
    let port = format!(":{:04X}", address.port());
    let is_listener = |line: &&str| {
        let mut columns = line.split_whitespace().skip(1);
        let (local, _remote) = (columns.next(), columns.next());
        local.is_some_and(|local| local.ends_with(&port)) && columns.next() == Some(LISTENS)
    };
    let table = fs::read_to_string("/proc/net/tcp")?;
    Ok(table.lines().filter(is_listener).count())
}

#[test]
fn a_number_of_loops_that_a_server_cannot_have_is_refused() {
    for server in all() {
        let loops = if server.scales() { 0 } else { 2 };
        let options = ServeOptions {
            buffer_bytes: 4096,
            loops,
        };
        let started = within_deadline(server, move || start(server, &options).map(drop));
        assert!(started.is_err(), "{} with {loops} loops", server.name());
    }
}

#[test]
fn every_server_has_a_name_of_its_own() {
    for server in all() {
        assert_eq!(Server::from_name(server.name()), Some(server));
    }
}

fn all() -> impl Iterator<Item = Server> {
    let ours = Server::ALL.into_iter().chain(Server::FORMS);
    ours.chain(Server::IDLE).chain(Server::PEERS)
}

fn present() -> impl Iterator<Item = Server> {
    all().filter(|server| match server.missing() {
        None => true,
        Some(why) => {
            eprintln!("{}: skipped, {why}", server.name());
            false
        }
    })
}

#[track_caller]
fn assert_echoes(
    server: Server,
    loops: usize,
    connections: usize,
    message_bytes: usize,
    requests: u64,
) {
    let options = ServeOptions {
        buffer_bytes: 4096,
        loops,
    };
    let echoed = within_deadline(server, move || {
        let mut process = start(server, &options)?;
        let before = process.cpu_time()?;
        let shape = Shape {
            connections,
            message_bytes,
            depth: 1,
        };
        let mut load = Load::connect(process.address(), shape)?;
        let outcome = load.run(Until::Requests(requests))?;
        let resident_bytes = process.resident_bytes()?;
        Ok((
            outcome.requests,
            process.cpu_time()? - before,
            resident_bytes,
        ))
    });
    let context = format!(
        "{}, {loops} loops, {message_bytes} B x {connections}",
        server.name()
    );
    let (answered, cpu, resident_bytes) =
        echoed.unwrap_or_else(|error| panic!("{context}: {error}"));
    assert_eq!(answered, requests, "{context}");
    // A message costs the kernel a microsecond at the least.
    assert!(cpu > Duration::from_micros(requests), "{context}: {cpu:?}");
    assert!(resident_bytes > 0, "{context}");
}

/// With one loop on the first core, as it is measured.
fn start(server: Server, options: &ServeOptions) -> io::Result<ServerProcess> {
    let cores = match options.loops {
        1 => Cores::Apart,
        _ => Cores::Shared,
    };
    ServerProcess::start(Path::new(PROGRAM), server, options, cores)
}

/// On a thread of its own: a server that hangs fails the test by its name.
#[track_caller]
fn within_deadline<T: Send + 'static>(
    server: Server,
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    let (done, result) = mpsc::channel();
    thread::spawn(move || done.send(work()));
    let result = result.recv_timeout(DEADLINE);
    result.unwrap_or_else(|_| panic!("{} hangs", server.name()))
}

/// Not a multiple of the buffer, so that some reads are short.
const LARGE_BYTES: usize = (64 << 10) - 1;
/// The binary that is also each of the servers.
const PROGRAM: &str = env!("CARGO_BIN_EXE_compare");
/// `TCP_LISTEN` of the kernel.
const LISTENS: &str = "0A";
const DEADLINE: Duration = Duration::from_secs(60);
