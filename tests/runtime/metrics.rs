//! What a loop tells of itself is at most one turn old, however long the next turn or sleep is.

use std::cell::RefCell;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use oneloop::runtime::{Builder, Handle};
use oneloop::spawn;
use oneloop::time::{Sleep, sleep};

use crate::support::{Answers, current_thread, one_loop, within_deadline};

const TICK: Duration = Duration::from_millis(1);

#[test]
fn a_loop_that_is_back_from_a_sleep_is_not_taken_for_asleep() {
    within_deadline(|| {
        let runtime = one_loop();
        let task = runtime.spawn(async {
            loop {
                sleep(TICK).await;
                let metrics = Handle::current().metrics();
                let (parks, unparks) = (metrics.loops()[0].parks, metrics.loops()[0].unparks);
                if parks > 0 {
                    return (parks, unparks);
                }
            }
        });
        let (parks, unparks) = runtime.block_on(task).unwrap();
        assert_eq!(parks, unparks);
    });
}

#[test]
fn the_last_turn_of_a_block_on_is_told() {
    within_deadline(|| {
        let runtime = current_thread();
        let metrics = loop {
            // One that is due before it is polled is never armed.
            runtime.block_on(async { sleep(TICK).await });
            let metrics = runtime.metrics().loops()[0].clone();
            assert_eq!(metrics.timers, 0);
            if metrics.timers_fired > 0 {
                break metrics;
            }
        };
        assert_eq!(metrics.parks, metrics.unparks);
    });
}

#[test]
fn a_loop_that_nobody_drives_is_not_busy() {
    within_deadline(|| {
        let runtime = current_thread();
        let mut driven = Duration::ZERO;
        for _ in 0..3 {
            thread::sleep(10 * TICK);
            let begun = Instant::now();
            runtime.block_on(async { spawn(async {}).await.unwrap() });
            driven += begun.elapsed();
            let load = runtime.handle().loop_load(0).unwrap();
            assert!(load.busy <= driven, "{:?} of {driven:?}", load.busy);
            assert_eq!(load.turn, Duration::ZERO);
            assert_eq!(runtime.metrics().loops()[0].busy, load.busy);
        }
    });
}

/// Such a loop does not sleep, but looks for the answers.
#[test]
fn a_root_future_that_is_answered_soon_is_busy_while_it_computes() {
    within_deadline(|| {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.stay_awake(20 * TICK).build().unwrap();
        let handle = runtime.handle().clone();
        runtime.block_on(async {
            let mut answers = Answers::from(|| {});
            for _ in 0..100 {
                answers.ask().await;
                thread::sleep(TICK / 10);
                assert!(handle.loop_load(0).unwrap().turn >= TICK / 10);
            }
        });
    });
}

#[test]
fn a_root_future_is_busy_while_it_computes() {
    within_deadline(|| {
        let runtime = current_thread();
        let handle = runtime.handle().clone();
        runtime.block_on(async {
            thread::sleep(10 * TICK);
            assert!(handle.loop_load(0).unwrap().turn >= 10 * TICK);
        });
        assert!(handle.loop_load(0).unwrap().busy >= 10 * TICK);
    });
}

thread_local! {
    /// Dropped by the next sleep of this thread's loop.
    static FORGOTTEN: RefCell<Option<Pin<Box<Sleep>>>> = const { RefCell::new(None) };
}

#[test]
fn what_the_park_hook_ends_is_told_before_the_sleep() {
    within_deadline(|| {
        let is_dropped = Arc::new(AtomicBool::new(false));
        let dropped = Arc::clone(&is_dropped);
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_park(move || {
                if let Some(timer) = FORGOTTEN.take() {
                    drop(timer);
                    dropped.store(true, Ordering::Release);
                }
            })
            .build()
            .unwrap();
        runtime.spawn(async {
            let mut timer = Box::pin(sleep(Duration::from_secs(3600)));
            assert!(
                futures_lite::future::poll_once(timer.as_mut())
                    .await
                    .is_none()
            );
            FORGOTTEN.set(Some(timer));
        });
        // Nothing wakes the loop any more.
        while !is_dropped.load(Ordering::Acquire) || runtime.metrics().loops()[0].timers > 0 {
            thread::sleep(TICK);
        }
    });
}
