//! Addresses, conflicts and options of the sockets.

use std::io;
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use oneloop_net::TcpListener;
use oneloop_net::listeners::{AcceptPolicy, Listeners};
use oneloop_runtime::task::spawn_blocking;
use socket2::SockRef;

use crate::support::run_on;
use crate::{ask, loops, tell_loop};

#[test]
fn both_families_are_served() {
    let runtime = loops(2);
    run_on(&runtime, async {
        for address in [
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        ] {
            for listeners in [
                TcpListener::bind_per_loop(address).await.unwrap(),
                TcpListener::bind_balanced(address).await.unwrap(),
            ] {
                let bound = listeners.local_addr().unwrap();
                assert_eq!(bound.ip(), address.ip());
                assert_ne!(bound.port(), 0);
                let serving = listeners.serve(tell_loop).unwrap();
                assert_eq!(serving.local_addr(), bound);
                let answer = move || ask(&mut net::TcpStream::connect(bound).unwrap());
                assert!(spawn_blocking(answer).await.unwrap() < 2);
            }
        }
    });
}

#[test]
fn one_socket_for_each_loop_or_one_for_all() {
    for count in [1, 2, 4] {
        let runtime = loops(count);
        run_on(&runtime, async {
            let address = (Ipv4Addr::LOCALHOST, 0);
            let per_loop = TcpListener::bind_per_loop(address).await.unwrap();
            let expected = per_loop.local_addr().unwrap();
            assert_eq!(per_loop.sockets().count(), count);
            for socket in per_loop.sockets() {
                let socket = SockRef::from(&socket);
                assert!(socket.reuse_port().unwrap());
                let bound = socket.local_addr().unwrap().as_socket();
                assert_eq!(bound, Some(expected));
            }
            let balanced = TcpListener::bind_balanced(address).await.unwrap();
            assert_eq!(balanced.sockets().count(), 1);
            let (parts, _) = balanced.into_parts().unwrap();
            assert_eq!(parts.len(), count);
        });
    }
}

#[test]
fn port_that_somebody_has_is_in_use() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let holder = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = holder.local_addr().unwrap();
        for outcome in [
            TcpListener::bind_per_loop(address).await,
            TcpListener::bind_balanced(address).await,
        ] {
            assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        }
        // Two that balance do not share a port by accident.
        let first = TcpListener::bind_balanced((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let again = TcpListener::bind_balanced(first.local_addr().unwrap()).await;
        assert_eq!(again.unwrap_err().kind(), io::ErrorKind::AddrInUse);
        // Of several addresses the first that is free is taken.
        let free = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let bound = TcpListener::bind_per_loop(&[address, free][..])
            .await
            .unwrap();
        assert_ne!(bound.local_addr().unwrap(), address);
    });
}

#[test]
fn backlog_limits_the_kernels_queue() {
    let runtime = loops(1);
    run_on(&runtime, async {
        let listeners = TcpListener::bind_balanced((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap()
            .with_backlog(1)
            .unwrap();
        let address = listeners.local_addr().unwrap();
        // Linux lets one more in than the backlog says, and leaves the next ones unanswered: what a
        // machine that is busy does not change.
        let connect =
            move |millis| net::TcpStream::connect_timeout(&address, Duration::from_millis(millis));
        let clients = spawn_blocking(move || {
            let first_two = [connect(20_000).unwrap(), connect(20_000).unwrap()];
            let next_two = [connect(200), connect(200)];
            (first_two, next_two)
        });
        let (_first_two, next_two) = clients.await.unwrap();
        for refused in next_two {
            assert_eq!(refused.unwrap_err().kind(), io::ErrorKind::TimedOut);
        }
    });
}

#[test]
fn listener_of_the_standard_library_is_served_by_all_loops() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let listener = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let listeners = Listeners::from_std(listener).unwrap();
        // In turn, whatever the loops are doing: `RoundRobin` passes over one that the machine keeps
        // waiting.
        let turn = AtomicUsize::new(0);
        let in_turn = move |_, loops: &[_]| turn.fetch_add(1, Relaxed) % loops.len();
        let listeners = listeners.with_policy(AcceptPolicy::Custom(Arc::new(in_turn)));
        let serving = listeners.serve(tell_loop).unwrap();
        let by = spawn_blocking(move || {
            let connect = |_| ask(&mut net::TcpStream::connect(address).unwrap());
            let mut by: Vec<_> = (0..10).map(connect).collect();
            by.sort_unstable();
            by
        });
        assert_eq!(by.await.unwrap(), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1]);
        drop(serving);
    });
}
