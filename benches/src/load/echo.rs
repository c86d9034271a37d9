//! The load of an echo server: messages without order, and the same bytes back.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use super::pattern::Pattern;
use super::{Idle, Load, Progress, Protocol, wrong};

/// What is asked of an echo server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shape {
    /// Connections at once.
    pub connections: usize,
    /// Bytes of a message.
    pub message_bytes: usize,
    /// Messages in flight on each connection.
    pub depth: usize,
}

/// What is sent comes back. Neighbours send different streams of the pattern.
#[derive(Debug)]
pub struct Echo {
    message_bytes: usize,
    pattern: Pattern,
}

impl Load<Echo> {
    /// Connects to an echo server. Returns when it has accepted all connections.
    ///
    /// # Errors
    ///
    /// Those of the connections; `WouldBlock` if a connection is not served within
    /// ten seconds.
    pub fn connect(address: SocketAddr, shape: Shape) -> io::Result<Self> {
        let window_bytes = shape.depth * shape.message_bytes;
        let echo = Echo {
            message_bytes: shape.message_bytes,
            pattern: Pattern::new(window_bytes),
        };
        let Shape {
            connections, depth, ..
        } = shape;
        Self::open(
            address,
            echo,
            connections,
            depth,
            Idle::Sleeps,
            window_bytes,
        )
    }
}

impl Protocol for Echo {
    fn message_bytes(&self) -> usize {
        self.message_bytes
    }

    fn greet(&mut self, _: usize, stream: &mut TcpStream) -> io::Result<()> {
        let mut answer = [0; GREETING.len()];
        stream.write_all(GREETING)?;
        stream.read_exact(&mut answer)?;
        match answer == *GREETING {
            true => Ok(()),
            false => Err(wrong("another greeting came back than was sent")),
        }
    }

    fn outgoing(&self, progress: &Progress, bytes: usize) -> &[u8] {
        self.pattern.part(progress.number, progress.sent, bytes)
    }

    fn due(&self, progress: &Progress) -> usize {
        (progress.sent - progress.received) as usize
    }

    fn judge(&mut self, progress: &Progress, bytes: &[u8]) -> io::Result<u64> {
        let at = progress.received;
        if *bytes != *self.pattern.part(progress.number, at, bytes.len()) {
            return Err(wrong("other bytes came back than were sent"));
        }
        let message_bytes = self.message_bytes as u64;
        let mut unanswered = at + bytes.len() as u64 - progress.answered * message_bytes;
        let mut answers = 0;
        while unanswered >= message_bytes {
            unanswered -= message_bytes;
            answers += 1;
        }
        Ok(answers)
    }
}

const GREETING: &[u8] = b"a load generator";

#[cfg(test)]
mod tests;
