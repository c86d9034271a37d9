//! The small workloads. Each does a number of operations inside a task and tells how long they
//! took, the start of the runtime not counted.

use std::future::poll_fn;
use std::hint::black_box;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use rustix::event::{EventfdFlags, eventfd};

use crate::process::{Apart, apart};
use crate::runtimes::Runtime;
use crate::signal::Signal;

/// Tasks that one round of [`spawn_many`] spawns before it joins them.
pub const MANY: u64 = 1000;
/// Tasks that yield to each other in [`yield_crowd`].
pub const CROWD: u64 = 100;

/// Spawns a task and joins it, `count` times.
pub fn spawn_join<R: Runtime>(runtime: &R, count: u64) -> Duration {
    in_task(runtime, async move {
        let start = Instant::now();
        for number in 0..count {
            black_box(R::spawn(async move { number }).await);
        }
        start.elapsed()
    })
}

/// Spawns [`MANY`] tasks and then joins them, `rounds` times.
pub fn spawn_many<R: Runtime>(runtime: &R, rounds: u64) -> Duration {
    in_task(runtime, async move {
        let mut tasks = Vec::with_capacity(usize::try_from(MANY).expect("a small number"));
        let start = Instant::now();
        for _ in 0..rounds {
            tasks.extend((0..MANY).map(|number| R::spawn(async move { number })));
            for task in tasks.drain(..) {
                black_box(task.await);
            }
        }
        start.elapsed()
    })
}

/// Spawns a task on another thread, on another core, and joins it, `count` times: from the root of
/// `block_on`, which is none of the runtime's workers.
pub fn spawn_away<R: Runtime>((runtime, _): &(R, Apart), count: u64) -> Duration {
    assert!(R::HAS_WORKERS, "{} has no other thread", R::NAME);
    runtime.block_on(async {
        let start = Instant::now();
        for number in 0..count {
            black_box(R::spawn(async move { number }).await);
        }
        start.elapsed()
    })
}

/// Yields `count` times in a task that is alone.
pub fn yield_alone<R: Runtime>(runtime: &R, count: u64) -> Duration {
    in_task(runtime, async move {
        let start = Instant::now();
        for _ in 0..count {
            R::yield_now().await;
        }
        start.elapsed()
    })
}

/// Yields `rounds` times in each of [`CROWD`] tasks.
pub fn yield_crowd<R: Runtime>(runtime: &R, rounds: u64) -> Duration {
    in_task(runtime, async move {
        let start = Instant::now();
        let spawn = |_| {
            R::spawn(async move {
                for _ in 0..rounds {
                    R::yield_now().await;
                }
            })
        };
        let tasks: Vec<_> = (0..CROWD).map(spawn).collect();
        for task in tasks {
            task.await;
        }
        start.elapsed()
    })
}

/// Passes a signal to a task on another thread, on another core, and back, `count` times.
pub fn wake_round_trip<R: Runtime>((runtime, apart): &(R, Apart), count: u64) -> Duration {
    let ping = Arc::new(Signal::default());
    let pong = Arc::new(Signal::default());
    let far = {
        let (ping, pong) = (Arc::clone(&ping), Arc::clone(&pong));
        async move {
            for _ in 0..=count {
                ping.wait().await;
                pong.raise();
            }
        }
    };
    let near = async move {
        // The first round trip only waits for the other side to be there.
        ping.raise();
        pong.wait().await;
        let start = Instant::now();
        for _ in 0..count {
            ping.raise();
            pong.wait().await;
        }
        start.elapsed()
    };
    runtime.run_pair(apart, near, far)
}

/// As [`wake_round_trip`] without a runtime: two threads that block in the read of an eventfd.
///
/// # Errors
///
/// The system refuses descriptors.
pub fn eventfd_round_trip(count: u64) -> io::Result<Duration> {
    let ping = eventfd(0, EventfdFlags::CLOEXEC)?;
    let pong = eventfd(0, EventfdFlags::CLOEXEC)?;
    let ((), apart) = apart(|| Ok(()))?;
    thread::scope(|scope| {
        let far = scope.spawn(|| -> io::Result<()> {
            apart.go_far()?;
            let mut value = [0; 8];
            for _ in 0..=count {
                rustix::io::read(&ping, &mut value)?;
                rustix::io::write(&pong, &ONE)?;
            }
            Ok(())
        });
        let mut start = Instant::now();
        let mut value = [0; 8];
        for number in 0..=count {
            rustix::io::write(&ping, &ONE)?;
            rustix::io::read(&pong, &mut value)?;
            if number == 0 {
                start = Instant::now();
            }
        }
        let elapsed = start.elapsed();
        far.join().expect("the other thread does not panic")?;
        Ok(elapsed)
    })
}

/// Arms a timer far ahead and drops it, `count` times.
pub fn timer_arm_drop<R: Runtime>(runtime: &R, count: u64) -> Duration {
    in_task(runtime, async move {
        let start = Instant::now();
        for _ in 0..count {
            let mut sleep = pin!(R::sleep(FAR_AHEAD));
            poll_fn(|cx| {
                assert!(sleep.as_mut().poll(cx).is_pending(), "a timer fired early");
                Poll::Ready(())
            })
            .await;
        }
        start.elapsed()
    })
}

/// Sleeps 1 ms, `count` times. What is above a millisecond each is lateness.
pub fn timer_fire<R: Runtime>(runtime: &R, count: u64) -> Duration {
    in_task(runtime, async move {
        let start = Instant::now();
        for _ in 0..count {
            R::sleep(MILLISECOND).await;
        }
        start.elapsed()
    })
}

/// Runs the workload as a task: on a worker, if the runtime has some.
fn in_task<R: Runtime>(
    runtime: &R,
    work: impl Future<Output = Duration> + Send + 'static,
) -> Duration {
    runtime.block_on(async { R::spawn(work).await })
}

const FAR_AHEAD: Duration = Duration::from_secs(60);
const MILLISECOND: Duration = Duration::from_millis(1);
const ONE: [u8; 8] = 1_u64.to_ne_bytes();
