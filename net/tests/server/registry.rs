//! What the server knows of its connections, and that it forgets none.

use std::cell::Cell;
use std::io;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};
use std::time::Duration;

use oneloop_net::server::{Connection, ConnectionState, OverloadPolicy, Server};
use oneloop_runtime::task::spawn;
use oneloop_runtime::task::yield_now;

use crate::support::{ANY_PORT, ask, assert_closed, client, echo_lines, run, until};

#[test]
fn snapshot_tells_each_connection_as_it_is() {
    run(async {
        let server = Server::builder().serve(ANY_PORT, echo_lines).await.unwrap();
        let mut idle = client(&server).await;
        for _ in 0..3 {
            ask(&mut idle).await;
        }
        let mut busy = client(&server).await;
        busy.write_all(b"pi").await.unwrap();
        until(&server, |counts| counts.accepted == 2 && counts.idle == 1).await;
        let mut connections = server.connections().await;
        connections.sort_by_key(|it| it.id);
        let [first, second] = connections.as_slice() else {
            panic!("{connections:?}");
        };
        assert_eq!(first.peer, idle.local_addr().unwrap());
        assert_eq!((first.bytes_in, first.bytes_out), (15, 15));
        assert_eq!(first.state, ConnectionState::Idle);
        assert!(first.idle.unwrap() <= first.age);
        assert!(first.loop_index < 2 && first.age < Duration::from_secs(30));
        assert_eq!(second.peer, busy.local_addr().unwrap());
        assert_eq!(second.state, ConnectionState::Busy);
        assert_eq!(second.idle, None);
        drop((idle, busy));
        until(&server, |counts| counts.connections == 0).await;
        assert!(server.connections().await.is_empty());
    });
}

#[test]
fn ten_thousand_connections_leave_nothing_behind() {
    const CLIENTS: usize = 8;
    const EACH: usize = 1_250;
    run(async {
        let server = Server::builder().serve(ANY_PORT, echo_lines).await.unwrap();
        let clients = (0..CLIENTS).map(|number| {
            let server = server.clone();
            spawn(async move {
                for round in 0..EACH {
                    let mut client = client(&server).await;
                    // Some say nothing, some leave in the middle, some reset.
                    match (number + round) % 4 {
                        0 => {}
                        1 => client.write_all(b"pi").await.unwrap(),
                        _ => ask(&mut client).await,
                    }
                    // Closed with a reset: no port is kept waiting.
                    client.set_zero_linger().unwrap();
                }
            })
        });
        for client in clients.collect::<Vec<_>>() {
            client.await.unwrap();
        }
        let total = (CLIENTS * EACH) as u64;
        // A client that resets before it is accepted is no connection for every kernel.
        let counts = until(&server, |counts| {
            counts.connections == 0 && counts.finished + counts.failed >= total
        })
        .await;
        assert_eq!(counts.accepted, total);
        assert_eq!(counts.finished + counts.failed, total);
        assert_eq!((counts.idle, counts.panicked, counts.cut), (0, 0, 0));
        assert!(server.connections().await.is_empty());
        let report = server.drain(Duration::from_secs(5)).await;
        assert_eq!((report.idle, report.finished, report.cut), (0, 0, 0));
    });
}

#[test]
fn panic_ends_its_connection_and_frees_its_place() {
    async fn fragile(connection: Connection) -> io::Result<()> {
        let mut line = [0; 5];
        connection.read_exact(&mut line).await?;
        assert_ne!(&line, b"boom\n", "asked to");
        connection.write_all(&line).await
    }
    run(async {
        let server = Server::builder()
            .max_connections(1, OverloadPolicy::Pause)
            .serve(ANY_PORT, fragile)
            .await
            .unwrap();
        for _ in 0..3 {
            let mut victim = client(&server).await;
            victim.write_all(b"boom\n").await.unwrap();
            assert_closed(&mut victim).await;
        }
        ask(&mut client(&server).await).await;
        let counts = until(&server, |counts| counts.connections == 0).await;
        assert_eq!((counts.panicked, counts.finished), (3, 1));
    });
}

#[test]
fn panic_before_the_future_is_made_is_no_different() {
    fn refuses(connection: Connection) -> std::future::Ready<()> {
        panic!("no future for {connection:?}");
    }
    run(async {
        let server = Server::builder().serve(ANY_PORT, refuses).await.unwrap();
        assert_closed(&mut client(&server).await).await;
        // Its end is counted before its place is free.
        let counts = until(&server, |counts| counts.connections == 0).await;
        assert_eq!(counts.panicked, 1);
    });
}

#[test]
fn futures_of_handlers_need_not_be_send_and_errors_are_counted() {
    async fn local(connection: Connection) -> Result<(), &'static str> {
        let state = Rc::new(Cell::new(0));
        yield_now().await;
        state.set(state.get() + 1);
        connection.write_all(b"ping\n").await.unwrap();
        Err("always")
    }
    run(async {
        let server = Server::builder().serve(ANY_PORT, local).await.unwrap();
        client(&server).await.read_exact(&mut [0; 5]).await.unwrap();
        until(&server, |counts| counts.failed == 1).await;
    });
}

#[test]
fn connection_counts_until_its_handler_has_ended() {
    run(async {
        let seen = Arc::new(AtomicBool::new(false));
        let is_seen = Arc::clone(&seen);
        let lingering = move |connection: Connection| {
            let is_seen = Arc::clone(&is_seen);
            async move {
                drop(connection);
                while !is_seen.load(SeqCst) {
                    oneloop_runtime::time::sleep(Duration::from_millis(1)).await;
                }
            }
        };
        let server = Server::builder().serve(ANY_PORT, lingering).await.unwrap();
        assert_closed(&mut client(&server).await).await;
        assert_eq!(server.counts().connections, 1);
        seen.store(true, SeqCst);
        until(&server, |counts| counts.connections == 0).await;
    });
}

#[test]
fn every_loop_serves() {
    run(async {
        let server = Server::builder().serve(ANY_PORT, echo_lines).await.unwrap();
        let mut clients = Vec::new();
        // That all go to one of two loops happens once in 2^63 times.
        for _ in 0..64 {
            let mut client = client(&server).await;
            ask(&mut client).await;
            clients.push(client);
        }
        let connections = server.connections().await;
        let on_first = connections.iter().filter(|it| it.loop_index == 0).count();
        assert!((1..64).contains(&on_first), "{on_first} of 64 on one loop");
    });
}

#[test]
fn connection_that_was_moved_to_another_task_is_cut_as_well() {
    async fn gives_away(connection: Connection) {
        drop(oneloop_runtime::task::spawn_local(async move {
            // Never idle, never ending by itself.
            let _request = connection.request_guard();
            let error = connection.read(&mut [0]).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionAborted);
        }));
    }
    run(async {
        let server = Server::builder().serve(ANY_PORT, gives_away).await.unwrap();
        let mut client = client(&server).await;
        until(&server, |counts| counts.finished == 1).await;
        assert_eq!(server.counts().connections, 1);
        let report = server.drain(Duration::from_millis(50)).await;
        assert_eq!(report.cut, 1);
        assert_closed(&mut client).await;
    });
}
