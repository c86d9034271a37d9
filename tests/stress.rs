//! Promises that need numbers: every future dropped once and at home, nothing left behind.
//!
//! One process, one scenario after the other, because they count the threads, descriptors and
//! bytes of the process. `cargo test` runs the short forms; `ONELOOP_STRESS=full cargo test
//! --release --test stress` the ones of the promises. A name as argument runs one scenario.

#![allow(
    clippy::print_stdout,
    reason = "a test binary without the harness reports by itself"
)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::collections::HashSet;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

use oneloop::net::{TcpListener, TcpStream};
use oneloop::runtime::{Builder, Handle};
use oneloop::task;
use oneloop::time::Deadline;

/// Counts live bytes, and allocations.
struct Counting;

static LIVE_BYTES: AtomicI64 = AtomicI64::new(0);
static ALLOCATIONS: AtomicU64 = AtomicU64::new(0);

// SAFETY: every call goes to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        LIVE_BYTES.fetch_add(layout.size() as i64, Ordering::Relaxed);
        ALLOCATIONS.fetch_add(1, Ordering::Relaxed);
        // SAFETY: the caller's duties are those of this function.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        LIVE_BYTES.fetch_sub(layout.size() as i64, Ordering::Relaxed);
        // SAFETY: as above.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

/// A name, and a function that is told whether to run the full form.
type Scenario = (&'static str, fn(bool));

fn main() {
    let only = std::env::args()
        .nth(1)
        .filter(|argument| !argument.starts_with('-'));
    let full = std::env::var("ONELOOP_STRESS").is_ok_and(|form| form == "full");
    // Also makes the buffer of stdout, which would count as left behind.
    println!("stress, {} form", if full { "full" } else { "short" });
    let scenarios: [Scenario; 6] = [
        ("tasks_end_once_and_at_home", tasks_end_once_and_at_home),
        (
            "runtimes_leave_nothing_behind",
            runtimes_leave_nothing_behind,
        ),
        ("no_wake_is_lost", no_wake_is_lost),
        ("sources_leave_nothing_behind", sources_leave_nothing_behind),
        ("messages_allocate_nothing", messages_allocate_nothing),
        ("bursts_give_memory_back", bursts_give_memory_back),
    ];
    let mut passed = 0;
    for (name, scenario) in scenarios {
        if only.as_deref().is_some_and(|only| only != name) {
            continue;
        }
        let started = Instant::now();
        scenario(full);
        println!(
            "test {name} ... ok ({:.1} s)",
            started.elapsed().as_secs_f64()
        );
        passed += 1;
    }
    println!("{passed} passed, 0 failed");
}

/// Threads and descriptors of this process, and live bytes.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
struct Belongings {
    threads: usize,
    descriptors: usize,
    bytes: i64,
}

impl Belongings {
    fn now() -> Self {
        let count = |path| std::fs::read_dir(path).unwrap().count();
        Self {
            threads: count("/proc/self/task"),
            descriptors: count("/proc/self/fd"),
            bytes: LIVE_BYTES.load(Ordering::SeqCst),
        }
    }

    /// Waits until all is as before: a thread that was joined stands in /proc a moment longer.
    fn assert_as_before(self) {
        let deadline = Instant::now() + Duration::from_secs(5);
        while Self::now() != self {
            assert!(
                Instant::now() < deadline,
                "before {self:?}, now {:?}",
                Self::now()
            );
            thread::yield_now();
        }
    }
}

/// A small generator of numbers, the same in each run: splitmix64 (G. Steele, OOPSLA 2014).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (z ^ (z >> 31)) % n
    }
}

/// What all futures of a scenario count.
#[derive(Default)]
struct Ledger {
    made: AtomicUsize,
    dropped: AtomicUsize,
    polled_then_dropped: AtomicUsize,
    homes: Mutex<HashSet<ThreadId>>,
}

/// A future that yields some times, and knows where it may be dropped.
struct Checked {
    ledger: Arc<Ledger>,
    yields: u64,
    home: Cell<Option<ThreadId>>,
    is_dropped: Cell<bool>,
}

impl Checked {
    fn new(ledger: &Arc<Ledger>, yields: u64) -> Self {
        ledger.made.fetch_add(1, Ordering::Relaxed);
        let ledger = Arc::clone(ledger);
        Self {
            ledger,
            yields,
            home: Cell::new(None),
            is_dropped: Cell::new(false),
        }
    }
}

impl Future for Checked {
    type Output = u64;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<u64> {
        let here = thread::current().id();
        match self.home.get() {
            None => self.home.set(Some(here)),
            Some(home) => assert_eq!(home, here, "polled away from home"),
        }
        if self.yields == 0 {
            return Poll::Ready(1);
        }
        self.yields -= 1;
        cx.waker().wake_by_ref();
        Poll::Pending
    }
}

impl Drop for Checked {
    fn drop(&mut self) {
        assert!(!self.is_dropped.replace(true), "dropped twice");
        let here = thread::current().id();
        // A future that was never polled has its home in the set of the runtime's threads.
        match self.home.get() {
            Some(home) => {
                assert_eq!(home, here, "dropped away from home");
                self.ledger
                    .polled_then_dropped
                    .fetch_add(1, Ordering::Relaxed);
            }
            None => assert!(
                self.ledger.homes.lock().unwrap().contains(&here),
                "dropped outside the runtime's threads"
            ),
        }
        self.ledger.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// A million tasks from three foreign threads, joined, aborted, detached and dropped at random.
fn tasks_end_once_and_at_home(full: bool) {
    let per_thread = if full { 333_334 } else { 30_000 };
    let before = warmed_up();
    let ledger = Arc::new(Ledger::default());
    let starting = Arc::clone(&ledger);
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(move || {
            starting
                .homes
                .lock()
                .unwrap()
                .insert(thread::current().id());
        })
        .build()
        .unwrap();
    let spawners: Vec<_> = (0..3)
        .map(|seed| {
            let (handle, ledger) = (runtime.handle().clone(), Arc::clone(&ledger));
            thread::spawn(move || spawn_at_random(&handle, &ledger, per_thread, seed))
        })
        .collect();
    let outcomes: Vec<[u64; 2]> = spawners.into_iter().map(|it| it.join().unwrap()).collect();
    drop(runtime);
    let made = ledger.made.load(Ordering::SeqCst);
    assert_eq!(made, 3 * per_thread as usize);
    assert_eq!(ledger.dropped.load(Ordering::SeqCst), made);
    let polled = ledger.polled_then_dropped.load(Ordering::SeqCst);
    let (finished, cancelled) = outcomes
        .iter()
        .fold((0, 0), |sum, it| (sum.0 + it[0], sum.1 + it[1]));
    assert!(
        finished > 0 && cancelled > 0 && polled > 0,
        "{finished}, {cancelled}, {polled}"
    );
    println!("  {made} tasks: {polled} polled, {finished} joined, {cancelled} joined as cancelled");
    drop((ledger, outcomes));
    before.assert_as_before();
}

fn spawn_at_random(handle: &Handle, ledger: &Arc<Ledger>, count: u64, seed: u64) -> [u64; 2] {
    let mut numbers = Numbers(seed);
    let mut outcomes = [0; 2];
    let mut kept = Vec::new();
    for _ in 0..count {
        let join = handle.spawn(Checked::new(ledger, numbers.below(4)));
        match numbers.below(6) {
            0 => drop(join),
            1 => {
                join.abort();
                kept.push(join);
            }
            2 => {
                let abort = join.abort_handle();
                drop(join);
                abort.abort();
            }
            3 => {
                join.abort();
                drop(join);
            }
            _ => kept.push(join),
        }
        if kept.len() == 64 {
            for join in kept.drain(..) {
                let joined = futures_lite::future::block_on(join);
                outcomes[usize::from(joined.is_err())] += 1;
            }
        }
    }
    outcomes
}

/// What the process has after one small runtime: thread-locals and lazy statics are made.
fn warmed_up() -> Belongings {
    for _ in 0..2 {
        let runtime = Builder::new_multi_thread()
            .worker_threads(2)
            .build()
            .unwrap();
        runtime.block_on(runtime.spawn(async {})).unwrap();
        let joined = futures_lite::future::block_on(runtime.spawn_blocking(|| ()));
        joined.unwrap();
    }
    while Belongings::now().threads > 1 {
        thread::yield_now();
    }
    Belongings::now()
}

/// Runtimes made and dropped, with spawns from other threads racing the drop.
fn runtimes_leave_nothing_behind(full: bool) {
    let lifetimes = if full { 10_000 } else { 300 };
    let before = warmed_up();
    let mut numbers = Numbers(7);
    let mut refused = 0;
    for _ in 0..lifetimes {
        refused += one_lifetime(&mut numbers);
    }
    println!("  {lifetimes} runtimes, {refused} spawns cancelled");
    assert!(refused > 0, "no spawn raced a drop");
    before.assert_as_before();
}

fn one_lifetime(numbers: &mut Numbers) -> usize {
    let ledger = Arc::new(Ledger::default());
    let builder = match numbers.below(3) {
        0 => Builder::new_current_thread(),
        loops => {
            let mut builder = Builder::new_multi_thread();
            builder.worker_threads(loops as usize);
            builder
        }
    };
    let mut builder = builder;
    let runtime = builder.build().unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let spawners: Vec<_> = (0..numbers.below(2) + 1)
        .map(|_| {
            let (handle, stop) = (runtime.handle().clone(), Arc::clone(&stop));
            let made = Arc::clone(&ledger);
            thread::spawn(move || {
                let mut joins = Vec::new();
                while !stop.load(Ordering::Relaxed) && joins.len() < 200 {
                    made.made.fetch_add(1, Ordering::Relaxed);
                    // Made here, so that a future that is never polled counts too.
                    let counted = CountsDrop(Arc::clone(&made));
                    joins.push(handle.spawn(async move {
                        let _counted = counted;
                        task::yield_now().await;
                        std::future::pending::<()>().await;
                    }));
                }
                joins
            })
        })
        .collect();
    if numbers.below(2) == 0 {
        runtime.block_on(task::yield_now());
    }
    if numbers.below(4) == 0 {
        drop(runtime.spawn_blocking(|| ()));
    }
    match numbers.below(3) {
        0 => runtime.shutdown_timeout(Duration::from_secs(5)),
        _ => drop(runtime),
    }
    stop.store(true, Ordering::Relaxed);
    let mut cancelled = 0;
    for spawner in spawners {
        for join in spawner.join().unwrap() {
            cancelled += usize::from(futures_lite::future::block_on(join).is_err());
        }
    }
    let made = ledger.made.load(Ordering::SeqCst);
    assert_eq!(cancelled, made, "every task was told its end");
    let dropped = ledger.dropped.load(Ordering::SeqCst);
    assert_eq!(dropped, made, "every future was dropped once");
    cancelled
}

struct CountsDrop(Arc<Ledger>);

impl Drop for CountsDrop {
    fn drop(&mut self) {
        self.0.dropped.fetch_add(1, Ordering::Relaxed);
    }
}

/// Two foreign threads wake tasks that sleep in between; a watchdog sees that it goes on.
fn no_wake_is_lost(full: bool) {
    let rounds: u64 = if full { 2_000_000 } else { 50_000 };
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let progress = Arc::new(AtomicU64::new(0));
    let pairs: Vec<_> = (0..2)
        .map(|seed| {
            let channel = Arc::new(Baton::default());
            let (receiving, counting) = (Arc::clone(&channel), Arc::clone(&progress));
            let receiver = runtime.spawn(async move {
                for expected in 1..=rounds {
                    receiving.reached(expected).await;
                    counting.fetch_add(1, Ordering::Relaxed);
                }
            });
            let sender = thread::spawn(move || {
                let mut numbers = Numbers(seed);
                for n in 1..=rounds {
                    channel.set(n);
                    // Sometimes long enough for the loop to fall asleep.
                    if numbers.below(64) == 0 {
                        thread::yield_now();
                    }
                }
            });
            (receiver, sender)
        })
        .collect();
    let watched = Arc::clone(&progress);
    let done = Arc::new(AtomicBool::new(false));
    let finished = Arc::clone(&done);
    let watchdog = thread::spawn(move || {
        // Looks, not seconds: where the whole machine stands still this thread does so, too.
        let (mut last, mut looks_in_vain) = (0, 0);
        while !finished.load(Ordering::Relaxed) {
            let now = watched.load(Ordering::Relaxed);
            looks_in_vain = if now == last { looks_in_vain + 1 } else { 0 };
            last = now;
            if looks_in_vain > 100 {
                println!("test no_wake_is_lost ... FAILED: no progress after {now} wakes");
                std::process::exit(1);
            }
            thread::park_timeout(Duration::from_millis(100));
        }
    });
    for (receiver, sender) in pairs {
        sender.join().unwrap();
        runtime.block_on(receiver).unwrap();
    }
    done.store(true, Ordering::Relaxed);
    watchdog.join().unwrap();
    let parks: u64 = runtime.metrics().loops().iter().map(|one| one.parks).sum();
    let wakes = progress.load(Ordering::Relaxed);
    println!("  {wakes} rounds, {parks} sleeps");
}

/// A counter that one thread raises and one task waits for.
#[derive(Default)]
struct Baton(Mutex<(u64, Option<std::task::Waker>)>);

impl Baton {
    fn set(&self, n: u64) {
        let waker = {
            let mut state = self.0.lock().unwrap();
            state.0 = n;
            state.1.take()
        };
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    async fn reached(&self, n: u64) {
        std::future::poll_fn(|cx| {
            let mut state = self.0.lock().unwrap();
            if state.0 >= n {
                return Poll::Ready(());
            }
            state.1 = Some(cx.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// Sources made, moved between loops, and dropped on foreign threads: no slot stays registered.
fn sources_leave_nothing_behind(full: bool) {
    use oneloop::io::{Interest, Source};
    use std::os::unix::net::UnixStream;

    let rounds = if full { 100_000 } else { 3_000 };
    let before = warmed_up();
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap();
    let loops = runtime.handle().loop_ids();
    let entered = runtime.enter();
    for n in 0..rounds {
        let (ours, theirs) = UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        let source = Arc::new(Source::new(ours).unwrap());
        let waiting = Arc::clone(&source);
        let waiter = runtime.handle().spawn_on(loops[n % 2], move || async move {
            waiting
                .ready(Interest::READABLE)
                .await
                .unwrap()
                .is_read_closed()
        });
        if n % 3 == 0 {
            waiter.abort();
        }
        // The end of the other side wakes who still waits; the last owner may be this thread.
        drop(theirs);
        drop(source);
        if n % 3 != 0 {
            assert!(runtime.block_on(waiter).unwrap());
        }
    }
    while runtime
        .metrics()
        .loops()
        .iter()
        .any(|one| one.sources > 0 || one.live_tasks > 0)
    {
        runtime.block_on(runtime.spawn(async {})).unwrap();
    }
    drop(entered);
    drop((runtime, loops));
    before.assert_as_before();
}

/// A message costs no allocation: neither the event, the wake-up and the poll, nor the bytes, with a
/// buffer of one's own or with the loop's; nor an idle limit that each message puts off.
fn messages_allocate_nothing(full: bool) {
    let rounds = if full { 100_000 } else { 2000 };
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let servers: [fn(TcpStream) -> task::JoinHandle<()>; 2] = [
            |stream| oneloop::spawn(echo_with_own_buffer(stream)),
            |stream| oneloop::spawn(echo_with_leases(stream)),
        ];
        for serve in servers {
            let mut client = TcpStream::connect(address).await.unwrap();
            let server = serve(listener.accept().await.unwrap().0);
            // Lists have grown, and the pool has its block.
            exchange(&mut client, 100).await;
            let before = ALLOCATIONS.load(Ordering::SeqCst);
            exchange(&mut client, rounds).await;
            let made = ALLOCATIONS.load(Ordering::SeqCst) - before;
            assert_eq!(made, 0, "allocations in {rounds} messages");
            drop(client);
            server.await.unwrap();
        }
    });
}

async fn exchange(client: &mut TcpStream, rounds: u64) {
    for round in 0..rounds {
        let mut answer = [0; 64];
        client.write_all(&[round as u8; 64]).await.unwrap();
        client.read_exact(&mut answer).await.unwrap();
        assert_eq!(answer, [round as u8; 64]);
    }
}

async fn echo_with_own_buffer(mut stream: TcpStream) {
    let limit = Deadline::new(Duration::from_secs(60));
    let mut expired = std::pin::pin!(limit.expired());
    let mut buffer = [0; 2048];
    loop {
        let read =
            futures_lite::future::or(async { Some(stream.read(&mut buffer).await) }, async {
                expired.as_mut().await;
                None
            });
        let count = read.await.expect("the limit is put off").unwrap();
        if count == 0 {
            return;
        }
        limit.touch();
        stream.write_all(&buffer[..count]).await.unwrap();
    }
}

async fn echo_with_leases(mut stream: TcpStream) {
    loop {
        let lease = stream.read_lease().await.unwrap();
        if lease.is_empty() {
            return;
        }
        stream.write_all_lease(lease).await.unwrap();
    }
}

/// A loop that has seen many tasks and waiting joiners at once keeps the memory of a few, though older
/// tasks live on; so does a set of tasks.
fn bursts_give_memory_back(full: bool) {
    let count = if full { 1_000_000 } else { 200_000 };
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let old: Vec<_> = (0..100)
            .map(|_| oneloop::spawn(std::future::pending::<()>()))
            .collect();
        let bursts: [(&str, Burst); 4] = [
            ("joined tasks", |count| oneloop::spawn(joined_burst(count))),
            ("local tasks", |count| task::spawn_local(local_burst(count))),
            ("background tasks", |count| {
                oneloop::spawn(background_burst(count))
            }),
            ("a set of tasks", |count| oneloop::spawn(set_burst(count))),
        ];
        for (name, burst) in bursts {
            let before = LIVE_BYTES.load(Ordering::SeqCst);
            let peak = burst(count).await.unwrap() - before;
            let kept = LIVE_BYTES.load(Ordering::SeqCst) - before;
            println!("  {name}: {count} took {peak} bytes, {kept} are kept");
            assert!(peak > 100 * count as i64, "the burst was none");
            assert!(kept <= KEPT_BYTES_MAX, "{kept} bytes are kept");
        }
        old.iter().for_each(task::JoinHandle::abort);
    });
}

/// Makes a burst of so many tasks, and tells the bytes that were live at its height.
type Burst = fn(usize) -> task::JoinHandle<i64>;

/// What a loop may keep of a burst: a few tables and queues of 16,384 places.
const KEPT_BYTES_MAX: i64 = 1024 * 1024;

/// Tasks that all wait at once, and their joiner for each of them; the bytes that were live then.
async fn joined_burst(count: usize) -> i64 {
    let spawn = |_| oneloop::spawn(task::yield_now());
    let mut joins: Vec<_> = (0..count).map(spawn).collect();
    let waits = std::future::poll_fn(|cx| {
        for join in &mut joins {
            assert!(Pin::new(join).poll(cx).is_pending());
        }
        Poll::Ready(())
    });
    task::unconstrained(waits).await;
    let peak = LIVE_BYTES.load(Ordering::SeqCst);
    for join in joins {
        join.await.unwrap();
    }
    peak
}

async fn local_burst(count: usize) -> i64 {
    let joins: Vec<_> = (0..count).map(|_| task::spawn_local(async {})).collect();
    let peak = LIVE_BYTES.load(Ordering::SeqCst);
    for join in joins {
        join.await.unwrap();
    }
    peak
}

async fn background_burst(count: usize) -> i64 {
    let background = || task::Builder::new().class(task::Class::Background);
    let joins: Vec<_> = (0..count).map(|_| background().spawn(async {})).collect();
    let peak = LIVE_BYTES.load(Ordering::SeqCst);
    for join in joins {
        join.await.unwrap();
    }
    peak
}

/// A set that outlives its burst. It looks after its tasks by itself.
async fn set_burst(count: usize) -> i64 {
    let mut set = task::JoinSet::new();
    for _ in 0..count {
        set.spawn(task::yield_now());
    }
    let peak = LIVE_BYTES.load(Ordering::SeqCst);
    while let Some(joined) = set.join_next().await {
        joined.unwrap();
    }
    let with_set = LIVE_BYTES.load(Ordering::SeqCst);
    drop(set);
    let kept = with_set - LIVE_BYTES.load(Ordering::SeqCst);
    assert!(kept <= KEPT_BYTES_MAX, "the set keeps {kept} bytes");
    peak
}
