//! Servers and load generators in processes of their own.
//!
//! ```text
//!   parent                          child: `<program> serve NAME BYTES LOOPS` or `<program> load ...`
//!     | <---- first line: address, or "connected"
//!     | ----- a line: "cpu", "requests N", "nanoseconds N" ---->
//!     | <---- a line with numbers
//!     | ----- end of input: the child exits ---->
//! ```

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::Duration;

use crate::load::{Load, Outcome, Until};
use crate::process::{cpu_time, pin, resident_bytes};
use crate::servers::{ServeOptions, Server};

/// A process that answers line by line. Dropping it ends the process.
#[derive(Debug)]
struct Child {
    process: process::Child,
    // None only in the drop: its end tells the child to exit.
    input: Option<ChildStdin>,
    output: BufReader<ChildStdout>,
}

impl Child {
    fn start(command: &mut Command) -> io::Result<Self> {
        let mut process = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()?;
        let input = process.stdin.take();
        let output = process.stdout.take().expect("the output is piped");
        Ok(Self {
            process,
            input,
            output: BufReader::new(output),
        })
    }

    fn ask(&mut self, question: &str) -> io::Result<String> {
        let input = self.input.as_mut().expect("open until the drop");
        writeln!(input, "{question}")?;
        self.line()
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        if self.output.read_line(&mut line)? == 0 {
            return Err(io::Error::other("the child process ended: see its message"));
        }
        line.truncate(line.trim_end().len());
        Ok(line)
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.input = None;
        // A child that failed has said so by itself; here it only has to be gone.
        let _ = self.process.wait();
    }
}

/// An echo server in a process of its own. With one loop it is pinned to the first core.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    /// Starts `program` as a server with one loop and waits until it listens.
    ///
    /// # Errors
    ///
    /// The program cannot be started, or the server does not listen.
    pub fn start(program: &Path, server: Server, buffer_bytes: usize) -> io::Result<Self> {
        Self::start_with(program, server, &ServeOptions::new(buffer_bytes))
    }

    /// As [`start`](Self::start), with all options.
    ///
    /// # Errors
    ///
    /// As [`start`](Self::start).
    pub fn start_with(program: &Path, server: Server, options: &ServeOptions) -> io::Result<Self> {
        let numbers = [options.buffer_bytes, options.loops].map(|number| number.to_string());
        let arguments = ["serve", server.name(), &numbers[0], &numbers[1]];
        let mut child = Child::start(Command::new(program).args(arguments))?;
        let address = parse(&child.line()?)?;
        Ok(Self { child, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What it has in memory of its own: anonymous pages, without those of the program's file.
    ///
    /// # Errors
    ///
    /// The process has ended.
    pub fn resident_bytes(&self) -> io::Result<u64> {
        resident_bytes(self.child.process.id())
    }

    /// The processor time that it has used so far.
    ///
    /// # Errors
    ///
    /// The process has ended.
    pub fn cpu_time(&mut self) -> io::Result<Duration> {
        let nanoseconds = parse(&self.child.ask("cpu")?)?;
        Ok(Duration::from_nanos(nanoseconds))
    }
}

/// A load generator in a process of its own, pinned to the second core.
#[derive(Debug)]
pub struct LoadProcess(Child);

impl LoadProcess {
    /// Starts `program` as a load generator and waits until it has connected.
    ///
    /// # Errors
    ///
    /// The program cannot be started, or it cannot connect.
    pub fn start(
        program: &Path,
        address: SocketAddr,
        connections: usize,
        message_bytes: usize,
    ) -> io::Result<Self> {
        let numbers = [
            address.to_string(),
            connections.to_string(),
            message_bytes.to_string(),
        ];
        let mut child = Child::start(Command::new(program).arg("load").args(numbers))?;
        child.line()?;
        Ok(Self(child))
    }

    /// As [`Load::run`], over there.
    ///
    /// # Errors
    ///
    /// The load generator failed and ended.
    pub fn run(&mut self, until: Until) -> io::Result<Outcome> {
        let answer = self.0.ask(&match until {
            Until::Requests(count) => format!("requests {count}"),
            Until::Elapsed(duration) => format!("nanoseconds {}", duration.as_nanos()),
        })?;
        let numbers = answer
            .split(' ')
            .map(parse)
            .collect::<io::Result<Vec<u64>>>()?;
        let [requests, elapsed, p99] = numbers[..] else {
            return Err(io::Error::other(format!("not an outcome: {answer}")));
        };
        Ok(Outcome {
            requests,
            elapsed: Duration::from_nanos(elapsed),
            p99: Duration::from_nanos(p99),
        })
    }
}

/// The child's side: does what `serve NAME BYTES LOOPS` or `load ADDRESS CONNECTIONS BYTES` say. Other
/// arguments are not for a child: then it answers `false`.
///
/// # Errors
///
/// Those of the server or of the load generator.
pub fn run_as_child(arguments: &[String]) -> io::Result<bool> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    match words[..] {
        ["serve", name, buffer_bytes, loops] => {
            let server = Server::from_name(name)
                .ok_or_else(|| io::Error::other(format!("no server is called {name}")))?;
            let options = ServeOptions {
                buffer_bytes: parse(buffer_bytes)?,
                loops: parse(loops)?,
            };
            serve(server, &options)?;
        }
        ["load", address, connections, message_bytes] => {
            pin(LOAD_CORE)?;
            let load = Load::connect(parse(address)?, parse(connections)?, parse(message_bytes)?)?;
            answer_load(load)?;
        }
        _ => return Ok(false),
    }
    Ok(true)
}

fn serve(server: Server, options: &ServeOptions) -> io::Result<()> {
    if options.loops == 1 {
        pin(SERVER_CORE)?;
    }
    server.run(options, |address| {
        say(address).expect("the parent listens");
        thread::spawn(|| {
            for _question in io::stdin().lines() {
                say(cpu_time().as_nanos()).expect("the parent listens");
            }
            process::exit(0);
        });
    })
}

fn answer_load(mut load: Load) -> io::Result<()> {
    say("connected")?;
    for question in io::stdin().lines() {
        let question = question?;
        let until = match question.split_once(' ') {
            Some(("requests", count)) => Until::Requests(parse(count)?),
            Some(("nanoseconds", count)) => Until::Elapsed(Duration::from_nanos(parse(count)?)),
            _ => return Err(io::Error::other(format!("not a run: {question}"))),
        };
        let outcome = load.run(until)?;
        let (elapsed, p99) = (outcome.elapsed.as_nanos(), outcome.p99.as_nanos());
        say(format_args!("{} {elapsed} {p99}", outcome.requests))?;
    }
    Ok(())
}

fn say(line: impl std::fmt::Display) -> io::Result<()> {
    let mut output = io::stdout().lock();
    writeln!(output, "{line}")?;
    output.flush()
}

fn parse<T: FromStr>(text: &str) -> io::Result<T> {
    text.parse()
        .map_err(|_| io::Error::other(format!("not understood: {text}")))
}

const SERVER_CORE: usize = 0;
const LOAD_CORE: usize = 1;
