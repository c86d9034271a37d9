//! The load of an HTTP server: one request again and again, and one answer.
//!
//! The first answer is parsed: its status is 200, its length is told, its body is the one that is
//! expected. Every later one, on whichever connection, is compared with the one before. Most often
//! they are the same bytes. If not, because the second is another one, it is parsed too, and may
//! differ in the value of its `Date` alone. Then it is the one that is compared with.
//!
//! # Why it is so
//! One comparison of a few hundred bytes says as much as parsing them would, and costs a hundredth of
//! a system call. What is not whole is gathered for its connection, so it does not matter in how many
//! parts an answer comes.

use std::io::{self, Read, Write};
use std::mem;
use std::net::{SocketAddr, TcpStream};
use std::str;

use super::{Idle, Load, Progress, Protocol, READ_BYTES_MAX, TOO_MUCH, wrong};

/// One request, and what it has to be answered with.
#[derive(Debug)]
pub struct Http {
    request: Vec<u8>,
    /// What every answer has to have in it.
    body: Vec<u8>,
    /// The answer that the next one is compared with. Empty before the first.
    last: Vec<u8>,
    /// What has come of an answer that is not whole, for each connection.
    parts: Vec<Vec<u8>>,
}

impl Load<Http> {
    /// Connects to an HTTP server that will be asked for a path again and again, one request in
    /// flight on each connection. Returns when it has accepted all connections.
    ///
    /// # Errors
    ///
    /// Those of the connections; `WouldBlock` if a connection is not served within ten seconds;
    /// `InvalidData` if the answer is not 200, has no `Content-Length`, or another body.
    pub fn get(
        address: SocketAddr,
        path: &str,
        body: Vec<u8>,
        connections: usize,
    ) -> io::Result<Self> {
        let http = Http::new(address, path, body, connections);
        Self::open(address, http, connections, 1, Idle::Looks, READ_BYTES_MAX)
    }
}

impl Http {
    fn new(address: SocketAddr, path: &str, body: Vec<u8>, connections: usize) -> Self {
        let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\n\r\n");
        Self {
            request: request.into_bytes(),
            body,
            last: Vec::new(),
            parts: vec![Vec::new(); connections],
        }
    }
}

impl Protocol for Http {
    fn message_bytes(&self) -> usize {
        self.request.len()
    }

    fn greet(&mut self, number: usize, stream: &mut TcpStream) -> io::Result<()> {
        let (progress, mut buffer) = (Progress::new(number), [0; 4096]);
        stream.write_all(&self.request)?;
        loop {
            match stream.read(&mut buffer)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count if self.judge(&progress, &buffer[..count])? > 0 => return Ok(()),
                _ => {}
            }
        }
    }

    fn outgoing(&self, _: &Progress, bytes: usize) -> &[u8] {
        &self.request[self.request.len() - bytes..]
    }

    fn due(&self, _: &Progress) -> usize {
        // More than an answer would be found by comparing.
        usize::MAX
    }

    fn judge(&mut self, progress: &Progress, bytes: &[u8]) -> io::Result<u64> {
        let Self { body, last, .. } = self;
        let parts = &mut self.parts[progress.number];
        if parts.is_empty() && *bytes == **last {
            return Ok(1);
        }
        parts.extend_from_slice(bytes);
        if parts != last {
            let body_at = body_at(parts, body.len())?;
            let Some(body_at) = body_at.filter(|at| parts.len() - at >= body.len()) else {
                return Ok(0);
            };
            if parts.len() - body_at > body.len() {
                return Err(wrong(TOO_MUCH));
            }
            if parts[body_at..] != **body {
                return Err(wrong("another body came back than was expected"));
            }
            if !last.is_empty() {
                compare_heads(&last[..last.len() - body.len()], &parts[..body_at])?;
            }
            mem::swap(last, parts);
        }
        // The memory is kept: a server that sends parts does so each time.
        parts.clear();
        Ok(1)
    }
}

/// Where the body of an answer begins, if its head is whole.
///
/// # Errors
///
/// `InvalidData` if it is not 200, or is not told to have a body of so many bytes.
fn body_at(answer: &[u8], body_bytes: usize) -> io::Result<Option<usize>> {
    let Some(end) = answer.windows(END.len()).position(|four| four == END) else {
        return match answer.len() < HEAD_BYTES_MAX {
            true => Ok(None),
            false => Err(wrong("a head has no end")),
        };
    };
    let head = str::from_utf8(&answer[..end]).map_err(|_| wrong("a head is no text"))?;
    let (status, fields) = head.split_once("\r\n").unwrap_or((head, ""));
    if !status.starts_with("HTTP/1.1 200 ") {
        return Err(wrong(&format!("the answer is {status:?}")));
    }
    let fields = fields.split("\r\n").filter_map(|line| line.split_once(':'));
    let values = |wanted: &'static str| {
        let named = fields.clone();
        let named = named.filter(move |(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| value.trim())
    };
    if let Some(coding) = values("Transfer-Encoding").next() {
        let problem =
            format!("the answer is {coding}: only such with Content-Length are understood");
        return Err(wrong(&problem));
    }
    let lengths: Vec<_> = values("Content-Length").collect();
    if lengths != [body_bytes.to_string()] {
        let problem = format!("Content-Length is {lengths:?} and not {body_bytes}");
        return Err(wrong(&problem));
    }
    Ok(Some(end + END.len()))
}

/// Fails unless two heads differ in the value of their date alone.
fn compare_heads(before: &[u8], now: &[u8]) -> io::Result<()> {
    if before.len() == now.len() && lines(before).eq(lines(now)) {
        return Ok(());
    }
    let [before, now] = [before, now].map(String::from_utf8_lossy);
    Err(wrong(&format!("the head was {before:?} and is {now:?}")))
}

/// The lines of a head that do not tell the time.
fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let is_date = |line: &&[u8]| {
        let name = line.get(..DATE.len());
        name.is_some_and(|name| name.eq_ignore_ascii_case(DATE))
    };
    head.split(|&byte| byte == b'\n')
        .filter(move |line| !is_date(line))
}

const END: &[u8] = b"\r\n\r\n";
const DATE: &[u8] = b"Date:";
const HEAD_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests;
