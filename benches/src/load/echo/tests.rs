//! The load of an echo server against servers on threads of this process.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::Duration;

use super::super::{Load, Until};
use super::{GREETING, Shape};

/// A server that passes what it reads through `change`, told how many bytes went before.
fn serve(change: fn(u64, &mut [u8])) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            // It ends with its connection, broken or not.
            thread::spawn(move || drop(echo(stream, change)));
        }
    });
    address
}

fn echo(mut stream: TcpStream, change: fn(u64, &mut [u8])) -> io::Result<()> {
    let mut buffer = vec![0; 4096];
    let mut passed = 0;
    loop {
        let count = stream.read(&mut buffer)?;
        if count == 0 {
            return Ok(());
        }
        change(passed, &mut buffer[..count]);
        stream.write_all(&buffer[..count])?;
        passed += count as u64;
    }
}

fn shape(connections: usize, message_bytes: usize, depth: usize) -> Shape {
    Shape {
        connections,
        message_bytes,
        depth,
    }
}

#[test]
fn counts_every_answer() {
    let address = serve(|_, _| {});
    for (shape, requests) in [
        (shape(1, 64, 1), 200),
        (shape(70, 64, 1), 500),
        (shape(3, 64, 16), 1000),
        // More than a socket takes at once.
        (shape(2, 4 << 20, 2), 12),
        // Fewer requests than connections.
        (shape(5, 64, 2), 3),
    ] {
        let mut load = Load::connect(address, shape).unwrap();
        let outcome = load.run(Until::Requests(requests)).unwrap();
        assert_eq!(outcome.requests, requests, "{shape:?}");
        assert!(outcome.p50 > Duration::ZERO, "{outcome:?}");
        assert!(outcome.p50 <= outcome.p99 && outcome.p99 <= outcome.p999);
        assert!(outcome.p999 <= outcome.elapsed * 1001 / 1000, "{outcome:?}");
        // It can go on from there.
        load.run(Until::Elapsed(Duration::from_millis(1))).unwrap();
    }
}

#[test]
fn a_look_leaves_out_what_was_before_it() {
    let mut load = Load::connect(serve(|_, _| {}), shape(3, 64, 1)).unwrap();
    let (mut has_begun, mut requests) = (false, None);
    let millis = Duration::from_millis;
    load.look(
        millis(20),
        millis(50),
        || {
            has_begun = true;
            Ok(())
        },
        |outcome| {
            requests = Some(outcome.requests);
            Ok(())
        },
    )
    .unwrap();
    assert!(has_begun);
    let answered: u64 = load.connections.iter().map(|it| it.answered()).sum();
    // It opens with an answer that came after the run-in.
    assert!(requests.unwrap() < answered, "{requests:?} of {answered}");
    // It has waited for what was left.
    let outcome = load.run(Until::Requests(9)).unwrap();
    assert_eq!(outcome.requests, 9);
}

/// Where a changed byte is, after the greeting: in the third message, or the last byte of a large
/// one.
#[test]
fn finds_one_wrong_byte() {
    for (change, shape) in [
        (change_at::<130> as fn(u64, &mut [u8]), shape(1, 64, 1)),
        (change_at::<130>, shape(1, 64, 16)),
        (change_at::<65_535>, shape(1, 64 << 10, 1)),
    ] {
        let mut load = Load::connect(serve(change), shape).unwrap();
        let error = load.run(Until::Requests(20)).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{shape:?}");
    }
}

fn change_at<const AT: u64>(passed: u64, bytes: &mut [u8]) {
    let at = (AT + GREETING.len() as u64).checked_sub(passed);
    if let Some(byte) = at.and_then(|at| bytes.get_mut(at as usize)) {
        *byte ^= 1;
    }
}

#[test]
fn an_end_of_a_connection_is_an_error() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let address = listener.local_addr().unwrap();
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut greeting = [0; GREETING.len()];
        stream.read_exact(&mut greeting).unwrap();
        stream.write_all(&greeting).unwrap();
        // A message is read before the end, so that it is an end and no reset.
        stream.read_exact(&mut [0; 64]).unwrap();
    });
    let mut load = Load::connect(address, shape(1, 64, 1)).unwrap();
    let error = load.run(Until::Requests(2)).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
}
