//! The pool of a loop: what it gives out, how it waits at the cap, and how blocks come home.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Arc, Mutex, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use oneloop::buf::{Acquire, AcquireError, BufferPool, Lease};
use oneloop::runtime::{Builder, Runtime};
use oneloop::task;

use crate::support::{current_thread, one_loop, panic_of, two_loops, within_deadline};

const KIB: usize = 1024;

/// A current-thread runtime whose loop has this cap.
fn capped(bytes: usize) -> Runtime {
    Builder::new_current_thread()
        .buffer_bytes_max(bytes)
        .build()
        .unwrap()
}

fn pool() -> BufferPool {
    BufferPool::current()
}

fn take(bytes: usize) -> Lease {
    pool().try_acquire(bytes).unwrap()
}

/// Polls once. None if it waits.
async fn poll_once(acquire: &mut Acquire) -> Option<Lease> {
    poll_fn(|cx| {
        Poll::Ready(match Pin::new(&mut *acquire).poll(cx) {
            Poll::Ready(outcome) => Some(outcome.unwrap()),
            Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn the_block_that_came_back_last_is_given_out_first() {
    current_thread().block_on(async {
        let (first, second) = (take(64 * KIB), take(64 * KIB));
        let (cold, hot) = (first.as_ptr(), second.as_ptr());
        assert_ne!(cold, hot);
        drop(first);
        drop(second);
        let (again, last) = (take(40 * KIB), take(64 * KIB));
        assert_eq!((again.as_ptr(), last.as_ptr()), (hot, cold));
    });
}

#[test]
fn a_lease_has_the_next_power_of_two() {
    current_thread().block_on(async {
        for (wanted, capacity) in [(0, 2), (1, 2), (2048, 2), (2049, 4), (1024 * KIB, 1024)] {
            let mut lease = take(wanted);
            assert_eq!(lease.capacity(), capacity * KIB);
            assert!(lease.is_empty());
            assert_eq!(lease.spare_capacity_mut().len(), capacity * KIB);
        }
    });
}

#[test]
fn what_is_too_large_fails_at_once_and_says_so() {
    capped(100 * KIB).block_on(async {
        assert_eq!(pool().lease_bytes_max(), 64 * KIB);
        for bytes in [64 * KIB + 1, 1024 * KIB + 1, usize::MAX] {
            let error = pool().acquire(bytes).await.unwrap_err();
            assert!(error.is_too_large() && !error.is_full(), "{error}");
            let error = pool().try_acquire(bytes).unwrap_err();
            assert!(error.is_too_large(), "{error}");
            assert!(
                error.to_string().contains(&format!("{bytes} bytes")),
                "{error}"
            );
        }
    });
    let error = current_thread().block_on(async { pool().acquire(2048 * KIB).await.unwrap_err() });
    assert!(error.to_string().ends_with("has 1048576 bytes"), "{error}");
    assert!(
        panic_of(|| Builder::new_current_thread().buffer_bytes_max(2047).build())
            .contains("at least 2048")
    );
}

#[test]
fn errors_may_be_sent_and_become_io_errors() {
    fn check<T: Send + Sync + 'static>() {}
    check::<AcquireError>();
    check::<Lease>();
    check::<BufferPool>();
    capped(2 * KIB).block_on(async {
        let kind = |error: AcquireError| std::io::Error::from(error).kind();
        let _all = take(2 * KIB);
        assert_eq!(
            kind(pool().try_acquire(1).unwrap_err()),
            std::io::ErrorKind::WouldBlock
        );
        assert_eq!(
            kind(pool().try_acquire(3 * KIB).unwrap_err()),
            std::io::ErrorKind::InvalidInput
        );
    });
}

#[test]
fn at_the_cap_who_waits_is_served_in_order_and_nobody_overtakes() {
    within_deadline(|| {
        let trace = Arc::new(Mutex::new(Vec::new()));
        capped(8 * KIB).block_on(async {
            let held = take(8 * KIB);
            let waiters: Vec<_> = (0..4)
                .map(|number| {
                    let trace = Arc::clone(&trace);
                    task::spawn_local(async move {
                        // The first wants all there is, the others little.
                        let bytes = if number == 0 { 8 * KIB } else { 2 * KIB };
                        let lease = pool().acquire(bytes).await.unwrap();
                        trace.lock().unwrap().push(number);
                        task::yield_now().await;
                        drop(lease);
                    })
                })
                .collect();
            task::yield_now().await;
            assert!(pool().try_acquire(1).unwrap_err().is_full());
            drop(held);
            assert!(
                pool().try_acquire(1).is_err(),
                "the block that came home belongs to the first waiter"
            );
            for waiter in waiters {
                waiter.await.unwrap();
            }
            assert_eq!(pool().bytes_out(), 0);
        });
        assert_eq!(*trace.lock().unwrap(), [0, 1, 2, 3]);
    });
}

#[test]
fn a_block_from_another_thread_wakes_a_loop_that_sleeps_at_the_cap() {
    within_deadline(|| {
        let runtime = capped(4 * KIB);
        for round in 0..200 {
            runtime.block_on(async {
                let held = pool().acquire(4 * KIB).await.unwrap();
                let (waits, does_wait) = mpsc::channel();
                let thread = thread::spawn(move || {
                    // Every tenth comes when somebody waits, the others whenever they like.
                    does_wait.recv().unwrap();
                    drop(held);
                });
                let mut acquire = pool().acquire(4 * KIB);
                if round % 10 == 0 {
                    assert!(poll_once(&mut acquire).await.is_none());
                }
                waits.send(()).unwrap();
                drop(acquire.await.unwrap());
                thread.join().unwrap();
            });
        }
        let metrics = runtime.metrics();
        assert!(metrics.loops()[0].buffer_waits >= 20, "a wait is missing");
    });
}

#[test]
fn a_waiter_that_leaves_lets_the_next_one_through() {
    within_deadline(|| {
        capped(8 * KIB).block_on(async {
            let half = take(4 * KIB);
            let mut large = pool().acquire(8 * KIB);
            let mut small = pool().acquire(4 * KIB);
            assert!(poll_once(&mut large).await.is_none());
            assert!(
                poll_once(&mut small).await.is_none(),
                "it stands behind the large one"
            );
            drop(large);
            drop(small.await.unwrap());
            // As well from another thread.
            let mut large = pool().acquire(8 * KIB);
            let mut small = pool().acquire(4 * KIB);
            assert!(poll_once(&mut large).await.is_none());
            assert!(poll_once(&mut small).await.is_none());
            let thread = thread::spawn(move || drop(large));
            drop(small.await.unwrap());
            thread.join().unwrap();
            drop(half);
        });
    });
}

#[test]
fn a_block_that_was_given_to_a_waiter_who_is_gone_goes_to_the_next() {
    within_deadline(|| {
        capped(4 * KIB).block_on(async {
            let held = take(4 * KIB);
            let (mut first, mut second) = (pool().acquire(4 * KIB), pool().acquire(4 * KIB));
            assert!(poll_once(&mut first).await.is_none());
            assert!(poll_once(&mut second).await.is_none());
            drop(held);
            drop(first);
            drop(second.await.unwrap());
            assert_eq!(pool().bytes_out(), 0);
        });
    });
}

#[test]
fn free_blocks_of_another_size_make_room() {
    capped(64 * KIB).block_on(async {
        drop((0..32).map(|_| take(2 * KIB)).collect::<Vec<_>>());
        let lease = take(64 * KIB);
        assert_eq!(pool().bytes_out(), 64 * KIB);
        drop(lease);
        drop(take(2 * KIB));
    });
}

#[test]
fn gauges_are_exact_and_free_memory_is_bounded() {
    within_deadline(|| {
        let runtime = Builder::new_current_thread()
            .buffer_free_bytes_max(96 * KIB)
            .build()
            .unwrap();
        let leases = runtime.block_on(async { [take(64 * KIB), take(64 * KIB), take(2 * KIB)] });
        let gauges = |runtime: &Runtime| {
            // The figures of a turn are there after the next one.
            runtime.block_on(async {
                for _ in 0..3 {
                    task::yield_now().await;
                }
            });
            let metrics = runtime.metrics();
            let metrics = &metrics.loops()[0];
            (
                metrics.buffers_out,
                metrics.buffer_bytes_out,
                metrics.buffer_bytes_free,
            )
        };
        let kib = KIB as u64;
        assert_eq!(gauges(&runtime), (3, 130 * kib, 0));
        // All of them from a thread that has no loop.
        thread::spawn(move || drop(leases)).join().unwrap();
        let (out, bytes_out, bytes_free) = gauges(&runtime);
        assert_eq!((out, bytes_out), (0, 0));
        assert!(
            (64 * kib..=96 * kib).contains(&bytes_free),
            "{bytes_free} bytes are kept"
        );
    });
}

#[test]
fn a_block_comes_home_from_another_loop_and_is_used_again() {
    within_deadline(|| {
        let runtime = two_loops();
        let ids = runtime.handle().loop_ids();
        let (home, abroad) = (ids[0], ids[1]);
        runtime.block_on(async move {
            let lease = task::spawn_on(home, || async { take(64 * KIB) })
                .await
                .unwrap();
            let address = lease.as_ptr().addr();
            task::spawn_on(abroad, move || async move {
                drop(lease);
                assert_ne!(
                    take(64 * KIB).as_ptr().addr(),
                    address,
                    "it is not this loop's"
                );
            })
            .await
            .unwrap();
            let again = task::spawn_on(home, || async { take(64 * KIB).as_ptr().addr() });
            assert_eq!(again.await.unwrap(), address);
        });
    });
}

#[test]
fn a_lease_outlives_its_runtime() {
    let runtime = one_loop();
    let mut lease = runtime.block_on(async { task::spawn(async { take(4 * KIB) }).await.unwrap() });
    lease.extend_from_slice(b"still here");
    drop(runtime);
    assert_eq!(&lease[..], b"still here");
    let other = current_thread();
    other.block_on(async move { drop(lease) });
}

#[test]
fn the_last_of_the_bytes_sends_the_block_home() {
    within_deadline(|| {
        current_thread().block_on(async {
            let mut lease = take(4 * KIB);
            lease.extend_from_slice(b"header body");
            lease.advance(1);
            let bytes = lease.freeze();
            let body = bytes.slice(6..);
            drop(bytes);
            assert_eq!((&body[..], pool().bytes_out()), (&b"body"[..], 4 * KIB));
            drop(body);
            assert_eq!(pool().bytes_out(), 0);
            assert!(take(4 * KIB).freeze().is_empty());
            assert_eq!(pool().bytes_out(), 0, "empty bytes hold no block");
        });
    });
}

#[test]
fn parts_of_a_lease_share_its_block() {
    current_thread().block_on(async {
        let mut rest = take(2 * KIB);
        assert_eq!(rest.extend_from_slice(b"onetwothree"), 11);
        let one = rest.split_to(3);
        let mut three = rest.split_off(3);
        assert_eq!(
            (&one[..], &rest[..], &three[..]),
            (&b"one"[..], &b"two"[..], &b"three"[..])
        );
        assert_eq!(
            (one.capacity(), rest.capacity()),
            (3, 3),
            "the end of each is the next's"
        );
        assert_eq!(three.extend_from_slice(&[b'!'; 3000]), 2048 - 11);
        assert_eq!((&one[..], &rest[..]), (&b"one"[..], &b"two"[..]));
        drop(rest);
        thread::spawn(move || drop(one)).join().unwrap();
        assert_eq!(pool().bytes_out(), 2 * KIB);
        three.truncate(5);
        assert_eq!(&three[..], b"three");
        drop(three);
        assert_eq!(pool().bytes_out(), 0);
        assert!(panic_of(|| take(1).advance(1)).contains("0 are filled"));
        assert!(panic_of(|| take(1).split_to(1)).contains("0 are filled"));
    });
}

#[test]
fn a_thread_without_a_loop_has_plain_memory() {
    let mut lease = pool().try_acquire(64 * KIB).unwrap();
    assert_eq!(lease.extend_from_slice(&[7; 64 * KIB]), 64 * KIB);
    assert_eq!((pool().loop_id(), pool().bytes_out()), (None, 0));
    let runtime = one_loop();
    let sum = runtime.block_on(async {
        task::spawn_blocking(|| {
            futures_lite::future::block_on(pool().acquire(10))
                .unwrap()
                .capacity()
        })
        .await
        .unwrap()
    });
    assert_eq!(sum, 2 * KIB);
    runtime.block_on(async move { drop(lease) });
}

#[test]
fn a_waiter_that_is_polled_on_another_loop_waits_there() {
    within_deadline(|| {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .buffer_bytes_max(4 * KIB)
            .build()
            .unwrap();
        let _held = runtime.block_on(async {
            let held = take(4 * KIB);
            let mut acquire = pool().acquire(4 * KIB);
            assert!(poll_once(&mut acquire).await.is_none());
            // The other loop has memory.
            let lease = task::spawn(async move { acquire.await.unwrap().len() });
            assert_eq!(lease.await.unwrap(), 0);
            held
        });
    });
}

#[test]
fn a_waiter_outlives_the_block_on_it_waited_in() {
    within_deadline(|| {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .buffer_bytes_max(4 * KIB)
            .build()
            .unwrap();
        let mut acquire = pool().acquire(4 * KIB);
        let held = runtime.block_on(async {
            let held = take(4 * KIB);
            assert!(poll_once(&mut acquire).await.is_none());
            held
        });
        let (end, ended) = mpsc::channel();
        let thread = thread::spawn(move || {
            // Until the other `block_on` waits, or a little before.
            ended.recv().unwrap();
            drop(held);
        });
        runtime.block_on(async move {
            assert!(poll_once(&mut acquire).await.is_none());
            end.send(()).unwrap();
            drop(acquire.await.unwrap());
        });
        thread.join().unwrap();
    });
}

#[test]
fn shutdown_ends_those_who_wait() {
    within_deadline(|| {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .buffer_bytes_max(4 * KIB)
            .build()
            .unwrap();
        let held = runtime.block_on(async {
            let held = task::spawn(async { take(4 * KIB) }).await.unwrap();
            let waits = task::spawn(async { pool().acquire(4 * KIB).await.map(drop) });
            let waited = task::spawn(async {
                // After the one above, which was spawned before.
                pool().try_acquire(4 * KIB).map(drop)
            });
            assert!(waited.await.unwrap().is_err());
            drop(waits);
            held
        });
        drop(runtime);
        drop(held);
    });
}

/// Gives a lease back when it is woken.
struct GivesBack(Mutex<Option<Lease>>);

impl Wake for GivesBack {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().unwrap().take());
    }
}

#[test]
fn a_block_that_a_waker_gives_back_is_found() {
    capped(8 * KIB).block_on(async {
        let from_elsewhere = take(4 * KIB);
        let waker = Waker::from(Arc::new(GivesBack(Mutex::new(Some(take(4 * KIB))))));
        let mut waiting = pool().acquire(4 * KIB);
        let polled = Pin::new(&mut waiting).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        // Its loop is told by a message, which this turn has not seen: the next who asks looks
        // himself, and wakes who waits.
        thread::spawn(move || drop(from_elsewhere)).join().unwrap();
        drop(take(4 * KIB));
    });
}
