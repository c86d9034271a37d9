//! A server in a process of its own, whatever program it is: started on a core, its processor time,
//! its end.
//!
//! Place: called by the module above; reads `/proc`.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::child::SERVER_CORE;
use crate::process::pin;

/// A server that listens. Dropping it ends the process, and waits for that.
#[derive(Debug)]
pub(super) struct ServerProcess {
    child: Child,
    address: SocketAddr,
}

impl ServerProcess {
    /// Starts a program on the first core and waits until it prints where it listens: the first
    /// `IP:PORT` in what it prints.
    pub(super) fn start(command: &mut Command) -> io::Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = spawn_pinned(command, SERVER_CORE)?;
        let output = child.stdout.take().expect("the output is piped");
        let mut output = BufReader::new(output);
        let mut line = String::new();
        output.read_line(&mut line)?;
        let words = line.split(|it: char| it.is_whitespace() || it == ',');
        let address = words.filter_map(|word| word.parse().ok()).next();
        // What it prints later is of no interest, but it must not wait for a reader.
        thread::spawn(move || io::copy(&mut output, &mut io::sink()));
        let address = address.ok_or_else(|| {
            let program = command.get_program();
            io::Error::other(format!("{program:?} does not listen: {line:?}"))
        });
        match address {
            Ok(address) => Ok(Self { child, address }),
            Err(error) => {
                end(&mut child);
                Err(error)
            }
        }
    }

    /// Starts a program that was told where to listen, and waits until it does.
    pub(super) fn start_at(command: &mut Command, address: SocketAddr) -> io::Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null());
        let child = spawn_pinned(command, SERVER_CORE)?;
        let mut this = Self { child, address };
        let begun = Instant::now();
        while TcpStream::connect(address).is_err() {
            let ended = this.child.try_wait()?;
            if ended.is_some() || begun.elapsed() > START_TIME_MAX {
                let program = command.get_program();
                return Err(io::Error::other(format!("{program:?} does not listen")));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(this)
    }

    /// Where it listens.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// The processor time of the process and of its children so far, user and system.
    pub(super) fn cpu_time(&self) -> io::Result<Duration> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let children = children.split_whitespace().map(str::to_owned);
        let mut sum = Duration::ZERO;
        for pid in children.chain([pid.to_string()]) {
            sum += cpu_time(&pid)?;
        }
        Ok(sum)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// All threads of one process. The scheduler counts nanoseconds, `stat` only ticks of 10 ms.
fn cpu_time(pid: &str) -> io::Result<Duration> {
    let mut sum = Duration::ZERO;
    for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(thread?.path().join("schedstat"))?;
        let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok());
        let nanoseconds = nanoseconds.ok_or_else(|| io::Error::other("schedstat has no time"))?;
        sum += Duration::from_nanos(nanoseconds);
    }
    Ok(sum)
}

/// Starts a program on one core: it inherits the core of the thread that starts it.
pub(super) fn spawn_pinned(command: &mut Command, core: usize) -> io::Result<Child> {
    let spawn = || {
        pin(core)?;
        command.spawn()
    };
    thread::scope(|scope| scope.spawn(spawn).join().expect("it does not panic"))
}

/// Asks the process to end, as its operator would, and waits; in the end it has to.
fn end(child: &mut Child) {
    drop(child.stdin.take());
    let pid = Pid::from_child(child);
    let asked = Instant::now();
    while matches!(child.try_wait(), Ok(None)) {
        if asked.elapsed() > END_TIME_MAX {
            // It has ended, or ends now.
            let _ = child.kill();
            let _ = child.wait();
            return;
        }
        // It fails if the process has ended by itself, which the next look finds.
        let _ = kill_process(pid, Signal::TERM);
        thread::sleep(Duration::from_millis(10));
    }
}

/// Asks for a path on a connection of its own. Status line and body.
pub(super) fn ask(address: SocketAddr, path: &str) -> io::Result<(String, Vec<u8>)> {
    use std::io::Write as _;
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(START_TIME_MAX))?;
    write!(
        stream,
        "GET {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"
    )?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    let end = answer.windows(4).position(|four| four == b"\r\n\r\n");
    let end = end.ok_or_else(|| io::Error::other("an answer without an end of its head"))?;
    let head = String::from_utf8_lossy(&answer[..end]);
    let status = head.lines().next().unwrap_or_default().to_owned();
    Ok((status, answer.split_off(end + 4)))
}

/// How long a server may take until it listens, and until it answers.
const START_TIME_MAX: Duration = Duration::from_secs(10);
/// How long a server may take to end when it is asked to.
const END_TIME_MAX: Duration = Duration::from_secs(5);
