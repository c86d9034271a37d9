//! The pool on one loop: what is used again, how many there are, who is served when.

use std::cell::RefCell;
use std::io::{ErrorKind, Read, Write};
use std::net::{self, SocketAddr};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use oneloop_net::TcpStream;
use oneloop_net::client::{Connector, Pool, PoolBuilder, PooledStream};
use oneloop_runtime::task::{spawn_local, yield_now};
use oneloop_runtime::time::{sleep, timeout};
use rustix::event::{PollFd, PollFlags, poll};

use crate::support::{BlackHole, paused, poll_once, refusing, run, server, timed};

fn port(stream: &PooledStream) -> u16 {
    stream.local_addr().unwrap().port()
}

/// Puts a connection back.
fn put_back(mut stream: PooledStream) -> u16 {
    stream.set_reusable(true);
    port(&stream)
}

/// A pool, and the listener that it connects to.
fn pool_with(configure: impl FnOnce(PoolBuilder) -> PoolBuilder) -> (Pool, net::TcpListener) {
    let (listener, address) = server();
    (configure(Pool::builder(address)).build(), listener)
}

#[test]
fn only_what_was_marked_is_used_again() {
    run(async {
        let (pool, _listener) = pool_with(|builder| builder);
        let first = put_back(pool.get().await.unwrap());
        let again = pool.get().await.unwrap();
        assert!(again.is_reused());
        assert_eq!(port(&again), first);
        drop(again);
        let fresh = pool.get().await.unwrap();
        assert!(!fresh.is_reused());
        assert_ne!(port(&fresh), first);
        let mut taken_back = fresh;
        taken_back.set_reusable(true);
        taken_back.set_reusable(false);
        drop(taken_back);
        let mut discarded = pool.get().await.unwrap();
        discarded.set_reusable(true);
        discarded.discard();
        let stats = pool.stats();
        assert_eq!((stats.idle, stats.in_use), (0, 0));
        assert_eq!((stats.connected, stats.reused), (3, 1));
    });
}

#[test]
fn connection_used_last_is_used_next() {
    run(async {
        let (pool, _listener) = pool_with(|builder| builder);
        let (a, b) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        let (a, b) = (put_back(a), put_back(b));
        let first = pool.get().await.unwrap();
        let second = pool.get().await.unwrap();
        assert_eq!((port(&first), port(&second)), (b, a));
    });
}

#[test]
fn waiters_are_served_in_order_within_the_limit() {
    run(async {
        let (pool, _listener) = pool_with(|builder| builder.max_connections(1));
        let order = Rc::new(RefCell::new(Vec::new()));
        let held = pool.get().await.unwrap();
        let mut tasks = Vec::new();
        for number in 0..6 {
            let (pool, order) = (pool.clone(), Rc::clone(&order));
            tasks.push(spawn_local(async move {
                let stream = pool.get().await.unwrap();
                order.borrow_mut().push(number);
                assert_eq!(pool.stats().in_use, 1);
                yield_now().await;
                // Some go back, some are closed: both serve the next.
                if number % 2 == 0 {
                    put_back(stream);
                }
            }));
        }
        yield_now().await;
        assert_eq!(pool.stats().waiting, 6);
        put_back(held);
        // One who comes now does not pass those who wait.
        let mut late = pin!(pool.get());
        assert!(poll_once(late.as_mut()).await.is_pending());
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(*order.borrow(), [0, 1, 2, 3, 4, 5]);
        late.await.unwrap();
        assert_eq!(pool.stats().in_use, 0);
    });
}

#[test]
fn waiter_that_goes_away_leaves_its_turn_to_the_next() {
    run(async {
        let (pool, _listener) = pool_with(|builder| builder.max_connections(1));
        let held = pool.get().await.unwrap();
        let mut next = pin!(pool.get());
        {
            let mut first = Box::pin(pool.get());
            let mut gone = Box::pin(pool.get());
            assert!(poll_once(first.as_mut()).await.is_pending());
            assert!(poll_once(gone.as_mut()).await.is_pending());
            assert!(poll_once(next.as_mut()).await.is_pending());
            assert_eq!(pool.stats().waiting, 3);
            drop(gone);
            assert_eq!(pool.stats().waiting, 2);
            // The turn of `first` comes, and it is dropped before it is polled.
            let used = put_back(held);
            assert_eq!(pool.stats().waiting, 1);
            drop(first);
            let stream = next.await.unwrap();
            assert_eq!(port(&stream), used);
        }
        let stats = pool.stats();
        assert_eq!((stats.waiting, stats.in_use, stats.idle), (0, 0, 0));
    });
}

#[test]
fn too_many_waiters_are_refused() {
    run(async {
        let (pool, _listener) = pool_with(|builder| builder.max_connections(1).max_waiting(1));
        let held = pool.get().await.unwrap();
        let mut waiting = pin!(pool.get());
        assert!(poll_once(waiting.as_mut()).await.is_pending());
        let error = pool.get().await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::ResourceBusy);
        drop(held);
        waiting.await.unwrap();
    });
}

#[test]
fn idle_connections_are_closed_for_their_age() {
    paused(async {
        let limit = Duration::from_secs(10);
        let (pool, listener) = pool_with(|builder| builder.idle_timeout(limit));
        let (a, b) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        let (mut peer, _) = listener.accept().unwrap();
        put_back(a);
        sleep(Duration::from_secs(4)).await;
        put_back(b);
        sleep(Duration::from_millis(5999)).await;
        assert_eq!(pool.stats().idle, 2);
        sleep(Duration::from_millis(2)).await;
        assert_eq!(pool.stats().idle, 1);
        assert_eq!(peer.read(&mut [0]).unwrap(), 0, "closed for the peer too");
        sleep(Duration::from_secs(4)).await;
        let stats = pool.stats();
        assert_eq!((stats.idle, stats.in_use, stats.reaped), (0, 0, 2));
        // The reaper goes on after a time with nothing idle.
        put_back(pool.get().await.unwrap());
        sleep(Duration::from_secs(11)).await;
        assert_eq!(pool.stats().reaped, 3);
    });
}

#[test]
fn use_keeps_a_connection_from_being_reaped() {
    paused(async {
        let (pool, _listener) = pool_with(|it| it.idle_timeout(Duration::from_secs(10)));
        let first = put_back(pool.get().await.unwrap());
        for _ in 0..10 {
            sleep(Duration::from_secs(7)).await;
            assert_eq!(put_back(pool.get().await.unwrap()), first);
        }
        assert_eq!((pool.stats().reaped, pool.stats().connected), (0, 1));
    });
}

#[test]
fn connection_is_not_used_beyond_its_lifetime() {
    const LIFETIME: Duration = Duration::from_secs(10);
    paused(async {
        let (pool, listener) = pool_with(|it| it.max_lifetime(LIFETIME).max_connections(2));
        let first = put_back(pool.get().await.unwrap());
        let (mut peer, _) = listener.accept().unwrap();
        // Use does not make it younger.
        for _ in 0..3 {
            sleep(Duration::from_secs(3)).await;
            assert_eq!(put_back(pool.get().await.unwrap()), first);
        }
        assert_eq!((pool.stats().idle, pool.stats().reaped), (1, 0));
        sleep(Duration::from_secs(1)).await;
        yield_now().await;
        assert_eq!((pool.stats().idle, pool.stats().reaped), (0, 1));
        assert_eq!(peer.read(&mut [0]).unwrap(), 0, "closed when it is over");

        // One in use is not cut, and goes no further: who waits makes another.
        let (kept, other) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        let mut waiting = pin!(pool.get());
        assert!(poll_once(waiting.as_mut()).await.is_pending());
        sleep(2 * LIFETIME).await;
        let kept = put_back(kept);
        let fresh = waiting.await.unwrap();
        assert!(!fresh.is_reused() && port(&fresh) != kept);
        put_back(other);
        let stats = pool.stats();
        assert_eq!((stats.idle, stats.in_use, stats.reaped), (0, 1, 3));
    });
}

#[test]
fn older_connection_that_comes_back_later_is_closed_first() {
    paused(async {
        let limits = |it: PoolBuilder| it.max_lifetime(Duration::from_secs(10));
        let (pool, _listener) = pool_with(limits);
        let old = pool.get().await.unwrap();
        sleep(Duration::from_secs(5)).await;
        // The reaper waits for the younger one, which is idle.
        put_back(pool.get().await.unwrap());
        sleep(Duration::from_secs(4)).await;
        put_back(old);
        assert_eq!((pool.stats().idle, pool.stats().reaped), (2, 0));
        sleep(Duration::from_secs(2)).await;
        assert_eq!((pool.stats().idle, pool.stats().reaped), (1, 1));
        sleep(Duration::from_secs(5)).await;
        assert_eq!((pool.stats().idle, pool.stats().reaped), (0, 2));
    });
}

#[test]
fn idle_connections_are_limited_and_the_oldest_goes() {
    run(async {
        let (pool, _listener) = pool_with(|builder| builder.max_idle(2));
        let mut held = Vec::new();
        for _ in 0..3 {
            held.push(pool.get().await.unwrap());
        }
        let ports: Vec<u16> = held.into_iter().map(put_back).collect();
        assert_eq!((pool.stats().idle, pool.stats().reaped), (2, 1));
        let (last, middle) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        assert_eq!([port(&last), port(&middle)], [ports[2], ports[1]]);
    });
}

#[test]
fn connection_that_the_server_ended_is_not_handed_out() {
    run(async {
        let (pool, listener) = pool_with(|builder| builder);
        let (dead, loud) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        let dead_peer = listener.accept().unwrap().0;
        let mut loud_peer = listener.accept().unwrap().0;
        let watched = [&dead, &loud].map(|stream| rustix::io::dup(&**stream).unwrap());
        put_back(dead);
        put_back(loud);
        drop(dead_peer);
        // Nobody asked for this: the rest of an answer, perhaps.
        loud_peer.write_all(b"?").unwrap();
        for socket in watched {
            poll(&mut [PollFd::new(&socket, PollFlags::IN)], None).unwrap();
        }
        let stream = pool.get().await.unwrap();
        assert!(!stream.is_reused());
        let stats = pool.stats();
        assert_eq!((stats.broken, stats.idle, stats.in_use), (2, 0, 1));
        assert_eq!(stats.connected, 3);
    });
}

/// A ping that the server answers, or not.
async fn ping(mut stream: TcpStream) -> std::io::Result<TcpStream> {
    stream.write_all(b"ping").await?;
    let mut answer = [0; 4];
    stream.read_exact(&mut answer).await?;
    if &answer == b"pong" {
        return Ok(stream);
    }
    Err(ErrorKind::InvalidData.into())
}

#[test]
fn ping_decides_over_a_connection_that_was_idle() {
    run(async {
        let limit = Duration::from_secs(30);
        let (pool, listener) = pool_with(|it| it.ping(Duration::ZERO, limit, ping));
        let first = put_back(pool.get().await.unwrap());
        let mut peer = listener.accept().unwrap().0;
        let answering = std::thread::spawn(move || {
            let mut question = [0; 4];
            for answer in [b"pong", b"nope"] {
                peer.read_exact(&mut question).unwrap();
                assert_eq!(&question, b"ping");
                peer.write_all(answer).unwrap();
            }
        });
        assert_eq!(put_back(pool.get().await.unwrap()), first);
        let other = pool.get().await.unwrap();
        assert!(!other.is_reused());
        assert_eq!(pool.stats().broken, 1);
        answering.join().unwrap();
    });
}

#[test]
fn ping_without_an_answer_is_cut_and_spared_to_fresh_connections() {
    paused(async {
        let (after, limit) = (Duration::from_secs(5), Duration::from_secs(2));
        let (pool, _listener) = pool_with(|it| it.ping(after, limit, ping));
        put_back(pool.get().await.unwrap());
        let (millis, stream) = timed(pool.get()).await;
        assert!(stream.as_ref().unwrap().is_reused());
        assert_eq!(millis, 0);
        put_back(stream.unwrap());
        sleep(after).await;
        let (millis, stream) = timed(pool.get()).await;
        assert!(!stream.unwrap().is_reused());
        assert_eq!(millis, 2000);
    });
}

#[test]
fn failed_connect_gives_its_slot_back() {
    run(async {
        let (socket, address) = refusing();
        let pool = Pool::builder(address).max_connections(1).build();
        for _ in 0..3 {
            let error = pool.get().await.unwrap_err();
            assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
        }
        assert_eq!(pool.stats().in_use, 0);
        socket.listen(1).unwrap();
        pool.get().await.unwrap();
    });
}

#[test]
fn connect_that_is_given_up_gives_its_slot_to_a_waiter() {
    paused(async {
        let hole = BlackHole::new();
        let limit = Connector::new().connect_timeout(Duration::from_secs(60));
        let pool = Pool::builder(hole.address).max_connections(1);
        let pool = pool.connector(limit).build();
        let mut waiting = pin!(pool.get());
        {
            let mut connecting = pin!(pool.get());
            assert!(poll_once(connecting.as_mut()).await.is_pending());
            assert!(poll_once(waiting.as_mut()).await.is_pending());
            assert_eq!((pool.stats().in_use, pool.stats().waiting), (1, 1));
        }
        assert_eq!((pool.stats().in_use, pool.stats().waiting), (1, 0));
        let (millis, outcome) = timed(waiting.as_mut()).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!(millis, 60_000);
        assert_eq!((pool.stats().in_use, hole.attempts()), (0, 0));
    });
}

#[test]
fn connection_that_is_taken_out_frees_its_slot() {
    run(async {
        let (pool, _listener) = pool_with(|builder| builder.max_connections(1));
        let own: TcpStream = pool.get().await.unwrap().into_inner();
        assert_eq!(pool.stats().in_use, 0);
        let other = pool.get().await.unwrap();
        assert_ne!(port(&other), own.local_addr().unwrap().port());
    });
}

#[test]
fn last_handle_closes_what_is_idle_and_later_what_is_in_use() {
    run(async {
        let (pool, listener) = pool_with(|builder| builder);
        let (idle, used) = (pool.get().await.unwrap(), pool.get().await.unwrap());
        let mut idle_peer = listener.accept().unwrap().0;
        let mut used_peer = listener.accept().unwrap().0;
        put_back(idle);
        let clone = pool.clone();
        drop(pool);
        yield_now().await;
        assert_eq!(clone.stats().idle, 1);
        drop(clone);
        // The reaper is woken, and ends the loop's part.
        timeout(Duration::from_secs(30), async {
            while !has_ended(&mut idle_peer) {
                yield_now().await;
            }
        })
        .await
        .unwrap();
        assert!(!has_ended(&mut used_peer));
        put_back(used);
        assert_eq!(used_peer.read(&mut [0]).unwrap(), 0);
    });
}

/// Whether the other end was closed.
fn has_ended(peer: &mut net::TcpStream) -> bool {
    peer.set_nonblocking(true).unwrap();
    let ended = matches!(peer.read(&mut [0]), Ok(0));
    peer.set_nonblocking(false).unwrap();
    ended
}

#[test]
fn pools_of_one_loop_are_apart() {
    run(async {
        let (one, _one) = pool_with(|builder| builder);
        let (other, _other) = pool_with(|builder| builder);
        let peer = |stream: &PooledStream| -> SocketAddr { stream.peer_addr().unwrap() };
        let address = {
            let stream = one.get().await.unwrap();
            let address = peer(&stream);
            put_back(stream);
            address
        };
        assert_ne!(peer(&other.get().await.unwrap()), address);
        assert_eq!(peer(&one.get().await.unwrap()), address);
        assert_eq!((one.stats().reused, other.stats().reused), (1, 0));
    });
}
