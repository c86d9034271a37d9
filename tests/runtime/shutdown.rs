//! The end of a runtime, and what its handles do afterwards.

use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use oneloop::task;

use crate::support::{Fate, Gate, each_runtime, one_loop, two_loops, within_deadline};

#[test]
fn live_tasks_are_dropped_and_their_joiners_told() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let fate = Fate::default();
            let joins: Vec<_> = (0..100).map(|_| runtime.spawn(fate.pending())).collect();
            runtime.block_on(task::yield_now());
            drop(runtime);
            assert_eq!(fate.drops(), 100);
            for join in joins {
                assert!(
                    futures_lite::future::block_on(join)
                        .unwrap_err()
                        .is_cancelled()
                );
            }
        }
    });
}

#[test]
fn regression_r1_a_waker_kept_elsewhere_does_not_drop_the_future_there() {
    within_deadline(|| {
        let runtime = two_loops();
        let fate = Fate::default();
        let (sender, receiver) = mpsc::channel();
        let held = fate.pending();
        let join = runtime.spawn(async move {
            let held = held;
            std::future::poll_fn(|cx| {
                // The receiver lives until the end of the test.
                let _ = sender.send(cx.waker().clone());
                std::task::Poll::<()>::Pending
            })
            .await;
            drop(held);
        });
        let waker = receiver.recv().unwrap();
        drop(join);
        // Its last owner is this thread; the future is dropped by its loop all the same.
        drop(runtime);
        assert_eq!(fate.drops(), 1);
        assert_ne!(fate.drop_threads(), [thread::current().id()]);
        waker.wake_by_ref();
        drop(waker);
    });
}

#[test]
fn regression_a_task_behind_the_message_to_stop_is_not_polled() {
    within_deadline(|| {
        let runtime = one_loop();
        let handle = runtime.handle().clone();
        let (started, is_started) = mpsc::channel();
        let (release, released) = mpsc::channel::<()>();
        let busy = runtime.spawn(async move {
            started.send(()).unwrap();
            // Holds the loop, so that the next two messages are taken together.
            released.recv().unwrap();
        });
        is_started.recv().unwrap();
        runtime.shutdown_background();
        let late = handle.spawn(async {});
        release.send(()).unwrap();
        futures_lite::future::block_on(busy).unwrap();
        let error = futures_lite::future::block_on(late).unwrap_err();
        assert!(error.is_cancelled(), "{error}");
    });
}

#[test]
fn wakes_race_the_shutdown() {
    within_deadline(|| {
        for round in 0..200 {
            let runtime = two_loops();
            let gate = Gate::default();
            let fate = Fate::default();
            for _ in 0..20 {
                let (waiting, held) = (gate.clone(), fate.pending());
                drop(runtime.spawn(async move {
                    let _held = held;
                    waiting.wait().await;
                    std::future::pending::<()>().await;
                }));
            }
            let shaking = gate.clone();
            let waker = thread::spawn(move || {
                for _ in 0..50 {
                    shaking.shake();
                }
            });
            if round % 2 == 0 {
                runtime.block_on(task::yield_now());
            }
            drop(runtime);
            assert_eq!(fate.drops(), 20);
            waker.join().unwrap();
        }
    });
}

#[test]
fn destructors_run_inside_the_runtime_and_may_spawn() {
    struct SpawnsInDrop(mpsc::Sender<bool>);

    impl Drop for SpawnsInDrop {
        fn drop(&mut self) {
            let inside = oneloop::runtime::Handle::try_current().is_ok();
            let join = task::spawn(async {});
            let cancelled = futures_lite::future::block_on(join).is_err();
            // The test has failed already if nobody receives.
            let _ = self.0.send(inside && cancelled);
        }
    }

    within_deadline(|| {
        for runtime in each_runtime() {
            let (sender, receiver) = mpsc::channel();
            let held = SpawnsInDrop(sender);
            drop(runtime.spawn(async move {
                let _held = held;
                std::future::pending::<()>().await;
            }));
            runtime.block_on(task::yield_now());
            drop(runtime);
            assert_eq!(receiver.recv(), Ok(true));
        }
    });
}

#[test]
fn handles_work_after_the_end() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let handle = runtime.handle().clone();
            let abort = runtime.spawn(std::future::pending::<()>()).abort_handle();
            drop(runtime);
            let fate = Fate::default();
            let join = handle.spawn(fate.pending());
            assert_eq!(fate.drops(), 1);
            assert!(
                futures_lite::future::block_on(join)
                    .unwrap_err()
                    .is_cancelled()
            );
            abort.abort();
            assert_eq!(handle.block_on(async { 2 }), 2);
            let loop_id = handle.loop_ids()[0];
            let join = handle.spawn_on(loop_id, || async {});
            assert!(
                futures_lite::future::block_on(join)
                    .unwrap_err()
                    .is_cancelled()
            );
            assert_eq!(handle.metrics().num_alive_tasks(), 0);
        }
    });
}

#[test]
fn shutdown_timeout_does_not_wait_for_a_task_that_blocks() {
    within_deadline(|| {
        let runtime = two_loops();
        let (entered, wait_entered) = mpsc::channel();
        let (release, wait) = mpsc::channel::<()>();
        let join = runtime.spawn(async move {
            entered.send(()).unwrap();
            wait.recv().unwrap();
            5
        });
        wait_entered.recv().unwrap();
        let started = Instant::now();
        runtime.shutdown_timeout(Duration::from_millis(20));
        assert!(started.elapsed() >= Duration::from_millis(20));
        release.send(()).unwrap();
        assert_eq!(futures_lite::future::block_on(join).unwrap(), 5);
    });
}

#[test]
fn a_thread_that_ends_late_may_hold_handles() {
    within_deadline(|| {
        thread_local! {
            static KEPT: std::cell::RefCell<Option<task::JoinHandle<()>>> =
                const { std::cell::RefCell::new(None) };
        }
        let runtime = Arc::new(two_loops());
        let inside = Arc::clone(&runtime);
        thread::spawn(move || {
            KEPT.set(Some(inside.spawn(std::future::pending())));
        })
        .join()
        .unwrap();
        drop(runtime);
    });
}

#[test]
fn regression_a_runtime_may_be_dropped_on_its_own_threads() {
    within_deadline(|| {
        let last_reference_in = |blocks_in_place: bool| {
            let runtime = Arc::new(two_loops());
            let handle = runtime.handle().clone();
            let (release, released) = mpsc::channel::<()>();
            let held = Arc::clone(&runtime);
            let drop_it = move || {
                released.recv().unwrap();
                drop(held);
            };
            let join = if blocks_in_place {
                runtime.spawn(async move { task::block_in_place(drop_it) })
            } else {
                runtime.spawn_blocking(drop_it)
            };
            drop(runtime);
            release.send(()).unwrap();
            futures_lite::future::block_on(join).unwrap();
            let late = futures_lite::future::block_on(handle.spawn(async {}));
            assert!(late.unwrap_err().is_cancelled());
        };
        last_reference_in(false);
        last_reference_in(true);
    });
}
