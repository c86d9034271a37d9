//! Answers to the requests that have arrived.
//!
//! Place: called by `connection` with bytes, appends bytes; decides, and waits for nothing.
//!
//! ```text
//!               +-- Read   the rest of a head has to arrive
//!   requests ---+-- Load   a file has to be looked at       (again with what was found)
//!               +-- Send   the head is written, the file is to follow
//!               +-- Write  enough is gathered to be sent
//!               +-- Close  nothing more will be answered
//! ```

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, UNIX_EPOCH};

use httpdate::HttpDate;

use super::files::{Content, Files, Found, Servable};
use super::request::{Request, parse};

/// Bytes of answers to pipelined requests that are gathered for one write.
const GATHERED_BYTES_MAX: usize = 16 * 1024;

/// What is to be done next.
#[derive(Debug)]
pub(crate) enum Next {
    Read,
    Load(String),
    Send { file: Rc<Servable>, and_close: bool },
    Write,
    Close,
}

/// The answers that are no file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Status {
    MovedPermanently,
    NotModified,
    BadRequest,
    NotFound,
    MethodNotAllowed,
    HeadTooLarge,
    InternalServerError,
    VersionNotSupported,
}

impl Status {
    fn line(self) -> &'static str {
        match self {
            Self::MovedPermanently => "301 Moved Permanently",
            Self::NotModified => "304 Not Modified",
            Self::BadRequest => "400 Bad Request",
            Self::NotFound => "404 Not Found",
            Self::MethodNotAllowed => "405 Method Not Allowed",
            Self::HeadTooLarge => "431 Request Header Fields Too Large",
            Self::InternalServerError => "500 Internal Server Error",
            Self::VersionNotSupported => "505 HTTP Version Not Supported",
        }
    }
}

/// Answers one request after the other. How many bytes of `input` they were, and what is next. The
/// first request is answered with what was `found`, if something was looked for.
pub(crate) fn answer(
    input: &[u8],
    out: &mut Vec<u8>,
    files: &Files,
    date: &Date,
    mut found: Option<Found>,
) -> (usize, Next) {
    let mut done = 0;
    loop {
        if out.len() >= GATHERED_BYTES_MAX {
            return (done, Next::Write);
        }
        let request = match parse(&input[done..]) {
            Ok(Some(request)) => request,
            Ok(None) => return (done, Next::Read),
            Err(status) => {
                plain(out, status, "", date, None);
                return (input.len(), Next::Close);
            }
        };
        let known = found.take().or_else(|| {
            let file = files.get(request.target, date.second());
            file.map(Found::File)
        });
        let next = match (request.is_allowed, known) {
            (false, _) => {
                let allow = "Allow: GET, HEAD\r\n";
                plain(out, Status::MethodNotAllowed, allow, date, Some(&request));
                None
            }
            (true, None) => return (done, Next::Load(request.target.to_owned())),
            (true, Some(found)) => respond(out, found, date, &request),
        };
        done += request.length;
        match next {
            Some(file) => {
                let and_close = !request.keeps_alive;
                return (done, Next::Send { file, and_close });
            }
            None if !request.keeps_alive => return (input.len(), Next::Close),
            None => {}
        }
    }
}

/// Appends the answer to one request. The file whose bytes are to follow, if they are not in memory.
fn respond(
    out: &mut Vec<u8>,
    found: Found,
    date: &Date,
    request: &Request<'_>,
) -> Option<Rc<Servable>> {
    let file = match found {
        Found::File(file) => file,
        Found::Folder => {
            let location = format!("Location: {}/\r\n", request.target);
            plain(
                out,
                Status::MovedPermanently,
                &location,
                date,
                Some(request),
            );
            return None;
        }
        Found::Nothing => {
            plain(out, Status::NotFound, "", date, Some(request));
            return None;
        }
        Found::Failed => {
            plain(out, Status::InternalServerError, "", date, Some(request));
            return None;
        }
    };
    let is_known = request.if_modified_since == Some(file.modified.as_bytes());
    // A method that is neither GET nor HEAD has been refused.
    if is_known || request.has_any_etag {
        let line = format!("Last-Modified: {}\r\n", file.modified);
        plain(out, Status::NotModified, &line, date, Some(request));
        return None;
    }
    out.extend_from_slice(&file.head);
    end_of_head(out, date, Some(request));
    match &file.content {
        _ if request.is_head => None,
        Content::Kept(bytes) => {
            out.extend_from_slice(bytes);
            None
        }
        Content::Open(..) => Some(file),
    }
}

/// An answer whose body is its status. `lines` end with a line break each.
fn plain(
    out: &mut Vec<u8>,
    status: Status,
    lines: &str,
    date: &Date,
    request: Option<&Request<'_>>,
) {
    let line = status.line();
    out.extend_from_slice(b"HTTP/1.1 ");
    out.extend_from_slice(line.as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(lines.as_bytes());
    if status == Status::NotModified {
        return end_of_head(out, date, request);
    }
    let length = line.len() + 1;
    let body = format!("Content-Type: text/plain\r\nContent-Length: {length}\r\n");
    out.extend_from_slice(body.as_bytes());
    end_of_head(out, date, request);
    if !request.is_some_and(|request| request.is_head) {
        out.extend_from_slice(line.as_bytes());
        out.push(b'\n');
    }
}

/// The lines that every answer has, and the empty one.
fn end_of_head(out: &mut Vec<u8>, date: &Date, request: Option<&Request<'_>>) {
    match request {
        Some(request) if !request.keeps_alive => out.extend_from_slice(b"Connection: close\r\n"),
        Some(request) if request.is_http_1_0 => {
            out.extend_from_slice(b"Connection: keep-alive\r\n");
        }
        Some(_) => {}
        None => out.extend_from_slice(b"Connection: close\r\n"),
    }
    out.extend_from_slice(date.line.borrow().as_bytes());
}

/// The line with the date, which is right for a second, and the end of the head behind it.
#[derive(Debug)]
pub(crate) struct Date {
    second: Cell<u64>,
    line: RefCell<String>,
}

impl Date {
    pub(crate) fn new() -> Self {
        let this = Self {
            second: Cell::new(u64::MAX),
            line: RefCell::default(),
        };
        this.look();
        this
    }

    /// The second in which it was looked at last, since 1970.
    pub(crate) fn second(&self) -> u64 {
        self.second.get()
    }

    /// Looks at the clock.
    pub(crate) fn look(&self) {
        let second = second();
        if self.second.replace(second) != second {
            let date = HttpDate::from(UNIX_EPOCH + Duration::from_secs(second));
            *self.line.borrow_mut() = format!("Date: {date}\r\n\r\n");
        }
    }
}

/// The second since 1970; before, there was no HTTP. By the clock that moves at each tick of the
/// kernel, some milliseconds: a look at the exact one is half a percent of a small request.
#[cfg(target_os = "linux")]
fn second() -> u64 {
    use rustix::time::{ClockId, clock_gettime};
    u64::try_from(clock_gettime(ClockId::RealtimeCoarse).tv_sec).unwrap_or(0)
}

#[cfg(not(target_os = "linux"))]
fn second() -> u64 {
    let now = std::time::SystemTime::now();
    now.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
