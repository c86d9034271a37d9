//! Several addresses: which attempt begins when, who wins, and what becomes of the others.

use std::io::ErrorKind;
use std::net::{Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::time::Duration;

use oneloop_net::client::{ATTEMPTS_AT_ONCE_MAX, Connector, connect_any};
use oneloop_runtime::time::{sleep, timeout};

use crate::support::{BlackHole, paused, poll_once, refusing, run, server, timed};

#[test]
fn slow_address_loses_to_the_next_after_the_delay() {
    paused(async {
        let hole = BlackHole::new();
        let (_listener, good) = server();
        let (millis, stream) = timed(connect_any(&[hole.address, good][..])).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), good);
        assert_eq!(millis, 250);
        assert_eq!(hole.attempts(), 0, "the loser is still open");
    });
}

#[test]
fn failed_address_begins_the_next_at_once() {
    paused(async {
        let (_socket, nobody) = refusing();
        let (_listener, good) = server();
        let (millis, stream) = timed(connect_any(&[nobody, nobody, good][..])).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), good);
        assert_eq!(millis, 0);
    });
}

#[test]
fn v6_that_fails_falls_back_to_v4() {
    paused(async {
        let (_listener, good) = server();
        // Without IPv6 this machine has no way to it; with it, nobody listens there.
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, good.port()));
        let (millis, stream) = timed(connect_any(&[v6, good][..])).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), good);
        assert_eq!(millis, 0);
    });
}

#[test]
fn other_family_comes_second_however_many_stand_before_it() {
    paused(async {
        let Ok(listener) = std::net::TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
            return;
        };
        let good = listener.local_addr().unwrap();
        let hole = BlackHole::new();
        let list = [hole.address, hole.address, hole.address, good];
        let (millis, stream) = timed(connect_any(&list[..])).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), good);
        assert_eq!(millis, 250);
    });
}

#[test]
fn delay_keeps_to_the_range_of_the_rfc() {
    paused(async {
        let hole = BlackHole::new();
        let (_listener, good) = server();
        for (asked, kept) in [(0, 10), (100, 100), (3_600_000, 2000)] {
            let asked = Duration::from_millis(asked);
            let connector = Connector::new().connection_attempt_delay(asked);
            let (millis, stream) = timed(connector.connect(&[hole.address, good][..])).await;
            assert_eq!(stream.unwrap().peer_addr().unwrap(), good);
            assert_eq!(millis, kept, "{asked:?}");
        }
    });
}

#[test]
fn connect_timeout_is_for_all_attempts_together() {
    paused(async {
        let hole = BlackHole::new();
        let connector = Connector::new().connect_timeout(Duration::from_secs(3));
        for list in [&[hole.address][..], &[hole.address, hole.address][..]] {
            let (millis, outcome) = timed(connector.connect(list)).await;
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::TimedOut);
            assert_eq!(millis, 3000);
            assert_eq!(hole.attempts(), 0);
        }
    });
}

#[test]
fn error_is_that_of_the_last_address() {
    run(async {
        let (_socket, nobody) = refusing();
        let error = connect_any(&[nobody, nobody][..]).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        let none: &[SocketAddr] = &[];
        let error = connect_any(none).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        let error = connect_any("nowhere").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn name_is_looked_up() {
    run(async {
        let (_listener, good) = server();
        let stream = connect_any(("localhost", good.port())).await.unwrap();
        assert_eq!(stream.peer_addr().unwrap().port(), good.port());
    });
}

#[test]
fn attempts_at_once_are_limited_and_a_drop_closes_all() {
    paused(async {
        let hole = BlackHole::new();
        let list = vec![hole.address; ATTEMPTS_AT_ONCE_MAX + 5];
        {
            let mut connecting = pin!(connect_any(&list[..]));
            assert!(poll_once(connecting.as_mut()).await.is_pending());
            assert_eq!(hole.attempts(), 1);
            let outcome = timeout(Duration::from_secs(20), connecting.as_mut()).await;
            assert!(outcome.is_err());
            assert_eq!(hole.attempts(), ATTEMPTS_AT_ONCE_MAX);
        }
        assert_eq!(hole.attempts(), 0, "a given-up attempt is still open");
    });
}

#[test]
fn connect_can_be_dropped_after_any_poll() {
    paused(async {
        let hole = BlackHole::new();
        let (_listener, good) = server();
        let list = [hole.address, hole.address, good];
        for millis in [0, 1, 249, 250, 251, 499] {
            let connecting = connect_any(&list[..]);
            let outcome = timeout(Duration::from_millis(millis), connecting).await;
            assert!(outcome.is_err(), "connected after {millis} ms");
            assert_eq!(hole.attempts(), 0, "after {millis} ms");
        }
        sleep(Duration::from_millis(1)).await;
        connect_any(&list[..]).await.unwrap();
        assert_eq!(hole.attempts(), 0);
    });
}
