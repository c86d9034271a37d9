//! What the server examples share: options, the histogram of latencies, and a client that drives
//! an echo server.

#![allow(dead_code, reason = "each example uses a part of this")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "examples talk to a person"
)]

pub(crate) mod drive;
pub(crate) mod histogram;
pub(crate) mod relay;
pub(crate) mod stop;

use std::net::SocketAddr;
use std::process::exit;
use std::time::Duration;

use oneloop::runtime::{Builder, Runtime};

/// Options of a server example.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    /// Where to listen.
    pub(crate) addr: SocketAddr,
    /// Loops of the runtime; one for each core unless given.
    pub(crate) loops: Option<usize>,
    /// Drive the server for this long, report, and end.
    pub(crate) bench: Option<Duration>,
    /// Connections of the drive.
    pub(crate) connections: usize,
    /// Bytes of one message of the drive.
    pub(crate) size: usize,
    /// Read into buffers of the loop instead of one for each connection.
    pub(crate) leases: bool,
}

impl Options {
    /// The process's arguments. Prints the usage and ends the process if they cannot be used.
    pub(crate) fn from_arguments(name: &str, port: u16) -> Self {
        let mut options = Self {
            addr: SocketAddr::from(([127, 0, 0, 1], port)),
            loops: None,
            bench: None,
            connections: 100,
            size: 64,
            leases: false,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(flag) = arguments.next() {
            if flag == "--help" || flag == "-h" {
                println!("{}", usage(name, port));
                exit(0);
            }
            if flag == "--leases" {
                options.leases = true;
                continue;
            }
            let value = arguments.next().unwrap_or_default();
            if let Err(problem) = options.set(&flag, &value) {
                eprintln!("{name}: {problem}\n{}", usage(name, port));
                exit(2);
            }
        }
        options
    }

    fn set(&mut self, flag: &str, value: &str) -> Result<(), String> {
        match flag {
            "--addr" => {
                let parsed = value.parse();
                self.addr = parsed.map_err(|_| format!("--addr: {value:?} is no IP:PORT"))?;
            }
            "--loops" => self.loops = Some(number(flag, value)?),
            "--bench" => self.bench = Some(Duration::from_secs(number(flag, value)? as u64)),
            "--connections" => self.connections = number(flag, value)?,
            "--size" => self.size = number(flag, value)?,
            _ => return Err(format!("unknown option {flag:?}")),
        }
        Ok(())
    }

    /// A multi-thread runtime with the loops asked for.
    pub(crate) fn runtime(&self) -> Runtime {
        let mut builder = Builder::new_multi_thread();
        if let Some(loops) = self.loops {
            builder.worker_threads(loops);
        }
        match builder.build() {
            Ok(runtime) => runtime,
            Err(error) => fail(&format!("the runtime cannot be started: {error}")),
        }
    }
}

/// Ends the process with a message.
pub(crate) fn fail(problem: &str) -> ! {
    eprintln!("{problem}");
    exit(1)
}

fn number(flag: &str, value: &str) -> Result<usize, String> {
    let parsed = value.parse().ok().filter(|&number| number > 0);
    parsed.ok_or_else(|| format!("{flag}: {value:?} is no number above 0"))
}

fn usage(name: &str, port: u16) -> String {
    format!(
        "usage: {name} [--addr 127.0.0.1:{port}] [--loops N] [--leases] \
         [--bench SECONDS [--connections N] [--size BYTES]]"
    )
}
