//! Options are read back as they were set.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use oneloop_net::{TcpSocket, TcpStream};

use crate::raw::from_number;
use crate::support::{listener, pair, run, with_std_peer};

#[test]
fn options_of_a_socket() {
    let socket = TcpSocket::new_v4().unwrap();
    assert!(!socket.reuseaddr().unwrap());
    socket.set_reuseaddr(true).unwrap();
    assert!(socket.reuseaddr().unwrap());
    assert!(!socket.reuseport().unwrap());
    socket.set_reuseport(true).unwrap();
    assert!(socket.reuseport().unwrap());
    assert!(!socket.keepalive().unwrap());
    socket.set_keepalive(true).unwrap();
    assert!(socket.keepalive().unwrap());
    assert!(!socket.nodelay().unwrap());
    socket.set_nodelay(true).unwrap();
    assert!(socket.nodelay().unwrap());
    socket.set_tos_v4(0x10).unwrap();
    assert_eq!(socket.tos_v4().unwrap(), 0x10);
    assert_eq!(socket.linger().unwrap(), None);
    socket.set_linger(Some(Duration::from_secs(3))).unwrap();
    assert_eq!(socket.linger().unwrap(), Some(Duration::from_secs(3)));
    socket.set_zero_linger().unwrap();
    assert_eq!(socket.linger().unwrap(), Some(Duration::ZERO));
    socket.set_linger(None).unwrap();
    assert_eq!(socket.linger().unwrap(), None);
    assert!(socket.take_error().unwrap().is_none());
}

#[test]
fn sizes_of_the_kernels_buffers() {
    let socket = TcpSocket::new_v4().unwrap();
    // Linux doubles what was asked for.
    socket.set_send_buffer_size(10_000).unwrap();
    assert!((10_000..=20_000).contains(&socket.send_buffer_size().unwrap()));
    socket.set_recv_buffer_size(10_000).unwrap();
    assert!((10_000..=20_000).contains(&socket.recv_buffer_size().unwrap()));
    // Too much is cut by the kernel, and is not a negative number for it.
    socket.set_send_buffer_size(u32::MAX).unwrap();
    assert!(socket.send_buffer_size().unwrap() > 20_000);
}

#[test]
fn traffic_class_and_device() {
    let socket = TcpSocket::new_v6().unwrap();
    socket.set_tclass_v6(96).unwrap();
    assert_eq!(socket.tclass_v6().unwrap(), 96);
    let socket = TcpSocket::new_v4().unwrap();
    assert_eq!(socket.device().unwrap(), None);
    match socket.bind_device(Some(b"lo")) {
        Ok(()) => assert_eq!(socket.device().unwrap().unwrap(), b"lo"),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    }
}

#[test]
fn options_of_a_stream() {
    run(async {
        let (stream, _far) = pair().await;
        assert!(!stream.nodelay().unwrap());
        stream.set_nodelay(true).unwrap();
        assert!(stream.nodelay().unwrap());
        stream.set_ttl(33).unwrap();
        assert_eq!(stream.ttl().unwrap(), 33);
        stream.set_quickack(false).unwrap();
        assert!(!stream.quickack().unwrap());
        stream.set_quickack(true).unwrap();
        assert!(stream.quickack().unwrap());
        assert_eq!(stream.linger().unwrap(), None);
        assert!(stream.take_error().unwrap().is_none());
        assert_eq!(stream.as_raw_fd(), stream.as_fd().as_raw_fd());
        let port = stream.local_addr().unwrap().port().to_string();
        assert!(format!("{stream:?}").contains(&port));
    });
}

#[test]
fn options_are_kept_by_what_the_socket_becomes() {
    run(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_nodelay(true).unwrap();
        socket.set_recv_buffer_size(8192).unwrap();
        let size = socket.recv_buffer_size().unwrap();
        socket
            .bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))
            .unwrap();
        let address = socket.local_addr().unwrap();
        assert!(format!("{socket:?}").contains(&address.to_string()));
        let listener = socket.listen(16).unwrap();
        assert_eq!(listener.local_addr().unwrap(), address);
        let client = TcpSocket::new_v4().unwrap();
        client.set_nodelay(true).unwrap();
        let client = client.connect(address).await.unwrap();
        assert!(client.nodelay().unwrap());
        let (accepted, _) = listener.accept().await.unwrap();
        // Linux: accepted sockets inherit.
        assert!(accepted.nodelay().unwrap());
        let accepted = socket2::SockRef::from(&accepted)
            .recv_buffer_size()
            .unwrap();
        assert_eq!(u32::try_from(accepted).unwrap(), size);
    });
}

#[test]
fn sockets_from_elsewhere_are_made_nonblocking() {
    run(async {
        // Blocking, as socket(2) makes it.
        let (domain, kind) = (socket2::Domain::IPV4, socket2::Type::STREAM);
        let blocking = || OwnedFd::from(socket2::Socket::new(domain, kind, None).unwrap());
        let socket = TcpSocket::from(blocking());
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(16).unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(
            listener.try_accept().unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock
        );

        let raw = blocking().into_raw_fd();
        let socket: TcpSocket = from_number(raw);
        let stream = socket.connect(address).await.unwrap();
        assert_eq!(stream.as_raw_fd(), raw);
        assert_eq!(
            stream.try_read(&mut [0]).unwrap_err().kind(),
            std::io::ErrorKind::WouldBlock
        );
        listener.accept().await.unwrap();

        let raw = TcpSocket::new_v4().unwrap().into_raw_fd();
        drop(from_number::<OwnedFd>(raw));
    });
}

#[test]
fn option_of_a_standard_stream_that_only_a_socket_has() {
    run(async {
        let (stream, _peer) = with_std_peer().await;
        let socket = TcpSocket::from_std_stream(stream.into_std().unwrap());
        socket.set_keepalive(true).unwrap();
        assert!(socket.keepalive().unwrap());
    });
}

#[test]
fn own_options_reach_the_socket_through_its_descriptor() {
    run(async {
        let listener = listener().await;
        let stream = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let options = socket2::SockRef::from(&stream);
        options.set_keepalive(true).unwrap();
        assert!(options.keepalive().unwrap());
        rustix::net::sockopt::set_tcp_user_timeout(&stream, 1234).unwrap();
        assert_eq!(
            rustix::net::sockopt::tcp_user_timeout(&stream).unwrap(),
            1234
        );
    });
}
