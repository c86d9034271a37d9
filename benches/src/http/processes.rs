//! A server in a process of its own, whatever program it is: started on a core, its processor time,
//! its end.
//!
//! Place: called by the module above; reads `/proc`.

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::net::{SocketAddr, TcpStream};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::io::Errno;
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
    pub(super) fn cpu_times(&self) -> io::Result<CpuTimes> {
        let pid = self.child.id();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
        let mut times = CpuTimes::default();
        times.read(&pid.to_string())?;
        for child in children.split_whitespace() {
            times.read(child)?;
        }
        Ok(times)
    }
}

impl Drop for ServerProcess {
    fn drop(&mut self) {
        end(&mut self.child);
    }
}

/// The processor time of each live thread, by its id.
///
/// # Why it is so
/// The scheduler counts nanoseconds for each thread. The sum with the threads that have ended is in
/// `stat`, but in ticks of 10 ms, some percent of a slice, and the process's clock is out of reach
/// for safe code in another process. So what a thread does between the first look and its end is
/// lost; what it did before is in neither look, so a difference is never less than nothing.
#[derive(Debug, Default)]
pub(super) struct CpuTimes(HashMap<OsString, Duration>);

impl CpuTimes {
    /// Adds the threads of one process.
    fn read(&mut self, pid: &str) -> io::Result<()> {
        for thread in fs::read_dir(format!("/proc/{pid}/task"))? {
            let thread = thread?;
            let text = match fs::read_to_string(thread.path().join("schedstat")) {
                Ok(text) => text,
                Err(error) if has_ended(&error) => continue,
                Err(error) => return Err(error),
            };
            let nanoseconds = text.split(' ').next().and_then(|text| text.parse().ok());
            let nanoseconds =
                nanoseconds.ok_or_else(|| io::Error::other("schedstat has no time"))?;
            let time = Duration::from_nanos(nanoseconds);
            self.0.insert(thread.file_name(), time);
        }
        Ok(())
    }

    /// What the threads that live have used since an earlier look.
    pub(super) fn since(&self, earlier: &Self) -> Duration {
        let used = self.0.iter().map(|(thread, &time)| {
            let before = earlier.0.get(thread).copied().unwrap_or_default();
            // Less than before: a new thread has the id of one that has ended.
            time.checked_sub(before).unwrap_or(time)
        });
        used.sum()
    }
}

/// Whether this is what a look at a thread finds that has ended since its folder was listed.
fn has_ended(error: &io::Error) -> bool {
    let is_gone = Errno::from_io_error(error) == Some(Errno::SRCH);
    is_gone || error.kind() == io::ErrorKind::NotFound
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

#[cfg(test)]
mod tests {
    use super::*;

    fn times(of: &[(&str, u64)]) -> CpuTimes {
        let times = of.iter();
        CpuTimes(
            times
                .map(|&(thread, millis)| (thread.into(), Duration::from_millis(millis)))
                .collect(),
        )
    }

    #[test]
    fn a_thread_that_has_ended_takes_nothing_from_the_others() {
        let before = times(&[("1", 100), ("2", 5000), ("3", 70)]);
        // 2 has ended, 4 is new, and 3 is another thread with the id of one that has ended.
        let after = times(&[("1", 130), ("3", 7), ("4", 20)]);
        assert_eq!(after.since(&before), Duration::from_millis(30 + 7 + 20));
        assert_eq!(times(&[]).since(&before), Duration::ZERO);
    }

    #[test]
    fn a_process_is_looked_at_with_its_children() {
        // The work is in a child, and has an end whatever becomes of the test.
        let work = "i=0; while [ $i -lt 2000000 ]; do i=$((i + 1)); done";
        let script = format!("({work}) & echo 127.0.0.1:1; read line; kill $!");
        let process = ServerProcess::start(Command::new("sh").args(["-c", &script])).unwrap();
        let before = process.cpu_times().unwrap();
        assert_eq!(before.0.len(), 2, "{before:?}");
        let begun = Instant::now();
        while process.cpu_times().unwrap().since(&before) < Duration::from_millis(5) {
            assert!(begun.elapsed() < START_TIME_MAX);
            thread::sleep(Duration::from_millis(1));
        }
    }
}
