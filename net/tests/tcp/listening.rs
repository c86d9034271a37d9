//! Listeners: addresses, several acceptors, bursts, ends.

use std::collections::HashSet;
use std::future::poll_fn;
use std::io::{ErrorKind, Read, Write};
use std::net::{self, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use oneloop_net::{TcpListener, TcpStream};
use oneloop_runtime::task::spawn;
use oneloop_runtime::time::{sleep, timeout};
use rustix::event::PollFlags;

use crate::support::{
    in_own_process, listener, open_descriptors, own_address, run, spawn_until_it_waits, until_ready,
};

#[test]
fn port_that_the_system_chose_is_told() {
    run(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        assert_ne!(address.port(), 0);
        assert_eq!(address.ip(), Ipv4Addr::LOCALHOST);
        assert!(format!("{listener:?}").contains(&address.port().to_string()));
    });
}

#[test]
fn bound_address_is_in_use() {
    in_own_process("listening::bound_address_is_in_use", || {
        run(async {
            let first = TcpListener::bind(own_address()).await.unwrap();
            let address = first.local_addr().unwrap();
            let error = TcpListener::bind(address).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::AddrInUse);
            // Of several addresses the first that is free is taken.
            let free: SocketAddr = "127.0.0.1:0".parse().unwrap();
            let other = TcpListener::bind(&[address, free][..]).await.unwrap();
            assert_ne!(other.local_addr().unwrap(), address);
            drop(first);
            TcpListener::bind(address).await.unwrap();
        });
    });
}

#[test]
fn address_can_be_bound_again_after_connections() {
    in_own_process(
        "listening::address_can_be_bound_again_after_connections",
        || {
            run(async {
                let first = TcpListener::bind(own_address()).await.unwrap();
                let address = first.local_addr().unwrap();
                let mut near = TcpStream::connect(address).await.unwrap();
                let (far, _) = first.accept().await.unwrap();
                // The server closes first: its side waits out the connection.
                drop(far);
                assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
                drop((near, first));
                TcpListener::bind(address).await.unwrap();
            });
        },
    );
}

#[test]
fn accepted_streams_are_nonblocking_and_close_on_exec() {
    run(async {
        let listener = listener().await;
        let _client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        let flags = rustix::fs::fcntl_getfl(&stream).unwrap();
        assert!(flags.contains(rustix::fs::OFlags::NONBLOCK));
        let flags = rustix::io::fcntl_getfd(&stream).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        listener.set_ttl(77).unwrap();
        assert_eq!(listener.ttl().unwrap(), 77);
    });
}

#[test]
fn burst_of_a_thousand_connections_is_served() {
    run(async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        // All of them wait in the kernel's queue before the first is accepted.
        let mut streams: Vec<_> = (0..1000_u32)
            .map(|number| {
                let mut stream = net::TcpStream::connect(address).unwrap();
                stream.write_all(&number.to_be_bytes()).unwrap();
                stream
            })
            .collect();
        let clients = thread::spawn(move || {
            for (number, stream) in streams.iter_mut().enumerate() {
                let mut back = [0; 4];
                stream.read_exact(&mut back).unwrap();
                assert_eq!(u32::from_be_bytes(back) as usize, number);
            }
        });
        let mut served = Vec::new();
        for _ in 0..1000 {
            let (mut stream, _) = listener.accept().await.unwrap();
            served.push(spawn(async move {
                let mut buf = [0; 4];
                stream.read_exact(&mut buf).await.unwrap();
                stream.write_all(&buf).await.unwrap();
                assert_eq!(stream.read(&mut buf).await.unwrap(), 0);
            }));
        }
        for task in served {
            task.await.unwrap();
        }
        clients.join().unwrap();
        assert_eq!(listener.accept_errors(), 0);
    });
}

/// Has a task accept from each of `listeners` until `enough` connections have been served, and
/// tells how many each has served.
async fn serve_with(listeners: &[Arc<TcpListener>], enough: usize) -> Vec<usize> {
    let address = listeners[0].local_addr().unwrap();
    let servers: Vec<_> = listeners
        .iter()
        .map(|listener| {
            let listener = Arc::clone(listener);
            spawn(async move {
                let mut served = 0;
                loop {
                    let (mut stream, _) = listener.accept().await.unwrap();
                    let mut kind = [0];
                    stream.read_exact(&mut kind).await.unwrap();
                    if kind[0] == END {
                        return served;
                    }
                    stream.write_all(&kind).await.unwrap();
                    served += 1;
                }
            })
        })
        .collect();
    for _ in 0..enough {
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(&[0]).await.unwrap();
        stream.read_exact(&mut [0]).await.unwrap();
    }
    // Each server takes one end, if they share a queue. If the kernel distributes, as many as it
    // takes until each has got one. The listeners live until then.
    let mut shares = Vec::new();
    for mut server in servers {
        loop {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(&[END]).await.unwrap();
            if let Ok(share) = timeout(Duration::from_millis(20), &mut server).await {
                break shares.push(share.unwrap());
            }
        }
    }
    shares
}

const END: u8 = 255;

#[test]
fn two_loops_accept_from_one_listener() {
    // Again and again: when both loops hear of a connection that only one of them gets, the other
    // must not go to sleep for ever.
    run(async {
        for _ in 0..10 {
            let shared = Arc::new(listener().await);
            let shares = serve_with(&[Arc::clone(&shared), shared], 400).await;
            assert_eq!(shares.iter().sum::<usize>(), 400, "{shares:?}");
        }
    });
}

#[test]
fn acceptors_on_one_listener_are_all_woken() {
    run(async {
        let listener = Arc::new(listener().await);
        let address = listener.local_addr().unwrap();
        let mut acceptors = Vec::new();
        for _ in 0..20 {
            let listener = Arc::clone(&listener);
            let accepting = async move { listener.accept().await.unwrap().1 };
            acceptors.push(spawn_until_it_waits(accepting).await);
        }
        let clients: Vec<_> = (0..20)
            .map(|_| net::TcpStream::connect(address).unwrap())
            .collect();
        let mut peers = HashSet::new();
        for acceptor in acceptors {
            peers.insert(acceptor.await.unwrap());
        }
        let expected: HashSet<_> = clients
            .iter()
            .map(|client| client.local_addr().unwrap())
            .collect();
        assert_eq!(peers, expected);
    });
}

#[test]
fn one_listener_per_loop_on_one_port() {
    run(async {
        let first = TcpListener::bind_reuse_port("127.0.0.1:0").await.unwrap();
        let address = first.local_addr().unwrap();
        let second = TcpListener::bind_reuse_port(address).await.unwrap();
        assert_eq!(
            TcpListener::bind(address).await.unwrap_err().kind(),
            ErrorKind::AddrInUse
        );
        let shares = serve_with(&[Arc::new(first), Arc::new(second)], 400).await;
        assert_eq!(shares.iter().sum::<usize>(), 400, "{shares:?}");
        assert!(shares.iter().all(|&share| share > 100), "{shares:?}");
    });
}

#[test]
fn listener_dropped_while_accept_is_pending_frees_its_port() {
    in_own_process(
        "listening::listener_dropped_while_accept_is_pending_frees_its_port",
        || {
            run(async {
                let listener = TcpListener::bind(own_address()).await.unwrap();
                let address = listener.local_addr().unwrap();
                let accepting = async move { listener.accept().await.map(drop) };
                let task = spawn_until_it_waits(accepting).await;
                task.abort();
                assert!(task.await.unwrap_err().is_cancelled());
                let error = TcpStream::connect(address).await.unwrap_err();
                assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
                TcpListener::bind(address).await.unwrap();
            });
        },
    );
}

#[test]
fn listener_dropped_after_poll_accept_was_pending() {
    in_own_process(
        "listening::listener_dropped_after_poll_accept_was_pending",
        || {
            run(async {
                drop(listener().await);
                let before = open_descriptors();
                for _ in 0..10 {
                    let listener = listener().await;
                    let mut cx = Context::from_waker(Waker::noop());
                    assert!(listener.poll_accept(&mut cx).is_pending());
                    drop(listener);
                }
                assert_eq!(open_descriptors(), before);
            });
        },
    );
}

#[test]
fn poll_accept_accepts() {
    run(async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let client = thread::spawn(move || {
            thread::sleep(Duration::from_millis(20));
            net::TcpStream::connect(address)
                .unwrap()
                .local_addr()
                .unwrap()
        });
        let (_, peer) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
        assert_eq!(peer, client.join().unwrap());
    });
}

#[test]
fn try_accept_does_not_wait() {
    run(async {
        let listener = listener().await;
        assert_eq!(
            listener.try_accept().unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        let _client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        until_ready(&listener, PollFlags::IN);
        listener.try_accept().unwrap();
        assert_eq!(
            listener.try_accept().unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        assert_eq!(listener.accept_errors(), 0);
    });
}

#[test]
fn socket_that_does_not_listen_is_the_callers_error() {
    run(async {
        let (domain, kind) = (socket2::Domain::IPV4, socket2::Type::STREAM);
        let socket = socket2::Socket::new(domain, kind, None).unwrap();
        let listener = TcpListener::from_std(socket.into()).unwrap();
        assert_eq!(
            listener.accept().await.unwrap_err().kind(),
            ErrorKind::InvalidInput
        );
        let polled = poll_fn(|cx| listener.poll_accept(cx)).await;
        assert_eq!(polled.unwrap_err().kind(), ErrorKind::InvalidInput);
        assert_eq!(listener.accept_errors(), 0);
    });
}

#[test]
fn dropped_accept_loses_no_connection() {
    run(async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        for _ in 0..20 {
            let mut accept = Box::pin(listener.accept());
            let first = poll_fn(|cx| Poll::Ready(accept.as_mut().poll(cx).is_pending())).await;
            assert!(first);
            let client = net::TcpStream::connect(address).unwrap();
            sleep(Duration::from_millis(1)).await;
            drop(accept);
            let (_, peer) = listener.accept().await.unwrap();
            assert_eq!(peer, client.local_addr().unwrap());
        }
    });
}
