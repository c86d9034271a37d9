//! Spawning, joining, detaching, identity.

use std::collections::HashSet;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use oneloop::runtime::Handle;
use oneloop::task::{self, Class};

use crate::support::{Fate, Gate, each_runtime, one_loop, two_loops, within_deadline};

#[test]
fn join_gives_the_value() {
    for runtime in each_runtime() {
        assert_eq!(
            runtime
                .block_on(async { task::spawn(async { 6 * 7 }).await })
                .unwrap(),
            42
        );
    }
}

#[test]
fn detached_task_runs_on() {
    within_deadline(|| {
        let runtime = two_loops();
        let (sender, receiver) = mpsc::channel();
        drop(runtime.spawn(async move {
            task::yield_now().await;
            sender.send(1).unwrap();
        }));
        assert_eq!(receiver.recv().unwrap(), 1);
    });
}

#[test]
fn spawns_from_ten_threads_run_exactly_once() {
    within_deadline(|| {
        let runtime = two_loops();
        let count = Arc::new(AtomicUsize::new(0));
        let spawners: Vec<_> = (0..10)
            .map(|_| {
                let (handle, count) = (runtime.handle().clone(), Arc::clone(&count));
                thread::spawn(move || {
                    let spawn = |_| {
                        let count = Arc::clone(&count);
                        handle.spawn(async move { count.fetch_add(1, Ordering::SeqCst) })
                    };
                    (0..100).map(spawn).collect::<Vec<_>>()
                })
            })
            .collect();
        let mut seen = HashSet::new();
        for spawner in spawners {
            for join in spawner.join().unwrap() {
                assert!(seen.insert(runtime.block_on(join).unwrap()));
            }
        }
        assert_eq!(seen.len(), 1000);
    });
}

#[test]
fn messages_of_one_sender_keep_their_order() {
    within_deadline(|| {
        let runtime = one_loop();
        let (sender, receiver) = mpsc::channel();
        for n in 0..1000 {
            let sender = sender.clone();
            drop(runtime.spawn(async move { sender.send(n).unwrap() }));
        }
        let received: Vec<i32> = receiver.iter().take(1000).collect();
        assert_eq!(received, (0..1000).collect::<Vec<_>>());
    });
}

#[test]
fn wake_from_a_foreign_thread_reaches_a_sleeping_loop() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let gate = Gate::default();
            let opener = gate.clone();
            let thread = thread::spawn(move || opener.open());
            runtime.block_on(async move {
                let waiting = gate.clone();
                task::spawn(async move { waiting.wait().await })
                    .await
                    .unwrap();
                gate.wait().await;
            });
            thread.join().unwrap();
        }
    });
}

#[test]
fn handle_is_finished_after_the_future_is_dropped() {
    within_deadline(|| {
        let runtime = one_loop();
        let (fate, gate) = (Fate::default(), Gate::default());
        let (held, waiting) = (fate.pending(), gate.clone());
        let join = runtime.spawn(async move {
            let _held = held;
            waiting.wait().await;
        });
        let abort = join.abort_handle();
        assert!(!join.is_finished() && !abort.is_finished());
        gate.open();
        while !abort.is_finished() {
            thread::yield_now();
        }
        assert_eq!(fate.drops(), 1);
        runtime.block_on(join).unwrap();
    });
}

#[test]
fn id_name_and_place_are_known_inside() {
    let runtime = two_loops();
    let line = line!() + 4;
    let (id, name, place) = runtime.block_on(async {
        let join = task::Builder::new()
            .name("worker bee")
            .spawn(async { (task::id(), task::name(), task::spawned_at()) });
        let id = join.id();
        let (inside, name, place) = join.await.unwrap();
        assert_eq!(id, inside);
        (id, name, place)
    });
    assert_eq!(name.as_deref(), Some("worker bee"));
    assert_eq!(place.map(|place| place.line()), Some(line));
    assert_eq!(id.to_string(), id.as_u64().to_string());
    assert_eq!(task::try_id(), None);
    runtime.block_on(async { assert_eq!(task::try_id(), None) });
}

#[test]
fn ids_are_unique_over_threads() {
    let runtime = two_loops();
    let spawn = |_| {
        let handle = runtime.handle().clone();
        thread::spawn(move || {
            (0..2000)
                .map(|_| handle.spawn(async {}).id())
                .collect::<Vec<_>>()
        })
    };
    let threads: Vec<_> = (0..4).map(spawn).collect();
    let ids: HashSet<_> = threads
        .into_iter()
        .flat_map(|thread| thread.join().unwrap())
        .collect();
    assert_eq!(ids.len(), 8000);
}

#[test]
fn classes_are_polled_in_their_order_and_none_starves() {
    within_deadline(|| {
        let runtime = one_loop();
        let (sender, receiver) = mpsc::channel();
        runtime
            .block_on(runtime.spawn(async move {
                for (class, letter) in [
                    (Class::Background, 'b'),
                    (Class::Normal, 'n'),
                    (Class::Latency, 'l'),
                ] {
                    for _ in 0..40 {
                        let sender = sender.clone();
                        let spawned = task::Builder::new()
                            .class(class)
                            .spawn_local(async move { sender.send(letter).unwrap() });
                        drop(spawned);
                    }
                }
            }))
            .unwrap();
        let order: String = receiver.iter().collect();
        assert_eq!(order.len(), 120);
        // 16 of latency, then a normal one; a background one after at most 64 others.
        assert_eq!(&order[..18], "llllllllllllllllnl");
        assert_eq!(order.find('b'), Some(64));
    });
}

#[test]
fn spawn_on_each_runs_on_each_loop() {
    let runtime = two_loops();
    let joins = runtime
        .handle()
        .spawn_on_each(|id| async move { (id, thread::current().id()) });
    let places: Vec<_> = joins
        .into_iter()
        .map(|join| runtime.block_on(join).unwrap())
        .collect();
    let ids: Vec<_> = places.iter().map(|(id, _)| *id).collect();
    assert_eq!(ids, runtime.handle().loop_ids());
    assert_ne!(places[0].1, places[1].1);
}

#[test]
fn spawn_on_takes_a_future_that_is_not_send() {
    let runtime = two_loops();
    for id in runtime.handle().loop_ids() {
        let join = runtime.handle().spawn_on(id, || {
            let local = std::rc::Rc::new(5);
            async move {
                task::yield_now().await;
                *local
            }
        });
        assert_eq!(runtime.block_on(join).unwrap(), 5);
    }
}

#[test]
fn large_futures_do_not_overflow_the_stack() {
    let runtime = two_loops();
    let large = || async {
        let bytes = [7_u8; 200 * 1024];
        task::yield_now().await;
        bytes.iter().map(|&byte| usize::from(byte)).sum::<usize>()
    };
    let sums = runtime.block_on(async move {
        (
            task::spawn(large()).await.unwrap(),
            task::spawn_local(large()).await.unwrap(),
        )
    });
    assert_eq!(sums, (7 * 200 * 1024, 7 * 200 * 1024));
}

#[test]
fn yield_lets_the_other_tasks_run_first() {
    let runtime = one_loop();
    let (sender, receiver) = mpsc::channel();
    let first = sender.clone();
    let spawned = runtime.spawn(async move {
        let other = sender.clone();
        let other = task::spawn_local(async move { other.send("other").unwrap() });
        task::yield_now().await;
        sender.send("yielded").unwrap();
        other.await.unwrap();
    });
    runtime.block_on(spawned).unwrap();
    drop(first);
    assert_eq!(receiver.iter().collect::<Vec<_>>(), ["other", "yielded"]);
}

#[test]
fn joining_with_a_foreign_executor_works() {
    within_deadline(|| {
        let runtime = two_loops();
        let join = runtime.spawn(async {
            task::yield_now().await;
            3
        });
        assert_eq!(futures_lite::future::block_on(join).unwrap(), 3);
    });
}

#[test]
fn handle_current_is_the_entered_runtime() {
    let (outer, inner) = (one_loop(), two_loops());
    let _outer = outer.enter();
    assert_eq!(Handle::current().loop_ids(), outer.handle().loop_ids());
    {
        let _inner = inner.enter();
        assert_eq!(Handle::current().loop_ids(), inner.handle().loop_ids());
    }
    assert_eq!(Handle::current().loop_ids(), outer.handle().loop_ids());
    inner.block_on(async {
        assert_eq!(Handle::current().loop_ids().len(), 2);
    });
}
