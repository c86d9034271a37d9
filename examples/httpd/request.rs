//! The head of a request, as far as a server of files has to know it.
//!
//! Place: called by `answer` with what has arrived; knows nothing of files or sockets.

use std::mem::MaybeUninit;

use super::answer::Status;

/// Bytes that a head may have, however it arrives. One that has as many and no end is refused.
const HEAD_BYTES_MAX: usize = 16 * 1024;
/// Lines that a head may have.
const HEADERS_MAX: usize = 64;
/// What a host with its port may have beside letters and digits (RFC 3986, section 3.2).
const HOST_SIGNS: &[u8] = b"-._~!$&'()*+,;=%:[]";

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
    /// `If-None-Match: *`: what there is, is not to be sent (RFC 9110, section 13.1.2).
    pub(crate) has_any_etag: bool,
    /// None also beside `If-None-Match`, which overrides it (RFC 9110, section 13.1.3).
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
    let is_endless = lines.is_encoded && !lines.is_chunked;
    if !hosts_are_right || lines.has_bad_value || is_endless {
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
        has_any_etag: lines.has_any_etag,
        if_modified_since: lines.if_modified_since.filter(|_| !lines.has_etags),
    }))
}

/// What the lines of a head say.
#[derive(Debug, Default)]
struct Lines<'a> {
    hosts: usize,
    closes: bool,
    keeps_alive: bool,
    has_body: bool,
    has_length: bool,
    /// A host or a length is none: such a request must be refused (RFC 9112, sections 3.2 and 6.3).
    has_bad_value: bool,
    /// So must one with a body whose end cannot be found: that is encoded, and not in chunks at last.
    is_encoded: bool,
    is_chunked: bool,
    has_etags: bool,
    has_any_etag: bool,
    if_modified_since: Option<&'a [u8]>,
}

impl<'a> Lines<'a> {
    fn read(lines: &[httparse::Header<'a>]) -> Self {
        let mut this = Self::default();
        for line in lines {
            let is = |name: &str| line.name.eq_ignore_ascii_case(name);
            // The length first: most lines are of no interest.
            match line.name.len() {
                4 if is("host") => this.host(line.value),
                10 if is("connection") => this.connection(line.value),
                13 if is("if-none-match") => this.if_none_match(line.value),
                14 if is("content-length") => this.content_length(line.value),
                17 if is("if-modified-since") => this.if_modified_since = Some(line.value),
                17 if is("transfer-encoding") => this.transfer_encoding(line.value),
                _ => {}
            }
        }
        this
    }

    fn host(&mut self, value: &[u8]) {
        let fits = |byte: &u8| byte.is_ascii_alphanumeric() || HOST_SIGNS.contains(byte);
        self.hosts += 1;
        self.has_bad_value |= !value.iter().all(fits);
    }

    /// A body's length; two are one too many.
    fn content_length(&mut self, value: &[u8]) {
        let is_number = !value.is_empty() && value.iter().all(u8::is_ascii_digit);
        self.has_bad_value |= !is_number || self.has_length;
        self.has_length = true;
        self.has_body |= value != b"0";
    }

    /// A body's encoding, of which the last one counts. Elements that are empty are none (RFC 9110,
    /// section 5.6.1.2).
    fn transfer_encoding(&mut self, value: &[u8]) {
        let mut elements = value.rsplit(|&byte| byte == b',').map(<[u8]>::trim_ascii);
        if let Some(last) = elements.find(|element| !element.is_empty()) {
            self.is_chunked = last.eq_ignore_ascii_case(b"chunked");
        }
        self.is_encoded = true;
        self.has_body = true;
    }

    /// No file has a tag: only what stands for any can match.
    fn if_none_match(&mut self, value: &[u8]) {
        self.has_etags = true;
        self.has_any_etag |= value.trim_ascii() == b"*";
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
    fn lines_that_cannot_be_right_are_refused() {
        for (lines, keeps_alive) in [
            ("Content-Length: 0", Ok(true)),
            ("Content-Length: 5", Ok(false)),
            ("Transfer-Encoding: chunked", Ok(false)),
            ("Transfer-Encoding: gzip , Chunked", Ok(false)),
            ("Content-Length: 5\r\nTransfer-Encoding: chunked", Ok(false)),
            (
                "Transfer-Encoding: gzip\r\nTransfer-Encoding: chunked",
                Ok(false),
            ),
            ("Transfer-Encoding: chunked,", Ok(false)),
            ("Transfer-Encoding: , chunked , ,", Ok(false)),
            (
                "Transfer-Encoding: chunked\r\nTransfer-Encoding:",
                Ok(false),
            ),
            (
                "Transfer-Encoding: ,\r\nTransfer-Encoding: chunked",
                Ok(false),
            ),
            ("Transfer-Encoding:", Err(Status::BadRequest)),
            ("Transfer-Encoding: ,", Err(Status::BadRequest)),
            ("Transfer-Encoding: chunked, gzip,", Err(Status::BadRequest)),
            (
                "Transfer-Encoding: gzip\r\nTransfer-Encoding: ",
                Err(Status::BadRequest),
            ),
            ("Content-Length: ", Err(Status::BadRequest)),
            ("Content-Length: +5", Err(Status::BadRequest)),
            ("Content-Length: 5, 6", Err(Status::BadRequest)),
            (
                "Content-Length: 0\r\nContent-Length: 5",
                Err(Status::BadRequest),
            ),
            ("Transfer-Encoding: gzip", Err(Status::BadRequest)),
            ("Transfer-Encoding: chunked, gzip", Err(Status::BadRequest)),
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n\r\n");
            let request = parse(head.as_bytes());
            let found = request.map(|request| request.unwrap().keeps_alive);
            assert_eq!(found, keeps_alive, "{lines}");
        }
        for (host, is_right) in [
            ("", true),
            ("x.y-z:80", true),
            ("[::1]:80", true),
            ("x y", false),
            ("x/y", false),
            ("x@y", false),
        ] {
            let head = format!("GET / HTTP/1.1\r\nHost: {host}\r\n\r\n");
            assert_eq!(parse(head.as_bytes()).is_ok(), is_right, "{host}");
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

    #[test]
    fn etags_override_the_date() {
        let date = "If-Modified-Since: Thu, 01 Jan 1970 00:00:00 GMT\r\n";
        for (etags, is_asked, is_any) in [
            ("", true, false),
            ("If-None-Match: \"x\"\r\n", false, false),
            ("If-None-Match: \"*\"\r\n", false, false),
            ("If-None-Match: *\r\n", false, true),
        ] {
            for lines in [format!("{date}{etags}"), format!("{etags}{date}")] {
                let head = format!("GET / HTTP/1.1\r\nHost: x\r\n{lines}\r\n");
                let request = parse(head.as_bytes()).unwrap().unwrap();
                assert_eq!(request.if_modified_since.is_some(), is_asked, "{lines}");
                assert_eq!(request.has_any_etag, is_any, "{lines}");
            }
        }
    }
}
