//! The load generator: one thread around epoll, the same number of messages in flight on each
//! connection, every byte that comes back compared, every latency in a histogram.
//!
//! Place: `child` runs it in a process of its own.
//!
//! # Why it is so
//! It must cost less than the server, or the server would be measured while it waits. So there is
//! one read, one write and one look at the clock for each answer, and what is sent is a part of one
//! small pattern that stays in cache: what is expected back is the same part.

mod connection;
mod pattern;

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{Timespec, epoll::Event};
use rustix::fd::OwnedFd;
use rustix::io::retry_on_intr;

use crate::process::cpu_time;
use connection::Connection;
use pattern::Pattern;

/// What is asked of a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Connections at once.
    pub connections: usize,
    /// Bytes of a message.
    pub message_bytes: usize,
    /// Messages in flight on each connection.
    pub depth: usize,
}

/// When a run ends.
#[derive(Debug, Clone, Copy)]
pub enum Until {
    /// After so many requests in all.
    Requests(u64),
    /// After this time.
    Elapsed(Duration),
}

/// What a run has found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// Requests that were answered.
    pub requests: u64,
    /// Time from the first request to the last answer.
    pub elapsed: Duration,
    /// Processor time of the load generator itself.
    pub cpu: Duration,
    /// The latency that half of the requests exceed.
    pub p50: Duration,
    /// The latency that one request in a hundred exceeds.
    pub p99: Duration,
    /// The latency that one request in a thousand exceeds.
    pub p999: Duration,
}

/// Connections to an echo server.
#[derive(Debug)]
pub struct Load {
    epoll: OwnedFd,
    shape: Shape,
    connections: Vec<Connection>,
    /// Nanoseconds after the start of the run, for each message in flight: `depth` places for each
    /// connection, used in turn.
    sent_at: Vec<u64>,
    pattern: Pattern,
    buffer: Vec<u8>,
    latencies: Histogram<u32>,
}

impl Load {
    /// Connects. Returns when the server has accepted all connections.
    ///
    /// # Errors
    ///
    /// Those of the connections; `WouldBlock` if a connection is not served within
    /// ten seconds.
    pub fn connect(address: SocketAddr, shape: Shape) -> io::Result<Self> {
        let window_bytes = shape.depth * shape.message_bytes;
        let mut this = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            shape,
            connections: Vec::with_capacity(shape.connections),
            sent_at: vec![0; shape.connections * shape.depth],
            pattern: Pattern::new(window_bytes),
            buffer: vec![0; window_bytes.min(READ_BYTES_MAX)],
            latencies: histogram(),
        };
        for index in 0..shape.connections {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            // So that the kernel's queue of connections to be accepted never overflows.
            if (index + 1) % UNACCEPTED_MAX == 0 || index + 1 == shape.connections {
                greet(&mut stream)?;
            }
            stream.set_nonblocking(true)?;
            let data = EventData::new_u64(index as u64);
            epoll::add(&this.epoll, &stream, data, EDGES)?;
            this.connections.push(Connection::new(stream, index));
        }
        Ok(this)
    }

    /// Sends requests on all connections until the end that was set, and waits for the answers.
    ///
    /// # Errors
    ///
    /// A connection ended or broke; `InvalidData` if other bytes came back than were sent;
    /// `TimedOut` if nothing came back for ten seconds.
    pub fn run(&mut self, until: Until) -> io::Result<Outcome> {
        self.latencies.reset();
        let cpu_before = cpu_time();
        let mut run = Run::new(until);
        for index in 0..self.connections.len() {
            let now = run.now();
            self.issue(index, self.shape.depth as u64, now, &mut run);
            self.connections[index].flush(&self.pattern)?;
        }
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS_MAX);
        while run.in_flight > 0 {
            events.clear();
            let room = || epoll::wait(&self.epoll, spare_capacity(&mut events), Some(&PATIENCE));
            if retry_on_intr(room)? == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            for event in &events {
                self.on_event(*event, &mut run)?;
            }
        }
        let quantile = |share| Duration::from_nanos(self.latencies.value_at_quantile(share));
        Ok(Outcome {
            requests: run.issued,
            elapsed: run.start.elapsed(),
            cpu: cpu_time().saturating_sub(cpu_before),
            p50: quantile(0.5),
            p99: quantile(0.99),
            p999: quantile(0.999),
        })
    }

    fn on_event(&mut self, event: Event, run: &mut Run) -> io::Result<()> {
        let index = usize::try_from(event.data.u64()).expect("an index was a usize");
        let connection = &mut self.connections[index];
        let answered = connection.answered;
        connection.receive(&self.pattern, &mut self.buffer, self.shape.message_bytes)?;
        let answers = connection.answered - answered;
        if answers > 0 {
            let now = run.now();
            for number in answered..answered + answers {
                let latency = now - self.sent_at[self.place(index, number)];
                self.latencies.saturating_record(latency);
            }
            run.in_flight -= answers;
            self.issue(index, answers, now, run);
        }
        self.connections[index].flush(&self.pattern)
    }

    /// Lets a connection have so many messages more, if the run goes on.
    fn issue(&mut self, index: usize, count: u64, now: u64, run: &mut Run) {
        for _ in 0..run.take(count, now) {
            let number = self.connections[index].issue(self.shape.message_bytes);
            let place = self.place(index, number);
            self.sent_at[place] = now;
        }
    }

    fn place(&self, index: usize, number: u64) -> usize {
        match self.shape.depth {
            1 => index,
            depth => index * depth + (number % depth as u64) as usize,
        }
    }
}

/// Is served once.
fn greet(stream: &mut TcpStream) -> io::Result<()> {
    let mut answer = [0; GREETING.len()];
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    stream.write_all(GREETING)?;
    stream.read_exact(&mut answer)?;
    if answer != *GREETING {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "another greeting came back than was sent",
        ));
    }
    Ok(())
}

/// What one call of [`Load::run`] keeps.
struct Run {
    until: Until,
    start: Instant,
    issued: u64,
    in_flight: u64,
}

impl Run {
    fn new(until: Until) -> Self {
        Self {
            until,
            start: Instant::now(),
            issued: 0,
            in_flight: 0,
        }
    }

    /// Nanoseconds since the start.
    fn now(&self) -> u64 {
        nanoseconds(self.start.elapsed())
    }

    /// How many of `count` messages may still be sent. They count as sent.
    fn take(&mut self, count: u64, now: u64) -> u64 {
        let left = match self.until {
            Until::Requests(requests) => requests - self.issued,
            Until::Elapsed(duration) if now < nanoseconds(duration) => u64::MAX,
            Until::Elapsed(_) => 0,
        };
        let taken = count.min(left);
        self.issued += taken;
        self.in_flight += taken;
        taken
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Of latencies in nanoseconds. What exceeds the minute counts as a minute.
fn histogram() -> Histogram<u32> {
    Histogram::new_with_bounds(1, 60_000_000_000, 3).expect("bounds that are in order")
}

/// A level would be looked at once more after each answer. A socket that took less than it was given
/// tells when there is room.
const EDGES: EventFlags = EventFlags::IN.union(EventFlags::OUT).union(EventFlags::ET);
const EVENTS_MAX: usize = 1024;
/// What is read at once: more would not stay in cache.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Less than any server's backlog.
const UNACCEPTED_MAX: usize = 64;
const GREETING: &[u8] = b"a load generator";
/// How long the whole load may wait for an answer.
const PATIENCE: Timespec = Timespec {
    tv_sec: 10,
    tv_nsec: 0,
};

#[cfg(test)]
mod tests;
