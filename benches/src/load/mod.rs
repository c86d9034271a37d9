//! The load generator: one thread around epoll, the same number of messages in flight on each
//! connection, every byte that comes back judged, every latency in a histogram.
//!
//! Place: `child` runs it in a process of its own.
//!
//! ```text
//!   Load: connections, epoll, clock, histogram
//!     +-- Protocol: what is sent, and how the answers are judged
//!           +-- echo   parts of one pattern, and the same back
//!           +-- http   one request, and the same answer but for its date
//! ```
//!
//! # Why it is so
//! It must cost less than the server, or the server would be measured while it waits. So there is
//! one read, one write and one look at the clock for each answer, and both what is sent and what is
//! expected back are small and stay in cache.
//!
//! A generator that sleeps is woken up by the server's write, which is then the server's time: some
//! 2 us, and the slower a server is, the more of its answers find a sleeper. Go's net/http took 14.2
//! us for a request that way and 12.4 without, the faster `httpd` 6.1 either way. So the load of an
//! HTTP server [looks](Idle::Looks). That of an echo server sleeps: there the wake-up is a part of
//! what is measured, at one connection most of it.
//!
//! A run begins with a burst, since all connections send at once, and ends with a queue that runs
//! dry. What is measured is a [look](Load::look) at the time between, after the messages have come to
//! stand where the two ends let them stand, before the slower one: with a thousand of 64 KiB that
//! takes some 300 ms, and until then servers that differ by a fifth cost the same.

mod connection;
mod echo;
mod http;
mod pattern;

use std::hint::spin_loop;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;
use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::event::{Timespec, epoll::Event};
use rustix::fd::OwnedFd;
use rustix::io::retry_on_intr;

use crate::process::cpu_time;
use crate::servers::fix_kernel_buffers;
use connection::Connection;

pub use echo::{Echo, Shape};
pub use http::Http;

/// What is said on connections: what is sent, and how that is judged which comes back.
pub trait Protocol {
    /// Bytes of each message.
    fn message_bytes(&self) -> usize;

    /// Is served once, on a new connection whose calls wait: then the server has accepted it.
    ///
    /// # Errors
    ///
    /// Those of the connection; `InvalidData` if the answer is wrong.
    fn greet(&mut self, number: usize, stream: &mut TcpStream) -> io::Result<()>;

    /// The next `bytes` bytes that a connection has to send.
    fn outgoing(&self, progress: &Progress, bytes: usize) -> &[u8];

    /// How many bytes may come back for what was sent: `usize::MAX` if that cannot be told.
    fn due(&self, progress: &Progress) -> usize;

    /// Judges what came back. How many answers are whole with it.
    ///
    /// # Errors
    ///
    /// `InvalidData` if it is not what has to come back.
    fn judge(&mut self, progress: &Progress, bytes: &[u8]) -> io::Result<u64>;
}

/// How far a connection is.
///
/// ```text
///   0 ........ received ........ sent ........ issued
///      judged          in flight     no room yet
/// ```
#[derive(Debug)]
pub struct Progress {
    /// Which connection it is.
    number: usize,
    /// Messages that are to be sent.
    issued: u64,
    /// Bytes.
    sent: u64,
    /// Bytes.
    received: u64,
    /// Messages that have come back whole.
    answered: u64,
}

impl Progress {
    fn new(number: usize) -> Self {
        Self {
            number,
            issued: 0,
            sent: 0,
            received: 0,
            answered: 0,
        }
    }
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
    /// The time that this took: that from the first request to the last answer, or that of a look.
    pub elapsed: Duration,
    /// Processor time of the load generator itself, without that in which it looked in vain.
    pub cpu: Duration,
    /// The latency that half of the requests exceed.
    pub p50: Duration,
    /// The latency that one request in a hundred exceeds.
    pub p99: Duration,
    /// The latency that one request in a thousand exceeds.
    pub p999: Duration,
}

/// What the load generator does while no answer has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Idle {
    /// The answer wakes it up, as it does most clients.
    Sleeps,
    /// It looks again and again. The server does not have to wake it up.
    Looks,
}

/// Connections to a server. Made by [`Load::connect`] or [`Load::get`].
#[derive(Debug)]
pub struct Load<P = Echo> {
    epoll: OwnedFd,
    protocol: P,
    /// Messages in flight on each connection.
    depth: usize,
    idle: Idle,
    connections: Vec<Connection>,
    /// Nanoseconds after the start of the run, for each message in flight: `depth` places for each
    /// connection, used in turn.
    sent_at: Vec<u64>,
    buffer: Vec<u8>,
    latencies: Histogram<u32>,
}

impl<P: Protocol> Load<P> {
    /// Connects. Returns when the server has accepted all connections.
    fn open(
        address: SocketAddr,
        protocol: P,
        connections: usize,
        depth: usize,
        idle: Idle,
        read_bytes_max: usize,
    ) -> io::Result<Self> {
        let mut this = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            protocol,
            depth,
            idle,
            connections: Vec::with_capacity(connections),
            sent_at: vec![0; connections * depth],
            buffer: vec![0; read_bytes_max.min(READ_BYTES_MAX)],
            latencies: histogram(),
        };
        for number in 0..connections {
            let mut stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            fix_kernel_buffers(&stream)?;
            // So that the kernel's queue of connections to be accepted never overflows.
            if (number + 1) % UNACCEPTED_MAX == 0 || number + 1 == connections {
                stream.set_read_timeout(Some(GREETING_TIME_MAX))?;
                this.protocol.greet(number, &mut stream)?;
            }
            stream.set_nonblocking(true)?;
            let data = EventData::new_u64(number as u64);
            epoll::add(&this.epoll, &stream, data, EDGES)?;
            this.connections.push(Connection::new(stream, number));
        }
        Ok(this)
    }

    /// Sends requests on all connections until the end that was set, and waits for the answers.
    ///
    /// # Errors
    ///
    /// A connection ended or broke; `InvalidData` if something else came back than has to;
    /// `TimedOut` if nothing came back for ten seconds.
    pub fn run(&mut self, until: Until) -> io::Result<Outcome> {
        let mut run = Run::new(until);
        let from = self.mark(&run);
        self.send_first(&mut run)?;
        self.go_on(&mut run, Duration::MAX)?;
        Ok(self.outcome(&run, &from))
    }

    /// Sends requests on all connections, and looks at a window of that time: after `run_in`, for
    /// `time`. `begun` is called as it opens; `over` gets, as it closes, what was answered in it. The
    /// load goes on for a while, so that whoever is told finds it as it was; then it waits for the
    /// answers that are left.
    ///
    /// # Errors
    ///
    /// As [`run`](Self::run), and those of `begun` and `over`.
    pub fn look(
        &mut self,
        run_in: Duration,
        time: Duration,
        begun: impl FnOnce() -> io::Result<()>,
        over: impl FnOnce(&Outcome) -> io::Result<()>,
    ) -> io::Result<()> {
        let mut run = Run::new(Until::Elapsed(Duration::MAX));
        self.send_first(&mut run)?;
        self.go_on(&mut run, run_in)?;
        let from = self.mark(&run);
        begun()?;
        self.go_on(&mut run, from.elapsed + time)?;
        over(&self.outcome(&run, &from))?;
        let told = run.start.elapsed();
        self.go_on(&mut run, told + AFTER_LOOK)?;
        run.until = Until::Requests(run.issued);
        self.go_on(&mut run, Duration::MAX)
    }

    fn send_first(&mut self, run: &mut Run) -> io::Result<()> {
        for index in 0..self.connections.len() {
            let now = run.now();
            self.issue(index, self.depth as u64, now, run);
            self.connections[index].flush(&self.protocol)?;
        }
        Ok(())
    }

    /// Goes on until so long after the start, or until all is answered.
    fn go_on(&mut self, run: &mut Run, until: Duration) -> io::Result<()> {
        let until = nanoseconds(until);
        let mut events: Vec<Event> = Vec::with_capacity(EVENTS_MAX);
        while run.in_flight > 0 && run.answered_at < until {
            events.clear();
            self.wait(&mut events, run)?;
            for event in &events {
                self.on_event(*event, run)?;
            }
        }
        Ok(())
    }

    /// What follows is looked at.
    fn mark(&mut self, run: &Run) -> Mark {
        self.latencies.reset();
        Mark {
            elapsed: run.start.elapsed(),
            answered: run.answered(),
            cpu: cpu_time(),
            in_vain: run.in_vain,
        }
    }

    fn outcome(&self, run: &Run, from: &Mark) -> Outcome {
        let quantile = |share| Duration::from_nanos(self.latencies.value_at_quantile(share));
        let in_vain = run.in_vain - from.in_vain;
        Outcome {
            requests: run.answered() - from.answered,
            elapsed: run.start.elapsed() - from.elapsed,
            cpu: cpu_time().saturating_sub(from.cpu + in_vain),
            p50: quantile(0.5),
            p99: quantile(0.99),
            p999: quantile(0.999),
        }
    }

    fn wait(&self, events: &mut Vec<Event>, run: &mut Run) -> io::Result<()> {
        let mut look = |timeout| {
            retry_on_intr(|| epoll::wait(&self.epoll, spare_capacity(events), Some(timeout)))
        };
        if self.idle == Idle::Sleeps {
            let patience = Timespec::try_from(PATIENCE).expect("it is some seconds");
            return match look(&patience)? {
                0 => Err(io::ErrorKind::TimedOut.into()),
                _ => Ok(()),
            };
        }
        if look(&NOW)? > 0 {
            return Ok(());
        }
        let begun = Instant::now();
        while look(&NOW)? == 0 {
            if begun.elapsed() > PATIENCE {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // What the kernel writes for an event is not fetched from its core all the time.
            (0..PAUSES).for_each(|_| spin_loop());
        }
        run.in_vain += begun.elapsed();
        Ok(())
    }

    fn on_event(&mut self, event: Event, run: &mut Run) -> io::Result<()> {
        let index = usize::try_from(event.data.u64()).expect("an index was a usize");
        let connection = &mut self.connections[index];
        let answered = connection.answered();
        let flags = event.flags;
        let has_ended = flags.intersects(ENDS);
        connection.receive(&mut self.protocol, &mut self.buffer, has_ended)?;
        let answers = connection.answered() - answered;
        if answers > 0 {
            let now = run.now();
            for number in answered..answered + answers {
                let latency = now - self.sent_at[self.place(index, number)];
                self.latencies.saturating_record(latency);
            }
            run.in_flight -= answers;
            run.answered_at = now;
            self.issue(index, answers, now, run);
        }
        self.connections[index].flush(&self.protocol)
    }

    /// Lets a connection have so many messages more, if the run goes on.
    fn issue(&mut self, index: usize, count: u64, now: u64, run: &mut Run) {
        for _ in 0..run.take(count, now) {
            let number = self.connections[index].issue();
            let place = self.place(index, number);
            self.sent_at[place] = now;
        }
    }

    fn place(&self, index: usize, number: u64) -> usize {
        match self.depth {
            1 => index,
            depth => index * depth + (number % depth as u64) as usize,
        }
    }
}

/// What one call of [`Load::run`] or [`Load::look`] keeps.
struct Run {
    until: Until,
    start: Instant,
    issued: u64,
    in_flight: u64,
    /// When the last answer came, in nanoseconds after the start.
    answered_at: u64,
    in_vain: Duration,
}

/// Where a run was when the look at it began.
struct Mark {
    elapsed: Duration,
    answered: u64,
    cpu: Duration,
    in_vain: Duration,
}

impl Run {
    fn new(until: Until) -> Self {
        Self {
            until,
            start: Instant::now(),
            issued: 0,
            in_flight: 0,
            answered_at: 0,
            in_vain: Duration::ZERO,
        }
    }

    /// Nanoseconds since the start.
    fn now(&self) -> u64 {
        nanoseconds(self.start.elapsed())
    }

    fn answered(&self) -> u64 {
        self.issued - self.in_flight
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

/// What a server that answers wrongly is told with.
fn wrong(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

const TOO_MUCH: &str = "more came back than was asked for";
/// A level would be looked at once more after each answer. A socket that took less than it was given
/// tells when there is room.
const EDGES: EventFlags = EventFlags::IN
    .union(EventFlags::OUT)
    .union(EventFlags::RDHUP)
    .union(EventFlags::ET);
/// Nothing more will come.
const ENDS: EventFlags = EventFlags::RDHUP
    .union(EventFlags::HUP)
    .union(EventFlags::ERR);
const EVENTS_MAX: usize = 1024;
/// What is read at once: more would not stay in cache.
const READ_BYTES_MAX: usize = 64 * 1024;
/// Less than any server's backlog.
const UNACCEPTED_MAX: usize = 64;
/// How long a new connection may wait until it is served.
const GREETING_TIME_MAX: Duration = Duration::from_secs(10);
const NOW: Timespec = Timespec {
    tv_sec: 0,
    tv_nsec: 0,
};
/// About a microsecond.
const PAUSES: usize = 64;
/// How long a load goes on after a look: enough for a process that shares its core with a busy one.
const AFTER_LOOK: Duration = Duration::from_millis(20);
/// How long the whole load may wait for an answer.
const PATIENCE: Duration = Duration::from_secs(10);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_exact_to_a_thousandth() {
        let mut latencies = histogram();
        for microseconds in (1..=10_000_u64).rev() {
            latencies.saturating_record(microseconds * 1000);
        }
        for (share, expected) in [(0.5, 5e6), (0.99, 9.9e6), (0.999, 9.99e6)] {
            let found = latencies.value_at_quantile(share) as f64;
            assert!((found / expected - 1.0).abs() < 0.001, "{share}: {found}");
        }
        // Beyond the bounds it is the bound, not an error.
        latencies.saturating_record(u64::MAX);
        assert!(latencies.max() >= 60_000_000_000);
    }
}
