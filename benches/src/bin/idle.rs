//! Idle connections: what each costs its server in memory, and what they cost the active ones.
//!
//! ```text
//! idle [--connections N] [--quick]      15,000 unless given
//! ```
//!
//! Two servers of each runtime, in processes of their own: one holds the idle connections, the other
//! none. An idle connection has been served once; it is a task that waits for bytes, without a
//! buffer, and for its idle limit, with a timer. Memory is the growth of the anonymous resident
//! pages of the server's process. The p99 is that of 1 and of 100 connections that ask as fast as
//! they are answered, in windows that take turns between the two servers.
//!
//! Ends with an error if a connection costs oneloop more than 512 bytes, or if the p99 beside the
//! idle ones is more than twice the p99 without them. `--quick` shows the p99 and does not judge it.
//! Nothing else may run beside it.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

use std::env;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::path::Path;
use std::time::Duration;

use oneloop_benches::child::{ServerProcess, run_as_child};
use oneloop_benches::load::{Load, Until};
use oneloop_benches::process::pin;
use oneloop_benches::report::{Samples, Table};
use oneloop_benches::servers::Server;
use rustix::net::{AddressFamily, SocketType, bind, connect, socket};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

fn main() -> io::Result<()> {
    allow_descriptors()?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    if run_as_child(&arguments)? {
        return Ok(());
    }
    let options = Options::parse(&arguments)?;
    // The servers are on the first core.
    pin(CLIENT_CORE)?;
    let ours = measure(Server::OneloopIdle, &options)?;
    let theirs = measure(Server::TokioIdle, &options)?;
    print!("{}", table(&[&ours, &theirs]).as_str());
    println!(
        "memory: {:.2} of {}'s",
        ours.bytes_each / theirs.bytes_each,
        theirs.server.name()
    );
    judge(&ours, &options)
}

struct Options {
    connections: usize,
    is_quick: bool,
}

impl Options {
    fn parse(arguments: &[String]) -> io::Result<Self> {
        let mut this = Self {
            connections: 15_000,
            is_quick: false,
        };
        let mut arguments = arguments.iter();
        while let Some(argument) = arguments.next() {
            match argument.as_str() {
                "--connections" => {
                    let count = arguments.next().and_then(|value| value.parse().ok());
                    let count = count.filter(|&count| count > 0);
                    this.connections =
                        count.ok_or_else(|| invalid("--connections needs a number"))?;
                }
                "--quick" => this.is_quick = true,
                other => return Err(invalid(&format!("there is no option {other}"))),
            }
        }
        Ok(this)
    }
}

fn invalid(message: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, message)
}

/// A process may open as many descriptors as the system lets it.
fn allow_descriptors() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, wanted)?)
}

/// What was found of one runtime.
struct Found {
    server: Server,
    bytes_each: f64,
    latencies: Vec<Latency>,
}

/// The p99 of some active connections, in microseconds.
struct Latency {
    active: usize,
    alone: Samples,
    beside: Samples,
}

impl Latency {
    fn times(&self) -> f64 {
        self.beside.median() / self.alone.median()
    }
}

fn measure(server: Server, options: &Options) -> io::Result<Found> {
    let program = env::current_exe()?;
    let without = start(&program, server)?;
    let with = start(&program, server)?;
    let before = with.resident_bytes()?;
    let mut idle = connect_idle(with.address(), options.connections)?;
    let grown = with.resident_bytes()?.saturating_sub(before);
    let mut latencies = Vec::new();
    for active in ACTIVE {
        latencies.push(latency(active, &without, &with, options)?);
    }
    // All of them are still served.
    idle.iter_mut().try_for_each(exchange)?;
    Ok(Found {
        server,
        bytes_each: grown as f64 / options.connections as f64,
        latencies,
    })
}

/// A server that has served: what is made at the first use is made.
fn start(program: &Path, server: Server) -> io::Result<ServerProcess> {
    let process = ServerProcess::start(program, server, 0)?;
    Load::connect(process.address(), WARM_UP, MESSAGE_BYTES)?.run(Until::Requests(1_000))?;
    Ok(process)
}

/// Each has been served once before the next comes, so that none waits in the kernel's queue.
fn connect_idle(address: SocketAddr, count: usize) -> io::Result<Vec<TcpStream>> {
    let mut connections = Vec::with_capacity(count);
    for index in 0..count {
        let mut connection = connect_from(source(index), address)?;
        exchange(&mut connection)?;
        connections.push(connection);
    }
    Ok(connections)
}

/// One address has ports for twice 15,000 connections at most, and other programs use some.
fn source(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, SOURCES[index % SOURCES.len()])
}

fn connect_from(source: Ipv4Addr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(source, 0))?;
    connect(&socket, &address)?;
    Ok(socket.into())
}

fn exchange(connection: &mut TcpStream) -> io::Result<()> {
    connection.write_all(b"?")?;
    connection.read_exact(&mut [0])
}

/// Windows that take turns: what disturbs the machine for longer disturbs both.
fn latency(
    active: usize,
    without: &ServerProcess,
    with: &ServerProcess,
    options: &Options,
) -> io::Result<Latency> {
    let (rounds, window) = match options.is_quick {
        true => (1, Duration::from_millis(50)),
        false => (ROUNDS, WINDOW),
    };
    let mut alone_load = Load::connect(without.address(), active, MESSAGE_BYTES)?;
    let mut beside_load = Load::connect(with.address(), active, MESSAGE_BYTES)?;
    let (mut alone, mut beside) = (Samples::default(), Samples::default());
    for round in 0..=rounds {
        let p99 = |load: &mut Load, samples: &mut Samples| {
            let outcome = load.run(Until::Elapsed(window))?;
            // The first round warms up.
            if round > 0 {
                samples.push(outcome.p99.as_secs_f64() * 1e6);
            }
            io::Result::Ok(())
        };
        p99(&mut alone_load, &mut alone)?;
        p99(&mut beside_load, &mut beside)?;
    }
    Ok(Latency {
        active,
        alone,
        beside,
    })
}

fn table(found: &[&Found]) -> Table {
    let mut table = Table::new(&[
        "runtime",
        "active",
        "bytes an idle connection",
        "p99 without, us",
        "p99 beside, us",
        "times",
    ]);
    for found in found {
        for latency in &found.latencies {
            table.row(&[
                found.server.name().to_owned(),
                latency.active.to_string(),
                format!("{:.0}", found.bytes_each),
                format!("{:.1}", latency.alone.median()),
                format!("{:.1}", latency.beside.median()),
                format!("{:.2}", latency.times()),
            ]);
        }
    }
    table
}

fn judge(ours: &Found, options: &Options) -> io::Result<()> {
    if ours.bytes_each > BYTES_EACH_MAX {
        return Err(io::Error::other(format!(
            "an idle connection costs more than {BYTES_EACH_MAX} bytes"
        )));
    }
    let slow = |latency: &Latency| latency.times() > TIMES_MAX;
    if !options.is_quick && ours.latencies.iter().any(slow) {
        return Err(io::Error::other("the p99 beside them more than doubled"));
    }
    Ok(())
}

const BYTES_EACH_MAX: f64 = 512.0;
const TIMES_MAX: f64 = 2.0;
const ACTIVE: [usize; 2] = [1, 100];
const WARM_UP: usize = 100;
const MESSAGE_BYTES: usize = 64;
const ROUNDS: usize = 9;
const WINDOW: Duration = Duration::from_millis(400);
const SOURCES: [u8; 8] = [2, 3, 4, 5, 6, 7, 8, 9];
const CLIENT_CORE: usize = 1;
