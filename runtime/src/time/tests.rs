//! Timers on runtimes: where they are armed, and what happens to them elsewhere.

#![expect(clippy::async_yields_async, reason = "sleeps are handed around")]

use std::future::{Future, pending, poll_fn};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::mpsc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;

use super::*;
use crate::primitive::counter::{Counter, Ordering};
use crate::primitive::sync::{Arc, Mutex};
use crate::runtime::{Builder, Handle, Runtime};
use crate::task;

#[cfg(feature = "test-util")]
mod paused;

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

const HOUR: Duration = Duration::from_secs(3600);

fn workers(count: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(count)
        .build()
        .unwrap()
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().build().unwrap()
}

fn each_runtime() -> [Runtime; 3] {
    [workers(2), workers(1), current_thread()]
}

/// Counts how often it is woken.
#[derive(Default)]
struct Woken(Counter);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn poll_once<F: Future>(future: Pin<&mut F>) -> Poll<F::Output> {
    future.poll(&mut Context::from_waker(Waker::noop()))
}

fn on_thread<R: Send + 'static>(f: impl FnOnce() -> R + Send + 'static) -> thread::JoinHandle<R> {
    thread::Builder::new().spawn(f).unwrap()
}

/// The text of a panic.
#[track_caller]
fn panic_text<R>(f: impl FnOnce() -> R) -> String {
    let Err(payload) = catch_unwind(AssertUnwindSafe(f)) else {
        panic!("it was to panic");
    };
    match payload.downcast::<String>() {
        Ok(text) => *text,
        Err(payload) => (*payload.downcast::<&str>().unwrap()).to_owned(),
    }
}

/// Waits until the runtime's workers have as many timers armed, and have told so.
#[track_caller]
fn wait_for_timers(runtime: &Runtime, count: u64) {
    let begun = std::time::Instant::now();
    loop {
        let metrics = runtime.handle().metrics();
        let timers: u64 = metrics.loops().iter().map(|one| one.timers).sum();
        if timers == count {
            return;
        }
        assert!(
            begun.elapsed() < Duration::from_secs(10),
            "{timers} timers, not {count}"
        );
        // Makes each loop turn, and so publish.
        for join in runtime.handle().spawn_on_each(|_| async {}) {
            runtime.block_on(join).unwrap();
        }
    }
}

#[test]
fn sendable_where_tokios_are() {
    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Sleep>();
    send_and_sync::<Interval>();
    send_and_sync::<Instant>();
    send_and_sync::<Deadline>();
    send_and_sync::<Expired<'static>>();
    send_and_sync::<Timeout<std::future::Ready<()>>>();
    fn unpin<T: Unpin>() {}
    unpin::<Interval>();
    unpin::<Expired<'static>>();

    // Fails to compile if the type is Unpin: two impls would apply.
    trait NotUnpin<A> {
        fn check() {}
    }
    struct IsUnpin;
    impl<T: ?Sized> NotUnpin<()> for T {}
    impl<T: ?Sized + Unpin> NotUnpin<IsUnpin> for T {}
    <Sleep as NotUnpin<_>>::check();
    <Timeout<std::future::Ready<()>> as NotUnpin<_>>::check();
}

#[test]
fn sleeps_end_and_never_early() {
    for runtime in each_runtime() {
        runtime.block_on(async {
            let begun = Instant::now();
            let tasks = [30, 10, 20, 0].map(|n| {
                task::spawn(async move {
                    sleep_until(begun + ms(n)).await;
                    assert!(begun.elapsed() >= ms(n));
                })
            });
            for task in tasks {
                task.await.unwrap();
            }
        });
    }
}

#[test]
fn zero_and_past_are_ready_at_once() {
    for runtime in each_runtime() {
        runtime.block_on(async {
            assert!(poll_once(pin!(sleep(Duration::ZERO))).is_ready());
            let now = Instant::now();
            assert!(poll_once(pin!(sleep_until(now))).is_ready());
            if let Some(past) = now.checked_sub(ms(1)) {
                assert!(poll_once(pin!(sleep_until(past))).is_ready());
            }
        });
    }
}

#[test]
fn ready_sleeps_use_up_the_budget() {
    current_thread().block_on(async {
        let mut polls = 0;
        poll_fn(|_| {
            polls = (0..1000)
                .take_while(|_| poll_once(pin!(sleep(Duration::ZERO))).is_ready())
                .count();
            Poll::Ready(())
        })
        .await;
        assert_eq!(polls, usize::from(task::coop::OPERATIONS_PER_POLL));
    });
}

#[test]
fn huge_durations_wait_and_can_be_dropped() {
    current_thread().block_on(async {
        for duration in [
            Duration::MAX,
            Duration::MAX - ms(1),
            Duration::from_secs(u64::MAX / 10),
        ] {
            let begun = Instant::now();
            let mut far = Box::pin(sleep(duration));
            assert!(far.deadline() - begun >= instant::FAR);
            assert!(poll_once(far.as_mut()).is_pending());
            far.as_mut().reset(begun + HOUR);
            assert!(poll_once(pin!(timeout(duration, sleep(HOUR)))).is_pending());
            assert!(timeout(duration, sleep(ms(1))).await.is_ok());
        }
        let mut interval = interval(Duration::MAX);
        interval.tick().await;
        interval.reset();
        interval.reset_after(Duration::MAX);
        assert!(poll_once(pin!(interval.tick())).is_pending());
    });
}

#[test]
fn outside_a_runtime_creation_panics_with_advice() {
    let now = Instant::now();
    let texts = [
        panic_text(|| sleep(ms(1))),
        panic_text(|| sleep_until(now)),
        panic_text(|| interval(ms(1))),
        panic_text(|| timeout(ms(1), pending::<()>())),
        panic_text(|| timeout_at(now, pending::<()>())),
        panic_text(|| drop(Deadline::new(ms(1)).expired())),
    ];
    for text in texts {
        assert!(
            text.contains("there is no oneloop runtime on this thread"),
            "{text}"
        );
    }
    assert!(panic_text(|| interval(Duration::ZERO)).contains("`period` must be non-zero"));
}

#[test]
fn is_elapsed_only_after_it_began() {
    current_thread().block_on(async {
        let mut wait = pin!(sleep(Duration::ZERO));
        assert!(!wait.is_elapsed());
        wait.as_mut().await;
        assert!(wait.is_elapsed());
        wait.as_mut().await;
        wait.as_mut().reset(Instant::now() + HOUR);
        assert!(!wait.is_elapsed());
        assert!(poll_once(wait.as_mut()).is_pending());
    });
}

// ---- elsewhere than where it was armed ----

#[test]
fn dropped_at_home_or_on_another_thread_it_is_disarmed() {
    let runtime = workers(1);
    let armed = runtime.spawn(async {
        let mut pair = [Box::pin(sleep(HOUR)), Box::pin(sleep(HOUR))];
        pair.iter_mut()
            .for_each(|one| assert!(poll_once(one.as_mut()).is_pending()));
        pair
    });
    let [first, second] = runtime.block_on(armed).unwrap();
    wait_for_timers(&runtime, 2);
    drop(first);
    wait_for_timers(&runtime, 1);
    let at_home = runtime.spawn(async move { drop(second) });
    runtime.block_on(at_home).unwrap();
    wait_for_timers(&runtime, 0);
}

#[test]
fn follows_its_task_to_another_loop() {
    let runtime = workers(2);
    let [one, other] = runtime.handle().loop_ids()[..] else {
        panic!("two loops")
    };
    let armed = runtime.handle().spawn_on(one, || async {
        let mut wait = Box::pin(sleep(HOUR));
        assert!(poll_once(wait.as_mut()).is_pending());
        wait
    });
    let mut wait = runtime.block_on(armed).unwrap();
    wait_for_timers(&runtime, 1);
    let ended = runtime.handle().spawn_on(other, || async move {
        assert!(poll_once(wait.as_mut()).is_pending());
        wait.as_mut().reset(Instant::now() + ms(5));
        wait.as_mut().await;
        assert!(Instant::now() >= wait.deadline());
    });
    runtime.block_on(ended).unwrap();
    wait_for_timers(&runtime, 0);
}

#[test]
fn waits_on_a_thread_of_the_blocking_pool() {
    for runtime in each_runtime() {
        let waited = runtime.spawn_blocking(|| {
            let begun = Instant::now();
            futures_lite::future::block_on(sleep(ms(10)));
            let limited = timeout(ms(10), pending::<()>());
            assert!(futures_lite::future::block_on(limited).is_err());
            begun.elapsed()
        });
        // `block_on` drives the loop of the current-thread runtime.
        assert!(runtime.block_on(waited).unwrap() >= ms(20));
    }
}

#[test]
fn waits_on_a_thread_that_knows_no_runtime() {
    let runtime = workers(2);
    let from_main = runtime.block_on(async { Box::pin(sleep(ms(5))) });
    let from_task = runtime.spawn(async {
        let mut wait = Box::pin(sleep(ms(5)));
        assert!(poll_once(wait.as_mut()).is_pending());
        wait
    });
    let from_task = runtime.block_on(from_task).unwrap();
    let elsewhere = on_thread(|| {
        futures_lite::future::block_on(from_main);
        futures_lite::future::block_on(from_task);
        // Polled twice and dropped.
    });
    elsewhere.join().unwrap();
    wait_for_timers(&runtime, 0);
}

#[test]
fn comes_back_from_a_thread_without_a_loop() {
    let runtime = workers(1);
    let wait = runtime.block_on(async { Box::pin(sleep(HOUR)) });
    let wait = on_thread(move || {
        let mut wait = wait;
        assert!(poll_once(wait.as_mut()).is_pending());
        assert!(poll_once(wait.as_mut()).is_pending());
        wait
    });
    let mut wait = wait.join().unwrap();
    wait_for_timers(&runtime, 1);
    let waited = runtime.spawn(async move {
        assert!(poll_once(wait.as_mut()).is_pending());
        wait.as_mut().reset(Instant::now() + ms(5));
        wait.await;
    });
    runtime.block_on(waited).unwrap();
    wait_for_timers(&runtime, 0);
}

/// A sleep that one thread awaits and another resets.
fn shared_sleep(runtime: &Runtime) -> Arc<Mutex<Pin<Box<Sleep>>>> {
    Arc::new(Mutex::new(
        runtime.block_on(async { Box::pin(sleep(HOUR)) }),
    ))
}

#[test]
fn reset_on_another_thread_wakes_the_waiting_task() {
    let runtime = workers(1);
    let wait = shared_sleep(&runtime);
    let waiting = {
        let wait = Arc::clone(&wait);
        runtime.spawn(poll_fn(move |cx| wait.lock().as_mut().poll(cx)))
    };
    wait_for_timers(&runtime, 1);
    // Twice: by key, then by message.
    wait.lock().as_mut().reset(Instant::now() + HOUR);
    let deadline = Instant::now() + ms(10);
    wait.lock().as_mut().reset(deadline);
    runtime.block_on(waiting).unwrap();
    assert!(Instant::now() >= deadline);
    drop(wait);
    wait_for_timers(&runtime, 0);
}

#[test]
fn reset_at_home_wakes_the_waiting_task() {
    for runtime in each_runtime() {
        runtime.block_on(async {
            let begun = Instant::now();
            let wait = Mutex::new(Box::pin(sleep(HOUR)));
            let waiting = poll_fn(|cx| wait.lock().as_mut().poll(cx));
            let resetting = async {
                task::yield_now().await;
                wait.lock().as_mut().reset(begun + ms(10));
                pending::<()>().await;
            };
            futures_lite::future::or(waiting, resetting).await;
            assert!(begun.elapsed() >= ms(10));
        });
    }
}

#[test]
fn a_main_loop_that_ends_wakes_what_has_left_it() {
    let runtime = workers(1);
    let mut wait = runtime.block_on(async { Box::pin(sleep(HOUR)) });
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(Arc::clone(&woken));
    runtime.block_on(poll_fn(|_| {
        assert!(
            wait.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        Poll::Ready(())
    }));
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    wait.as_mut().reset(Instant::now() + ms(1));
    runtime.block_on(wait);
}

// ---- after the end ----

#[test]
fn after_the_runtime_a_poll_panics_and_a_drop_does_nothing() {
    let runtime = workers(1);
    let handle = runtime.handle().clone();
    let waits = runtime.spawn(async {
        let mut waits = [(); 4].map(|()| Box::pin(sleep(HOUR)));
        waits[1..]
            .iter_mut()
            .for_each(|one| assert!(poll_once(one.as_mut()).is_pending()));
        waits
    });
    let [mut unpolled, mut armed, mut on_main, dropped] = runtime.block_on(waits).unwrap();
    drop(runtime);
    drop(dropped);
    for wait in [&mut unpolled, &mut armed] {
        let text = panic_text(|| poll_once(wait.as_mut()));
        assert!(text.contains("its runtime has been shut down"), "{text}");
    }
    let text = panic_text(|| handle.block_on(on_main.as_mut()));
    assert!(text.contains("its runtime has been shut down"), "{text}");

    unpolled.as_mut().reset(Instant::now());
    assert!(poll_once(unpolled.as_mut()).is_ready(), "its time has come");
    let on_another = current_thread();
    armed.as_mut().reset(Instant::now() + ms(1));
    on_another.block_on(armed);
}

#[test]
fn who_waits_elsewhere_is_told_of_the_end() {
    let runtime = workers(1);
    let wait = runtime.block_on(async { sleep(HOUR) });
    let (began, begun) = mpsc::channel();
    let waiting = on_thread(move || {
        let mut wait = Box::pin(wait);
        panic_text(|| {
            futures_lite::future::block_on(poll_fn(|cx| {
                let poll = wait.as_mut().poll(cx);
                // Nobody listens to the second.
                let _ = began.send(());
                poll
            }));
        })
    });
    begun.recv().unwrap();
    drop(runtime);
    assert!(
        waiting
            .join()
            .unwrap()
            .contains("its runtime has been shut down")
    );
}

#[test]
fn timers_of_aborted_tasks_and_of_the_runtimes_end_are_freed() {
    let runtime = workers(1);
    let task = runtime.spawn(async { sleep(HOUR).await });
    wait_for_timers(&runtime, 1);
    task.abort();
    assert!(runtime.block_on(task).unwrap_err().is_cancelled());
    wait_for_timers(&runtime, 0);
    let task = runtime.spawn(async { sleep(HOUR).await });
    wait_for_timers(&runtime, 1);
    drop(runtime);
    assert!(
        futures_lite::future::block_on(task)
            .unwrap_err()
            .is_cancelled()
    );
}

// ---- timeouts ----

#[test]
fn timeout_prefers_the_output() {
    for runtime in each_runtime() {
        runtime.block_on(async {
            assert_eq!(timeout(Duration::ZERO, async { 1 }).await, Ok(1));
            assert_eq!(timeout_at(Instant::now(), async { 2 }).await, Ok(2));
            assert_eq!(timeout(HOUR, sleep(ms(1))).await, Ok(()));
            let begun = Instant::now();
            assert!(timeout(ms(10), pending::<()>()).await.is_err());
            assert!(begun.elapsed() >= ms(10));
        });
    }
}

#[test]
fn timeout_gives_the_future_back() {
    current_thread().block_on(async {
        let mut limited = timeout(HOUR, std::future::ready(1));
        assert_eq!(limited.get_ref().clone().await, 1);
        *limited.get_mut() = std::future::ready(2);
        assert_eq!(limited.into_inner().await, 2);
    });
}

#[test]
fn timeout_fires_although_its_future_uses_up_the_budget() {
    for runtime in each_runtime() {
        let greedy = async {
            loop {
                task::coop::consume_budget().await;
            }
        };
        let task = runtime.spawn(async { timeout(ms(5), greedy).await.is_err() });
        assert!(runtime.block_on(task).unwrap());
    }
}

#[test]
fn a_sleep_in_a_task_that_wakes_itself_fires() {
    for runtime in each_runtime() {
        let task = runtime.spawn(async {
            let mut wait = pin!(sleep(ms(5)));
            poll_fn(|cx| {
                cx.waker().wake_by_ref();
                wait.as_mut().poll(cx)
            })
            .await;
        });
        runtime.block_on(task).unwrap();
    }
}

// ---- idle limits ----

#[test]
fn idle_limit_counts_from_the_last_touch() {
    for runtime in each_runtime() {
        runtime.block_on(async {
            let idle = Arc::new(Deadline::new(ms(10)));
            let touching = {
                let idle = Arc::clone(&idle);
                // On another loop, where there is one.
                task::spawn(async move {
                    for _ in 0..5 {
                        sleep(ms(2)).await;
                        idle.touch();
                    }
                })
            };
            idle.expired().await;
            touching.await.unwrap();

            let touched = Instant::now();
            idle.touch_at(touched);
            idle.expired().await;
            assert!(touched.elapsed() >= ms(10));
            assert!(idle.is_expired() && idle.idle() >= ms(10));
            assert!(poll_once(pin!(idle.expired())).is_ready());
        });
    }
}

// ---- many, at random ----

/// 20,000 sleeps on two loops; half of them are given to this thread and dropped here, some while
/// they fire. Each of the others ends once, and none early.
#[test]
fn many_sleeps_cancelled_from_another_thread() {
    const SLEEPS: u64 = 20_000;
    let runtime = workers(2);
    let (give, given) = mpsc::channel();
    let ended = Arc::new(Counter::new(0));
    let tasks: Vec<_> = (0..SLEEPS)
        .map(|n| {
            let (give, ended) = (give.clone(), Arc::clone(&ended));
            runtime.spawn(async move {
                let mut wait = Box::pin(sleep(Duration::from_micros(n * 7919 % 50_000)));
                if n % 2 == 0 {
                    if poll_fn(|cx| Poll::Ready(wait.as_mut().poll(cx)))
                        .await
                        .is_pending()
                    {
                        give.send(wait).unwrap();
                    }
                    return;
                }
                wait.as_mut().await;
                assert!(Instant::now() >= wait.deadline());
                ended.fetch_add(1, Ordering::Relaxed);
            })
        })
        .collect();
    drop(give);
    let dropping = on_thread(|| given.into_iter().for_each(drop));
    for task in tasks {
        runtime.block_on(task).unwrap();
    }
    dropping.join().unwrap();
    assert_eq!(ended.load(Ordering::Relaxed), SLEEPS / 2);
    wait_for_timers(&runtime, 0);
}

/// One sleep is polled on two loops, on this thread, and reset, in a random order.
#[test]
fn a_sleep_passed_around_ends_once_and_not_early() {
    let runtime = workers(2);
    let loops = runtime.handle().loop_ids();
    let mut seed = 1_u32;
    for _ in 0..200 {
        let mut wait = runtime.block_on(async { Box::pin(sleep(ms(5))) });
        loop {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let place = seed >> 30;
            let shorter = Instant::now() + Duration::from_micros(u64::from(seed >> 20) % 3000);
            let poll_here = move |mut wait: Pin<Box<Sleep>>| {
                if seed & 1024 == 0 {
                    wait.as_mut().reset(shorter);
                }
                let is_ready = poll_once(wait.as_mut()).is_ready();
                assert!(!is_ready || Instant::now() >= wait.deadline());
                (wait, is_ready)
            };
            let is_ready;
            (wait, is_ready) = match place {
                0 | 1 => {
                    let home = loops[place as usize];
                    let polled = runtime
                        .handle()
                        .spawn_on(home, move || async move { poll_here(wait) });
                    runtime.block_on(polled).unwrap()
                }
                2 => poll_here(wait),
                _ => runtime.block_on(async { poll_here(wait) }),
            };
            if is_ready {
                break;
            }
        }
    }
    wait_for_timers(&runtime, 0);
}

#[test]
fn the_current_handle_is_used_where_no_loop_runs() {
    let runtime = workers(1);
    let entered = runtime.enter();
    let wait = sleep(ms(5));
    assert!(Handle::try_current().is_ok());
    drop(entered);
    futures_lite::future::block_on(wait);
}
