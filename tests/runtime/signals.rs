//! Signals. Each test has a signal of its own: they share one process.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, raise};
use oneloop::signal::ctrl_c;
use oneloop::signal::unix::{SignalKind, signal};
use oneloop::{task, time};

use crate::support::{each_runtime, two_loops, within_deadline};

#[test]
fn each_listener_gets_the_signal_on_every_runtime() {
    within_deadline(|| {
        for runtime in each_runtime() {
            runtime.block_on(async {
                let mut one = signal(SignalKind::user_defined1()).unwrap();
                let mut other = signal(SignalKind::user_defined1()).unwrap();
                drop(signal(SignalKind::user_defined1()).unwrap());
                for _ in 0..3 {
                    raise(Signal::SIGUSR1).unwrap();
                    assert_eq!(one.recv().await, Some(()));
                    assert_eq!(other.recv().await, Some(()));
                }
            });
        }
    });
}

#[test]
fn signals_before_a_wait_count_as_one() {
    within_deadline(|| {
        two_loops().block_on(async {
            let mut listener = signal(SignalKind::user_defined2()).unwrap();
            // As many as one read of the pipe takes, more, and more than the pipe holds.
            for count in [2, 256, 1_000, 70_000] {
                for _ in 0..count {
                    raise(Signal::SIGUSR2).unwrap();
                }
                assert_eq!(listener.recv().await, Some(()));
                let none = time::timeout(Duration::from_millis(20), listener.recv());
                assert!(none.await.is_err(), "{count} signals");
            }
            raise(Signal::SIGUSR2).unwrap();
            assert_eq!(listener.recv().await, Some(()));
        });
    });
}

#[test]
fn a_signal_between_two_listeners_goes_to_the_next() {
    within_deadline(|| {
        two_loops().block_on(async {
            loop {
                drop(signal(SignalKind::hangup()).unwrap());
                let raised = Instant::now();
                raise(Signal::SIGHUP).unwrap();
                let mut next = signal(SignalKind::hangup()).unwrap();
                // On a machine that is busy the next may come too late: then once more.
                if raised.elapsed() < Duration::from_millis(100) {
                    assert_eq!(next.recv().await, Some(()));
                    break;
                }
            }
            raise(Signal::SIGHUP).unwrap();
            time::sleep(Duration::from_millis(150)).await;
            let mut late = signal(SignalKind::hangup()).unwrap();
            let none = time::timeout(Duration::from_millis(20), late.recv());
            assert!(none.await.is_err(), "it came too long ago");
        });
    });
}

#[test]
fn a_listener_moves_to_another_loop() {
    within_deadline(|| {
        let runtime = two_loops();
        runtime.block_on(async {
            let mut listener = signal(SignalKind::window_change()).unwrap();
            for _ in 0..4 {
                let wait = task::spawn(async move {
                    listener.recv().await;
                    listener
                });
                task::yield_now().await;
                raise(Signal::SIGWINCH).unwrap();
                listener = wait.await.unwrap();
            }
        });
    });
}

#[test]
fn ctrl_c_listens_from_the_call_on() {
    within_deadline(|| {
        two_loops().block_on(async {
            let waiting = ctrl_c();
            raise(Signal::SIGINT).unwrap();
            waiting.await.unwrap();
        });
    });
}

#[test]
fn what_cannot_be_caught_is_refused() {
    two_loops().block_on(async {
        for number in [-1, 0, libc_sigkill(), 1_000] {
            let error = signal(SignalKind::from_raw(number)).unwrap_err();
            assert!(!error.to_string().is_empty(), "{number}");
        }
    });
}

fn libc_sigkill() -> i32 {
    Signal::SIGKILL as i32
}

#[test]
#[should_panic(expected = "there is no oneloop runtime on this thread")]
fn outside_a_runtime_it_panics() {
    drop(signal(SignalKind::hangup()));
}
