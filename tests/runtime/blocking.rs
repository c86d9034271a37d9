//! The blocking pool.

use std::sync::{Mutex, mpsc};
use std::time::Duration;

use oneloop::runtime::{Builder, Handle};
use oneloop::task;

use crate::support::{each_runtime, one_loop, within_deadline};

#[test]
fn a_blocking_function_has_the_runtime_entered() {
    for runtime in each_runtime() {
        let value = runtime.block_on(async {
            task::spawn_blocking(|| Handle::current().block_on(async { 5 }))
                .await
                .unwrap()
        });
        assert_eq!(value, 5);
    }
}

#[test]
fn abort_before_the_start_cancels_and_later_does_not() {
    within_deadline(|| {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let (entered, wait_entered) = mpsc::channel();
        let (release, wait) = mpsc::channel::<()>();
        let first = runtime.spawn_blocking(move || {
            entered.send(()).unwrap();
            wait.recv().unwrap();
            1
        });
        wait_entered.recv().unwrap();
        let second = runtime.spawn_blocking(|| 2);
        second.abort();
        first.abort();
        release.send(()).unwrap();
        assert_eq!(runtime.block_on(first).unwrap(), 1);
        assert!(runtime.block_on(second).unwrap_err().is_cancelled());
    });
}

#[test]
fn after_the_shutdown_it_gives_an_error() {
    within_deadline(|| {
        let runtime = one_loop();
        let handle = runtime.handle().clone();
        drop(runtime);
        let join = handle.spawn_blocking(|| 1);
        assert!(
            futures_lite::future::block_on(join)
                .unwrap_err()
                .is_cancelled()
        );
    });
}

#[test]
fn jobs_that_wait_at_the_shutdown_are_cancelled_and_the_running_one_is_waited_for() {
    within_deadline(|| {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(1)
            .build()
            .unwrap();
        let (entered, wait_entered) = mpsc::channel();
        let (release, wait) = mpsc::channel::<()>();
        let running = runtime.spawn_blocking(move || {
            entered.send(()).unwrap();
            wait.recv().unwrap();
            1
        });
        wait_entered.recv().unwrap();
        let waiting = runtime.spawn_blocking(|| 2);
        let releaser = std::thread::spawn(move || {
            // The waiting job is cancelled at once; then the running one may end.
            let cancelled = futures_lite::future::block_on(waiting)
                .unwrap_err()
                .is_cancelled();
            release.send(()).unwrap();
            cancelled
        });
        drop(runtime);
        assert!(releaser.join().unwrap());
        assert_eq!(futures_lite::future::block_on(running).unwrap(), 1);
    });
}

#[test]
fn shutdown_timeout_leaves_a_function_that_does_not_return() {
    within_deadline(|| {
        let runtime = one_loop();
        let (entered, wait_entered) = mpsc::channel();
        let (release, wait) = mpsc::channel::<()>();
        let join = runtime.spawn_blocking(move || {
            entered.send(()).unwrap();
            wait.recv().unwrap();
            1
        });
        wait_entered.recv().unwrap();
        runtime.shutdown_timeout(Duration::from_millis(10));
        release.send(()).unwrap();
        assert_eq!(futures_lite::future::block_on(join).unwrap(), 1);
    });
}

#[test]
fn regression_a_job_is_not_left_to_a_thread_that_is_about_to_end() {
    within_deadline(|| {
        let (leaving, is_leaving) = mpsc::channel();
        let (release, wait) = mpsc::channel::<()>();
        let wait = Mutex::new(wait);
        let runtime = Builder::new_current_thread()
            .max_blocking_threads(1)
            .thread_keep_alive(Duration::from_millis(1))
            .on_thread_stop(move || {
                leaving.send(()).unwrap();
                // Once: then the sender is gone, and later threads do not wait.
                let _ = wait.lock().unwrap().recv();
            })
            .build()
            .unwrap();
        let first = runtime.spawn_blocking(|| 1);
        assert_eq!(runtime.block_on(first).unwrap(), 1);
        is_leaving.recv().unwrap();
        let second = runtime.spawn_blocking(|| 2);
        drop(release);
        assert_eq!(runtime.block_on(second).unwrap(), 2);
    });
}
