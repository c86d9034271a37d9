//! Options of a runtime.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;
use std::time::{Duration, Instant};

use oneloop::runtime::{Builder, Handle, Runtime, RuntimeFlavor};
use oneloop::task;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use crate::support::{Answers, current_thread, two_loops, within_deadline};

#[test]
fn threads_have_their_names() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .thread_name("alpha")
        .build()
        .unwrap();
    let name = || thread::current().name().map(str::to_owned);
    let worker = runtime
        .block_on(runtime.spawn(async move { name() }))
        .unwrap();
    let blocking = runtime.block_on(runtime.spawn_blocking(name)).unwrap();
    assert_eq!(
        (worker.as_deref(), blocking.as_deref()),
        (Some("alpha"), Some("alpha"))
    );
}

#[test]
fn hooks_run_once_for_each_thread() {
    let counts: [Arc<AtomicUsize>; 2] = Default::default();
    let [started, stopped] = counts.clone();
    let runtime = Builder::new_multi_thread()
        .worker_threads(3)
        .on_thread_start(move || {
            started.fetch_add(1, Ordering::SeqCst);
        })
        .on_thread_stop(move || {
            stopped.fetch_add(1, Ordering::SeqCst);
        })
        .build()
        .unwrap();
    runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
    drop(runtime);
    assert_eq!(counts.map(|count| count.load(Ordering::SeqCst)), [4, 4]);
}

#[test]
fn regression_hooks_are_inside_the_runtime() {
    within_deadline(|| {
        let (tell, told) = mpsc::channel();
        let tell_stop = tell.clone();
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .on_thread_start(move || {
                let tell = tell.clone();
                drop(task::spawn(async move { tell.send("spawned").unwrap() }));
            })
            .on_thread_stop(move || {
                let told = Handle::try_current().map_or("outside", |_| "inside");
                tell_stop.send(told).unwrap();
            })
            .build()
            .unwrap();
        assert_eq!([told.recv(), told.recv()], [Ok("spawned"); 2]);
        drop(runtime);
        assert_eq!(told.iter().collect::<Vec<_>>(), ["inside"; 2]);
    });
}

/// Answers of another thread, and four connections that are all active: what a loop stays awake for.
#[test]
fn however_long_a_loop_stays_awake_it_serves_and_ends() {
    within_deadline(|| {
        for limit in [Duration::ZERO, Duration::from_micros(50), Duration::MAX] {
            let runtime = Builder::new_multi_thread()
                .worker_threads(1)
                .stay_awake(limit)
                .build()
                .unwrap();
            let mut answers = Answers::from(|| {});
            let asking = runtime.spawn(async move {
                for _ in 0..100 {
                    answers.ask().await;
                }
            });
            runtime.block_on(asking).unwrap();
            let mut clients: Vec<UnixStream> = (0..4).map(|_| echoed(&runtime)).collect();
            for round in 0..500_u32 {
                let message = round.to_ne_bytes();
                for client in &mut clients {
                    client.write_all(&message).unwrap();
                }
                for client in &mut clients {
                    let mut answer = [0; 4];
                    client.read_exact(&mut answer).unwrap();
                    assert_eq!(answer, message);
                }
            }
        }
    });
}

/// On a machine that has other work, too, it may take a while until both have a core for so long.
#[test]
fn a_loop_that_is_answered_within_microseconds_does_not_sleep_and_is_not_busy() {
    const ROUND_TRIPS: u32 = 50;
    let cores = allowed_cores();
    let [here, there, ..] = cores[..] else {
        println!("skipped: the two need a core each");
        return;
    };
    within_deadline(move || {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .affinity([here])
            .stay_awake(Duration::from_micros(800))
            .build()
            .unwrap();
        loop {
            let before = runtime.metrics();
            let begun = Instant::now();
            let mut answers = Answers::from(move || pin_to(there));
            let asking = runtime.spawn(async move {
                for _ in 0..ROUND_TRIPS {
                    answers.ask().await;
                }
            });
            runtime.block_on(asking).unwrap();
            let after = runtime.metrics();
            let elapsed = begun.elapsed();
            let (before, after) = (&before.loops()[0], &after.loops()[0]);
            // So that it was not asleep for long either.
            let is_undisturbed = elapsed < ROUND_TRIPS * Duration::from_micros(40);
            let is_awake = after.parks - before.parks < u64::from(ROUND_TRIPS) / 10;
            if is_undisturbed && is_awake && after.busy - before.busy < elapsed / 2 {
                return;
            }
        }
    });
}

/// The cores on which this thread may run.
fn allowed_cores() -> Vec<usize> {
    let allowed = sched_getaffinity(None).unwrap();
    let is_allowed = |&core: &usize| allowed.is_set(core);
    (0..CpuSet::MAX_CPU).filter(is_allowed).collect()
}

/// Keeps this thread on one core.
fn pin_to(core: usize) {
    let mut one = CpuSet::new();
    one.set(core);
    sched_setaffinity(None, &one).unwrap();
}

/// The other end of a connection whose bytes a task sends back.
fn echoed(runtime: &Runtime) -> UnixStream {
    let (ours, client) = UnixStream::pair().unwrap();
    drop(runtime.spawn(async move {
        let mut ours = oneloop::net::UnixStream::from_std(ours).unwrap();
        let mut buffer = [0; 64];
        while let Ok(n @ 1..) = ours.read(&mut buffer).await {
            ours.write_all(&buffer[..n]).await.unwrap();
        }
    }));
    client
}

#[test]
fn a_park_hook_that_wakes_a_task_keeps_the_loop_awake() {
    within_deadline(|| {
        let gate = crate::support::Gate::default();
        let opener = gate.clone();
        let runtime = Builder::new_current_thread()
            .on_thread_park(move || opener.open())
            .build()
            .unwrap();
        runtime.block_on(async {
            task::spawn(async move { gate.wait().await }).await.unwrap();
        });
    });
}

#[test]
fn flavors_and_loop_counts() {
    assert_eq!(
        two_loops().handle().runtime_flavor(),
        RuntimeFlavor::MultiThread
    );
    assert_eq!(
        current_thread().handle().runtime_flavor(),
        RuntimeFlavor::CurrentThread
    );
    assert_eq!(current_thread().handle().loop_ids().len(), 1);
    let default = Runtime::new().unwrap();
    let cores = thread::available_parallelism().unwrap().get();
    assert_eq!(default.metrics().num_workers(), cores);
}

#[test]
fn workers_stay_on_their_cores() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .affinity([0, 0])
        .build()
        .unwrap();
    let cores = || sched_getaffinity(None).unwrap().count();
    let joins = runtime
        .handle()
        .spawn_on_each(move |_| async move { cores() });
    for join in joins {
        assert_eq!(runtime.block_on(join).unwrap(), 1);
    }
}

/// A thread's mask is what the system tells of the cores that it may use.
#[test]
fn the_default_number_of_loops_respects_the_affinity_mask() {
    let pinned = thread::spawn(|| {
        pin_to(allowed_cores()[0]);
        Runtime::new().unwrap().handle().loop_ids().len()
    });
    assert_eq!(pinned.join().unwrap(), 1);
}

#[test]
fn busy_polling_loops_serve_and_end() {
    within_deadline(|| {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .busy_poll(Duration::from_millis(1))
            .build()
            .unwrap();
        for n in 0..100 {
            assert_eq!(
                runtime.block_on(runtime.spawn(async move { n })).unwrap(),
                n
            );
        }
    });
}

#[test]
fn idle_blocking_threads_end() {
    within_deadline(|| {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .thread_keep_alive(Duration::from_millis(1))
            .build()
            .unwrap();
        runtime.block_on(runtime.spawn_blocking(|| ())).unwrap();
        while runtime.metrics().num_blocking_threads() > 0 {
            thread::yield_now();
        }
    });
}

#[test]
fn blocking_threads_are_limited() {
    within_deadline(|| {
        let runtime = Builder::new_multi_thread()
            .worker_threads(1)
            .max_blocking_threads(2)
            .build()
            .unwrap();
        let (release, wait) = mpsc::channel::<()>();
        let wait = Arc::new(std::sync::Mutex::new(wait));
        let job = |_| {
            let wait = Arc::clone(&wait);
            runtime.spawn_blocking(move || wait.lock().unwrap().recv().unwrap())
        };
        let joins: Vec<_> = (0..6).map(job).collect();
        assert_eq!(runtime.metrics().num_blocking_threads(), 2);
        for _ in &joins {
            release.send(()).unwrap();
        }
        joins
            .into_iter()
            .for_each(|join| runtime.block_on(join).unwrap());
    });
}
