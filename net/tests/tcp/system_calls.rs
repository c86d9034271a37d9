//! What a message costs, counted by strace where it is installed.

use std::io::Write as _;
use std::net;
use std::process::Command;
use std::thread;

use oneloop_net::{Coalesced, TcpListener, TcpStream};
use oneloop_runtime::runtime::Builder;

use crate::support::{own_command, own_process, run_on};

const MESSAGES: usize = 500;
const NAME: &str = "system_calls::message_echoed_costs_one_receive_one_send_one_wait";
const NAME_IN_PIECES: &str =
    "system_calls::message_echoed_in_pieces_costs_one_send_if_they_are_gathered";
const WRITES_OF_A_MESSAGE: usize = 1;
const PIECES_OF_A_MESSAGE: usize = 16;
const BEGIN: &str = "oneloop-test-begin";
const END: &str = "oneloop-test-end";

#[test]
fn message_echoed_costs_one_receive_one_send_one_wait() {
    if own_process() {
        return echo_between_marks(WRITES_OF_A_MESSAGE);
    }
    check_calls_of_echo(NAME);
}

/// Many small writes, as many sends as before: one.
#[test]
fn message_echoed_in_pieces_costs_one_send_if_they_are_gathered() {
    if own_process() {
        return echo_between_marks(PIECES_OF_A_MESSAGE);
    }
    check_calls_of_echo(NAME_IN_PIECES);
}

fn check_calls_of_echo(name: &str) {
    let mut tried = Command::new("strace");
    let tried = tried.args(["-f", "-o", "/dev/null", "true"]).output();
    if !tried.is_ok_and(|tried| tried.status.success()) {
        // Not installed, or not allowed to trace here.
        return;
    }
    let file = format!("oneloop-strace-{}-{}", std::process::id(), name.len());
    let log = std::env::temp_dir().join(file);
    let mut strace = Command::new("strace");
    let calls = "trace=!futex,mmap,munmap,brk";
    strace
        .args(["-f", "-e", calls, "-o"])
        .arg(&log)
        .arg(std::env::current_exe().unwrap());
    let output = own_command(strace, name).output().unwrap();
    let text = std::fs::read_to_string(&log).unwrap_or_default();
    // If it stays it is a file in the directory for such files.
    let _ = std::fs::remove_file(&log);
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let calls = calls_between_marks(&text);
    let count = |names: &[&str]| {
        calls
            .iter()
            .filter(|call| names.iter().any(|name| call.starts_with(name)))
            .count()
    };
    let receives = count(&["recv"]);
    let sends = count(&["send"]);
    let waits = count(&["epoll_wait", "epoll_pwait"]);
    let others = calls.len() - receives - sends - waits;
    let text = format!("{receives} receives, {sends} sends, {waits} waits, {others} others");
    // The first receive that finds nothing registers the stream; no other finds nothing.
    assert!((MESSAGES..=MESSAGES + 1).contains(&receives), "{text}");
    assert_eq!(sends, MESSAGES, "{text}");
    // One for each, and the first after the registration may tell of nothing but room to write.
    assert!(waits <= receives, "{text}");
    assert!(others <= 1, "{text}\n{}", calls.join("\n"));
    let _ = writeln!(std::io::stderr(), "{MESSAGES} messages: {text}");
}

/// The calls of the thread that made the marks, between the marks.
fn calls_between_marks(text: &str) -> Vec<&str> {
    let mut thread = None;
    let mut calls = Vec::new();
    for line in text.lines() {
        let Some((id, call)) = line.split_once(' ') else {
            continue;
        };
        let call = call.trim_start();
        if call.contains(BEGIN) {
            thread = Some(id);
        } else if call.contains(END) {
            break;
        } else if thread == Some(id) && !call.starts_with("<...") {
            calls.push(call);
        }
    }
    calls
}

/// A call that is easily found in the log and changes nothing.
fn mark(name: &str) {
    // It is expected to fail: there is no such file.
    let _ = rustix::fs::stat(name);
}

fn echo_between_marks(pieces: usize) {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = thread::spawn(move || {
        let client = net::TcpStream::connect(address).unwrap();
        let mut buf = [7; 64];
        for _ in 0..=MESSAGES {
            // `read` and `write`, not `recv` and `send`: those are the server's.
            assert_eq!(rustix::io::write(&client, &buf).unwrap(), 64);
            assert_eq!(rustix::io::read(&client, &mut buf).unwrap(), 64);
        }
    });
    run_on(&runtime, async {
        let listener = TcpListener::from_std(listener).unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let mut buf = [0; 1024];
        // A first message, so that what follows is the steady state.
        if pieces == WRITES_OF_A_MESSAGE {
            let mut stream = stream;
            echo_once(&mut stream, &mut buf).await;
            mark(BEGIN);
            for _ in 0..MESSAGES {
                echo_once(&mut stream, &mut buf).await;
            }
            mark(END);
        } else {
            let mut stream = Coalesced::new(stream);
            echo_in_pieces(&mut stream, &mut buf, pieces).await;
            stream.flush().await.unwrap();
            mark(BEGIN);
            for _ in 0..MESSAGES {
                echo_in_pieces(&mut stream, &mut buf, pieces).await;
            }
            // The last answer.
            stream.flush().await.unwrap();
            mark(END);
        }
    });
    client.join().unwrap();
}

async fn echo_once(stream: &mut TcpStream, buf: &mut [u8]) {
    let count = stream.read(buf).await.unwrap();
    assert_eq!(count, 64);
    stream.write_all(&buf[..count]).await.unwrap();
}

async fn echo_in_pieces(stream: &mut Coalesced<TcpStream>, buf: &mut [u8], pieces: usize) {
    let count = stream.read(buf).await.unwrap();
    assert_eq!(count, 64);
    for piece in buf[..count].chunks(64 / pieces) {
        stream.write_all(piece).await.unwrap();
    }
}
