//! The pool across threads: parts of several loops, things dropped elsewhere, loops that end.

use std::future::Future;
use std::io::{Read, Write};
use std::net;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use oneloop_net::client::{Pool, PooledStream};
use oneloop_runtime::runtime::Builder;
use oneloop_runtime::task::{LocalSet, spawn, spawn_blocking, spawn_local, spawn_on};
use oneloop_runtime::time::timeout;

use crate::support::{poll_once, run, run_on, server, two_loops};

fn put_back(mut stream: PooledStream) {
    stream.set_reusable(true);
}

#[test]
fn futures_and_connections_may_be_sent() {
    fn send<T: Send>(value: T) -> T {
        value
    }
    fn send_and_sync<T: Send + Sync + Clone>(value: T) -> T {
        value
    }
    let (_listener, address) = server();
    let pool = send_and_sync(Pool::builder(address).build());
    run(async {
        let stream = send(send(pool.get()).await.unwrap());
        put_back(stream);
    });
}

#[test]
fn each_loop_has_its_own_connections() {
    let (_listener, address) = server();
    let pool = Pool::builder(address).max_connections(1).build();
    let runtime = two_loops();
    run_on(&runtime, async {
        let loops = runtime.handle().loop_ids();
        let mut held = Vec::new();
        for &loop_id in &loops {
            let pool = pool.clone();
            // The limit of one is each loop's own: nobody waits.
            let stream = spawn_on(loop_id, move || async move {
                (pool.get().await.unwrap(), pool.stats().in_use)
            });
            held.push(stream.await.unwrap());
        }
        assert!(held.iter().all(|(_, in_use)| *in_use == 1));
        for ((stream, _), loop_id) in held.into_iter().zip(loops) {
            let pool = pool.clone();
            let back = spawn_on(loop_id, move || async move {
                put_back(stream);
                pool.stats()
            });
            assert_eq!(back.await.unwrap().idle, 1);
        }
    });
}

#[test]
fn connection_dropped_on_another_thread_is_closed_and_frees_its_slot() {
    run(async {
        let (listener, address) = server();
        let pool = Pool::builder(address).max_connections(1).build();
        for _ in 0..50 {
            let stream = pool.get().await.unwrap();
            let (mut peer, _) = listener.accept().unwrap();
            let waiting = spawn_local({
                let pool = pool.clone();
                async move { pool.get().await.unwrap() }
            });
            oneloop_runtime::task::yield_now().await;
            assert_eq!(pool.stats().waiting, 1);
            let elsewhere = thread::spawn(move || put_back(stream));
            // Woken by the other thread: nothing else happens on this loop.
            let next = timeout(Duration::from_secs(30), waiting).await;
            assert!(!next.unwrap().unwrap().is_reused());
            elsewhere.join().unwrap();
            assert_eq!(peer.read(&mut [0]).unwrap(), 0);
            let _ = listener.accept().unwrap();
        }
        assert_eq!(pool.stats().in_use, 0);
    });
}

#[test]
fn waiter_dropped_on_another_thread_leaves_its_turn_to_the_next() {
    run(async {
        let (_listener, address) = server();
        let pool = Pool::builder(address).max_connections(1).build();
        for has_its_turn in [false, true] {
            let held = pool.get().await.unwrap();
            let first_pool = pool.clone();
            let mut first = Box::pin(async move { first_pool.get().await });
            let mut next = pin!(pool.get());
            assert!(poll_once(first.as_mut()).await.is_pending());
            assert!(poll_once(next.as_mut()).await.is_pending());
            if has_its_turn {
                put_back(held);
                thread::spawn(move || drop(first)).join().unwrap();
            } else {
                thread::spawn(move || drop(first)).join().unwrap();
                put_back(held);
            }
            let stream = timeout(Duration::from_secs(30), next).await.unwrap();
            put_back(stream.unwrap());
            assert_eq!((pool.stats().waiting, pool.stats().in_use), (0, 0));
        }
    });
}

#[test]
fn future_that_moves_to_another_loop_asks_there() {
    let (_listener, address) = server();
    let pool = Pool::builder(address).max_connections(1).build();
    let runtime = two_loops();
    run_on(&runtime, async {
        let held = pool.get().await.unwrap();
        let moving = pool.clone();
        let mut moving = Box::pin(async move { moving.get().await.map(drop) });
        assert!(poll_once(moving.as_mut()).await.is_pending());
        // That loop has none in use, and serves it at once.
        spawn(moving).await.unwrap().unwrap();
        drop(held);
        pool.get().await.unwrap();
    });
}

#[test]
fn end_of_a_runtime_closes_its_idle_connections() {
    let (listener, address) = server();
    let pool = Pool::builder(address).build();
    let multi = two_loops();
    let work = pool.clone();
    let used = run_on(&multi, async move {
        let used = spawn(async move {
            let (idle, used) = (work.get().await.unwrap(), work.get().await.unwrap());
            put_back(idle);
            used
        });
        used.await.unwrap()
    });
    drop(multi);
    let mut peers = [listener.accept().unwrap().0, listener.accept().unwrap().0];
    assert_eq!(peers[0].read(&mut [0]).unwrap(), 0);
    // The loop that it belongs to is gone: it goes nowhere.
    put_back(used);
    assert_eq!(peers[1].read(&mut [0]).unwrap(), 0);
    // The pool works on in another runtime.
    run(async move { put_back(pool.get().await.unwrap()) });
}

#[test]
fn end_of_block_on_closes_idle_connections_of_its_thread() {
    let (listener, address) = server();
    let pool = Pool::builder(address).build();
    let runtime = two_loops();
    for _ in 0..3 {
        run_on(&runtime, async {
            put_back(pool.get().await.unwrap());
            assert_eq!((pool.stats().idle, pool.stats().connected), (1, 1));
        });
        let (mut peer, _) = listener.accept().unwrap();
        assert_eq!(peer.read(&mut [0]).unwrap(), 0);
    }
}

#[test]
fn pool_that_is_first_used_in_a_local_set_belongs_to_the_loop() {
    run(async {
        let (listener, address) = server();
        let pool = Pool::builder(address)
            .max_connections(1)
            .idle_timeout(Duration::from_millis(20))
            .build();
        let set = LocalSet::new();
        let held = set.run_until(pool.get()).await.unwrap();
        let _peer = listener.accept().unwrap();
        // Nobody drives the set any more, and the news of other threads are heard all the same.
        let mut waiting = pin!(pool.get());
        assert!(poll_once(waiting.as_mut()).await.is_pending());
        thread::spawn(move || drop(held)).join().unwrap();
        let stream = timeout(Duration::from_secs(30), waiting).await.unwrap();
        // So are idle connections closed in time.
        put_back(stream.unwrap());
        let (mut peer, _) = listener.accept().unwrap();
        let end = spawn_blocking(move || peer.read(&mut [0]).unwrap());
        assert_eq!(
            timeout(Duration::from_secs(30), end)
                .await
                .unwrap()
                .unwrap(),
            0
        );
        let held = pool.get().await.unwrap();
        drop(set);
        assert_eq!(pool.stats().in_use, 1);
        drop(held);
    });
}

#[test]
fn waiting_task_ends_with_its_runtime() {
    let (_listener, address) = server();
    let pool = Pool::builder(address).max_connections(1).build();
    let runtime = Builder::new_current_thread().build().unwrap();
    let ended = Arc::new(AtomicUsize::new(0));
    let held = run_on(&runtime, async {
        let held = pool.get().await.unwrap();
        for _ in 0..3 {
            let (pool, ended) = (pool.clone(), Arc::clone(&ended));
            drop(spawn(async move {
                let _count = CountDrop(ended);
                pool.get().await.map(drop)
            }));
        }
        oneloop_runtime::task::yield_now().await;
        held
    });
    drop(runtime);
    assert_eq!(ended.load(SeqCst), 3);
    put_back(held);
}

struct CountDrop(Arc<AtomicUsize>);

impl Drop for CountDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, SeqCst);
    }
}

#[test]
#[should_panic(expected = "runtime")]
fn get_outside_a_runtime_is_a_mistake() {
    let (_listener, address) = server();
    let pool = Pool::builder(address).build();
    let mut getting = pin!(pool.get());
    let waker = std::task::Waker::noop();
    let _ = getting
        .as_mut()
        .poll(&mut std::task::Context::from_waker(waker));
}

/// An echo server of threads that counts its connections, and the most at once.
fn echo_server() -> (net::SocketAddr, Arc<[AtomicUsize; 3]>) {
    let (listener, address) = server();
    let counts = Arc::new([const { AtomicUsize::new(0) }; 3]);
    let counting = Arc::clone(&counts);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let counts = Arc::clone(&counting);
            counts[0].fetch_add(1, SeqCst);
            let now = counts[1].fetch_add(1, SeqCst) + 1;
            counts[2].fetch_max(now, SeqCst);
            thread::spawn(move || {
                let mut buf = [0; 64];
                while let Ok(count @ 1..) = stream.read(&mut buf) {
                    if stream.write_all(&buf[..count]).is_err() {
                        break;
                    }
                }
                counts[1].fetch_sub(1, SeqCst);
            });
        }
    });
    (address, counts)
}

#[test]
fn many_tasks_share_few_connections() {
    let (address, counts) = echo_server();
    let pool = Pool::builder(address).max_connections(3).build();
    let runtime = two_loops();
    run_on(&runtime, async {
        let mut tasks = Vec::new();
        for number in 0..100_u32 {
            let pool = pool.clone();
            tasks.push(spawn(async move {
                for round in 0..20_u32 {
                    let mut stream = pool.get().await.unwrap();
                    let message = (number * 1000 + round).to_be_bytes();
                    stream.write_all(&message).await.unwrap();
                    if round == 7 && number % 10 == 0 {
                        // Given up in the middle: nobody may get the answer.
                        continue;
                    }
                    let mut answer = [0; 4];
                    stream.read_exact(&mut answer).await.unwrap();
                    assert_eq!(answer, message, "somebody else's answer");
                    stream.set_reusable(true);
                }
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
    });
    // Three for each of two loops, and one more for each that was given up.
    let [connected, _, most] = [0, 1, 2].map(|at| counts[at].load(SeqCst));
    assert!((6..=16).contains(&connected), "{connected} connections");
    // The server sees an end a moment after the client.
    assert!(most <= 6 + 10, "{most} at once");
}
