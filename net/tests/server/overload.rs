//! A server that has as many connections as it may have.

use std::io::{Read as _, Write as _};
use std::net;
use std::time::Duration;

use oneloop_net::TcpStream;
use oneloop_net::server::{OverloadPolicy, Server, ServerHandle};
use oneloop_runtime::time::{sleep, timeout};

use crate::support::{
    ANY_PORT, ask, assert_closed, client, echo_lines, is_closed, run, run_on_one, until,
};

const WHILE: Duration = Duration::from_millis(100);

async fn full(count: usize, policy: OverloadPolicy) -> (ServerHandle, Vec<TcpStream>) {
    let server = Server::builder()
        .max_connections(count, policy)
        .serve(ANY_PORT, echo_lines)
        .await
        .unwrap();
    let mut clients = Vec::new();
    for _ in 0..count {
        let mut client = client(&server).await;
        ask(&mut client).await;
        clients.push(client);
    }
    until(&server, |counts| counts.idle == count as u64).await;
    (server, clients)
}

async fn is_answered(client: &mut TcpStream) -> bool {
    timeout(WHILE, ask(client)).await.is_ok()
}

#[test]
fn pause_serves_the_next_when_one_has_ended() {
    run(async {
        let (server, mut clients) = full(3, OverloadPolicy::Pause).await;
        let mut fourth = client(&server).await;
        assert!(!is_answered(&mut fourth).await);
        let counts = until(&server, |counts| counts.paused == 1).await;
        assert_eq!((counts.accepted, counts.connections), (3, 3));
        // The three are served all the same.
        for client in &mut clients {
            ask(client).await;
        }
        drop(clients.pop());
        let mut answer = [0; 5];
        fourth.read_exact(&mut answer).await.unwrap();
        ask(&mut fourth).await;
        assert_eq!(server.counts().connections, 3);
    });
}

#[test]
fn reject_says_farewell_and_closes() {
    run(async {
        let farewell = b"busy, try again\n".to_vec();
        let policy = OverloadPolicy::Reject {
            farewell: farewell.clone(),
        };
        let (server, mut clients) = full(2, policy).await;
        for _ in 0..5 {
            let mut rejected = client(&server).await;
            // A request that is never read: the farewell must arrive in spite of it.
            rejected.write_all(b"ping\n").await.unwrap();
            let mut text = vec![0; farewell.len()];
            rejected.read_exact(&mut text).await.unwrap();
            assert_eq!(text, farewell);
            assert_closed(&mut rejected).await;
        }
        for client in &mut clients {
            ask(client).await;
        }
        let counts = server.counts();
        assert_eq!((counts.rejected, counts.accepted), (5, 2));
        drop(clients.pop());
        until(&server, |counts| counts.connections == 1).await;
        ask(&mut client(&server).await).await;
    });
}

#[test]
fn reject_without_farewell_closes() {
    run(async {
        let policy = OverloadPolicy::Reject {
            farewell: Vec::new(),
        };
        let (server, _clients) = full(1, policy).await;
        assert_closed(&mut client(&server).await).await;
        assert_eq!(server.counts().rejected, 1);
    });
}

#[test]
fn shed_closes_the_longest_idle() {
    run_on_one(async {
        let (server, mut clients) = full(3, OverloadPolicy::ShedIdle).await;
        // The order in which they were idle: 1, 2, 0.
        sleep(Duration::from_millis(5)).await;
        ask(&mut clients[0]).await;
        until(&server, |counts| counts.idle == 3).await;
        let mut fourth = client(&server).await;
        ask(&mut fourth).await;
        assert_closed(&mut clients[1]).await;
        assert!(!is_closed(&clients[0]) && !is_closed(&clients[2]));
        let mut fifth = client(&server).await;
        ask(&mut fifth).await;
        assert_closed(&mut clients[2]).await;
        ask(&mut clients[0]).await;
        let counts = server.counts();
        assert_eq!((counts.shed, counts.connections), (2, 3));
        assert_eq!(counts.paused, 0);
    });
}

#[test]
fn shed_finds_the_idle_on_other_loops() {
    run(async {
        // One idle connection, on one of two loops: whichever accepts next, it is found.
        let (server, mut clients) = full(1, OverloadPolicy::ShedIdle).await;
        for round in 1..20 {
            let mut next = client(&server).await;
            ask(&mut next).await;
            assert_closed(&mut clients[0]).await;
            clients[0] = next;
            until(&server, |counts| counts.idle == 1).await;
            let counts = server.counts();
            assert_eq!((counts.shed, counts.connections), (round, 1));
        }
    });
}

#[test]
fn shed_touches_no_busy_connection_and_takes_the_first_that_is_idle() {
    run(async {
        let (server, mut clients) = full(2, OverloadPolicy::ShedIdle).await;
        for client in &mut clients {
            client.write_all(b"pi").await.unwrap();
        }
        until(&server, |counts| counts.idle == 0).await;
        let mut third = client(&server).await;
        assert!(!is_answered(&mut third).await);
        assert_eq!(server.counts().shed, 0);
        assert!(clients.iter().all(|client| !is_closed(client)));
        // Its request is answered before it is closed.
        clients[1].write_all(b"ng\n").await.unwrap();
        clients[1].read_exact(&mut [0; 5]).await.unwrap();
        assert_closed(&mut clients[1]).await;
        third.read_exact(&mut [0; 5]).await.unwrap();
        assert!(!is_closed(&clients[0]));
        assert_eq!(server.counts().shed, 1);
    });
}

#[test]
fn shed_spares_a_request_that_the_loop_has_not_seen() {
    run_on_one(async {
        let server = Server::builder()
            .max_connections(1, OverloadPolicy::ShedIdle)
            .serve(ANY_PORT, echo_lines)
            .await
            .unwrap();
        let mut first = net::TcpStream::connect(server.local_addr()).unwrap();
        until(&server, |counts| counts.idle == 1).await;
        // The loop stands still meanwhile, and then learns of the newcomer first.
        let second = net::TcpStream::connect(server.local_addr()).unwrap();
        first.write_all(b"ping\n").unwrap();
        until(&server, |counts| counts.shed == 1).await;
        let mut answer = [0; 5];
        first.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"ping\n");
        second.set_nonblocking(true).unwrap();
        ask(&mut TcpStream::from_std(second).unwrap()).await;
    });
}
