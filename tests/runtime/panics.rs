//! A panic ends its own task, and nothing else.

use std::future::Future;
use std::mem::ManuallyDrop;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::task::{Context, Poll, RawWaker, RawWakerVTable, Waker};
use std::thread;

use oneloop::io::{Direction, Interest, Source};
use oneloop::runtime::Builder;
use oneloop::task::{self, JoinError};

use crate::support::{Gate, each_runtime, one_loop, panic_text, within_deadline};

struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("in drop");
    }
}

/// A payload whose drop panics too.
struct BadPayload;

impl Drop for BadPayload {
    fn drop(&mut self) {
        assert!(thread::panicking(), "payload dropped");
    }
}

#[test]
fn panic_in_poll_is_the_joiners_error() {
    for runtime in each_runtime() {
        let error = runtime.block_on(async {
            task::spawn(async {
                task::yield_now().await;
                panic!("number {}", 5)
            })
            .await
            .unwrap_err()
        });
        assert!(error.is_panic() && !error.is_cancelled());
        assert!(error.to_string().contains("number 5"), "{error}");
        assert_eq!(panic_text(&*error.into_panic()), "number 5");
        assert_eq!(
            runtime.block_on(async { task::spawn(async { 1 }).await.unwrap() }),
            1
        );
    }
}

#[test]
fn panic_in_the_futures_drop_is_the_joiners_error() {
    for runtime in each_runtime() {
        // At the end of the task, and at abort.
        let errors = runtime.block_on(async {
            let ended = task::spawn(async {
                let held = PanicsInDrop;
                std::future::poll_fn(|_| Poll::Ready(())).await;
                drop(held);
            });
            let gate = Gate::default();
            let polled = gate.clone();
            let aborted = task::spawn(async move {
                let _held = PanicsInDrop;
                polled.open();
                std::future::pending::<()>().await;
            });
            gate.wait().await;
            aborted.abort();
            [ended.await.unwrap_err(), aborted.await.unwrap_err()]
        });
        assert!(errors.iter().all(JoinError::is_panic), "{errors:?}");
        assert_eq!(
            runtime.block_on(async { task::spawn(async { 1 }).await.unwrap() }),
            1
        );
    }
}

#[test]
fn regression_r4_panic_in_the_results_drop_is_contained() {
    within_deadline(|| {
        for runtime in each_runtime() {
            runtime.block_on(async {
                let gate = Gate::default();
                let waiting = gate.clone();
                // Detached before the end, and after it.
                drop(task::spawn(async move {
                    waiting.wait().await;
                    PanicsInDrop
                }));
                gate.open();
                let join = task::spawn(async { PanicsInDrop });
                while !join.is_finished() {
                    task::yield_now().await;
                }
                drop(join);
                assert_eq!(task::spawn(async { 1 }).await.unwrap(), 1);
            });
        }
    });
}

#[test]
fn a_payload_that_panics_in_its_drop_is_contained() {
    let runtime = one_loop();
    runtime.block_on(async {
        drop(task::spawn(async { std::panic::panic_any(BadPayload) }));
        for _ in 0..3 {
            assert_eq!(task::spawn(async { 1 }).await.unwrap(), 1);
        }
    });
}

#[test]
fn panic_in_a_joiners_waker_is_contained() {
    fn clone(_: *const ()) -> RawWaker {
        RawWaker::new(std::ptr::null(), &VTABLE)
    }
    fn wake(_: *const ()) {
        panic!("in wake");
    }
    fn drop_waker(_: *const ()) {}
    static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, wake, wake, drop_waker);

    within_deadline(|| {
        let runtime = one_loop();
        let gate = Gate::default();
        let waiting = gate.clone();
        let mut join = runtime.spawn(async move { waiting.wait().await });
        // SAFETY: the functions keep no data, so every rule of `RawWakerVTable` holds.
        let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &VTABLE)) };
        let polled = std::pin::Pin::new(&mut join).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        gate.open();
        while !join.is_finished() {
            thread::yield_now();
        }
        assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
        runtime.block_on(join).unwrap();
    });
}

#[test]
fn panic_in_the_drop_of_a_foreign_threads_waker_is_contained() {
    fn clone(_: *const ()) -> RawWaker {
        RawWaker::new(std::ptr::null(), &VTABLE)
    }
    fn nothing(_: *const ()) {}
    fn drop_waker(_: *const ()) {
        panic!("in drop");
    }
    static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, nothing, nothing, drop_waker);

    within_deadline(|| {
        let runtime = one_loop();
        let _entered = runtime.enter();
        let (ours, _theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let source = Source::new(ours).unwrap();
        // SAFETY: the functions keep no data, so every rule of `RawWakerVTable` holds.
        let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &VTABLE)) };
        let waker = ManuallyDrop::new(waker);
        // The loop waits for this thread, and drops what it was sent.
        let polled = source.poll_ready(&mut Context::from_waker(&waker), Direction::Read);
        assert!(polled.is_pending());
        let mut ready = Box::pin(source.ready(Interest::READABLE));
        let polled = ready.as_mut().poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
        assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
    });
}

#[test]
fn panic_in_hooks_is_contained() {
    within_deadline(|| {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .on_thread_start(|| panic!("in start"))
            .on_thread_stop(|| panic!("in stop"))
            .on_thread_park(|| panic!("in park"))
            .on_thread_unpark(|| panic!("in unpark"))
            .build()
            .unwrap();
        assert_eq!(runtime.block_on(runtime.spawn(async { 1 })).unwrap(), 1);
        assert_eq!(runtime.block_on(runtime.spawn_blocking(|| 2)).unwrap(), 2);
    });
}

#[test]
fn panic_in_a_blocking_function_is_the_joiners_error() {
    let runtime = one_loop();
    let error = runtime
        .block_on(runtime.spawn_blocking(|| panic!("blocking")))
        .unwrap_err();
    assert!(error.is_panic());
    assert_eq!(runtime.block_on(runtime.spawn_blocking(|| 2)).unwrap(), 2);
}

#[test]
fn panic_of_the_root_future_goes_through_and_the_runtime_stays() {
    for runtime in each_runtime() {
        let text = crate::support::panic_of(|| runtime.block_on(async { panic!("root") }));
        assert_eq!(text, "root");
        let kept = Arc::new(());
        let held = Arc::clone(&kept);
        let text = crate::support::panic_of(|| {
            runtime.block_on(async move {
                let local = task::spawn_local(async move {
                    let _held = held;
                    std::future::pending::<()>().await;
                });
                task::yield_now().await;
                drop(local);
                panic!("root again")
            })
        });
        assert_eq!(text, "root again");
        assert_eq!(Arc::strong_count(&kept), 1, "the local task has ended");
        assert_eq!(
            runtime.block_on(async { task::spawn(async { 1 }).await.unwrap() }),
            1
        );
    }
}
