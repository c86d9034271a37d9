//! A loop that a task blocks holds up nobody who connects.

use std::io;
use std::net::{self, Ipv4Addr};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use oneloop_net::TcpListener;
use oneloop_net::listeners::AcceptPolicy;
use oneloop_runtime::runtime::Handle;
use oneloop_runtime::task::{spawn_blocking, spawn_on};
use oneloop_runtime::time::{sleep, timeout};

use crate::support::run_on;
use crate::{ask, loops, tell_loop};

/// What a client may wait longer than ten times what it would without a blocked loop.
const ANSWERED: Duration = Duration::from_millis(500);
/// Who waits for the blocked loop waits for ever: this ends it.
const NEVER: Duration = Duration::from_secs(10);

/// A loop that stands still until this is dropped.
struct Blocked(#[expect(dead_code, reason = "its drop is the signal")] mpsc::Sender<()>);

/// Blocks a loop by a task that does not give way. Returns when it has begun.
async fn block(number: usize) -> Blocked {
    let (begun, has_begun) = mpsc::channel();
    let (release, is_released) = mpsc::channel::<()>();
    let loop_id = Handle::current().loop_ids()[number];
    drop(spawn_on(loop_id, move || async move {
        begun.send(()).unwrap();
        assert!(is_released.recv().is_err(), "nothing is sent");
    }));
    spawn_blocking(move || has_begun.recv().unwrap())
        .await
        .unwrap();
    Blocked(release)
}

/// Connects and asks 200 times, and gives the loops that answered and the longest wait.
fn two_hundred_clients(address: net::SocketAddr) -> (Vec<usize>, Duration) {
    let (mut clients, mut longest) = (Vec::new(), Duration::ZERO);
    for _ in 0..200 {
        let began = Instant::now();
        let mut client = net::TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(NEVER)).unwrap();
        let answered_by = ask(&mut client);
        longest = longest.max(began.elapsed());
        clients.push((client, answered_by));
    }
    (clients.into_iter().map(|(_, by)| by).collect(), longest)
}

#[test]
fn new_connections_are_served_by_the_loops_that_are_not_blocked() {
    for (count, policy) in [
        (2, AcceptPolicy::LeastLoaded),
        (2, AcceptPolicy::RoundRobin),
        (4, AcceptPolicy::LeastConnections),
    ] {
        let runtime = loops(count);
        for blocked in [0, count - 1] {
            run_on(&runtime, async {
                let address = (Ipv4Addr::LOCALHOST, 0);
                let listeners = TcpListener::bind_balanced(address).await.unwrap();
                let serving = listeners
                    .with_policy(policy.clone())
                    .serve(tell_loop)
                    .unwrap();
                let address = serving.local_addr();
                // Every loop accepts and waits before one of them is blocked.
                let free = spawn_blocking(move || two_hundred_clients(address));
                let (_, usual) = free.await.unwrap();
                let still = block(blocked).await;
                let beside = spawn_blocking(move || two_hundred_clients(address));
                let (by, longest) = beside.await.unwrap();
                assert!(
                    longest < ANSWERED + 10 * usual,
                    "{longest:?}, not {usual:?}"
                );
                // Those of the first milliseconds may have been meant for it and were rescued.
                assert!(!by.contains(&blocked), "{policy:?}: {by:?}");
                drop(still);
                serving.stop();
                serving.join().await.unwrap();
            });
        }
    }
}

#[test]
fn rescue_interval_of_zero_keeps_no_loop_busy() {
    let runtime = loops(2);
    let polls = || -> u64 {
        let metrics = runtime.metrics();
        metrics.loops().iter().map(|one| one.polls).sum()
    };
    run_on(&runtime, async {
        let listeners = TcpListener::bind_balanced((Ipv4Addr::LOCALHOST, 0)).await;
        let serving = listeners
            .unwrap()
            .with_rescue_interval(Duration::ZERO)
            .serve(tell_loop)
            .unwrap();
        let (before, began) = (polls(), Instant::now());
        sleep(Duration::from_millis(200)).await;
        let looks = polls() - before;
        // Two loops, a look of each in ten milliseconds, and as much again for the rest.
        let most = u64::try_from(began.elapsed().as_millis()).unwrap() * 4 / 10;
        assert!(looks <= most, "{looks} looks in {:?}", began.elapsed());
        serving.stop();
        serving.join().await.unwrap();
    });
}

#[test]
fn what_waits_for_a_loop_that_stands_still_is_rescued() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let (unread, mut part, stopper, clients, own) = loop {
            let address = (Ipv4Addr::LOCALHOST, 0);
            let listeners = TcpListener::bind_balanced(address).await.unwrap();
            let listeners = listeners
                .with_policy(AcceptPolicy::RoundRobin)
                .with_rescue_interval(Duration::from_millis(20));
            let address = listeners.local_addr().unwrap();
            let (mut parts, stopper) = listeners.into_parts().unwrap();
            // Nobody reads what is put there for loop 1.
            let unread = parts.pop().unwrap();
            let mut part = parts.pop().unwrap();
            let clients: Vec<_> = (0..4)
                .map(|_| net::TcpStream::connect(address).unwrap())
                .collect();
            let first_two = spawn_on(part.loop_id(), move || async move {
                let streams = [part.accept().await.unwrap(), part.accept().await.unwrap()];
                (part, streams)
            });
            let (mut part, own) = first_two.await.unwrap();
            // One more look at the kernel's queue, so that all four are on their way.
            let look = spawn_on(part.loop_id(), move || async move {
                let none = timeout(Duration::from_millis(5), part.accept()).await;
                (part, none.is_err())
            });
            let (part, is_nothing_left) = look.await.unwrap();
            let counts = stopper.counts();
            if is_nothing_left && (counts[0].handed_over, counts[0].rescued) == (2, 0) {
                break (unread, part, stopper, clients, own);
            }
            // On a machine that is busy loop 1 may have been taken for one that stands still before
            // it did: then once more.
        };
        let still = block(1).await;
        // It waits for ever, if not.
        let rescued = spawn_on(part.loop_id(), move || async move {
            [part.accept().await.unwrap(), part.accept().await.unwrap()]
        });
        let rescued = rescued.await.unwrap();
        assert_eq!(stopper.counts()[0].rescued, 2);
        let mut peers: Vec<_> = own.iter().chain(&rescued).map(|it| it.1).collect();
        let mut expected: Vec<_> = clients.iter().map(|it| it.local_addr().unwrap()).collect();
        peers.sort_unstable();
        expected.sort_unstable();
        assert_eq!(peers, expected);
        drop((unread, still));
    });
}

#[test]
fn loop_that_keeps_the_news_to_itself_does_not_hold_up_the_queue() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let address = (Ipv4Addr::LOCALHOST, 0);
        let listeners = TcpListener::bind_balanced(address).await.unwrap();
        let address = listeners.local_addr().unwrap();
        let (mut parts, _stopper) = listeners.into_parts().unwrap();
        // Both are registered with their loops; then the first one accepts no more.
        for _ in 0..2 {
            let mut part = parts.remove(0);
            let registered = spawn_on(part.loop_id(), move || async move {
                let waits = part.accept();
                let none = timeout(Duration::from_millis(1), waits).await;
                assert!(none.is_err());
                part
            });
            parts.push(registered.await.unwrap());
        }
        // The kernel wakes the one first that has waited longest.
        let idle = parts.remove(0);
        let mut part = parts.remove(0);
        let accepting = spawn_on(part.loop_id(), move || async move {
            let mut accepted = Vec::new();
            for _ in 0..20 {
                accepted.push(part.accept().await?);
            }
            io::Result::Ok(accepted)
        });
        let mut clients = Vec::new();
        for _ in 0..20 {
            clients.push(net::TcpStream::connect(address).unwrap());
        }
        assert_eq!(accepting.await.unwrap().unwrap().len(), 20);
        drop(idle);
    });
}
