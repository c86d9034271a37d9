//! Processes that end with their test.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// A child that is ended and reaped when dropped.
pub struct Reaped(pub Child);

impl Drop for Reaped {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A server that has told where it listens.
pub struct Server {
    pub address: String,
    lines: Receiver<String>,
    process: Reaped,
}

impl Server {
    pub fn start(program: &str, arguments: &[&str]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = lines(child.stdout.take().unwrap());
        let process = Reaped(child);
        let address = lines.recv_timeout(LINE_TIMEOUT).unwrap();
        Self {
            address,
            lines,
            process,
        }
    }

    /// Waits for the next line that it prints.
    pub fn line(&self) -> String {
        self.lines.recv_timeout(LINE_TIMEOUT).unwrap()
    }

    /// Asks it to end, and waits until it has.
    pub fn end(mut self) -> Output {
        let child = &mut self.process.0;
        kill_process(Pid::from_child(child), Signal::TERM).unwrap();
        let status = child.wait().unwrap();
        let mut stderr = Vec::new();
        child
            .stderr
            .take()
            .unwrap()
            .read_to_end(&mut stderr)
            .unwrap();
        Output {
            status,
            stdout: Vec::new(),
            stderr,
        }
    }
}

/// The lines of a stream, read on a thread of their own, so that a wait for one has an end.
fn lines(stream: ChildStdout) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(stream).lines() {
            if line.is_ok_and(|line| sender.send(line).is_ok()) {
                continue;
            }
            return;
        }
    });
    receiver
}

/// The longest wait for a line that a program prints.
const LINE_TIMEOUT: Duration = Duration::from_secs(20);

/// What a program prints. It has to succeed.
pub fn output_of(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}: {stderr}", output.status);
    String::from_utf8(output.stdout).unwrap()
}

/// An address for a program that cannot choose a port: the host is this process's alone, so nobody
/// takes the port meanwhile.
pub fn free_address() -> SocketAddr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    // The upper half of 127.0.0.0/8; Linux has no process numbers beyond 22 bits.
    let host = Ipv4Addr::new(127, 0x80 | a, b, c);
    TcpListener::bind((host, 0)).unwrap().local_addr().unwrap()
}
