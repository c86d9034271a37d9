//! Which loop serves: all of them do, and one that stands still holds up nobody.

use std::collections::BTreeSet;
use std::io::{self, Read as _, Write as _};
use std::net::{self, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

use oneloop_net::AcceptPolicy;
use oneloop_net::listeners::Candidate;
use oneloop_net::server::{Connection, OverloadPolicy, Server, ServerHandle};
use oneloop_runtime::runtime::Handle;
use oneloop_runtime::task::{LocalSet, spawn_blocking};
use oneloop_runtime::time::timeout;
use rustix::event::{PollFd, PollFlags, poll};

use crate::support::{
    ANY_PORT, DEADLINE, ask, client, echo_lines, loops, run, run_on, run_on_one, until,
};

/// What a client may wait longer than ten times what it would without a blocked loop.
const ANSWERED: Duration = Duration::from_millis(500);

/// Answers each byte with the number of its loop; `b'b'` is answered first and blocks the loop then
/// until another byte comes.
async fn tell_loop(connection: Connection) -> io::Result<()> {
    let number = u8::try_from(Handle::current_loop().unwrap()).unwrap();
    let mut order = [0];
    while connection.read(&mut order).await? > 0 {
        connection.write_all(&[number]).await?;
        if order == [b'b'] {
            block_until_readable(&connection);
        }
    }
    Ok(())
}

/// Blocks the loop until the client sends something or goes away.
fn block_until_readable(connection: &Connection) {
    let mut polled = [PollFd::new(connection.get_ref(), PollFlags::IN)];
    poll(&mut polled, None).unwrap();
}

/// A new client that asks once: it, and the loop that answered.
fn ask_loop(address: SocketAddr, order: u8) -> (net::TcpStream, u8) {
    let mut client = net::TcpStream::connect(address).unwrap();
    client.set_read_timeout(Some(DEADLINE)).unwrap();
    client.write_all(&[order]).unwrap();
    let mut answer = [0];
    client.read_exact(&mut answer).unwrap();
    (client, answer[0])
}

/// 200 new clients that stay until all have asked: the loops that answered, and the longest wait.
fn ask_often(address: SocketAddr) -> (Vec<u8>, Duration) {
    let (mut clients, mut longest) = (Vec::new(), Duration::ZERO);
    for _ in 0..200 {
        let begun = Instant::now();
        clients.push(ask_loop(address, b'?'));
        longest = longest.max(begun.elapsed());
    }
    (clients.into_iter().map(|(_, by)| by).collect(), longest)
}

/// Blocks the loop of one client and has 200 others connect and ask meanwhile.
async fn assert_others_are_answered(server: &ServerHandle) {
    let address = server.local_addr();
    let others = move || {
        let (_, usual) = ask_often(address);
        let (blocker, blocked) = ask_loop(address, b'b');
        let (answered_by, longest) = ask_often(address);
        assert!(
            !answered_by.contains(&blocked),
            "{blocked}: {answered_by:?}"
        );
        assert!(
            longest < ANSWERED + 10 * usual,
            "{longest:?}, not {usual:?}"
        );
        drop(blocker);
    };
    spawn_blocking(others).await.unwrap();
}

#[test]
fn handler_that_blocks_its_loop_holds_up_no_new_client() {
    for (count, policy) in [
        (2, None),
        (3, None),
        (2, Some(AcceptPolicy::RoundRobin)),
        (2, Some(AcceptPolicy::LeastConnections)),
    ] {
        run_on(&loops(count), async {
            let builder = Server::builder();
            let builder = match policy {
                Some(policy) => builder.accept_policy(policy),
                None => builder,
            };
            let server = builder.serve(ANY_PORT, tell_loop).await.unwrap();
            assert_others_are_answered(&server).await;
        });
    }
}

#[test]
fn listeners_that_were_handed_over_are_served_by_the_loops_that_are_not_blocked() {
    run(async {
        // As many as loops, as of a predecessor with a listener for each.
        let first = Server::builder().accept_policy(AcceptPolicy::Kernel);
        let first = first.serve(ANY_PORT, echo_lines).await.unwrap();
        let listeners = first.listeners().unwrap();
        assert_eq!(listeners.len(), Handle::current().loop_ids().len());
        assert!(first.drain(Duration::ZERO).await.is_clean());
        let server = Server::builder().serve_listeners(listeners, tell_loop);
        assert_others_are_answered(&server.unwrap()).await;
    });
}

#[test]
fn every_loop_serves_under_every_policy() {
    for policy in [
        AcceptPolicy::LeastLoaded,
        AcceptPolicy::LeastConnections,
        AcceptPolicy::RoundRobin,
        AcceptPolicy::Kernel,
    ] {
        run_on(&loops(3), async {
            let name = format!("{policy:?}");
            let server = Server::builder().accept_policy(policy);
            let server = server.serve(ANY_PORT, tell_loop).await.unwrap();
            let address = server.local_addr();
            let clients = move || (0..100).map(|_| ask_loop(address, b'?')).collect();
            let clients: Vec<_> = spawn_blocking(clients).await.unwrap();
            let answered_by: BTreeSet<u8> = clients.iter().map(|(_, by)| *by).collect();
            let all = Handle::current().loop_ids().len();
            assert_eq!(answered_by.len(), all, "{name}: {answered_by:?}");
            assert_eq!(server.counts().connections, 100);
        });
    }
}

#[test]
fn custom_policy_decides_and_the_limit_holds_over_all_loops() {
    run(async {
        let last = |_: SocketAddr, loops: &[_]| loops.len() - 1;
        let server = Server::builder()
            .accept_policy(AcceptPolicy::Custom(Arc::new(last)))
            .max_connections(5, OverloadPolicy::Pause)
            .serve(ANY_PORT, echo_lines)
            .await
            .unwrap();
        let mut clients = Vec::new();
        for _ in 0..5 {
            let mut client = client(&server).await;
            ask(&mut client).await;
            clients.push(client);
        }
        let last = Handle::current().loop_ids().len() - 1;
        let connections = server.connections().await;
        assert!(connections.iter().all(|it| it.loop_index == last));
        // One more waits, wherever it was accepted, and is served by the loop it is meant for.
        let mut sixth = client(&server).await;
        sixth.write_all(b"ping\n").await.unwrap();
        until(&server, |counts| counts.paused == 1).await;
        assert_eq!(server.counts().connections, 5);
        drop(clients.pop());
        crate::support::assert_answered(&mut sixth).await;
        let connections = server.connections().await;
        assert_eq!(connections.len(), 5);
        assert!(connections.iter().all(|it| it.loop_index == last));
    });
}

#[test]
fn policies_know_the_loops_that_wait_for_a_place() {
    let paused = Arc::new(AtomicUsize::new(0));
    let seen = Arc::clone(&paused);
    let own = move |_: SocketAddr, loops: &[Candidate]| {
        seen.store(loops.iter().filter(|it| it.is_paused).count(), Relaxed);
        loops.iter().position(|it| it.is_own).unwrap()
    };
    run_on(&loops(3), async {
        let server = Server::builder()
            .accept_policy(AcceptPolicy::Custom(Arc::new(own)))
            .max_connections(1, OverloadPolicy::Pause)
            .serve(ANY_PORT, echo_lines)
            .await
            .unwrap();
        let mut clients = Vec::new();
        for number in 0..4 {
            let mut client = client(&server).await;
            client.write_all(b"ping\n").await.unwrap();
            until(&server, |counts| counts.accepted + counts.paused > number).await;
            // Those before, but for the first, wait in the hand of a loop each.
            assert_eq!(paused.load(Relaxed) as u64, number.saturating_sub(1));
            clients.push(client);
        }
        for mut client in clients {
            crate::support::assert_answered(&mut client).await;
        }
        until(&server, |counts| counts.connections == 0).await;
        ask(&mut client(&server).await).await;
        assert_eq!(paused.load(Relaxed), 0);
    });
}

#[test]
fn what_waits_for_another_loop_at_a_drain_is_served() {
    /// Answers lines; "wait" blocks the loop until more comes.
    async fn lines(connection: Connection) -> io::Result<()> {
        while let Some(line) = crate::support::read_line(&connection).await? {
            connection.write_all(&line).await?;
            if line == b"wait\n" {
                block_until_readable(&connection);
            }
        }
        Ok(())
    }
    run(async {
        // All go to the first loop, which is blocked, so they wait in its mailbox.
        let first = |_: SocketAddr, _: &[_]| 0;
        let server = Server::builder()
            .accept_policy(AcceptPolicy::Custom(Arc::new(first)))
            .serve(ANY_PORT, lines)
            .await
            .unwrap();
        let mut blocker = client(&server).await;
        blocker.write_all(b"wait\n").await.unwrap();
        blocker.read_exact(&mut [0; 5]).await.unwrap();
        let mut waiting = Vec::new();
        for _ in 0..20 {
            let mut client = client(&server).await;
            client.write_all(b"ping\n").await.unwrap();
            waiting.push(client);
        }
        let drain = server.drain(DEADLINE / 2);
        let answered = async {
            // Now the drain has begun.
            blocker.write_all(b"over\n").await.unwrap();
            blocker.read_exact(&mut [0; 5]).await.unwrap();
            for client in &mut waiting {
                crate::support::assert_answered(client).await;
            }
        };
        let both = async { futures_lite::future::zip(drain, answered).await.0 };
        let report = timeout(DEADLINE / 2, both).await.unwrap();
        assert!(report.is_clean(), "{report}");
        assert_eq!(report.idle + report.finished, 21, "{report}");
        assert_eq!(server.counts().accepted, 21);
    });
}

#[test]
fn local_set_that_is_entered_gets_no_connection() {
    let set = LocalSet::new();
    // The loop of this thread polls its tasks meanwhile, and nobody polls the set's.
    let _entered = set.enter();
    run_on_one(async {
        let server = Server::builder().serve(ANY_PORT, echo_lines).await.unwrap();
        let mut client = client(&server).await;
        timeout(DEADLINE / 2, ask(&mut client)).await.unwrap();
    });
}
