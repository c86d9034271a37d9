//! The load generator: one thread around epoll, one message in flight on each connection, every
//! byte that comes back compared.
//!
//! # Why it is so
//! Messages are parts of one pattern, each from another place: making and keeping one for each
//! connection costs more than serving it, and the server would be measured while it waits.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::fd::OwnedFd;

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
    /// The latency that one request in a hundred exceeds.
    pub p99: Duration,
}

/// Connections to an echo server.
#[derive(Debug)]
pub struct Load {
    epoll: OwnedFd,
    connections: Vec<Connection>,
    message_bytes: usize,
    pattern: Vec<u8>,
    buffer: Vec<u8>,
}

#[derive(Debug)]
struct Connection {
    stream: TcpStream,
    /// Where in the pattern its message begins.
    message_at: usize,
    received_bytes: usize,
    sent_at: Instant,
}

impl Load {
    /// Connects.
    ///
    /// # Errors
    ///
    /// Those of the connections.
    pub fn connect(
        address: SocketAddr,
        connections: usize,
        message_bytes: usize,
    ) -> io::Result<Self> {
        let mut this = Self {
            epoll: epoll::create(CreateFlags::CLOEXEC)?,
            connections: Vec::with_capacity(connections),
            message_bytes,
            pattern: pattern(message_bytes),
            buffer: vec![0; message_bytes],
        };
        for index in 0..connections {
            let stream = TcpStream::connect(address)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let data = EventData::new_u64(index as u64);
            epoll::add(&this.epoll, &stream, data, EventFlags::IN)?;
            this.connections.push(Connection {
                stream,
                message_at: 0,
                received_bytes: 0,
                sent_at: Instant::now(),
            });
        }
        Ok(this)
    }

    /// Sends requests on all connections until the end that was set, and waits for the answers.
    ///
    /// # Errors
    ///
    /// A connection ended or broke; `InvalidData` if other bytes came back than were sent.
    pub fn run(&mut self, until: Until) -> io::Result<Outcome> {
        let mut budget = Budget::new(until);
        let mut latencies = Vec::with_capacity(LATENCIES_EXPECTED);
        let mut in_flight = 0_usize;
        let start = Instant::now();
        for index in 0..self.connections.len() {
            if budget.take(start) {
                self.send(index, budget.issued)?;
                in_flight += 1;
            }
        }
        let mut events = Vec::with_capacity(EVENTS_MAX);
        while in_flight > 0 {
            events.clear();
            epoll::wait(&self.epoll, spare_capacity(&mut events), None)?;
            for event in &events {
                let index = usize::try_from(event.data.u64()).expect("an index was a usize");
                let Some(latency) = self.receive(index)? else {
                    continue;
                };
                latencies.push(latency);
                if budget.take(start) {
                    self.send(index, budget.issued)?;
                } else {
                    in_flight -= 1;
                }
            }
        }
        Ok(Outcome {
            requests: latencies.len() as u64,
            elapsed: start.elapsed(),
            p99: percentile_99(&mut latencies),
        })
    }

    fn send(&mut self, index: usize, number: u64) -> io::Result<()> {
        let connection = &mut self.connections[index];
        connection.message_at = place(number);
        connection.received_bytes = 0;
        connection.sent_at = Instant::now();
        // The one message in flight fits the socket's buffer.
        let message = &self.pattern[connection.message_at..][..self.message_bytes];
        let sent = connection.stream.write(message)?;
        if sent < message.len() {
            return Err(io::Error::other("the socket did not take a whole message"));
        }
        Ok(())
    }

    /// The latency, once the whole message is back.
    fn receive(&mut self, index: usize) -> io::Result<Option<Duration>> {
        let connection = &mut self.connections[index];
        let missing = self.message_bytes - connection.received_bytes;
        // With nothing in flight, a byte too many or the end of the connection is found here.
        let count = connection.stream.read(&mut self.buffer[..missing.max(1)])?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let end = connection.received_bytes + count;
        let message = &self.pattern[connection.message_at..][..self.message_bytes];
        let expected = message.get(connection.received_bytes..end);
        if expected != Some(&self.buffer[..count]) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "other bytes came back than were sent",
            ));
        }
        connection.received_bytes = end;
        Ok((end == self.message_bytes).then(|| connection.sent_at.elapsed()))
    }
}

/// How many requests may still be sent.
struct Budget {
    until: Until,
    issued: u64,
}

impl Budget {
    fn new(until: Until) -> Self {
        Self { until, issued: 0 }
    }

    fn take(&mut self, start: Instant) -> bool {
        let goes_on = match self.until {
            Until::Requests(count) => self.issued < count,
            Until::Elapsed(duration) => start.elapsed() < duration,
        };
        self.issued += u64::from(goes_on);
        goes_on
    }
}

/// Bytes without order, enough for a message from any place.
fn pattern(message_bytes: usize) -> Vec<u8> {
    let bytes = place(PLACES - 1) + message_bytes;
    let words = (0..bytes.div_ceil(size_of::<u64>())).scan(1_u64, |word, _| {
        *word = word.wrapping_mul(MULTIPLIER).wrapping_add(1);
        Some(word.to_ne_bytes())
    });
    words.flatten().take(bytes).collect()
}

/// Where the message of a request begins: requests that follow each other differ.
fn place(number: u64) -> usize {
    (number % PLACES) as usize * size_of::<u64>()
}

fn percentile_99(latencies: &mut [Duration]) -> Duration {
    if latencies.is_empty() {
        return Duration::ZERO;
    }
    let rank = (latencies.len() - 1) * 99 / 100;
    *latencies.select_nth_unstable(rank).1
}

const EVENTS_MAX: usize = 1024;
/// A prime, so that connections that are served in turn do not get the same again and again.
const PLACES: u64 = 1021;
const LATENCIES_EXPECTED: usize = 1 << 20;
/// Of Knuth's linear congruential generator.
const MULTIPLIER: u64 = 6_364_136_223_846_793_005;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_have_their_size_and_differ() {
        let pattern = pattern(61);
        let message = |number| &pattern[place(number)..][..61];
        assert_ne!(message(1), message(2));
        assert_eq!(message(PLACES - 1).len(), 61);
        assert_eq!(message(PLACES), message(0));
    }

    #[test]
    fn one_in_a_hundred_exceeds_the_percentile() {
        let mut latencies: Vec<_> = (1..=1000).rev().map(Duration::from_nanos).collect();
        assert_eq!(percentile_99(&mut latencies), Duration::from_nanos(990));
    }
}
