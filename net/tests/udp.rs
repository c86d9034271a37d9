//! UDP through the public API.

use std::io;
use std::mem::MaybeUninit;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_lite::future::poll_once;
use oneloop_net::UdpSocket;
use oneloop_runtime::runtime::{Builder, Runtime};
use oneloop_runtime::task;
use oneloop_runtime::time::timeout;

fn two_loops() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap()
}

/// Two sockets of a family that are connected to each other.
async fn pair(host: &str) -> (UdpSocket, UdpSocket) {
    let one = UdpSocket::bind((host, 0)).await.unwrap();
    let other = UdpSocket::bind((host, 0)).await.unwrap();
    one.connect(other.local_addr().unwrap()).await.unwrap();
    other.connect(one.local_addr().unwrap()).await.unwrap();
    (one, other)
}

#[test]
fn datagrams_keep_their_borders_in_both_families() {
    two_loops().block_on(async {
        for host in ["127.0.0.1", "::1"] {
            let (one, other) = pair(host).await;
            for length in [0, 1, 100, 60_000] {
                assert_eq!(one.send(&vec![7; length]).await.unwrap(), length);
            }
            let mut buf = vec![0; 65_536];
            for length in [0, 1, 100, 60_000] {
                assert_eq!(other.recv(&mut buf).await.unwrap(), length);
                assert!(buf[..length].iter().all(|&byte| byte == 7));
            }
            assert_eq!(other.peer_addr().unwrap(), one.local_addr().unwrap());
        }
    });
}

#[test]
fn what_does_not_fit_is_lost_and_what_is_too_long_is_refused() {
    two_loops().block_on(async {
        let (one, other) = pair("127.0.0.1").await;
        one.send(b"0123456789").await.unwrap();
        one.send(b"next").await.unwrap();
        let mut buf = [0; 4];
        assert_eq!(other.recv(&mut buf).await.unwrap(), 4);
        assert_eq!(&buf, b"0123");
        assert_eq!(other.recv(&mut buf).await.unwrap(), 4);
        assert_eq!(&buf, b"next");
        let error = one.send(&[0; 70_000]).await.unwrap_err();
        // send(2): EMSGSIZE.
        assert_eq!(error.raw_os_error(), Some(90));
    });
}

#[test]
fn every_way_to_receive_gets_the_datagram_and_its_sender() {
    two_loops().block_on(async {
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let other = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let (from, to) = (one.local_addr().unwrap(), other.local_addr().unwrap());
        let mut buf = [0; 16];
        let mut raw = [MaybeUninit::uninit(); 16];

        one.send_to(b"a", to).await.unwrap();
        assert_eq!(other.peek_sender().await.unwrap(), from);
        assert_eq!(other.peek_from(&mut buf).await.unwrap(), (1, from));
        assert_eq!(other.peek(&mut buf).await.unwrap(), 1);
        assert_eq!(other.try_peek_from(&mut buf).unwrap(), (1, from));
        assert_eq!(other.recv_from(&mut buf).await.unwrap(), (1, from));

        one.send_to(b"bc", to).await.unwrap();
        let (filled, sender) = other.recv_from_uninit(&mut raw).await.unwrap();
        assert_eq!((&*filled, sender), (&b"bc"[..], from));

        one.send_to(b"def", to).await.unwrap();
        let filled = other.recv_uninit(&mut raw).await.unwrap();
        assert_eq!(filled, b"def");

        one.send_to(b"g", to).await.unwrap();
        other.readable().await.unwrap();
        assert_eq!(other.try_recv_from(&mut buf).unwrap(), (1, from));
        let empty = other.try_recv(&mut buf).unwrap_err();
        assert_eq!(empty.kind(), io::ErrorKind::WouldBlock);
    });
}

#[test]
fn nobody_there_is_told_at_the_next_call_and_the_socket_lives_on() {
    two_loops().block_on(async {
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        // A socket that is connected is there for its peer alone, here itself, and keeps its port
        // from everybody else.
        let back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = back.local_addr().unwrap();
        back.connect(port).await.unwrap();
        one.connect(port).await.unwrap();
        one.send(b"lost").await.unwrap();
        // udp(7): the answer of the other machine is the next call's error.
        let error = one.recv(&mut [0; 4]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        back.connect(one.local_addr().unwrap()).await.unwrap();
        one.send(b"here").await.unwrap();
        assert_eq!(back.recv(&mut [0; 4]).await.unwrap(), 4);
    });
}

#[test]
fn nobody_there_is_told_to_those_who_wait_already() {
    two_loops().block_on(async {
        // As above: its port is nobody's but its own.
        let back = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let port = back.local_addr().unwrap();
        back.connect(port).await.unwrap();
        let one = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        one.connect(port).await.unwrap();
        let mut buf = [0; 4];
        let mut receiving = pin!(one.recv(&mut buf));
        assert!(poll_once(receiving.as_mut()).await.is_none());
        one.send(b"lost").await.unwrap();
        let received = timeout(Duration::from_secs(5), receiving).await;
        let error = received.expect("the receiver sleeps on").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);

        let nothing = one.try_recv(&mut [0; 4]).unwrap_err();
        assert_eq!(nothing.kind(), io::ErrorKind::WouldBlock);
        let mut readable = pin!(one.readable());
        assert!(poll_once(readable.as_mut()).await.is_none());
        one.send(b"lost").await.unwrap();
        let waited = timeout(Duration::from_secs(5), readable).await;
        waited.expect("the reader sleeps on").unwrap();
        let error = one.try_recv(&mut [0; 4]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
    });
}

#[test]
fn tasks_on_two_loops_share_a_socket_and_lose_nothing() {
    const DATAGRAMS: usize = 2_000;
    let runtime = two_loops();
    runtime.block_on(async {
        let server = Arc::new(UdpSocket::bind("127.0.0.1:0").await.unwrap());
        let to = server.local_addr().unwrap();
        let loops = oneloop_runtime::runtime::Handle::current().loop_ids();
        let echoes: Vec<_> = loops
            .into_iter()
            .map(|id| {
                let server = Arc::clone(&server);
                task::spawn_on(id, move || async move {
                    let mut buf = [0; 16];
                    loop {
                        let (count, peer) = server.recv_from(&mut buf).await.unwrap();
                        server.send_to(&buf[..count], peer).await.unwrap();
                    }
                })
            })
            .collect();
        let client = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        client.connect(to).await.unwrap();
        let mut buf = [0; 16];
        for number in 0..DATAGRAMS {
            client.send(&number.to_be_bytes()).await.unwrap();
            let answer = timeout(Duration::from_secs(5), client.recv(&mut buf));
            let count = answer.await.expect("an echo was lost").unwrap();
            assert_eq!(buf[..count], number.to_be_bytes());
        }
        for echo in echoes {
            echo.abort();
        }
    });
}

#[test]
fn a_receive_that_is_given_up_takes_nothing() {
    two_loops().block_on(async {
        let (one, other) = pair("127.0.0.1").await;
        let mut buf = [0; 4];
        let early = timeout(Duration::from_millis(5), other.recv(&mut buf)).await;
        assert!(early.is_err());
        one.send(b"kept").await.unwrap();
        assert_eq!(other.recv(&mut buf).await.unwrap(), 4);
    });
}

#[test]
fn options_are_the_kernels() {
    two_loops().block_on(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        assert!(!socket.broadcast().unwrap());
        socket.set_broadcast(true).unwrap();
        assert!(socket.broadcast().unwrap());
        socket.set_ttl(9).unwrap();
        assert_eq!(socket.ttl().unwrap(), 9);
        socket.set_multicast_ttl_v4(3).unwrap();
        assert_eq!(socket.multicast_ttl_v4().unwrap(), 3);
        socket.set_multicast_loop_v4(false).unwrap();
        assert!(!socket.multicast_loop_v4().unwrap());
        socket.set_tos_v4(0x10).unwrap();
        assert_eq!(socket.tos_v4().unwrap(), 0x10);
        let group = Ipv4Addr::new(224, 0, 0, 251);
        socket
            .join_multicast_v4(group, Ipv4Addr::LOCALHOST)
            .unwrap();
        socket
            .leave_multicast_v4(group, Ipv4Addr::LOCALHOST)
            .unwrap();
        assert!(socket.take_error().unwrap().is_none());

        let socket = UdpSocket::bind(SocketAddr::from((Ipv6Addr::LOCALHOST, 0)))
            .await
            .unwrap();
        socket.set_multicast_loop_v6(false).unwrap();
        assert!(!socket.multicast_loop_v6().unwrap());
        socket.set_tclass_v6(0x20).unwrap();
        assert_eq!(socket.tclass_v6().unwrap(), 0x20);
    });
}

#[test]
fn a_port_in_use_is_an_error_and_std_sockets_come_and_go() {
    two_loops().block_on(async {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let error = UdpSocket::bind(address).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        let std = socket.into_std().unwrap();
        let socket = UdpSocket::try_from(std).unwrap();
        assert_eq!(socket.local_addr().unwrap(), address);
    });
}
