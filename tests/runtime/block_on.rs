//! Driving futures on the calling thread.

use std::sync::{Arc, Barrier, mpsc};
use std::thread;

use oneloop::task;

use crate::support::{
    Gate, current_thread, each_runtime, in_own_process, two_loops, within_deadline,
};

#[test]
fn the_root_future_may_borrow() {
    for runtime in each_runtime() {
        let text = String::from("borrowed");
        assert_eq!(runtime.block_on(async { text.len() }), 8);
    }
}

#[test]
fn several_threads_at_once() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let runtime = Arc::new(runtime);
            let threads: Vec<_> = (0..4)
                .map(|n| {
                    let runtime = Arc::clone(&runtime);
                    thread::spawn(move || {
                        for _ in 0..50 {
                            let value = runtime.block_on(async move {
                                task::yield_now().await;
                                task::spawn(async move { n }).await.unwrap()
                            });
                            assert_eq!(value, n);
                        }
                    })
                })
                .collect();
            threads
                .into_iter()
                .for_each(|thread| thread.join().unwrap());
        }
    });
}

#[test]
fn the_core_is_handed_over_when_its_driver_leaves() {
    within_deadline(|| {
        let runtime = Arc::new(current_thread());
        let (gate, leave) = (Gate::default(), Gate::default());
        let inside = Arc::new(Barrier::new(2));
        let driver = {
            let (runtime, leave, inside) =
                (Arc::clone(&runtime), leave.clone(), Arc::clone(&inside));
            thread::spawn(move || {
                runtime.block_on(async move {
                    inside.wait();
                    leave.wait().await;
                });
            })
        };
        inside.wait();
        // This task lives on the core; only a driver of the core can finish it.
        let waiting = gate.clone();
        let join = runtime.spawn(async move {
            waiting.wait().await;
            7
        });
        let (started, wait_started) = mpsc::channel();
        let second = {
            let runtime = Arc::clone(&runtime);
            thread::spawn(move || {
                runtime.block_on(async move {
                    started.send(()).unwrap();
                    join.await.unwrap()
                })
            })
        };
        wait_started.recv().unwrap();
        leave.open();
        driver.join().unwrap();
        gate.open();
        assert_eq!(second.join().unwrap(), 7);
    });
}

#[test]
fn handle_block_on_runs_beside_the_workers() {
    within_deadline(|| {
        let runtime = two_loops();
        let handle = runtime.handle().clone();
        let value = thread::spawn(move || {
            handle.block_on(async { task::spawn(async { 3 }).await.unwrap() })
        });
        assert_eq!(value.join().unwrap(), 3);
    });
}

#[test]
fn a_main_loop_is_used_again() {
    in_own_process("block_on::a_main_loop_is_used_again", || {
        let runtime = two_loops();
        let descriptors = || std::fs::read_dir("/proc/self/fd").unwrap().count();
        let without = descriptors();
        runtime.block_on(async {});
        let with = descriptors();
        assert!(with > without, "it is kept");
        for _ in 0..100 {
            let inside = runtime.block_on(async { descriptors() });
            assert_eq!((inside, descriptors()), (with, with));
        }
    });
}
