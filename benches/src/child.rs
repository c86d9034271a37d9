//! Servers and load generators in processes of their own.
//!
//! ```text
//!   parent                          child: `<program> serve ...`, `load ...` or `get ...`
//!     | <---- first line: address, or "connected"
//!     | ----- a line: "cpu", "requests N", "nanoseconds N" ---->
//!     | <---- a line with numbers
//!     | ----- a line: "look N N", in nanoseconds ---->
//!     | <---- a line as the look begins, one with numbers as it ends, one when all is answered
//!     | ----- end of input: the child exits ---->
//! ```
//!
//! A child that fails says "failed: " and why, and exits.

use std::io::{self, BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};
use std::str::FromStr;
use std::thread;
use std::time::{Duration, Instant};

use crate::http;
use crate::load::{Load, Outcome, Protocol, Shape, Until};
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
            return Err(io::Error::other("the process ended: see its message"));
        }
        line.truncate(line.trim_end().len());
        match line.strip_prefix(FAILED) {
            Some(reason) => Err(io::Error::other(reason)),
            None => Ok(line),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        self.input = None;
        let asked_at = Instant::now();
        while let Ok(None) = self.process.try_wait() {
            if asked_at.elapsed() > EXIT_LIMIT {
                // It may have gone this moment.
                let _ = self.process.kill();
                let _ = self.process.wait();
                return;
            }
            thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Where servers and load generators run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cores {
    /// Servers on the first core, load generators on the second.
    Apart,
    /// Everything on every core that the process may use.
    Shared,
}

impl Cores {
    const fn word(self) -> &'static str {
        match self {
            Self::Apart => "apart",
            Self::Shared => "shared",
        }
    }

    fn pin(self, core: usize) -> io::Result<()> {
        match self {
            Self::Apart => pin(core),
            Self::Shared => Ok(()),
        }
    }
}

impl FromStr for Cores {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        let mut all = [Self::Apart, Self::Shared].into_iter();
        all.find(|cores| cores.word() == word).ok_or(())
    }
}

/// An echo server in a process of its own.
#[derive(Debug)]
pub struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    /// Starts `program` as a server and waits until it listens.
    ///
    /// # Errors
    ///
    /// The program cannot be started, or the server does not listen.
    pub fn start(
        program: &Path,
        server: Server,
        options: &ServeOptions,
        cores: Cores,
    ) -> io::Result<Self> {
        let numbers = [options.buffer_bytes, options.loops];
        let mut command = Command::new(program);
        command.args(["serve", server.name()]);
        command.args(numbers.map(|number| number.to_string()));
        let mut child = Child::start(command.arg(cores.word()))?;
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

/// A load generator in a process of its own.
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
        shape: Shape,
        cores: Cores,
    ) -> io::Result<Self> {
        let numbers = [shape.connections, shape.message_bytes, shape.depth];
        let mut command = Command::new(program);
        command.arg("load").arg(address.to_string());
        command.args(numbers.map(|number| number.to_string()));
        Self::wait(command.arg(cores.word()))
    }

    /// Starts `program` as a load generator that asks an HTTP server for a path, on the second
    /// core, and waits until it has connected. It knows what has to come back by the name of
    /// [`http::load`].
    ///
    /// # Errors
    ///
    /// The program cannot be started, it cannot connect, or it is answered wrongly.
    pub fn start_http(
        program: &Path,
        address: SocketAddr,
        path: &str,
        what: &str,
    ) -> io::Result<Self> {
        let mut command = Command::new(program);
        Self::wait(command.args(["get", &address.to_string(), path, what]))
    }

    fn wait(command: &mut Command) -> io::Result<Self> {
        let mut child = Child::start(command)?;
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
        outcome(&answer)
    }

    /// As [`Load::look`], over there, and the processor time of a server meanwhile. `sample` is called
    /// as the look begins and as it ends, both times under the load and so a moment late; `used` tells
    /// what lies between, and the share of the look in it is handed over.
    ///
    /// # Errors
    ///
    /// The load generator failed and ended; those of `sample`.
    pub fn look<T>(
        &mut self,
        run_in: Duration,
        time: Duration,
        mut sample: impl FnMut() -> io::Result<T>,
        used: impl FnOnce(&T, &T) -> Duration,
    ) -> io::Result<(Outcome, Duration)> {
        let mut sample = || io::Result::Ok((sample()?, Instant::now()));
        let (run_in, time) = (run_in.as_nanos(), time.as_nanos());
        self.0.ask(&format!("look {run_in} {time}"))?;
        let (before, from) = sample()?;
        let outcome = outcome(&self.0.line()?)?;
        let (after, to) = sample()?;
        self.0.line()?;
        let share = outcome.elapsed.as_secs_f64() / (to - from).as_secs_f64();
        Ok((outcome, used(&before, &after).mul_f64(share)))
    }
}

/// What [`say_outcome`] has said.
fn outcome(line: &str) -> io::Result<Outcome> {
    let numbers = line
        .split(' ')
        .map(parse)
        .collect::<io::Result<Vec<u64>>>()?;
    let [requests, ref durations @ ..] = numbers[..] else {
        return Err(io::Error::other(format!("not an outcome: {line}")));
    };
    let durations: Vec<_> = durations
        .iter()
        .copied()
        .map(Duration::from_nanos)
        .collect();
    let [elapsed, cpu, p50, p99, p999] = durations[..] else {
        return Err(io::Error::other(format!("not an outcome: {line}")));
    };
    Ok(Outcome {
        requests,
        elapsed,
        cpu,
        p50,
        p99,
        p999,
    })
}

/// The child's side: does what `serve NAME BYTES LOOPS CORES`, `http NAME`,
/// `load ADDRESS CONNECTIONS BYTES DEPTH CORES` or `get ADDRESS PATH WHAT` say. Other arguments are
/// not for a child: then it answers `false`.
///
/// # Errors
///
/// The parent is gone. Those of the server or of the load generator are told to the parent.
pub fn run_as_child(arguments: &[String]) -> io::Result<bool> {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let result = match words[..] {
        ["serve", name, buffer_bytes, loops, cores] => serve(name, buffer_bytes, loops, cores),
        ["http", name] => pin(SERVER_CORE).and_then(|()| http::serve(name, announce)),
        ["load", ref numbers @ ..] => load(numbers),
        ["get", address, path, what] => get(address, path, what),
        _ => return Ok(false),
    };
    if let Err(error) = result {
        let error = error.to_string().replace('\n', " ");
        say(format_args!("{FAILED}{error}"))?;
    }
    Ok(true)
}

fn serve(name: &str, buffer_bytes: &str, loops: &str, cores: &str) -> io::Result<()> {
    let server = Server::from_name(name)
        .ok_or_else(|| io::Error::other(format!("no server is called {name}")))?;
    let options = ServeOptions {
        buffer_bytes: parse(buffer_bytes)?,
        loops: parse(loops)?,
    };
    parse::<Cores>(cores)?.pin(SERVER_CORE)?;
    server.run(&options, announce)
}

/// Tells the parent where the server listens, answers its questions, and exits with it.
fn announce(address: SocketAddr) {
    say(address).expect("the parent listens");
    thread::spawn(|| {
        for _question in io::stdin().lines() {
            say(cpu_time().as_nanos()).expect("the parent listens");
        }
        process::exit(0);
    });
}

fn load(numbers: &[&str]) -> io::Result<()> {
    let [address, connections, message_bytes, depth, cores] = numbers else {
        return Err(io::Error::other("a load has five arguments"));
    };
    parse::<Cores>(cores)?.pin(LOAD_CORE)?;
    let shape = Shape {
        connections: parse(connections)?,
        message_bytes: parse(message_bytes)?,
        depth: parse(depth)?,
    };
    answer_load(Load::connect(parse(address)?, shape)?)
}

fn get(address: &str, path: &str, what: &str) -> io::Result<()> {
    pin(LOAD_CORE)?;
    answer_load(http::load(parse(address)?, path, what)?)
}

fn answer_load(mut load: Load<impl Protocol>) -> io::Result<()> {
    say("connected")?;
    for question in io::stdin().lines() {
        let question = question?;
        let duration = |text| parse(text).map(Duration::from_nanos);
        match question.split(' ').collect::<Vec<_>>()[..] {
            ["requests", count] => say_outcome(&load.run(Until::Requests(parse(count)?))?)?,
            ["nanoseconds", time] => say_outcome(&load.run(Until::Elapsed(duration(time)?))?)?,
            ["look", run_in, time] => {
                let begun = || say("begun");
                load.look(duration(run_in)?, duration(time)?, begun, say_outcome)?;
                say("all is answered")?;
            }
            _ => return Err(io::Error::other(format!("not a run: {question}"))),
        }
    }
    Ok(())
}

fn say_outcome(outcome: &Outcome) -> io::Result<()> {
    let Outcome {
        requests,
        elapsed,
        cpu,
        p50,
        p99,
        p999,
    } = outcome;
    let [elapsed, cpu, p50, p99, p999] =
        [elapsed, cpu, p50, p99, p999].map(|duration| duration.as_nanos());
    say(format_args!(
        "{requests} {elapsed} {cpu} {p50} {p99} {p999}"
    ))
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

/// How long a child may take to exit.
const EXIT_LIMIT: Duration = Duration::from_secs(5);
const FAILED: &str = "failed: ";
pub(crate) const SERVER_CORE: usize = 0;
pub(crate) const LOAD_CORE: usize = 1;
