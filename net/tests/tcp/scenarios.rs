//! What users expect of the names: the default backlog, flags, and the words outside a runtime.

use std::future::Future;
use std::net::{self, Ipv4Addr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use futures_lite::future::block_on;
use oneloop_net::client::connect_any;
use oneloop_net::server::{Connection, Server};
use oneloop_net::{TcpListener, TcpSocket, TcpStream, UdpSocket, UnixDatagram, UnixListener};
use rustix::fs::OFlags;
use rustix::io::FdFlags;

use crate::support::{narrow_with_std_peer, pattern, poll_and_drop, read_slowly, run};

const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

/// More than the 128 of the standard library, less than any system's limit.
const CLIENTS: usize = 600;

#[test]
fn default_backlog_holds_hundreds_of_clients_that_nobody_accepts() {
    let limit = std::fs::read_to_string("/proc/sys/net/core/somaxconn").unwrap_or_default();
    if limit
        .trim()
        .parse()
        .is_ok_and(|limit: usize| limit < CLIENTS)
    {
        return;
    }
    run(async {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        // The kernel answers at once while there is room, and never where there is none: nobody
        // accepts.
        let connect = |_| net::TcpStream::connect_timeout(&address, Duration::from_secs(10));
        let clients: Result<Vec<_>, _> = (0..CLIENTS).map(connect).collect();
        let clients = clients.unwrap();
        for _ in &clients {
            listener.accept().await.unwrap();
        }
    });
}

#[test]
fn sockets_of_every_kind_are_nonblocking_and_close_on_exec() {
    fn check(name: &str, socket: impl std::os::fd::AsFd) {
        let status = rustix::fs::fcntl_getfl(&socket).unwrap();
        assert!(status.contains(OFlags::NONBLOCK), "{name}");
        let flags = rustix::io::fcntl_getfd(&socket).unwrap();
        assert!(flags.contains(FdFlags::CLOEXEC), "{name}");
    }
    run(async {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        check("connected", TcpStream::connect(address).await.unwrap());
        check("any", connect_any(address).await.unwrap());
        check("listener", listener);
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind(SocketAddr::from(ANY)).unwrap();
        check("listening", socket.listen(1).unwrap());
        for socket in TcpListener::bind_per_loop(ANY).await.unwrap().sockets() {
            check("per loop", socket);
        }
        for socket in TcpListener::bind_balanced(ANY).await.unwrap().sockets() {
            check("balanced", socket);
        }
        check("udp", UdpSocket::bind(ANY).await.unwrap());
        check("datagram", UnixDatagram::unbound().unwrap());
        check("unix", oneloop_net::UnixStream::pair().unwrap().0);
        let (sender, receiver) = oneloop_net::unix::pipe::pipe().unwrap();
        check("sender", sender);
        check("receiver", receiver);
    });
}

#[test]
fn dropped_wait_for_room_leaves_the_stream_writable() {
    run(async {
        let (mut stream, peer) = narrow_with_std_peer().await;
        let bytes = pattern(300_000);
        let reading = read_slowly(peer);
        let mut sent = 0;
        for round in 0.. {
            if sent == bytes.len() {
                break;
            }
            match stream.try_write(&bytes[sent..]) {
                Ok(count) => sent += count,
                Err(_) if poll_and_drop(round % 3, stream.writable()).await.is_some() => {}
                Err(_) => stream.writable().await.unwrap(),
            }
        }
        stream.shutdown().await.unwrap();
        drop(stream);
        let received = reading.join().unwrap();
        assert!(received == bytes, "{} of {}", received.len(), bytes.len());
    });
}

#[test]
fn outside_a_runtime_every_way_to_a_socket_says_what_is_missing() {
    fn text_of<F: Future>(name: &str, call: impl FnOnce() -> F) -> String {
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            block_on(call());
        }));
        let payload = panicked.expect_err(name);
        let text = payload.downcast_ref::<String>().cloned();
        let text = text.or_else(|| {
            payload
                .downcast_ref::<&str>()
                .map(|text| (*text).to_owned())
        });
        format!("{name}: {}", text.unwrap_or_default())
    }
    async fn idle(connection: Connection) {
        drop(connection);
    }
    let there = net::TcpListener::bind(ANY).unwrap();
    let address = there.local_addr().unwrap();
    let texts = [
        text_of("bind", || TcpListener::bind(ANY)),
        text_of("connect", || TcpStream::connect(address)),
        text_of("connect_any", || connect_any(address)),
        text_of("bind_per_loop", || TcpListener::bind_per_loop(ANY)),
        text_of("bind_balanced", || TcpListener::bind_balanced(ANY)),
        text_of("serve", || Server::builder().serve(ANY, idle)),
        text_of("udp", || UdpSocket::bind(ANY)),
        text_of("unix", || async {
            UnixListener::bind("\0oneloop-scenarios")
        }),
        text_of("pair", || async { oneloop_net::UnixStream::pair() }),
        text_of("datagram", || async { UnixDatagram::unbound() }),
        text_of("pipe", || async { oneloop_net::unix::pipe::pipe() }),
        text_of("read", || oneloop_runtime::fs::read("Cargo.toml")),
    ];
    for text in texts {
        assert!(text.contains("block_on"), "{text}");
    }
}
