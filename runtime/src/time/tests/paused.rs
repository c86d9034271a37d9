//! Timers under a clock that stands still.

use super::*;

fn paused() -> Runtime {
    Builder::new_current_thread()
        .start_paused(true)
        .build()
        .unwrap()
}

/// Polls with the task's own waker.
async fn poll_now<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

#[test]
fn the_clock_stands_still_and_jumps_to_the_next_timer() {
    let begun = std::time::Instant::now();
    paused().block_on(async {
        let start = Instant::now();
        thread::sleep(ms(2));
        assert_eq!(start.elapsed(), Duration::ZERO);
        for duration in [ms(1), ms(100), HOUR, HOUR * 24 * 365] {
            let before = Instant::now();
            sleep(duration).await;
            assert_eq!(
                before.elapsed(),
                duration,
                "whole microseconds are met exactly"
            );
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn a_loop_that_looks_for_work_before_a_sleep_moves_the_clock_too() {
    let begun = std::time::Instant::now();
    let mut builder = Builder::new_current_thread();
    let runtime = builder.start_paused(true).busy_poll(ms(3000)).build();
    runtime.unwrap().block_on(async {
        for _ in 0..10 {
            sleep(HOUR).await;
        }
    });
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn paused_half_way_it_is_as_exact() {
    current_thread().block_on(async {
        let before = Instant::now();
        pause();
        let start = Instant::now();
        assert!(start >= before);
        sleep(ms(10)).await;
        assert_eq!(start.elapsed(), ms(10));
        resume();
        assert!(
            Instant::now() >= start + ms(10),
            "it goes on from where it stood"
        );
        sleep(ms(2)).await;
        pause();
    });
}

#[test]
fn timers_fire_one_after_the_other() {
    let order = Arc::new(Mutex::new(Vec::new()));
    paused().block_on(async {
        let start = Instant::now();
        let tasks: Vec<_> = (0..500)
            .map(|n: u64| {
                let order = Arc::clone(&order);
                task::spawn(async move {
                    let after = Duration::from_micros(n * 7919 % 500 * 1_000_003);
                    sleep(after).await;
                    order.lock().push(start.elapsed());
                    assert_eq!(start.elapsed(), after);
                })
            })
            .collect();
        for task in tasks {
            task.await.unwrap();
        }
    });
    assert!(order.lock().is_sorted());
    assert_eq!(order.lock().len(), 500);
}

#[test]
fn advance_fires_what_is_due_before_it_returns() {
    paused().block_on(async {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut wait = pin!(sleep(ms(1)));
        assert!(
            wait.as_mut()
                .poll(&mut Context::from_waker(&waker))
                .is_pending()
        );
        for _ in 0..3 {
            advance(Duration::from_micros(250)).await;
            assert!(poll_once(wait.as_mut()).is_pending());
            assert!(
                wait.as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        advance(Duration::from_micros(250)).await;
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert!(poll_once(wait.as_mut()).is_ready());
    });
}

#[test]
fn regression_advance_fires_more_than_one_turn_does() {
    paused().block_on(task::unconstrained(async {
        let mut sleeps: Vec<_> = (0..5000).map(|_| Box::pin(sleep(ms(10)))).collect();
        for sleep in &mut sleeps {
            assert!(poll_now(sleep.as_mut()).await.is_pending());
        }
        advance(ms(10)).await;
        for sleep in &mut sleeps {
            assert!(poll_now(sleep.as_mut()).await.is_ready());
        }
    }));
}

#[test]
fn advance_moves_by_exactly_that_much() {
    paused().block_on(async {
        for duration in [Duration::from_micros(51_592), Duration::from_nanos(1), HOUR] {
            let before = Instant::now();
            advance(duration).await;
            assert_eq!(before.elapsed(), duration);
        }
        let mut wait = pin!(sleep(ms(10)));
        assert!(poll_now(wait.as_mut()).await.is_pending());
        wait.as_mut().await;
        assert!(Instant::now() - wait.deadline() < Duration::from_micros(1));
    });
}

#[test]
fn misuse_panics_with_advice() {
    let runtime = paused();
    let text = panic_text(|| runtime.block_on(async { pause() }));
    assert!(text.contains("already frozen"), "{text}");
    for runtime in [current_thread(), workers(1)] {
        let text = panic_text(|| runtime.block_on(async { resume() }));
        assert!(text.contains("not frozen"), "{text}");
        let text = panic_text(|| runtime.block_on(advance(ms(1))));
        assert!(text.contains("not frozen"), "{text}");
    }
    let text = panic_text(|| runtime.block_on(advance(Duration::MAX)));
    assert!(text.contains("beyond"), "{text}");
    let text = panic_text(|| workers(1).block_on(async { pause() }));
    assert!(text.contains("needs a runtime of one loop"), "{text}");
    let text = panic_text(|| Builder::new_multi_thread().start_paused(true).build());
    assert!(text.contains("needs a runtime of one loop"), "{text}");
    assert!(panic_text(pause).contains("the clock is the runtime's"));
}

#[test]
fn clocks_of_other_runtimes_go_on() {
    let still = paused();
    let shown = still.block_on(async { Instant::now() });
    thread::sleep(ms(2));
    current_thread().block_on(async { sleep(ms(2)).await });
    assert!(Instant::now() - shown >= ms(2));
    assert_eq!(still.block_on(async { Instant::now() }), shown);
}

#[test]
fn a_blocking_function_keeps_the_clock_where_it_is() {
    let begun = std::time::Instant::now();
    paused().block_on(async {
        let start = Instant::now();
        let blocking = task::spawn_blocking(|| thread::sleep(ms(20)));
        assert!(timeout(ms(1), blocking).await.is_ok());
        assert_eq!(start.elapsed(), Duration::ZERO);

        // Its end lets the clock go on, although nobody awaits it.
        let blocking = task::spawn_blocking(|| thread::sleep(ms(5)));
        sleep(Duration::from_secs(60)).await;
        assert!(blocking.is_finished());
        assert_eq!(start.elapsed(), Duration::from_secs(60));
    });
    assert!(begun.elapsed() < Duration::from_secs(10));
}

#[test]
fn work_that_is_ready_keeps_the_clock_where_it_is() {
    paused().block_on(async {
        let start = Instant::now();
        let yielding = task::spawn(async move {
            for _ in 0..1000 {
                task::yield_now().await;
                assert_eq!(start.elapsed(), Duration::ZERO);
            }
        });
        let waiting = task::spawn(sleep(ms(1)));
        yielding.await.unwrap();
        waiting.await.unwrap();
        assert_eq!(start.elapsed(), ms(1));
    });
}

#[test]
fn runs_are_repeatable() {
    let run = || {
        paused().block_on(async {
            let start = Instant::now();
            let mut times = Vec::new();
            for n in 0..1000_u64 {
                sleep(Duration::from_nanos(n * 48_271 % 1_000_000)).await;
                times.push(start.elapsed());
            }
            times
        })
    };
    assert_eq!(run(), run());
}

#[test]
fn far_deadlines_are_reached_exactly() {
    paused().block_on(async {
        let start = Instant::now();
        sleep(Duration::MAX).await;
        assert_eq!(start.elapsed(), instant::FAR);
        // Far beyond any coarse slot, with nearer ones on the way.
        let far = task::spawn(sleep(HOUR * 24 * 365 * 20));
        advance(HOUR * 24 * 365 * 10).await;
        let before = Instant::now();
        sleep(ms(10)).await;
        assert_eq!(before.elapsed(), ms(10));
        far.await.unwrap();
        assert_eq!(start.elapsed(), instant::FAR + HOUR * 24 * 365 * 20);
    });
}

#[test]
fn a_timer_of_one_runtime_polled_and_reset_in_another() {
    let past = paused();
    thread::sleep(ms(1));
    let other = paused();
    let _entered = past.enter();
    let mut wait = pin!(sleep(ms(1)));
    assert!(poll_once(wait.as_mut()).is_pending());
    let deadline = wait.deadline();
    other.block_on(async { wait.as_mut().reset(deadline + ms(1)) });
    let now = Instant::now();
    past.block_on(wait);
    assert_eq!(now.elapsed(), ms(2));
}

// ---- intervals ----

/// Advances, and tells which ticks have come, in milliseconds from `start`.
async fn ticks(interval: &mut Interval, start: Instant, after: u64) -> Vec<u128> {
    advance(ms(after)).await;
    let mut ticks = Vec::new();
    while let Poll::Ready(tick) = poll_fn(|cx| Poll::Ready(interval.poll_tick(cx))).await {
        ticks.push((tick - start).as_millis());
    }
    ticks
}

/// Each row: how far the clock is advanced, and the ticks that then come.
fn check_ticks(behavior: MissedTickBehavior, rows: &[(u64, &[u128])]) {
    paused().block_on(async {
        let start = Instant::now();
        let mut interval = interval_at(start, ms(300));
        interval.set_missed_tick_behavior(behavior);
        assert_eq!(interval.missed_tick_behavior(), behavior);
        for (after, expected) in rows {
            assert_eq!(
                ticks(&mut interval, start, *after).await,
                *expected,
                "{behavior:?}"
            );
        }
    });
}

#[test]
fn late_ticks_burst_delay_or_are_skipped() {
    check_ticks(
        MissedTickBehavior::Burst,
        &[
            (0, &[0]),
            (100, &[]),
            (200, &[300]),
            (650, &[600, 900]),
            (250, &[1200]),
            (300, &[1500]),
        ],
    );
    check_ticks(
        MissedTickBehavior::Delay,
        &[
            (0, &[0]),
            (300, &[300]),
            (650, &[600]),
            (299, &[]),
            (1, &[1250]),
            (300, &[1550]),
        ],
    );
    check_ticks(
        MissedTickBehavior::Skip,
        &[
            (0, &[0]),
            (300, &[300]),
            (650, &[600]),
            (249, &[]),
            (1, &[1200]),
            (300, &[1500]),
        ],
    );
}

#[test]
fn a_tick_less_than_five_milliseconds_late_is_not_missed() {
    check_ticks(
        MissedTickBehavior::Delay,
        &[(0, &[0]), (305, &[300]), (295, &[600])],
    );
    check_ticks(
        MissedTickBehavior::Delay,
        &[(0, &[0]), (306, &[300]), (299, &[]), (1, &[606])],
    );
}

#[test]
fn intervals_can_be_reset() {
    paused().block_on(async {
        let start = Instant::now();
        let mut interval = interval(ms(300));
        assert_eq!(interval.period(), ms(300));
        assert_eq!(ticks(&mut interval, start, 0).await, [0]);
        assert_eq!(ticks(&mut interval, start, 100).await, []);
        interval.reset();
        assert_eq!(ticks(&mut interval, start, 299).await, []);
        assert_eq!(ticks(&mut interval, start, 1).await, [400]);
        interval.reset_immediately();
        assert_eq!(ticks(&mut interval, start, 0).await, [400]);
        interval.reset_after(ms(20));
        assert_eq!(ticks(&mut interval, start, 20).await, [420]);
        interval.reset_at(start + ms(500));
        assert_eq!(ticks(&mut interval, start, 79).await, []);
        assert_eq!(ticks(&mut interval, start, 1).await, [500]);
        let tick = interval.tick().await;
        assert_eq!(tick - start, ms(800));
    });
}

#[test]
fn a_dropped_tick_is_not_lost() {
    paused().block_on(async {
        let start = Instant::now();
        let mut interval = interval_at(start + ms(10), ms(10));
        assert!(timeout(ms(5), interval.tick()).await.is_err());
        assert_eq!(interval.tick().await, start + ms(10));
    });
}

#[test]
fn an_interval_wakes_only_after_pending() {
    paused().block_on(async {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let mut interval = interval(ms(10));
        assert!(
            interval
                .poll_tick(&mut Context::from_waker(&waker))
                .is_ready()
        );
        advance(ms(100)).await;
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    });
}

// ---- idle limits ----

#[test]
fn a_touched_idle_limit_fires_once_an_idle_time() {
    paused().block_on(async {
        let start = Instant::now();
        let idle = Deadline::new(ms(100));
        let touching = async {
            for _ in 0..50 {
                sleep(ms(7)).await;
                idle.touch();
            }
            pending::<()>().await;
        };
        futures_lite::future::or(idle.expired(), touching).await;
        assert_eq!(start.elapsed(), ms(50 * 7 + 100));
        assert_eq!(idle.deadline(), Instant::now());
    });
}

#[test]
fn idle_limits_may_be_awaited_twice_and_cancelled() {
    paused().block_on(async {
        let start = Instant::now();
        let idle = Deadline::new(ms(100));
        assert!(timeout(ms(60), idle.expired()).await.is_err());
        idle.touch_at(start + ms(50));
        futures_lite::future::zip(idle.expired(), idle.expired()).await;
        assert_eq!(start.elapsed(), ms(150));
        idle.expired().await;
        assert_eq!(start.elapsed(), ms(150));
        let far = Deadline::new(Duration::MAX);
        far.touch_at(start + instant::FAR);
        assert!(poll_now(pin!(far.expired())).await.is_pending());
    });
}

#[test]
fn an_idle_limit_costs_one_wake_up_an_idle_time() {
    paused().block_on(async {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        let idle = Deadline::new(ms(100));
        let mut expired = pin!(idle.expired());
        let mut polls = 0;
        for _ in 0..1000 {
            if polls <= woken.0.load(Ordering::Relaxed) {
                polls += 1;
                let poll = expired.as_mut().poll(&mut Context::from_waker(&waker));
                assert!(poll.is_pending());
            }
            advance(ms(1)).await;
            idle.touch();
        }
        assert_eq!(woken.0.load(Ordering::Relaxed), 10);
    });
}
