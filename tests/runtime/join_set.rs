//! Sets of tasks.

use std::collections::HashSet;
use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};

use oneloop::task::{self, JoinSet};
use waker_fn::waker_fn;

use crate::support::{
    Fate, Gate, current_thread, each_runtime, one_loop, two_loops, within_deadline,
};

#[test]
fn tasks_are_joined_in_the_order_in_which_they_finish() {
    within_deadline(|| {
        let runtime = one_loop();
        let order = runtime.block_on(async {
            let gates: Vec<Gate> = (0..5).map(|_| Gate::default()).collect();
            let mut set = JoinSet::new();
            for (n, gate) in gates.iter().enumerate() {
                let gate = gate.clone();
                set.spawn(async move {
                    gate.wait().await;
                    n
                });
            }
            let mut order = Vec::new();
            for n in [3, 0, 4, 1, 2] {
                gates[n].open();
                order.push(set.join_next().await.unwrap().unwrap());
            }
            assert!(set.join_next().await.is_none());
            order
        });
        assert_eq!(order, [3, 0, 4, 1, 2]);
    });
}

#[test]
fn a_thousand_tasks_on_all_loops() {
    for runtime in each_runtime() {
        let values: HashSet<usize> = runtime.block_on(async {
            let set: JoinSet<usize> = (0..1000)
                .map(|n| async move {
                    task::yield_now().await;
                    n
                })
                .collect();
            set.join_all().await.into_iter().collect()
        });
        assert_eq!(values.len(), 1000);
    }
}

#[test]
fn dropping_the_set_aborts_and_detaching_does_not() {
    within_deadline(|| {
        let runtime = two_loops();
        let (dropped, detached, gate) = (Fate::default(), Fate::default(), Gate::default());
        runtime.block_on(async {
            let mut set = JoinSet::new();
            set.spawn(dropped.pending());
            drop(set);
            while dropped.drops() == 0 {
                task::yield_now().await;
            }
            let mut set = JoinSet::new();
            let (held, waiting) = (detached.pending(), gate.clone());
            let abort = set.spawn(async move {
                let _held = held;
                waiting.wait().await;
            });
            set.detach_all();
            assert!(set.is_empty());
            drop(set);
            assert_eq!(detached.drops(), 0);
            gate.open();
            while !abort.is_finished() {
                task::yield_now().await;
            }
        });
        assert_eq!(detached.drops(), 1);
    });
}

#[test]
fn shutdown_waits_until_the_futures_are_dropped() {
    within_deadline(|| {
        let runtime = two_loops();
        let fate = Fate::default();
        runtime.block_on(async {
            let mut set = JoinSet::new();
            for _ in 0..100 {
                set.spawn(fate.pending());
            }
            set.shutdown().await;
            assert_eq!(fate.drops(), 100);
        });
    });
}

#[test]
fn errors_and_ids_come_through() {
    let runtime = one_loop();
    runtime.block_on(async {
        let mut set = JoinSet::new();
        let id = set.spawn(async { panic!("member") }).id();
        assert!(set.contains_id(id));
        let error = set.join_next_with_id().await.unwrap().unwrap_err();
        assert!(error.is_panic() && error.id() == id);
        let id = set.spawn(async {}).id();
        assert_eq!(set.join_next_with_id().await.unwrap().unwrap().0, id);
        assert!(set.try_join_next().is_none());
    });
}

#[test]
fn regression_r16_no_lock_is_held_while_a_joiner_is_woken() {
    // The joiner's waker asks the set's own state: under the lock this would hang.
    within_deadline(|| {
        let runtime = two_loops();
        let set = Arc::new(std::sync::Mutex::new(JoinSet::new()));
        runtime.block_on(async {
            for _ in 0..100 {
                set.lock().unwrap().spawn(async {});
                let joined = std::future::poll_fn(|cx| set.lock().unwrap().poll_join_next(cx));
                joined.await.unwrap().unwrap();
            }
        });
    });
}

#[test]
fn regression_who_waits_hears_of_a_task_that_is_spawned_later() {
    within_deadline(|| {
        let runtime = one_loop();
        let (woken, is_woken) = mpsc::channel();
        let waker = waker_fn(move || woken.send(()).unwrap());
        let _entered = runtime.enter();
        let mut set = JoinSet::new();
        set.spawn(pending());
        let mut cx = Context::from_waker(&waker);
        assert!(set.poll_join_next(&mut cx).is_pending());
        set.spawn(async { 5 });
        let joined = loop {
            is_woken.recv().unwrap();
            if let Poll::Ready(joined) = set.poll_join_next(&mut cx) {
                break joined;
            }
        };
        assert_eq!(joined.unwrap().unwrap(), 5);
    });
}

#[test]
fn who_waits_for_a_set_that_is_emptied_is_woken() {
    within_deadline(|| {
        let runtime = current_thread();
        let is_woken = Arc::new(AtomicBool::new(false));
        let woken = Arc::clone(&is_woken);
        let waker = waker_fn(move || woken.store(true, Ordering::Release));
        let mut cx = Context::from_waker(&waker);
        let mut set = JoinSet::new();
        set.spawn_on(pending::<()>(), runtime.handle());
        assert!(set.poll_join_next(&mut cx).is_pending());
        set.detach_all();
        assert!(is_woken.load(Ordering::Acquire));
        assert!(matches!(set.poll_join_next(&mut cx), Poll::Ready(None)));
    });
}
