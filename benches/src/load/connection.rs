//! One connection of the load generator: how far it is in its stream of bytes.
//!
//! ```text
//!   0 ........ received ........ written ........ issued
//!     compared          in flight          no room yet
//! ```

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::pattern::Pattern;

#[derive(Debug)]
pub(super) struct Connection {
    pub(super) stream: TcpStream,
    /// Which stream of the pattern it sends: neighbours send others.
    stream_number: usize,
    issued: u64,
    written: u64,
    received: u64,
    /// Messages that were issued.
    messages: u64,
    /// Messages that have come back whole.
    pub(super) answered: u64,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, stream_number: usize) -> Self {
        Self {
            stream,
            stream_number,
            issued: 0,
            written: 0,
            received: 0,
            messages: 0,
            answered: 0,
        }
    }

    /// One message more. Answers which one it is.
    pub(super) fn issue(&mut self, message_bytes: usize) -> u64 {
        let number = self.messages;
        self.messages += 1;
        self.issued += message_bytes as u64;
        number
    }

    /// Writes what was issued, all messages in one call. What the socket does not take waits.
    pub(super) fn flush(&mut self, pattern: &Pattern) -> io::Result<()> {
        let unsent = (self.issued - self.written) as usize;
        if unsent == 0 {
            return Ok(());
        }
        let bytes = pattern.part(self.stream_number, self.written, unsent);
        match self.stream.write(bytes) {
            Ok(count) => self.written += count as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads and compares what is there.
    pub(super) fn receive(
        &mut self,
        pattern: &Pattern,
        buffer: &mut [u8],
        message_bytes: usize,
    ) -> io::Result<()> {
        loop {
            let in_flight = (self.written - self.received) as usize;
            // With nothing in flight, a byte too many or the end of the connection is found here.
            let most = in_flight.clamp(1, buffer.len());
            let count = match self.stream.read(&mut buffer[..most]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            let expected = pattern.part(self.stream_number, self.received, count);
            if count > in_flight || buffer[..count] != *expected {
                return Err(io::Error::new(
                    io::ErrorKind::InvalidData,
                    "other bytes came back than were sent",
                ));
            }
            self.received += count as u64;
            while self.received - self.answered * message_bytes as u64 >= message_bytes as u64 {
                self.answered += 1;
            }
            // A short read has emptied the socket: epoll(7), questions and answers 9. What comes
            // later is an edge.
            if count < most || count == in_flight {
                return Ok(());
            }
        }
    }
}
