//! Tasks that may not leave their thread.

use std::cell::Cell;
use std::rc::Rc;
use std::thread;

use oneloop::runtime::{Builder, LocalOptions, LocalRuntime};
use oneloop::task;

use crate::support::{Fate, each_runtime, two_loops, within_deadline};

#[test]
fn local_tasks_share_plain_memory() {
    for runtime in each_runtime() {
        let sum = runtime.block_on(async {
            let sum = Rc::new(Cell::new(0));
            let add = |n| {
                let sum = Rc::clone(&sum);
                task::spawn_local(async move {
                    task::yield_now().await;
                    sum.set(sum.get() + n);
                })
            };
            for join in (1..=10).map(add).collect::<Vec<_>>() {
                join.await.unwrap();
            }
            sum.get()
        });
        assert_eq!(sum, 55);
    }
}

#[test]
fn local_tasks_end_with_their_block_on() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let fate = Fate::default();
            let join = runtime.block_on(async {
                let join = task::spawn_local(fate.pending());
                task::yield_now().await;
                join
            });
            assert_eq!(fate.drops(), 1);
            assert_eq!(fate.drop_threads(), [thread::current().id()]);
            assert!(runtime.block_on(join).unwrap_err().is_cancelled());
        }
    });
}

#[test]
fn local_tasks_of_a_worker_outlive_their_spawner() {
    within_deadline(|| {
        let runtime = two_loops();
        let local = runtime.block_on(runtime.spawn(async {
            task::spawn_local(async {
                for _ in 0..100 {
                    task::yield_now().await;
                }
                5
            })
        }));
        assert_eq!(runtime.block_on(local.unwrap()).unwrap(), 5);
    });
}

#[test]
fn a_local_runtime_keeps_local_tasks_between_block_ons() {
    within_deadline(|| {
        let runtime = Builder::new_current_thread()
            .build_local(LocalOptions::default())
            .unwrap();
        let count = Rc::new(Cell::new(0));
        let counting = Rc::clone(&count);
        let join = runtime.spawn_local(async move {
            loop {
                counting.set(counting.get() + 1);
                task::yield_now().await;
            }
        });
        runtime.block_on(task::yield_now());
        let first = count.get();
        runtime.block_on(task::yield_now());
        assert!(
            first > 0 && count.get() > first,
            "{first}, then {}",
            count.get()
        );
        drop(join);
        drop(runtime);
        assert_eq!(Rc::strong_count(&count), 1);
    });
}

#[test]
fn spawn_local_of_a_local_runtime_works_inside_its_block_on() {
    let runtime = Rc::new(LocalRuntime::new().unwrap());
    let inside = Rc::clone(&runtime);
    let value = runtime.block_on(async move { inside.spawn_local(async { 4 }).await.unwrap() });
    assert_eq!(value, 4);
}
