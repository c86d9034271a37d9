//! The orderly end: who is closed when, and what the report says.

use std::future::pending;
use std::io::{self, Read as _, Write as _};
use std::net;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use oneloop_net::TcpStream;
use oneloop_net::server::{Connection, OverloadPolicy, Server, ServerHandle};
use oneloop_runtime::task::{spawn, spawn_blocking};
use oneloop_runtime::time::{self, sleep, timeout};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::support::{
    ANY_PORT, ask, assert_answered, assert_closed, client, echo_lines, in_own_process, is_closed,
    loops, own_address, read_line, run, run_on, run_on_one, run_paused, until,
};

const LONG: Duration = Duration::from_secs(20);
const SOON: Duration = Duration::from_millis(100);

/// Answers a line after a time.
async fn answer_after(connection: Connection, time: Duration) -> io::Result<()> {
    while let Some(line) = read_line(&connection).await? {
        let _request = connection.request_guard();
        sleep(time).await;
        connection.write_all(&line).await?;
    }
    Ok(())
}

async fn slow_server(time: Duration) -> ServerHandle {
    let handler = move |connection| answer_after(connection, time);
    Server::builder().serve(ANY_PORT, handler).await.unwrap()
}

#[test]
fn server_without_connections_is_drained_at_once() {
    in_own_process(
        "drain::server_without_connections_is_drained_at_once",
        || {
            run(async {
                let server = Server::builder().serve(own_address(), echo_lines);
                let server = server.await.unwrap();
                let address = server.local_addr();
                let report = server.drain(LONG).await;
                assert!(report.is_clean() && report.duration < LONG / 2);
                assert_eq!((report.idle, report.finished, report.cut), (0, 0, 0));
                let refused = TcpStream::connect(address).await.unwrap_err();
                assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
                assert!(server.listeners().unwrap().is_empty());
            });
        },
    );
}

#[test]
fn idle_connections_are_closed_at_once() {
    run(async {
        let server = Server::builder().serve(ANY_PORT, echo_lines).await.unwrap();
        let mut clients = Vec::new();
        for number in 0..10 {
            let mut client = client(&server).await;
            if number % 2 == 0 {
                ask(&mut client).await;
            }
            clients.push(client);
        }
        until(&server, |counts| counts.idle == 10).await;
        let report = server.drain(LONG).await;
        assert_eq!((report.idle, report.finished, report.cut), (10, 0, 0));
        assert!(report.duration < LONG / 2, "{report}");
        for client in &mut clients {
            assert_closed(client).await;
        }
        let counts = server.counts();
        assert_eq!((counts.connections, counts.idle), (0, 0));
        assert_eq!((counts.accepted, counts.drained_idle), (10, 10));
    });
}

#[test]
fn busy_connection_is_answered_and_then_closed() {
    /// Answers a line when it knows of the drain, whenever that is.
    async fn late(connection: Connection) -> io::Result<()> {
        while let Some(line) = read_line(&connection).await? {
            let _request = connection.request_guard();
            connection.draining().await;
            connection.write_all(&line).await?;
        }
        Ok(())
    }
    run(async {
        let server = Server::builder().serve(ANY_PORT, late).await.unwrap();
        let mut busy = client(&server).await;
        busy.write_all(b"ping\n").await.unwrap();
        until(&server, |counts| counts.accepted == 1 && counts.idle == 0).await;
        let drained = server.clone();
        let drain = spawn(async move { drained.drain(LONG).await });
        assert_answered(&mut busy).await;
        assert_closed(&mut busy).await;
        let report = drain.await.unwrap();
        assert_eq!((report.idle, report.finished, report.cut), (0, 1, 0));
        assert!(report.duration < LONG / 2);
    });
}

#[test]
fn deadline_cuts_who_is_busy_and_names_the_peers() {
    struct Gone(Arc<AtomicUsize>);
    impl Drop for Gone {
        fn drop(&mut self) {
            self.0.fetch_add(1, Relaxed);
        }
    }
    run(async {
        let gone = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&gone);
        let handler = move |connection: Connection| {
            let counter = Arc::clone(&counter);
            async move {
                let _gone = Gone(counter);
                answer_after(connection, Duration::from_secs(1_000)).await
            }
        };
        let server = Server::builder().serve(ANY_PORT, handler).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..3 {
            let mut client = client(&server).await;
            client.write_all(b"ping\n").await.unwrap();
            clients.push(client);
        }
        let idle = client(&server).await;
        until(&server, |counts| counts.accepted == 4 && counts.idle == 1).await;

        let report = server.drain(SOON).await;
        assert_eq!((report.idle, report.finished, report.cut), (1, 0, 3));
        assert!(report.duration >= SOON && !report.is_clean());
        assert_eq!(gone.load(Relaxed), 4, "a handler outlived the drain");
        let mut expected: Vec<_> = clients.iter().map(|it| it.local_addr().unwrap()).collect();
        let mut peers = report.cut_peers.clone();
        expected.sort_unstable();
        peers.sort_unstable();
        assert_eq!(peers, expected);
        for client in &mut clients {
            assert_closed(client).await;
        }
        drop(idle);
    });
}

#[test]
fn second_drain_joins_and_the_earlier_deadline_counts() {
    run(async {
        let server = slow_server(Duration::from_secs(1_000)).await;
        let mut busy = client(&server).await;
        busy.write_all(b"ping\n").await.unwrap();
        until(&server, |counts| counts.accepted == 1 && counts.idle == 0).await;
        // Both begin at once, the first first.
        let drains = futures_lite::future::zip(server.drain(LONG), server.drain(SOON));
        let (first, second) = drains.await;
        assert_eq!((second.cut, first.cut), (1, 1));
        assert_eq!(first.cut_peers, second.cut_peers);
        assert!(first.duration < LONG / 2);
        // And one more, when all is over.
        let third = server.drain(SOON).await;
        assert_eq!((third.cut, third.finished), (1, 0));
    });
}

#[test]
fn dropped_drain_goes_on_and_dropped_handle_changes_nothing() {
    run(async {
        let server = Server::builder().serve(ANY_PORT, echo_lines).await.unwrap();
        let address = server.local_addr();
        let mut first = client(&server).await;
        ask(&mut first).await;
        let other = server.clone();
        drop(server);
        ask(&mut first).await;
        let mut second = TcpStream::connect(address).await.unwrap();
        ask(&mut second).await;

        let polled_once = timeout(Duration::ZERO, other.drain(LONG)).await;
        drop(polled_once);
        assert_closed(&mut first).await;
        assert_closed(&mut second).await;
        let report = other.drain(LONG).await;
        assert_eq!((report.idle, report.finished, report.cut), (2, 0, 0));
    });
}

#[test]
fn queue_of_the_kernel_is_served_before_the_listener_closes() {
    run_on_one(async {
        let server = Server::builder().serve(ANY_PORT, echo_lines).await.unwrap();
        // The loop stands still meanwhile: all wait in the kernel's queue, with their request.
        let mut clients: Vec<_> = (0..20)
            .map(|_| {
                let mut client = net::TcpStream::connect(server.local_addr()).unwrap();
                client.write_all(b"ping\n").unwrap();
                client
            })
            .collect();
        let report = server.drain(LONG).await;
        assert_eq!((report.idle, report.finished, report.cut), (0, 20, 0));
        for client in &mut clients {
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).unwrap();
            assert_eq!(answer, b"ping\n");
        }
    });
}

#[test]
fn full_server_takes_its_queue_as_places_become_free() {
    run_on_one(async {
        let server = Server::builder()
            .max_connections(3, OverloadPolicy::Pause)
            .serve(ANY_PORT, echo_lines)
            .await
            .unwrap();
        let mut clients: Vec<_> = (0..20)
            .map(|_| {
                let mut client = net::TcpStream::connect(server.local_addr()).unwrap();
                client.write_all(b"ping\n").unwrap();
                client
            })
            .collect();
        let report = server.drain(LONG).await;
        assert_eq!((report.idle, report.finished, report.cut), (0, 20, 0));
        for client in &mut clients {
            client.read_exact(&mut [0; 5]).unwrap();
        }
    });
}

#[test]
fn request_in_the_sockets_buffer_is_answered() {
    run_on_one(async {
        let server = Server::builder().serve(ANY_PORT, echo_lines).await.unwrap();
        let mut client = net::TcpStream::connect(server.local_addr()).unwrap();
        until(&server, |counts| counts.idle == 1).await;
        // The connection is idle for all that the loop knows.
        client.write_all(b"ping\n").unwrap();
        let report = server.drain(LONG).await;
        assert_eq!((report.idle, report.finished, report.cut), (0, 1, 0));
        let mut answer = Vec::new();
        client.read_to_end(&mut answer).unwrap();
        assert_eq!(answer, b"ping\n");
    });
}

#[test]
fn half_a_request_is_waited_for() {
    run(async {
        let (told, is_told) = mpsc::channel();
        // Says when the drain has come to its loop.
        let handler = move |connection: Connection| {
            let told = told.clone();
            async move {
                let watch = async {
                    connection.draining().await;
                    told.send(()).unwrap();
                };
                let serve = async {
                    while let Some(line) = read_line(&connection).await? {
                        connection.write_all(&line).await?;
                    }
                    io::Result::Ok(())
                };
                futures_lite::future::zip(watch, serve).await.1
            }
        };
        let server = Server::builder().serve(ANY_PORT, handler).await.unwrap();
        let mut client = client(&server).await;
        client.write_all(b"pi").await.unwrap();
        until(&server, |counts| counts.accepted == 1 && counts.idle == 0).await;
        let drained = server.clone();
        let drain = spawn(async move { drained.drain(LONG).await });
        spawn_blocking(move || is_told.recv().unwrap())
            .await
            .unwrap();
        assert!(!is_closed(&client) && !drain.is_finished());
        client.write_all(b"ng\n").await.unwrap();
        assert_answered(&mut client).await;
        assert_closed(&mut client).await;
        assert_eq!(drain.await.unwrap().finished, 1);
    });
}

#[test]
fn handler_that_waits_for_the_drain_takes_leave() {
    async fn polite(connection: Connection) -> io::Result<()> {
        let mut buf = [0; 16];
        let read = async { Some(connection.read(&mut buf).await) };
        let told = async {
            connection.draining().await;
            None
        };
        if futures_lite::future::or(read, told).await.is_none() {
            assert!(connection.is_draining());
            connection.write_all(b"bye\n").await?;
        }
        Ok(())
    }
    run(async {
        let server = Server::builder().serve(ANY_PORT, polite).await.unwrap();
        let mut client = client(&server).await;
        until(&server, |counts| counts.idle == 1).await;
        let report = server.drain(LONG).await;
        let mut answer = [0; 4];
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"bye\n");
        assert_eq!(report.cut, 0);
        assert_eq!(server.counts().finished, 1);
    });
}

#[test]
fn runtime_that_ends_in_a_drain_ends_the_drain() {
    let server_runtime = loops(2);
    let (told, is_told) = mpsc::channel();
    let (drain, mut busy) = {
        // Waits for ever, and says when it knows of the drain.
        let handler = move |connection: Connection| {
            let told = told.clone();
            async move {
                let _request = connection.request_guard();
                connection.draining().await;
                told.send(()).unwrap();
                pending::<()>().await;
            }
        };
        let serving = Server::builder().serve(ANY_PORT, handler);
        let server = run_on(&server_runtime, serving).unwrap();
        let client = net::TcpStream::connect(server.local_addr()).unwrap();
        run_on(&server_runtime, async {
            until(&server, |counts| counts.accepted == 1).await;
        });
        let drain = std::thread::spawn(move || run(async move { server.drain(LONG).await }));
        (drain, client)
    };
    is_told.recv().unwrap();
    drop(server_runtime);
    let report = drain.join().unwrap();
    assert!(
        report.lost_loops >= 1 && report.duration < LONG / 2,
        "{report}"
    );
    // Its handler was dropped with the runtime.
    assert!(matches!(busy.read(&mut [0]), Ok(0) | Err(_)));
}

#[test]
fn thousand_busy_and_thousand_idle_connections() {
    const EACH: usize = 1_000;
    let test = async {
        let (answer, is_answered) = (Arc::new(AtomicBool::new(false)), Duration::from_millis(5));
        let may_answer = Arc::clone(&answer);
        let handler = move |connection| {
            let may_answer = Arc::clone(&may_answer);
            async move {
                while let Some(line) = read_line(&connection).await? {
                    let _request = connection.request_guard();
                    while !may_answer.load(Relaxed) {
                        sleep(is_answered).await;
                    }
                    connection.write_all(&line).await?;
                }
                io::Result::Ok(())
            }
        };
        let server = Server::builder().serve(ANY_PORT, handler).await.unwrap();
        let (mut busy, mut idle) = (Vec::new(), Vec::new());
        for _ in 0..EACH {
            idle.push(client(&server).await);
        }
        for _ in 0..EACH {
            busy.push(client(&server).await);
        }
        until(&server, |counts| counts.idle == 2 * EACH as u64).await;
        for client in &mut busy {
            client.write_all(b"ping\n").await.unwrap();
        }
        until(&server, |counts| counts.idle == EACH as u64).await;

        let drained = server.clone();
        let begun = Instant::now();
        let drain = spawn(async move { drained.drain(LONG).await });
        // All of them before the first of the others.
        for client in &mut idle {
            assert_closed(client).await;
        }
        let idle_closed = begun.elapsed();
        assert!(busy.iter().all(|client| !is_closed(client)) && !drain.is_finished());
        answer.store(true, Relaxed);
        for client in &mut busy {
            assert_answered(client).await;
            assert_closed(client).await;
        }
        let report = drain.await.unwrap();
        assert_eq!(
            (report.idle, report.finished, report.cut),
            (EACH as u64, EACH as u64, 0)
        );
        assert!(report.duration < LONG, "{report}");
        // For who looks at the output; nobody needs it.
        let _ = writeln!(
            io::stderr(),
            "{report}; idle ones closed in {idle_closed:?}"
        );
    };
    in_own_process("drain::thousand_busy_and_thousand_idle_connections", || {
        let limit = getrlimit(Resource::Nofile);
        let wanted = Rlimit {
            current: limit.maximum,
            ..limit
        };
        setrlimit(Resource::Nofile, wanted).unwrap();
        run(test);
    });
}

#[test]
fn first_request_of_a_new_connection_is_waited_for_if_asked_to() {
    const GRACE: Duration = Duration::from_millis(400);
    run_paused(async {
        let server = Server::builder()
            .first_request_grace(GRACE)
            .serve(ANY_PORT, echo_lines)
            .await
            .unwrap();
        let mut new = client(&server).await;
        let mut silent = client(&server).await;
        let mut used = client(&server).await;
        ask(&mut used).await;
        until(&server, |counts| counts.idle == 3).await;
        let drained = server.clone();
        let begun = time::Instant::now();
        let drain = spawn(async move { drained.drain(LONG).await });
        assert_closed(&mut used).await;
        assert!(!is_closed(&new) && begun.elapsed() < GRACE);
        ask(&mut new).await;
        assert_closed(&mut new).await;
        assert!(begun.elapsed() < GRACE);
        assert_closed(&mut silent).await;
        assert!(begun.elapsed() >= GRACE);
        let report = drain.await.unwrap();
        assert_eq!((report.idle, report.finished, report.cut), (2, 1, 0));
    });
}
