//! The cooperative budget and fairness between tasks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::Poll;

use oneloop::task::{self, coop};

use crate::support::{Gate, one_loop, within_deadline};

/// Operations that one poll may complete.
async fn operations_in_one_poll() -> usize {
    let mut done = 0;
    std::future::poll_fn(move |cx| {
        while let Poll::Ready(operation) = coop::poll_proceed(cx) {
            operation.made_progress();
            done += 1;
            if done == 1000 {
                break;
            }
        }
        Poll::Ready(done)
    })
    .await
}

#[test]
fn a_poll_has_128_operations_and_unconstrained_has_no_limit() {
    let runtime = one_loop();
    let (limited, unlimited) = runtime.block_on(async {
        let limited = task::spawn(operations_in_one_poll()).await.unwrap();
        let unlimited = task::spawn(task::unconstrained(operations_in_one_poll()))
            .await
            .unwrap();
        (limited, unlimited)
    });
    assert_eq!((limited, unlimited), (128, 1000));
}

#[test]
fn an_operation_without_progress_is_given_back() {
    let runtime = one_loop();
    runtime.block_on(async {
        std::future::poll_fn(|cx| {
            for _ in 0..1000 {
                assert!(coop::poll_proceed(cx).is_ready());
            }
            assert!(coop::has_budget_remaining());
            Poll::Ready(())
        })
        .await;
    });
}

#[test]
fn a_task_over_its_budget_lets_others_run() {
    within_deadline(|| {
        let runtime = one_loop();
        let stop = Arc::new(AtomicBool::new(false));
        let stopping = Arc::clone(&stop);
        let greedy = runtime.spawn(async move {
            while !stopping.load(Ordering::SeqCst) {
                task::consume_budget().await;
            }
        });
        let other = runtime.spawn(async move { stop.store(true, Ordering::SeqCst) });
        runtime.block_on(other).unwrap();
        runtime.block_on(greedy).unwrap();
    });
}

#[test]
fn a_task_that_wakes_itself_does_not_starve_the_inbox() {
    within_deadline(|| {
        let runtime = one_loop();
        let polls = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&polls);
        let busy = runtime.spawn(std::future::poll_fn(move |cx| {
            counting.fetch_add(1, Ordering::SeqCst);
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        }));
        for _ in 0..100 {
            runtime.block_on(runtime.spawn(async {})).unwrap();
        }
        assert!(polls.load(Ordering::SeqCst) > 0);
        busy.abort();
        assert!(runtime.block_on(busy).unwrap_err().is_cancelled());
    });
}

#[test]
fn the_budget_does_not_leak_into_a_blocking_function() {
    within_deadline(|| {
        let runtime = one_loop();
        let gate = Gate::default();
        gate.open();
        let done = runtime.spawn_blocking(|| {
            futures_lite::future::block_on(async {
                for _ in 0..1000 {
                    task::consume_budget().await;
                }
            });
        });
        runtime.block_on(done).unwrap();
    });
}
