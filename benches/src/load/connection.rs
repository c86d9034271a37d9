//! One connection of the load generator: writes what is issued, reads what comes back.

use std::io::{self, Read, Write};
use std::net::TcpStream;

use super::{Progress, Protocol, TOO_MUCH, wrong};

#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    progress: Progress,
}

impl Connection {
    pub(super) fn new(stream: TcpStream, number: usize) -> Self {
        let progress = Progress::new(number);
        Self { stream, progress }
    }

    /// Messages that have come back whole.
    pub(super) fn answered(&self) -> u64 {
        self.progress.answered
    }

    /// One message more. Answers which one it is.
    pub(super) fn issue(&mut self) -> u64 {
        let number = self.progress.issued;
        self.progress.issued += 1;
        number
    }

    /// Writes what was issued, all messages in one call. What the socket does not take waits.
    pub(super) fn flush(&mut self, protocol: &impl Protocol) -> io::Result<()> {
        let progress = &mut self.progress;
        let issued = progress.issued * protocol.message_bytes() as u64;
        let unsent = (issued - progress.sent) as usize;
        if unsent == 0 {
            return Ok(());
        }
        match self.stream.write(protocol.outgoing(progress, unsent)) {
            Ok(count) => progress.sent += count as u64,
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Reads and judges what is there: up to the end of the stream, if that has come.
    pub(super) fn receive(
        &mut self,
        protocol: &mut impl Protocol,
        buffer: &mut [u8],
        has_ended: bool,
    ) -> io::Result<()> {
        let progress = &mut self.progress;
        loop {
            let due = match progress.issued - progress.answered {
                0 => 0,
                _ => protocol.due(progress),
            };
            // With nothing due, a byte too many or the end of the connection is found here.
            let most = due.clamp(1, buffer.len());
            let count = match self.stream.read(&mut buffer[..most]) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(count) => count,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                Err(error) => return Err(error),
            };
            if count > due {
                return Err(wrong(TOO_MUCH));
            }
            progress.answered += protocol.judge(progress, &buffer[..count])?;
            progress.received += count as u64;
            // A short read has emptied the socket: epoll(7), questions and answers 9. What comes
            // later is an edge, but an end that has come is none any more.
            if !has_ended && (count < most || count == due) {
                return Ok(());
            }
        }
    }
}
