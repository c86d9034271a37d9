//! A whole runtime, tiny, over the in-memory poller: the parts together lose no wake, and end.
//!
//! The real runtime, with the poller of `sys/double.rs`, where a wait that nobody rings is a
//! deadlock. async-task and the reference counts are invisible to loom here: what they publish is
//! explored in `loom-tests/async-task`; what these models explore are the inbox, the doorbell, the
//! shutdown, the hand-over of the core and the locks around them. Bound 2; up to a minute each.

#![cfg(loom)]

use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Poll, Waker};

use loom::sync::{Arc, Mutex};
use loom::thread;
use loom_tests::{Reached, explore};
use oneloop_runtime::buf::BufferPool;
use oneloop_runtime::runtime::{Builder, Runtime};
use oneloop_runtime::task;

fn one_worker() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap()
}

/// Counts the drops of a future.
struct CountsDrop(std::sync::Arc<AtomicUsize>);

impl Drop for CountsDrop {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A task on a worker is joined by the root future, and the runtime ends.
#[test]
fn spawn_join_and_drop() {
    static JOINED: Reached = Reached::new();
    explore("spawn_join_and_drop", || {
        let runtime = one_worker();
        let join = runtime.spawn(async { 5 });
        assert_eq!(runtime.block_on(join).unwrap(), 5);
        JOINED.count();
        drop(runtime);
    });
    JOINED.assert("joined");
}

/// The runtime ends while a task waits for ever: the future is dropped once, by the worker.
#[test]
fn shutdown_races_a_spawned_task() {
    static CANCELLED: Reached = Reached::new();
    explore("shutdown_races_a_spawned_task", || {
        let runtime = one_worker();
        let drops = std::sync::Arc::new(AtomicUsize::new(0));
        let held = CountsDrop(std::sync::Arc::clone(&drops));
        let join = runtime.spawn(async move {
            let _held = held;
            std::future::pending::<()>().await;
        });
        drop(runtime);
        assert_eq!(drops.load(Ordering::SeqCst), 1);
        CANCELLED.count_if(join.is_finished());
    });
    CANCELLED.assert("cancelled");
}

/// A foreign thread spawns while the runtime ends: the task runs or is dropped, once.
#[test]
fn spawn_races_shutdown() {
    static ACCEPTED: Reached = Reached::new();
    static CANCELLED: Reached = Reached::new();
    explore("spawn_races_shutdown", || {
        let runtime = one_worker();
        let handle = runtime.handle().clone();
        let (drops, ran) = (
            std::sync::Arc::new(AtomicUsize::new(0)),
            std::sync::Arc::new(AtomicUsize::new(0)),
        );
        let (held, running) = (
            CountsDrop(std::sync::Arc::clone(&drops)),
            std::sync::Arc::clone(&ran),
        );
        let spawner = thread::spawn(move || {
            drop(handle.spawn(async move {
                running.fetch_add(1, Ordering::SeqCst);
                drop(held);
            }));
        });
        drop(runtime);
        spawner.join().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1, "dropped once");
        if ran.load(Ordering::SeqCst) == 1 {
            ACCEPTED.count()
        } else {
            CANCELLED.count()
        }
    });
    ACCEPTED.assert("the spawn came first");
    CANCELLED.assert("the shutdown came first");
}

/// A flag and a waker, as a channel would have.
struct Event(Mutex<(bool, Option<Waker>)>);

impl Event {
    fn new() -> Arc<Self> {
        Arc::new(Self(Mutex::new((false, None))))
    }

    fn set(&self) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.0 = true;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// True if it had to wait.
    async fn wait(&self) -> bool {
        let mut waited = false;
        std::future::poll_fn(|cx| {
            let mut state = self.0.lock().unwrap();
            if state.0 {
                return Poll::Ready(());
            }
            waited = true;
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
        waited
    }
}

/// A foreign thread wakes the root future of a current-thread runtime.
#[test]
fn foreign_wake_of_the_root() {
    static WAITED: Reached = Reached::new();
    static READY: Reached = Reached::new();
    explore("foreign_wake_of_the_root", || {
        let runtime = Builder::new_current_thread().build().unwrap();
        let event = Event::new();
        let setting = Arc::clone(&event);
        let setter = thread::spawn(move || setting.set());
        if runtime.block_on(event.wait()) {
            WAITED.count()
        } else {
            READY.count()
        }
        setter.join().unwrap();
    });
    WAITED.assert("waited");
    READY.assert("did not have to wait");
}

/// A foreign thread wakes the root future twice, perhaps before it is polled again: the second
/// wake-up may send nothing of its own, but what it tells of must be seen.
#[test]
fn two_foreign_wakes_of_the_root() {
    static BOTH_WAITED: Reached = Reached::new();
    static ONE_POLL: Reached = Reached::new();
    explore("two_foreign_wakes_of_the_root", || {
        let runtime = Builder::new_current_thread().build().unwrap();
        let events = [Event::new(), Event::new()];
        let setting = events.clone();
        let setter = thread::spawn(move || setting.iter().for_each(|event| event.set()));
        let waited = runtime.block_on(async {
            let [first, second] = events;
            (first.wait().await, second.wait().await)
        });
        BOTH_WAITED.count_if(waited == (true, true));
        ONE_POLL.count_if(waited == (true, false));
        setter.join().unwrap();
    });
    BOTH_WAITED.assert("waited twice");
    ONE_POLL.assert("found the second set at the first poll");
}

/// A foreign thread wakes a task while its loop falls asleep.
#[test]
fn foreign_wake_of_a_task() {
    static WAITED: Reached = Reached::new();
    explore("foreign_wake_of_a_task", || {
        let runtime = Builder::new_current_thread().build().unwrap();
        let event = Event::new();
        let setting = Arc::clone(&event);
        let setter = thread::spawn(move || setting.set());
        let waited = runtime.block_on(async {
            task::spawn_local(async move { event.wait().await })
                .await
                .unwrap()
        });
        WAITED.count_if(waited);
        setter.join().unwrap();
    });
    WAITED.assert("waited");
}

/// Two threads inside `block_on` of one current-thread runtime: one drives, the other waits for a
/// task of the core and takes over when the first leaves.
#[test]
fn the_core_is_handed_over() {
    static FINISHED: Reached = Reached::new();
    explore("the_core_is_handed_over", || {
        let runtime = Arc::new(Builder::new_current_thread().build().unwrap());
        let join = runtime.spawn(async { 7 });
        let other = Arc::clone(&runtime);
        let first = thread::spawn(move || other.block_on(async { 1 }));
        assert_eq!(runtime.block_on(join).unwrap(), 7);
        assert_eq!(first.join().unwrap(), 1);
        FINISHED.count();
    });
    FINISHED.assert("finished");
}

/// The root waits at the cap for a buffer that a foreign thread drops: it is woken, and the buffer
/// comes home or, where the runtime has ended, is freed there.
#[test]
fn a_lease_from_another_thread_ends_the_wait_at_the_cap() {
    static WAITED: Reached = Reached::new();
    static CAME_BEFORE: Reached = Reached::new();
    explore(
        "a_lease_from_another_thread_ends_the_wait_at_the_cap",
        || {
            let runtime = Builder::new_current_thread()
                .buffer_bytes_max(2048)
                .build()
                .unwrap();
            let thread = runtime.block_on(async {
                let held = BufferPool::current().try_acquire(2048).unwrap();
                let thread = thread::spawn(move || drop(held));
                let mut acquire = BufferPool::current().acquire(2048);
                let mut polls = 0;
                let lease = std::future::poll_fn(|cx| {
                    polls += 1;
                    std::pin::Pin::new(&mut acquire).poll(cx)
                });
                drop(lease.await.unwrap());
                if polls > 1 {
                    WAITED.count();
                } else {
                    CAME_BEFORE.count();
                }
                thread
            });
            drop(runtime);
            thread.join().unwrap();
        },
    );
    WAITED.assert("the root waited");
    CAME_BEFORE.assert("the block was there before");
}

/// A buffer is dropped on a foreign thread while its runtime ends: it is freed once, by one of them.
#[test]
fn a_lease_comes_home_while_the_runtime_ends() {
    static ENDED: Reached = Reached::new();
    explore("a_lease_comes_home_while_the_runtime_ends", || {
        let runtime = Builder::new_current_thread().build().unwrap();
        let lease = runtime.block_on(async { BufferPool::current().try_acquire(1).unwrap() });
        let thread = thread::spawn(move || drop(lease));
        drop(runtime);
        thread.join().unwrap();
        // A block that is lost keeps its home alive, which loom reports as a leak.
        ENDED.count();
    });
    ENDED.assert("ended");
}
