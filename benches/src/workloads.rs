//! The small workloads. Each does a number of operations inside a task and tells how long they
//! took, the start of the runtime not counted.

use std::future::poll_fn;
use std::hint::black_box;
use std::io;
use std::os::fd::OwnedFd;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use rustix::buffer::spare_capacity;
use rustix::event::{EventfdFlags, epoll, eventfd};

use crate::process::{Apart, apart, cpu_time};
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

/// As [`spawn_join`], in the root future of `block_on`: a root that is not a task is woken and polled
/// in another way.
pub fn spawn_join_in_root<R: Runtime>(runtime: &R, count: u64) -> Duration {
    runtime.block_on(async {
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

/// As [`wake_round_trip`] without a runtime: two threads, each with an eventfd.
///
/// # Errors
///
/// The system refuses descriptors.
pub fn eventfd_round_trip(wait: EventfdWait, count: u64) -> io::Result<Duration> {
    let ping = Bell::new(wait)?;
    let pong = Bell::new(wait)?;
    let ((), apart) = apart(|| Ok(()))?;
    thread::scope(|scope| {
        let far = scope.spawn(|| -> io::Result<()> {
            apart.go_far()?;
            for _ in 0..=count {
                ping.wait()?;
                pong.ring()?;
            }
            Ok(())
        });
        let mut start = Instant::now();
        for number in 0..=count {
            ping.ring()?;
            pong.wait()?;
            if number == 0 {
                start = Instant::now();
            }
        }
        let elapsed = start.elapsed();
        far.join().expect("the other thread does not panic")?;
        Ok(elapsed)
    })
}

/// How a thread waits for an eventfd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EventfdWait {
    /// In its read.
    Read,
    /// In epoll_wait(2), edge-triggered, without a read: as a loop that also waits for sockets.
    Epoll,
}

struct Bell {
    eventfd: OwnedFd,
    epoll: Option<OwnedFd>,
}

impl Bell {
    fn new(wait: EventfdWait) -> io::Result<Self> {
        let eventfd = eventfd(0, EventfdFlags::CLOEXEC)?;
        if wait == EventfdWait::Read {
            let epoll = None;
            return Ok(Self { eventfd, epoll });
        }
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let flags = epoll::EventFlags::IN | epoll::EventFlags::ET;
        epoll::add(&epoll, &eventfd, epoll::EventData::new_u64(0), flags)?;
        let epoll = Some(epoll);
        Ok(Self { eventfd, epoll })
    }

    fn ring(&self) -> io::Result<()> {
        rustix::io::write(&self.eventfd, &ONE)?;
        Ok(())
    }

    fn wait(&self) -> io::Result<()> {
        match &self.epoll {
            None => rustix::io::read(&self.eventfd, &mut [0; 8])?,
            Some(epoll) => {
                let mut events = Vec::with_capacity(1);
                epoll::wait(epoll, spare_capacity(&mut events), None)?
            }
        };
        Ok(())
    }
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

/// What a crowd of sleepers cost, and how late they woke up.
#[derive(Debug, Clone, Copy)]
pub struct Slept {
    /// Processor time of all threads: spawning, arming, firing and ending.
    pub cpu: Duration,
    /// The mean of the times from a deadline to the code behind it.
    pub late_mean: Duration,
    /// The longest of them.
    pub late_max: Duration,
}

/// Spawns `count` tasks that sleep until deadlines of their own, spread evenly over one second that
/// begins when enough time for the spawns has passed.
///
/// # Panics
///
/// If the spawns take longer than that, as the lateness would be theirs.
pub fn sleepers<R: Runtime>(runtime: &R, count: u64) -> Slept {
    let crowd = Arc::new(Crowd::new(count));
    let cpu_before = cpu_time();
    let own = Arc::clone(&crowd);
    runtime.block_on(async {
        let spawner = R::spawn(async move {
            let begin = Instant::now() + FOR_SPAWNS;
            for number in 0..count {
                let deadline = begin + Duration::from_nanos(number * 1_000_000_000 / count);
                R::spawn_detached(sleeper::<R>(Arc::clone(&own), deadline));
            }
            assert!(
                Instant::now() < begin,
                "spawning took longer than FOR_SPAWNS"
            );
            own.is_over.wait().await;
        });
        spawner.await;
    });
    Slept {
        cpu: cpu_time() - cpu_before,
        late_mean: Duration::from_nanos(crowd.late_ns.load(Ordering::Relaxed) / count),
        late_max: Duration::from_nanos(crowd.late_max_ns.load(Ordering::Relaxed)),
    }
}

/// What the sleepers of one run leave behind.
struct Crowd {
    asleep: AtomicU64,
    late_ns: AtomicU64,
    late_max_ns: AtomicU64,
    is_over: Signal,
}

impl Crowd {
    fn new(count: u64) -> Self {
        Self {
            asleep: AtomicU64::new(count),
            late_ns: AtomicU64::new(0),
            late_max_ns: AtomicU64::new(0),
            is_over: Signal::default(),
        }
    }
}

async fn sleeper<R: Runtime>(crowd: Arc<Crowd>, deadline: Instant) {
    R::sleep(deadline.saturating_duration_since(Instant::now())).await;
    let late = Instant::now().saturating_duration_since(deadline);
    let late = u64::try_from(late.as_nanos()).unwrap_or(u64::MAX);
    crowd.late_ns.fetch_add(late, Ordering::Relaxed);
    if late > crowd.late_max_ns.load(Ordering::Relaxed) {
        crowd.late_max_ns.fetch_max(late, Ordering::Relaxed);
    }
    if crowd.asleep.fetch_sub(1, Ordering::AcqRel) == 1 {
        crowd.is_over.raise();
    }
}

/// Spawns `count` tasks that wait for ever, and has each polled once.
pub fn idle_tasks<R: Runtime>(runtime: &R, count: u64) -> Duration {
    in_task(runtime, async move {
        let start = Instant::now();
        for _ in 0..count {
            R::spawn_detached(std::future::pending());
        }
        // The last task says that all before it have been polled.
        R::spawn(async {}).await;
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
/// In which all sleepers are spawned.
const FOR_SPAWNS: Duration = Duration::from_secs(1);
const MILLISECOND: Duration = Duration::from_millis(1);
const ONE: [u8; 8] = 1_u64.to_ne_bytes();
