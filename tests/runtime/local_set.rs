//! Sets of local tasks, inside any future.

use std::cell::Cell;
use std::future::pending;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use oneloop::runtime::LocalRuntime;
use oneloop::task::{self, LocalSet};
use oneloop::time;

use crate::support::{Fate, each_runtime, within_deadline};

#[test]
fn run_until_runs_the_tasks_of_the_set() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let set = LocalSet::new();
            let sum = Rc::new(Cell::new(0));
            for n in 1..=200 {
                let sum = Rc::clone(&sum);
                set.spawn_local(async move {
                    time::sleep(Duration::from_millis(1)).await;
                    sum.set(sum.get() + n);
                });
            }
            runtime.block_on(set);
            assert_eq!(sum.get(), 20_100);
        }
    });
}

#[test]
fn spawn_local_inside_a_set_goes_to_the_set() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let fate = Fate::default();
            let set = LocalSet::new();
            set.block_on(&runtime, async {
                drop(task::spawn_local(fate.pending()));
                task::yield_now().await;
            });
            // A task of the loop would have ended with its `block_on`.
            assert_eq!(fate.drops(), 0);
            drop(set);
            assert_eq!(fate.drops(), 1);
            assert_eq!(fate.drop_threads(), [thread::current().id()]);
        }
    });
}

#[test]
fn a_wake_from_another_thread_reaches_the_set() {
    within_deadline(|| {
        let set = LocalSet::new();
        let (give, take) = mpsc::channel::<Waker>();
        let waking = thread::spawn(move || {
            let mut wakes = 0;
            for waker in take {
                thread::yield_now();
                waker.wake();
                wakes += 1;
            }
            wakes
        });
        let mut polls = 0;
        let join = set.spawn_local(std::future::poll_fn(move |cx| {
            polls += 1;
            if polls > 1_000 {
                return Poll::Ready(());
            }
            give.send(cx.waker().clone()).unwrap();
            Poll::Pending
        }));
        futures_lite::future::block_on(set.run_until(join)).unwrap();
        assert_eq!(waking.join().unwrap(), 1_000);
    });
}

#[test]
fn a_set_dropped_ends_its_tasks_and_refuses_later_ones() {
    let fate = Fate::default();
    let set = LocalSet::new();
    let waiting = set.spawn_local(fate.pending());
    let guard = set.enter();
    drop(set);
    assert_eq!(fate.drops(), 1);
    let late = task::spawn_local(fate.pending());
    assert_eq!(fate.drops(), 2);
    drop(guard);
    for join in [waiting, late] {
        assert!(
            futures_lite::future::block_on(join)
                .unwrap_err()
                .is_cancelled()
        );
    }
}

#[test]
fn a_task_that_spawns_while_the_set_ends_gets_a_cancelled_task() {
    struct SpawnsInDrop(Fate);
    impl Drop for SpawnsInDrop {
        fn drop(&mut self) {
            drop(task::spawn_local(self.0.pending()));
        }
    }
    let fate = Fate::default();
    let set = LocalSet::new();
    let spawns = SpawnsInDrop(fate.clone());
    drop(set.spawn_local(async move {
        let _spawns = spawns;
        pending::<()>().await;
    }));
    drop(set);
    assert_eq!(fate.drops(), 1);
}

#[test]
fn a_set_in_a_local_of_the_thread_ends_with_the_thread() {
    thread_local! {
        static SET: LocalSet = LocalSet::new();
    }
    let fate = Fate::default();
    let inside = fate.clone();
    let join = thread::spawn(move || SET.with(|set| set.spawn_local(inside.pending())));
    let join = join.join().unwrap();
    assert_eq!(fate.drops(), 1);
    assert!(
        futures_lite::future::block_on(join)
            .unwrap_err()
            .is_cancelled()
    );
}

#[test]
fn guards_dropped_out_of_order_leave_a_set_that_can_be_used() {
    let (one, other) = (LocalSet::new(), LocalSet::new());
    let first = one.enter();
    let second = other.enter();
    drop(first);
    drop(one);
    drop(second);
    // The set that was current when `second` was made has ended: it refuses.
    let join = task::spawn_local(async {});
    assert!(
        futures_lite::future::block_on(join)
            .unwrap_err()
            .is_cancelled()
    );
    drop(other);
}

#[test]
fn a_busy_task_lets_the_future_beside_it_run() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let set = LocalSet::new();
            drop(set.spawn_local(async {
                loop {
                    task::yield_now().await;
                }
            }));
            set.block_on(&runtime, async {
                time::sleep(Duration::from_millis(5)).await
            });
        }
    });
}

#[test]
fn a_set_that_sleeps_is_woken_once_for_each_batch() {
    struct Counter(std::sync::atomic::AtomicUsize);
    impl Wake for Counter {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
        }
    }
    let counter = Arc::new(Counter(0.into()));
    let waker = Waker::from(Arc::clone(&counter));
    let mut cx = Context::from_waker(&waker);
    let set = LocalSet::new();
    let mut run = Box::pin(set.run_until(pending::<()>()));
    assert!(run.as_mut().poll(&mut cx).is_pending());
    let wakes = || counter.0.load(std::sync::atomic::Ordering::SeqCst);
    assert_eq!(wakes(), 0);
    for _ in 0..10 {
        drop(set.spawn_local(async {}));
    }
    assert_eq!(wakes(), 1);
    assert!(run.as_mut().poll(&mut cx).is_pending());
    assert_eq!(wakes(), 1);
}

#[test]
fn regression_a_local_runtime_spawns_onto_itself_whatever_set_is_entered() {
    within_deadline(|| {
        let runtime = LocalRuntime::new().unwrap();
        let set = LocalSet::new();
        let join = {
            let _entered = set.enter();
            runtime.spawn_local(async { 1 })
        };
        assert_eq!(runtime.block_on(join).unwrap(), 1);
    });
}

#[test]
fn a_wake_of_a_set_that_panics_leaves_its_tasks_and_the_loop_alive() {
    struct Fragile;
    impl Wake for Fragile {
        fn wake(self: Arc<Self>) {
            panic!("who polls the set cannot be woken");
        }
    }
    within_deadline(|| {
        for runtime in each_runtime() {
            runtime.block_on(async {
                let task = task::spawn_local(async {
                    task::yield_now().await;
                    task::yield_now().await;
                    3
                });
                let mut set = Box::pin(LocalSet::new());
                let joined = Rc::new(Cell::new(0));
                let told = Rc::clone(&joined);
                drop(set.spawn_local(async move { told.set(task.await.unwrap()) }));
                let fragile = Waker::from(Arc::new(Fragile));
                let mut cx = Context::from_waker(&fragile);
                assert!(set.as_mut().poll(&mut cx).is_pending());
                // The task ends meanwhile, and its end wakes the set.
                for _ in 0..10 {
                    task::yield_now().await;
                }
                set.await;
                assert_eq!(joined.get(), 3);
            });
        }
    });
}

/// A loop comes before a set, and a set before nothing.
#[test]
fn what_is_for_the_loop_goes_to_the_set_where_no_loop_runs() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let set = LocalSet::new();
            // Nobody polls the set.
            let joined = runtime.block_on(async {
                let _entered = set.enter();
                task::spawn_on_this_loop(async { 1 }).await
            });
            assert_eq!(joined.unwrap(), 1);
            let _entered = runtime.enter();
            let spawn = async { task::spawn_on_this_loop(async { 2 }).await };
            let joined = futures_lite::future::block_on(set.run_until(spawn));
            assert_eq!(joined.unwrap(), 2);
        }
    });
}
