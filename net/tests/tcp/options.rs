//! Options are read back as they were set.

use std::net::{Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, AsRawFd, IntoRawFd, OwnedFd};
use std::time::Duration;

use oneloop_net::tcp::{TcpKeepalive, TcpState};
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
fn a_time_that_the_kernel_cannot_count_does_not_become_another_one() {
    let socket = TcpSocket::new_v4().unwrap();
    // The low 32 bits of the first are those of zero, which means to reset the connection.
    for time in [Duration::from_secs(1 << 32), Duration::MAX] {
        socket.set_linger(Some(time)).unwrap();
        let longest = Duration::from_secs((1 << 31) - 1);
        assert_eq!(socket.linger().unwrap(), Some(longest), "{time:?}");
    }
    socket.set_defer_accept(Duration::MAX).unwrap();
    assert!(socket.defer_accept().unwrap() > Duration::from_secs(60));
    // Zero means no limit.
    for (asked, kept) in [(1, 1), (999_999, 1), (1_000_000, 1), (1_000_001, 2)] {
        let asked = Some(Duration::from_nanos(asked));
        socket.set_user_timeout(asked).unwrap();
        let kept = Some(Duration::from_millis(kept));
        assert_eq!(socket.user_timeout().unwrap(), kept, "{asked:?}");
    }
    let error = socket.set_user_timeout(Some(Duration::MAX)).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);
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

#[test]
fn options_of_tcp_are_the_same_before_and_after_the_connection() {
    run(async {
        let (stream, _far) = pair().await;
        let socket = TcpSocket::new_v4().unwrap();
        macro_rules! check {
            ($socket:ident) => {
                assert_eq!($socket.tcp_keepalive().unwrap(), None);
                // A fraction counts as a whole second.
                let asked = TcpKeepalive::new()
                    .with_time(Duration::from_millis(59_500))
                    .with_interval(Duration::from_secs(7));
                $socket.set_tcp_keepalive(&asked).unwrap();
                $socket
                    .set_tcp_keepalive(&TcpKeepalive::new().with_retries(3))
                    .unwrap();
                let expected = asked.with_time(Duration::from_secs(60)).with_retries(3);
                assert_eq!($socket.tcp_keepalive().unwrap(), Some(expected));
                let zero = TcpKeepalive::new().with_time(Duration::ZERO);
                let error = $socket.set_tcp_keepalive(&zero).unwrap_err();
                assert_eq!(error.kind(), std::io::ErrorKind::InvalidInput);

                assert_eq!($socket.user_timeout().unwrap(), None);
                let limit = Some(Duration::from_millis(4321));
                $socket.set_user_timeout(limit).unwrap();
                assert_eq!($socket.user_timeout().unwrap(), limit);
                $socket.set_user_timeout(None).unwrap();
                assert_eq!($socket.user_timeout().unwrap(), None);
                $socket.set_notsent_lowat(16_384).unwrap();
                assert_eq!($socket.notsent_lowat().unwrap(), 16_384);
                assert!(!$socket.thin_linear_timeouts().unwrap());
                $socket.set_thin_linear_timeouts(true).unwrap();
                assert!($socket.thin_linear_timeouts().unwrap());
                $socket.set_priority(5).unwrap();
                assert_eq!($socket.priority().unwrap(), 5);
                $socket.set_tos_v4(0x08).unwrap();
                assert_eq!($socket.tos_v4().unwrap(), 0x08);
                $socket.set_incoming_cpu(0).unwrap();
                assert_eq!($socket.incoming_cpu().unwrap(), Some(0));
                assert_eq!($socket.mark().unwrap(), 0);
                allowed_or_refused($socket.set_mark(7), || $socket.mark().unwrap() == 7);
                let polled = || $socket.busy_poll().unwrap() == 50;
                allowed_or_refused($socket.set_busy_poll(50), polled);
            };
        }
        check!(stream);
        check!(socket);
    });
}

/// What needs a privilege was either done or refused for the want of it.
fn allowed_or_refused(outcome: std::io::Result<()>, is_done: impl FnOnce() -> bool) {
    match outcome {
        Ok(()) => assert!(is_done()),
        Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::PermissionDenied),
    }
}

#[test]
fn congestion_control_is_chosen_by_name_and_an_unknown_name_is_named() {
    run(async {
        let (stream, _far) = pair().await;
        let before = stream.congestion().unwrap();
        assert!(!before.is_empty() && !before.contains('\0'), "{before:?}");
        // Every system has it.
        stream.set_congestion("reno").unwrap();
        assert_eq!(stream.congestion().unwrap(), "reno");
        for unknown in ["no-such", "", "a-name-that-is-longer-than-the-kernel-takes"] {
            let error = stream.set_congestion(unknown).unwrap_err();
            assert_eq!(error.kind(), std::io::ErrorKind::NotFound, "{unknown}");
            assert!(error.to_string().contains(unknown), "{error}");
            assert_eq!(stream.congestion().unwrap(), "reno");
        }
    });
}

#[test]
fn options_of_a_listener_are_inherited() {
    run(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        socket.set_fastopen(8).unwrap();
        assert_eq!(socket.fastopen().unwrap(), 8);
        let listener = socket.listen(8).unwrap();
        listener.set_congestion("reno").unwrap();
        let limit = Duration::from_secs(20);
        listener.set_user_timeout(Some(limit)).unwrap();
        assert_eq!(listener.defer_accept().unwrap(), Duration::ZERO);
        listener.set_defer_accept(Duration::from_secs(3)).unwrap();
        assert!(listener.defer_accept().unwrap() >= Duration::from_secs(3));
        let address = listener.local_addr().unwrap();
        let mut client = TcpStream::connect(address).await.unwrap();
        // A connection whose client is silent is not given out.
        assert!(listener.try_accept().is_err());
        client.write_all(b"x").await.unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert_eq!(accepted.congestion().unwrap(), "reno");
        assert_eq!(accepted.user_timeout().unwrap(), Some(limit));
    });
}

#[test]
fn buffer_sizes_of_a_stream_are_the_kernels_until_they_are_set() {
    run(async {
        let (stream, _far) = pair().await;
        // Nobody has set it: the default that tcp(7) adapts.
        let default = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_rmem").unwrap();
        let default: u32 = default.split_whitespace().nth(1).unwrap().parse().unwrap();
        assert_eq!(stream.recv_buffer_size().unwrap(), default);
        stream.set_send_buffer_size(10_000).unwrap();
        assert!((10_000..=20_000).contains(&stream.send_buffer_size().unwrap()));
        stream.set_recv_buffer_size(10_000).unwrap();
        assert!((10_000..=20_000).contains(&stream.recv_buffer_size().unwrap()));
    });
}

#[test]
fn the_kernels_view_of_a_connection() {
    run(async {
        let (mut near, mut far) = pair().await;
        let sent = vec![3; 100_000];
        let mut got = vec![0; sent.len()];
        let write = near.write_all(&sent);
        let read = far.read_exact(&mut got);
        let (written, read) = futures_lite::future::zip(write, read).await;
        written.unwrap();
        read.unwrap();
        let info = far.tcp_info().unwrap();
        assert_eq!(info.state, TcpState::Established);
        assert_eq!(info.bytes_received, Some(100_000));
        assert!(
            info.cwnd > 0 && info.send_mss > 0 && info.path_mtu > 0,
            "{info:?}"
        );
        assert_eq!((info.retransmits, info.lost), (0, 0));
        near.shutdown().await.unwrap();
        assert_eq!(far.read(&mut got).await.unwrap(), 0);
        assert_eq!(far.tcp_info().unwrap().state, TcpState::CloseWait);
        assert!(near.tcp_info().unwrap().rtt > Duration::ZERO);
    });
}

#[test]
fn corked_bytes_wait_for_the_end_of_the_guard() {
    run(async {
        let (mut near, mut far) = pair().await;
        near.set_nodelay(true).unwrap();
        let mut buf = [0; 64];
        for by_drop in [true, false] {
            let mut corked = near.corked().unwrap();
            corked.write_all(b"header ").await.unwrap();
            assert!(corked.is_corked().unwrap());
            // Loopback delivers within the write: what is not there now was kept back.
            assert!(far.try_read(&mut buf).is_err());
            corked.write_all(b"body").await.unwrap();
            assert!(far.try_read(&mut buf).is_err());
            if by_drop {
                drop(corked);
            } else {
                corked.uncork().unwrap();
            }
            assert!(!near.is_corked().unwrap());
            let count = far.read(&mut buf).await.unwrap();
            assert_eq!(&buf[..count], b"header body");
        }
    });
}
