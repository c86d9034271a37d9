//! Answers as they may come, right and wrong ones: given to the judge byte by byte, and sent by
//! servers on threads of this process.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use super::super::{Load, Progress, Protocol, Until};
use super::Http;

const BODY: &str = "hello, world\n";

fn http() -> Http {
    let address = SocketAddr::from(([127, 0, 0, 1], 1));
    Http::new(address, "/", BODY.into(), 2)
}

fn answer(second: u8) -> String {
    let date = format!("Date: Thu, 01 Jan 1970 00:00:0{second} GMT\r\n");
    format!("HTTP/1.1 200 OK\r\n{date}Content-Length: 13\r\nX: y\r\n\r\n{BODY}")
}

/// Gives the judge an answer in parts, each on its own: how many answers were whole with it.
fn judge(http: &mut Http, connection: usize, parts: &[&str]) -> io::Result<u64> {
    let progress = Progress::new(connection);
    let answers = parts
        .iter()
        .map(|part| http.judge(&progress, part.as_bytes()));
    answers.sum()
}

/// What is found to be wrong with an answer that comes after a right one.
fn problem(text: &str) -> String {
    let mut http = http();
    assert_eq!(judge(&mut http, 0, &[&answer(0)]).unwrap(), 1);
    let error = judge(&mut http, 0, &[text]).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    // It does not need another to be compared with.
    let first = judge(&mut self::http(), 0, &[text]);
    if !text.contains("X: z") {
        assert_eq!(first.unwrap_err().to_string(), error.to_string());
    }
    error.to_string()
}

#[test]
fn an_answer_may_be_split_at_every_byte() {
    let mut http = http();
    for second in 0..3 {
        let whole = answer(second);
        for at in 1..whole.len() {
            let (one, other) = whole.split_at(at);
            assert_eq!(judge(&mut http, 0, &[one]).unwrap(), 0, "{at}");
            // Another connection is at another place.
            assert_eq!(judge(&mut http, 1, &[&whole]).unwrap(), 1, "{at}");
            assert_eq!(judge(&mut http, 0, &[other]).unwrap(), 1, "{at}");
        }
        let bytes: Vec<_> = (0..whole.len()).map(|at| &whole[at..=at]).collect();
        assert_eq!(judge(&mut http, 0, &bytes).unwrap(), 1);
    }
}

#[test]
fn a_date_that_changes_in_the_middle_of_an_answer_is_none_of_its_business() {
    let mut http = http();
    let (old, new) = (answer(1), answer(2));
    for at in 1..old.len() {
        let (one, other) = old.split_at(at);
        assert_eq!(judge(&mut http, 0, &[one]).unwrap(), 0);
        assert_eq!(judge(&mut http, 1, &[&new]).unwrap(), 1);
        assert_eq!(judge(&mut http, 0, &[other]).unwrap(), 1);
    }
}

#[test]
fn one_wrong_byte_is_found_wherever_it_is_but_in_the_date() {
    let right = answer(0);
    let (begin, end) = (
        right.find("Date:").unwrap() + 5,
        right.find("GMT").unwrap() + 3,
    );
    for at in 0..right.len() {
        let mut wrong = right.clone().into_bytes();
        wrong[at] ^= 1;
        for split in [1, at.max(1), right.len() - 1] {
            let mut http = http();
            assert_eq!(judge(&mut http, 0, &[&right]).unwrap(), 1);
            let progress = Progress::new(0);
            let (one, other) = wrong.split_at(split);
            let first = http.judge(&progress, one);
            let judged = first.and_then(|_| http.judge(&progress, other));
            match (begin..end).contains(&at) {
                true => assert_eq!(judged.unwrap(), 1, "at {at}"),
                // An end of the head that is not found is waited for.
                false => assert!(!judged.is_ok_and(|answers| answers > 0), "at {at}"),
            }
        }
    }
}

#[test]
fn what_is_wrong_is_told() {
    let right = answer(0);
    for (text, expected) in [
        (
            right.replace("200 OK", "500 Internal Server Error"),
            "the answer is \"HTTP/1.1 500 Internal Server Error\"",
        ),
        (
            right.replace("HTTP/1.1", "HTTP/1.0"),
            "the answer is \"HTTP/1.0 200 OK\"",
        ),
        (
            right.replace("hello", "jello"),
            "another body came back than was expected",
        ),
        (
            right.replace("13", "12").replace('\n', ""),
            "a head has no end",
        ),
        (
            right.replace("Length: 13", "Length: 12"),
            "Content-Length is [\"12\"] and not 13",
        ),
        (
            right.replace(
                "Content-Length: 13",
                "Content-Length: 13\r\ncontent-length: 14",
            ),
            "Content-Length is [\"13\", \"14\"] and not 13",
        ),
        (
            right.replace("Content-Length: 13", "Connection: close"),
            "Content-Length is [] and not 13",
        ),
        (
            right.replace("Content-Length: 13", "transfer-encoding: chunked"),
            "the answer is chunked: only such with Content-Length are understood",
        ),
        (
            format!("{right}{right}"),
            "more came back than was asked for",
        ),
    ] {
        let text = match expected {
            "a head has no end" => text.repeat(super::HEAD_BYTES_MAX / text.len() + 1),
            _ => text,
        };
        assert_eq!(problem(&text), expected, "{text}");
    }
}

#[test]
fn a_head_may_change_in_its_date_only() {
    for (before, after) in [("X: y", "X: z"), ("X: y", "X: z\r\nY: a")] {
        let problem = problem(&answer(0).replace(before, after));
        assert!(problem.starts_with("the head was "), "{problem}");
    }
}

/// A server that gives its connection, the first one, to `serve`.
fn server(serve: impl FnOnce(TcpStream) -> io::Result<()> + Send + 'static) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    // It ends with its connection, broken or not.
    thread::spawn(move || {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        serve(stream)
    });
    address
}

/// Reads one request.
fn request(stream: &mut TcpStream) -> io::Result<()> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        stream.read_exact(&mut byte)?;
        head.extend(byte);
    }
    match head.starts_with(b"GET /x HTTP/1.1\r\nHost: 127.0.0.1:") {
        true => Ok(()),
        false => Err(io::ErrorKind::InvalidData.into()),
    }
}

/// Asks on one connection, on a thread of its own: a load that hangs fails the test.
fn ask(address: SocketAddr, body: &str, requests: u64) -> io::Result<u64> {
    let (done, result) = mpsc::channel();
    let body = body.into();
    thread::spawn(move || {
        let asked = || {
            let mut load = Load::get(address, "/x", body, 1)?;
            Ok(load.run(Until::Requests(requests))?.requests)
        };
        done.send(asked())
    });
    result.recv_timeout(DEADLINE).expect("it hangs")
}

const DEADLINE: Duration = Duration::from_secs(20);

#[test]
fn answers_in_segments_of_their_own_are_counted() {
    let address = server(|mut stream| {
        for second in 0.. {
            request(&mut stream)?;
            let answer = answer(second % 10);
            for part in answer.as_bytes().chunks(7 + usize::from(second % 90)) {
                stream.write_all(part)?;
                // The client, which looks all the time, has its turn.
                thread::yield_now();
            }
        }
        Ok(())
    });
    assert_eq!(ask(address, BODY, 100).unwrap(), 100);
}

#[test]
fn a_body_may_be_larger_than_what_is_read_at_once() {
    let body = "x".repeat(3 * super::READ_BYTES_MAX + 1);
    let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n", body.len());
    let answer = format!("{head}{body}");
    let address = server(move |mut stream| {
        loop {
            request(&mut stream)?;
            stream.write_all(answer.as_bytes())?;
        }
    });
    assert_eq!(ask(address, &body, 20).unwrap(), 20);
}

#[test]
fn a_close_between_answers_or_in_the_middle_of_one_is_an_error() {
    for kept in [0, 1, 60, answer(0).len() - 1] {
        let address = server(move |mut stream| {
            request(&mut stream)?;
            stream.write_all(answer(0).as_bytes())?;
            request(&mut stream)?;
            stream.write_all(&answer(0).as_bytes()[..kept])
        });
        let error = ask(address, BODY, 3).unwrap_err();
        assert_eq!(
            error.kind(),
            io::ErrorKind::UnexpectedEof,
            "{kept}: {error}"
        );
    }
}

#[test]
fn an_error_among_answers_is_one_of_the_run() {
    let address = server(|mut stream| {
        for at in 0.. {
            request(&mut stream)?;
            let status = if at < 50 { "200 OK" } else { "503 Busy" };
            stream.write_all(answer(0).replace("200 OK", status).as_bytes())?;
        }
        Ok(())
    });
    let error = ask(address, BODY, 100).unwrap_err().to_string();
    assert_eq!(error, "the answer is \"HTTP/1.1 503 Busy\"");
}
