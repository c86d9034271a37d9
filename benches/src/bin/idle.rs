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
use std::io;
use std::path::Path;
use std::time::Duration;

use oneloop_benches::child::{Cores, ServerProcess, run_as_child};
use oneloop_benches::idle::{connect_idle, exchange};
use oneloop_benches::load::{Load, Shape, Until};
use oneloop_benches::process::{allow_descriptors, pin};
use oneloop_benches::report::{Samples, Table};
use oneloop_benches::servers::{ServeOptions, Server};

fn main() -> io::Result<()> {
    let arguments: Vec<String> = env::args().skip(1).collect();
    if run_as_child(&arguments)? {
        return Ok(());
    }
    let options = Options::parse(&arguments)?;
    allow_descriptors(options.connections + DESCRIPTORS_BESIDE)?;
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
    let process = ServerProcess::start(program, server, &ServeOptions::new(0), Cores::Apart)?;
    Load::connect(process.address(), shape(WARM_UP))?.run(Until::Requests(1_000))?;
    Ok(process)
}

fn shape(connections: usize) -> Shape {
    Shape {
        connections,
        message_bytes: MESSAGE_BYTES,
        depth: 1,
    }
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
    let mut alone_load = Load::connect(without.address(), shape(active))?;
    let mut beside_load = Load::connect(with.address(), shape(active))?;
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
/// Those of the active connections, of pipes and of the runtime.
const DESCRIPTORS_BESIDE: usize = 500;
const ROUNDS: usize = 9;
const WINDOW: Duration = Duration::from_millis(400);
const CLIENT_CORE: usize = 1;
