//! Sockets that are used after the end of their runtime: the error is tokio's, word for word.

use std::io::{self, IoSlice};
use std::os::fd::OwnedFd;
use std::time::Duration;

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest};
use tokio::net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixStream, lookup_host};
use tokio::runtime::{Builder, Runtime, is_rt_shutdown_err};

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// What a runtime leaves behind.
fn made_by_a_runtime_that_ended<T>(made: impl Future<Output = T>) -> T {
    runtime().block_on(made)
}

/// Runs a future on another runtime, where it has to fail for the end of its own.
fn assert_shut_down<T>(what: &str, waits: impl Future<Output = io::Result<T>>) {
    let limited = async { tokio::time::timeout(Duration::from_secs(10), waits).await };
    let error = match runtime().block_on(limited) {
        Ok(Ok(_)) => panic!("{what}: no error"),
        Ok(Err(error)) => error,
        Err(_) => panic!("{what}: waits"),
    };
    assert_eq!(error.to_string(), SHUT_DOWN, "{what}");
    assert_eq!(error.kind(), io::ErrorKind::Other, "{what}");
    assert!(is_rt_shutdown_err(&error), "{what}");
}

#[test]
fn a_tcp_stream_tells() {
    let (mut stream, _peer) = made_by_a_runtime_that_ended(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let peer = TcpStream::connect(address).await.unwrap();
        (listener.accept().await.unwrap().0, peer)
    });
    assert_shut_down("read", stream.read(&mut [0; 8]));
    assert_shut_down("peek", stream.peek(&mut [0; 8]));
    assert_shut_down("readable", stream.readable());
    assert_shut_down("ready", stream.ready(Interest::READABLE));
    fill(&stream);
    assert_shut_down("write", stream.write(b"x"));
    assert_shut_down(
        "write_vectored",
        stream.write_vectored(&[IoSlice::new(b"x")]),
    );
    assert_shut_down("writable", stream.writable());
    let (mut reader, mut writer) = stream.into_split();
    assert_shut_down("half's read", reader.read(&mut [0; 8]));
    assert_shut_down("half's write", writer.write(b"x"));
}

/// Writes until the system takes no more.
fn fill(stream: &TcpStream) {
    while stream.try_write(&[0; 65536]).is_ok() {}
}

#[test]
fn a_listener_tells() {
    let listener = made_by_a_runtime_that_ended(TcpListener::bind("127.0.0.1:0")).unwrap();
    assert_shut_down("accept", listener.accept());
}

#[test]
fn datagram_sockets_tell() {
    let udp = made_by_a_runtime_that_ended(UdpSocket::bind("127.0.0.1:0")).unwrap();
    assert_shut_down("recv_from", udp.recv_from(&mut [0; 8]));
    assert_shut_down("recv", udp.recv(&mut [0; 8]));
    assert_shut_down("peek_sender", udp.peek_sender());
    assert_shut_down("readable", udp.readable());
    let (unix, _peer) = made_by_a_runtime_that_ended(async { UnixDatagram::pair() }).unwrap();
    assert_shut_down("recv on unix", unix.recv(&mut [0; 8]));
}

#[test]
fn a_unix_stream_and_a_pipe_tell() {
    let (mut stream, _peer) = made_by_a_runtime_that_ended(async { UnixStream::pair() }).unwrap();
    assert_shut_down("read on unix", stream.read(&mut [0; 8]));
    let (_sender, mut receiver) =
        made_by_a_runtime_that_ended(async { tokio::net::unix::pipe::pipe() }).unwrap();
    assert_shut_down("read on a pipe", receiver.read(&mut [0; 8]));
    assert_shut_down("readable on a pipe", receiver.readable());
}

#[test]
fn a_descriptor_of_ones_own_tells() {
    let (reader, _writer) = io::pipe().unwrap();
    #[expect(deprecated, reason = "the other constructors are unsafe")]
    let fd = made_by_a_runtime_that_ended(async { AsyncFd::new(OwnedFd::from(reader)).unwrap() });
    assert_shut_down("readable", fd.readable());
    assert_shut_down("ready", fd.ready(Interest::READABLE));
    let blocks = |_: &OwnedFd| Err::<(), _>(io::ErrorKind::WouldBlock.into());
    assert_shut_down("async_io", fd.async_io(Interest::READABLE, blocks));
}

#[test]
fn a_new_socket_and_a_lookup_tell() {
    let ended = runtime();
    let handle = ended.handle().clone();
    drop(ended);
    let _guard = handle.enter();
    for (what, error) in [
        ("bind", now(TcpListener::bind("127.0.0.1:0")).err()),
        ("connect", now(TcpStream::connect("127.0.0.1:9")).err()),
        ("lookup", now(lookup_host("localhost:80")).err()),
    ] {
        let error = error.unwrap();
        assert_eq!(error.to_string(), SHUT_DOWN, "{what}");
        assert!(is_rt_shutdown_err(&error), "{what}");
    }
}

/// The outcome of a future that needs no wait.
fn now<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut cx = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut cx) {
        std::task::Poll::Ready(outcome) => outcome,
        std::task::Poll::Pending => panic!("it waits"),
    }
}

#[test]
fn other_errors_are_not_reworded() {
    let runtime = runtime();
    let refused = runtime.block_on(TcpStream::connect("not an address"));
    let error = refused.unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    assert!(!is_rt_shutdown_err(&error));
    assert!(!is_rt_shutdown_err(&io::Error::other("something else")));
}

const SHUT_DOWN: &str = "A Tokio 1.x context was found, but it is being shutdown.";
