//! The head of a request, as far as a server of files has to know it.
//!
//! Place: called by `answer` with what has arrived; knows nothing of files or sockets.

use std::mem::MaybeUninit;

use super::answer::Status;

/// Bytes that a head may have, however it arrives. One that has as many and no end is refused.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Lines that a head may have.
const HEADERS_MAX: usize = 64;

/// A request whose head has arrived.
#[derive(Debug)]
pub(crate) struct Request<'a> {
    /// Bytes of the head.
    pub(crate) length: usize,
    /// Path as it was sent, without the query. It begins with a slash.
    pub(crate) target: &'a str,
    /// GET or HEAD.
    pub(crate) is_allowed: bool,
    pub(crate) is_head: bool,
    pub(crate) is_http_1_0: bool,
    /// The client wants to go on with this connection, and can: the end of the request is known.
    pub(crate) keeps_alive: bool,
    pub(crate) if_modified_since: Option<&'a [u8]>,
}

/// Reads a head. Nothing if it has not arrived as a whole.
///
/// # Errors
///
/// What to answer to something whose end is not known either.
pub(crate) fn parse(input: &[u8]) -> Result<Option<Request<'_>>, Status> {
    let mut lines = [const { MaybeUninit::uninit() }; HEADERS_MAX];
    let mut head = httparse::Request::new(&mut []);
    let length = match head.parse_with_uninit_headers(input, &mut lines) {
        Ok(httparse::Status::Complete(length)) if length <= HEAD_BYTES_MAX => length,
        Ok(httparse::Status::Partial) if input.len() < HEAD_BYTES_MAX => return Ok(None),
        Ok(_) | Err(httparse::Error::TooManyHeaders) => return Err(Status::HeadTooLarge),
        Err(httparse::Error::Version) => return Err(Status::VersionNotSupported),
        Err(_) => return Err(Status::BadRequest),
    };
    // A whole head has all three.
    let (Some(method), Some(path), Some(minor)) = (head.method, head.path, head.version) else {
        return Err(Status::BadRequest);
    };
    let lines = Lines::read(head.headers);
    let hosts_are_right = if minor == 0 {
        lines.hosts <= 1
    } else {
        lines.hosts == 1
    };
    let target = origin(path).ok_or(Status::BadRequest)?;
    if !hosts_are_right {
        return Err(Status::BadRequest);
    }
    Ok(Some(Request {
        length,
        target,
        is_allowed: matches!(method, "GET" | "HEAD"),
        is_head: method == "HEAD",
        is_http_1_0: minor == 0,
        // A body is not read: the connection ends behind it.
        keeps_alive: !lines.has_body && !lines.closes && (minor == 1 || lines.keeps_alive),
        if_modified_since: lines.if_modified_since,
    }))
}

/// What the lines of a head say.
#[derive(Debug, Default)]
struct Lines<'a> {
    hosts: usize,
    closes: bool,
    keeps_alive: bool,
    has_body: bool,
    if_modified_since: Option<&'a [u8]>,
}

impl<'a> Lines<'a> {
    fn read(lines: &[httparse::Header<'a>]) -> Self {
        let mut this = Self::default();
        for line in lines {
            let is = |name: &str| line.name.eq_ignore_ascii_case(name);
            // The length first: most lines are of no interest.
            match line.name.len() {
                4 if is("host") => this.hosts += 1,
                10 if is("connection") => this.connection(line.value),
                14 if is("content-length") => this.has_body |= line.value != b"0",
                17 if is("if-modified-since") => this.if_modified_since = Some(line.value),
                17 if is("transfer-encoding") => this.has_body = true,
                _ => {}
            }
        }
        this
    }

    fn connection(&mut self, value: &[u8]) {
        for token in value.split(|&byte| byte == b',') {
            let token = token.trim_ascii();
            self.closes |= token.eq_ignore_ascii_case(b"close");
            self.keeps_alive |= token.eq_ignore_ascii_case(b"keep-alive");
        }
    }
}

/// The path of a target without its query: of `/path?query`, and of `http://host/path`, which
/// servers have to understand too (RFC 9112, section 3.2.2).
fn origin(target: &str) -> Option<&str> {
    // The query first: what is in it is neither a scheme nor a path.
    let target = target.split('?').next()?;
    if target.starts_with('/') {
        return Some(target);
    }
    let (scheme, rest) = target.split_once("://")?;
    let is = |name: &str| scheme.eq_ignore_ascii_case(name);
    if !is("http") && !is("https") {
        return None;
    }
    Some(rest.find('/').map_or("/", |at| &rest[at..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_of_a_target_has_no_host_and_no_query() {
        for (target, path) in [
            ("/x/y?z", Some("/x/y")),
            ("/?http://host/x", Some("/")),
            ("http://host/x?y", Some("/x")),
            ("HTTPS://host/x", Some("/x")),
            ("http://host", Some("/")),
            ("http://host?x/y", Some("/")),
            ("x?http://host/y", None),
            ("ftp://host/x", None),
            ("*", None),
        ] {
            assert_eq!(origin(target), path, "{target}");
        }
    }

    #[test]
    fn the_limit_of_a_head_is_the_same_in_one_piece_and_in_two() {
        for (bytes, is_right) in [(HEAD_BYTES_MAX, true), (HEAD_BYTES_MAX + 1, false)] {
            let mut head = b"GET / HTTP/1.1\r\nHost: x\r\nX: ".to_vec();
            head.resize(bytes - 4, b'a');
            assert!(parse(&head).unwrap().is_none());
            head.extend_from_slice(b"\r\n\r\n");
            assert_eq!(parse(&head).is_ok(), is_right, "{bytes}");
        }
    }
}
