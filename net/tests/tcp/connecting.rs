//! Connecting: who answers, who refuses, who never answers, and which address is tried.

use std::io::{self, ErrorKind};
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use oneloop_net::{TcpListener, TcpSocket, TcpStream, lookup_host};
use oneloop_runtime::task::spawn;
use oneloop_runtime::time::timeout;

use crate::raw::choose_port;
use crate::support::{in_own_process, listener, open_descriptors, own_address, run};

/// An address of this machine where nobody listens.
fn nobody() -> SocketAddr {
    // Bound and not listening: nobody else gets the port while the socket lives, and it lives as
    // long as the process.
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket
        .bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
        .unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    Box::leak(Box::new(socket));
    address
}

#[test]
fn refused_connection_is_an_error() {
    run(async {
        let error = TcpStream::connect(nobody()).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let error = TcpSocket::new_v4()
            .unwrap()
            .connect(nobody())
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn connect_that_nobody_answers_is_cut_by_timeout() {
    run(async {
        // A queue that is full: the kernel drops further requests.
        let full =
            socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
        full.bind(&SocketAddr::from((Ipv4Addr::LOCALHOST, 0)).into())
            .unwrap();
        full.listen(0).unwrap();
        let address = full.local_addr().unwrap().as_socket().unwrap();
        let mut waiting = Vec::new();
        loop {
            match timeout(Duration::from_millis(100), TcpStream::connect(address)).await {
                Ok(connected) => waiting.push(connected.unwrap()),
                Err(_elapsed) => break,
            }
            assert!(
                waiting.len() < 10,
                "a queue of 0 took {} connections",
                waiting.len()
            );
        }
    });
}

#[test]
fn unreachable_address_is_an_error() {
    run(async {
        // A broadcast address is nobody's.
        let error = TcpStream::connect("255.255.255.255:9").await.unwrap_err();
        assert!(error.raw_os_error().is_some(), "{error}");
    });
}

#[test]
fn all_addresses_are_tried_in_order() {
    run(async {
        let listener = listener().await;
        let good = listener.local_addr().unwrap();
        let stream = TcpStream::connect(&[nobody(), nobody(), good][..])
            .await
            .unwrap();
        assert_eq!(stream.peer_addr().unwrap(), good);
        let error = TcpStream::connect(&[nobody(), nobody()][..])
            .await
            .unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let none: &[SocketAddr] = &[];
        let error = TcpStream::connect(none).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = TcpListener::bind(none).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn names_are_resolved() {
    run(async {
        let listener = listener().await;
        let port = listener.local_addr().unwrap().port();
        for _ in 0..3 {
            let stream = TcpStream::connect(("localhost", port)).await.unwrap();
            assert_eq!(stream.peer_addr().unwrap().port(), port);
        }
        TcpStream::connect(format!("localhost:{port}"))
            .await
            .unwrap();
        let found: Vec<_> = lookup_host("localhost:80").await.unwrap().collect();
        assert!(
            found
                .iter()
                .all(|address| address.ip().is_loopback() && address.port() == 80)
        );
        assert!(!found.is_empty());
    });
}

#[test]
fn malformed_address_is_invalid_input() {
    run(async {
        for text in ["nowhere", "localhost:99999", "localhost:", "::1"] {
            let error = TcpStream::connect(text).await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::InvalidInput, "{text}: {error}");
        }
    });
}

#[test]
fn ipv6_works_where_the_machine_has_it() {
    run(async {
        let listener = match TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).await {
            Ok(listener) => listener,
            Err(error) if error.kind() == ErrorKind::AddrNotAvailable => return,
            Err(error) => panic!("{error}"),
        };
        let address = listener.local_addr().unwrap();
        let mut near = TcpStream::connect(address).await.unwrap();
        let (mut far, peer) = listener.accept().await.unwrap();
        assert!(peer.is_ipv6());
        assert_eq!(peer, near.local_addr().unwrap());
        near.write_all(b"six").await.unwrap();
        let mut buf = [0; 3];
        far.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"six");
    });
}

#[test]
fn connection_to_itself_is_refused() {
    in_own_process("connecting::connection_to_itself_is_refused", || {
        run(async {
            let error = loop {
                // In the range that the kernel gives out, and free a moment ago.
                let probe = net::TcpListener::bind("127.0.0.1:0").unwrap();
                let address = probe.local_addr().unwrap();
                drop(probe);
                let socket = TcpSocket::new_v4().unwrap();
                if !choose_port(&socket, address.port()) {
                    return;
                }
                let error = socket.connect(address).await.unwrap_err();
                // Somebody on this machine has taken the port meanwhile: then another one.
                if error.kind() != ErrorKind::AddrNotAvailable {
                    break error;
                }
            };
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        });
    });
}

#[test]
fn connection_to_itself_on_purpose_works() {
    run(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let address = socket.local_addr().unwrap();
        let mut stream = socket.connect(address).await.unwrap();
        stream.write_all(b"me").await.unwrap();
        let mut buf = [0; 2];
        stream.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"me");
    });
}

#[test]
fn bound_socket_connects_from_its_address() {
    run(async {
        let listener = listener().await;
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.5:0".parse().unwrap()).unwrap();
        let stream = socket
            .connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (_, peer) = listener.accept().await.unwrap();
        assert_eq!(peer, stream.local_addr().unwrap());
        assert_eq!(peer.ip(), Ipv4Addr::new(127, 0, 0, 5));
    });
}

#[test]
fn thousand_connections_leave_no_descriptor() {
    in_own_process(
        "connecting::thousand_connections_leave_no_descriptor",
        || {
            run(async {
                let listener = listener().await;
                let address = listener.local_addr().unwrap();
                drop((
                    TcpStream::connect(address).await.unwrap(),
                    listener.accept().await.unwrap(),
                ));
                let before = open_descriptors();
                for number in 0..1000 {
                    let (near, far) = connect_and_accept(&listener, address).await.unwrap();
                    if number % 3 == 0 {
                        // Dropped on another loop than the one that it was made on.
                        spawn(async move { drop(far) }).await.unwrap();
                        drop(near);
                    } else if number % 3 == 1 {
                        let (read, write) = near.into_split();
                        spawn(async move { drop(write) }).await.unwrap();
                        drop((read, far));
                    }
                }
                assert_eq!(open_descriptors(), before);
                for _ in 0..100 {
                    TcpStream::connect(nobody_again()).await.unwrap_err();
                }
                assert_eq!(open_descriptors(), before);
            });
        },
    );
}

/// An address where nobody listened a moment ago, without keeping a descriptor.
fn nobody_again() -> SocketAddr {
    let listener = net::TcpListener::bind(own_address()).unwrap();
    listener.local_addr().unwrap()
}

async fn connect_and_accept(
    listener: &TcpListener,
    address: SocketAddr,
) -> io::Result<(TcpStream, TcpStream)> {
    let near = spawn(TcpStream::connect(address));
    let (far, _) = listener.accept().await?;
    Ok((near.await.unwrap()?, far))
}
