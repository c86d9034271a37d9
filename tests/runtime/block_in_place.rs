//! Blocking inside a task.

use std::pin::pin;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use futures_lite::future::{block_on, poll_once, zip};
use oneloop::io::Interest;
use oneloop::net::UnixStream;
use oneloop::runtime::{Builder, Handle, Placement, Runtime};
use oneloop::task;
use oneloop::time::{self, Instant};

use crate::support::{current_thread, one_loop, two_loops, within_deadline};

fn multi() -> Vec<Runtime> {
    vec![one_loop(), two_loops()]
}

#[test]
fn the_function_runs_on_the_thread_of_the_task() {
    within_deadline(|| {
        for runtime in multi() {
            let here = runtime.block_on(runtime.spawn(async {
                let outside = thread::current().id();
                task::block_in_place(|| (outside, thread::current().id()))
            }));
            let (outside, inside) = here.unwrap();
            assert_eq!(outside, inside);
        }
    });
}

#[test]
fn block_on_inside_runs_the_other_tasks_of_the_loop() {
    within_deadline(|| {
        for runtime in multi() {
            let sum = runtime.block_on(runtime.spawn(async {
                let before = task::spawn_local(async {
                    time::sleep(Duration::from_millis(2)).await;
                    1
                });
                task::block_in_place(|| {
                    Handle::current().block_on(async {
                        let inside = task::spawn_local(async { 2 });
                        before.await.unwrap() + inside.await.unwrap()
                    })
                })
            }));
            assert_eq!(sum.unwrap(), 3);
        }
    });
}

#[test]
fn regression_a_task_spawned_inside_is_not_put_behind_the_function() {
    within_deadline(|| {
        for placement in [
            Placement::Adaptive,
            Placement::Local,
            Placement::LeastLoaded,
        ] {
            let runtime = Builder::new_multi_thread()
                .worker_threads(2)
                .placement(placement)
                .build()
                .unwrap();
            for _ in 0..20 {
                let blocks = runtime.spawn(async {
                    task::block_in_place(|| {
                        let (tell, told) = mpsc::channel();
                        drop(task::spawn(async move { tell.send(()).unwrap() }));
                        told.recv().unwrap();
                    });
                });
                runtime.block_on(blocks).unwrap();
            }
        }
    });
}

#[test]
fn it_nests() {
    within_deadline(|| {
        fn down(depth: u32) -> u32 {
            task::block_in_place(|| {
                Handle::current().block_on(async {
                    task::yield_now().await;
                    if depth == 0 { 0 } else { 1 + down(depth - 1) }
                })
            })
        }
        for runtime in multi() {
            assert_eq!(runtime.block_on(async { down(5) }), 5);
            assert_eq!(
                runtime.block_on(runtime.spawn(async { down(5) })).unwrap(),
                5
            );
        }
    });
}

#[test]
fn the_root_outside_is_woken_by_what_happens_inside() {
    within_deadline(|| {
        for runtime in multi() {
            runtime.block_on(async {
                let (wake, woken) = zip(
                    async {
                        // Consumes wake-ups while the future beside it waits for one.
                        task::block_in_place(|| {
                            Handle::current().block_on(time::sleep(Duration::from_millis(20)));
                        });
                    },
                    time::sleep(Duration::from_millis(1)),
                )
                .await;
                assert_eq!((wake, woken), ((), ()));
            });
        }
    });
}

/// Waits here and, inside `block_in_place`, on an executor that does not know the loop: by turns, with
/// the same timer and the same socket.
async fn waits_inside_and_outside() {
    let (mut ours, mut theirs) = UnixStream::pair().unwrap();
    let mut sleep = pin!(time::sleep(Duration::from_secs(3600)));
    for round in 0..4_u8 {
        let mut buf = [0; 2];
        assert!(poll_once(sleep.as_mut()).await.is_none(), "armed here");
        assert!(
            poll_once(ours.read(&mut buf)).await.is_none(),
            "watched here"
        );
        task::block_in_place(|| {
            block_on(async {
                // It waits before anything is written.
                let ready = ours.ready(Interest::READABLE);
                let (ready, written) = zip(ready, theirs.write_all(&[round, round])).await;
                written.unwrap();
                assert!(ready.unwrap().is_readable());
                ours.read_exact(&mut buf[..1]).await.unwrap();
                let soon = Instant::now() + Duration::from_millis(2);
                sleep.as_mut().reset(soon);
                sleep.as_mut().await;
                time::sleep(Duration::from_millis(2)).await;
            });
        });
        ours.read_exact(&mut buf[1..]).await.unwrap();
        assert_eq!(buf, [round, round]);
        time::sleep(Duration::from_millis(1)).await;
        let late = Instant::now() + Duration::from_secs(3600);
        sleep.as_mut().reset(late);
    }
}

#[test]
fn another_executor_inside_waits_on_another_loop() {
    within_deadline(|| {
        let runtime = two_loops();
        runtime
            .block_on(runtime.spawn(waits_inside_and_outside()))
            .unwrap();
        for runtime in multi() {
            runtime.block_on(waits_inside_and_outside());
        }
    });
}

#[test]
fn shutdown_waits_for_the_function_and_its_block_on() {
    within_deadline(|| {
        let runtime = one_loop();
        let (tell, told) = mpsc::channel();
        let join = runtime.spawn(async move {
            task::block_in_place(|| {
                tell.send(()).unwrap();
                Handle::current().block_on(time::sleep(Duration::from_millis(50)));
                tell.send(()).unwrap();
            });
        });
        told.recv().unwrap();
        drop(runtime);
        assert!(told.try_recv().is_ok(), "the inner future was not finished");
        assert!(join.is_finished());
    });
}

#[test]
fn another_runtime_can_be_driven_inside() {
    within_deadline(|| {
        for runtime in multi() {
            let answer = runtime.block_on(async {
                task::block_in_place(|| current_thread().block_on(async { 42 }))
            });
            assert_eq!(answer, 42);
        }
    });
}

#[test]
#[should_panic(expected = "only when running on the multi-threaded runtime")]
fn it_panics_in_a_current_thread_runtime() {
    current_thread().block_on(async { task::block_in_place(|| {}) });
}

#[test]
fn outside_async_code_it_is_a_call() {
    assert_eq!(task::block_in_place(|| 1), 1);
    let runtime = current_thread();
    let inside = runtime.block_on(async {
        task::spawn_blocking(|| task::block_in_place(|| 2))
            .await
            .unwrap()
    });
    assert_eq!(inside, 2);
}
