//! The runtimes under one trait, each used as its own documentation does.

use std::io;
use std::thread;
use std::time::Duration;

use crate::process::Apart;

/// What the workloads need of a runtime.
pub trait Runtime: Sync + Sized + 'static {
    /// The name in tables.
    const NAME: &'static str;
    /// Whether tasks run on other threads than the one inside `block_on`.
    const HAS_WORKERS: bool;

    /// Starts the runtime.
    ///
    /// # Errors
    ///
    /// The system refuses threads or descriptors.
    fn start() -> io::Result<Self>;

    /// Runs a future on this thread.
    fn block_on<F: Future>(&self, future: F) -> F::Output;

    /// Spawns a task at once; the result waits for it. Inside `block_on` only.
    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static;

    /// Spawns a task that nobody joins. Inside `block_on` only.
    fn spawn_detached(future: impl Future<Output = ()> + Send + 'static);

    /// Lets the other tasks run.
    fn yield_now() -> impl Future<Output = ()> + Send;

    /// Waits.
    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send;

    /// Runs one future on this thread and one on another thread: on a worker of the runtime, or
    /// on a second runtime if it has none. Ends with both. For a runtime that was started
    /// [`apart`](crate::process::apart), on two cores.
    fn run_pair<T, N, F>(&self, apart: &Apart, near: N, far: F) -> T
    where
        N: Future<Output = T>,
        F: Future<Output = ()> + Send + 'static,
    {
        if Self::HAS_WORKERS {
            return self.block_on(async {
                let far = Self::spawn(far);
                let result = near.await;
                far.await;
                result
            });
        }
        thread::scope(|scope| {
            scope.spawn(move || {
                apart.go_far().expect(PINS);
                Self::start().expect(STARTS).block_on(far);
            });
            self.block_on(near)
        })
    }
}

/// oneloop with one loop, driven inside `block_on`.
#[derive(Debug)]
pub struct Oneloop(oneloop::runtime::Runtime);

impl Runtime for Oneloop {
    const NAME: &'static str = "oneloop current_thread";
    const HAS_WORKERS: bool = false;

    fn start() -> io::Result<Self> {
        oneloop::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map(Self)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = oneloop::spawn(future);
        async move { task.await.expect(ENDS_WELL) }
    }

    fn spawn_detached(future: impl Future<Output = ()> + Send + 'static) {
        drop(oneloop::spawn(future));
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        oneloop::task::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        oneloop::time::sleep(duration)
    }
}

/// oneloop with two loops on threads of their own.
#[derive(Debug)]
pub struct OneloopMulti(oneloop::runtime::Runtime);

impl Runtime for OneloopMulti {
    const NAME: &'static str = "oneloop multi_thread";
    const HAS_WORKERS: bool = true;

    fn start() -> io::Result<Self> {
        oneloop::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .enable_all()
            .build()
            .map(Self)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        Oneloop::spawn(future)
    }

    fn spawn_detached(future: impl Future<Output = ()> + Send + 'static) {
        Oneloop::spawn_detached(future);
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        Oneloop::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        Oneloop::sleep(duration)
    }
}

/// tokio on one thread.
#[derive(Debug)]
pub struct TokioCurrent(tokio::runtime::Runtime);

impl Runtime for TokioCurrent {
    const NAME: &'static str = "tokio current_thread";
    const HAS_WORKERS: bool = false;

    fn start() -> io::Result<Self> {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map(Self)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = tokio::spawn(future);
        async move { task.await.expect(ENDS_WELL) }
    }

    fn spawn_detached(future: impl Future<Output = ()> + Send + 'static) {
        drop(tokio::spawn(future));
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        tokio::task::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        tokio::time::sleep(duration)
    }
}

/// tokio with two workers that steal.
#[derive(Debug)]
pub struct TokioMulti(tokio::runtime::Runtime);

impl Runtime for TokioMulti {
    const NAME: &'static str = "tokio multi_thread";
    const HAS_WORKERS: bool = true;

    fn start() -> io::Result<Self> {
        tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .enable_all()
            .build()
            .map(Self)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.0.block_on(future)
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        TokioCurrent::spawn(future)
    }

    fn spawn_detached(future: impl Future<Output = ()> + Send + 'static) {
        TokioCurrent::spawn_detached(future);
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        TokioCurrent::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        TokioCurrent::sleep(duration)
    }
}

/// smol's executor on the thread that is inside `block_on`.
#[derive(Debug)]
pub struct Smol;

/// smol's example of an executor for the whole program.
static EXECUTOR: smol::Executor<'static> = smol::Executor::new();

impl Runtime for Smol {
    const NAME: &'static str = "smol";
    const HAS_WORKERS: bool = false;

    fn start() -> io::Result<Self> {
        Ok(Self)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        smol::block_on(EXECUTOR.run(future))
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        EXECUTOR.spawn(future)
    }

    fn spawn_detached(future: impl Future<Output = ()> + Send + 'static) {
        EXECUTOR.spawn(future).detach();
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        smol::future::yield_now()
    }

    async fn sleep(duration: Duration) {
        smol::Timer::after(duration).await;
    }
}

/// smol's own executor, on a background thread.
#[derive(Debug)]
pub struct SmolGlobal;

impl Runtime for SmolGlobal {
    const NAME: &'static str = "smol global";
    const HAS_WORKERS: bool = true;

    /// Its thread starts with the first task, on the cores of the thread that spawns it.
    fn start() -> io::Result<Self> {
        smol::block_on(smol::spawn(async {}));
        Ok(Self)
    }

    fn block_on<F: Future>(&self, future: F) -> F::Output {
        smol::block_on(future)
    }

    fn spawn<F>(future: F) -> impl Future<Output = F::Output> + Send + 'static
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        smol::spawn(future)
    }

    fn spawn_detached(future: impl Future<Output = ()> + Send + 'static) {
        smol::spawn(future).detach();
    }

    fn yield_now() -> impl Future<Output = ()> + Send {
        smol::future::yield_now()
    }

    fn sleep(duration: Duration) -> impl Future<Output = ()> + Send {
        Smol::sleep(duration)
    }
}

/// Loops or workers of the multi-thread runtimes.
const WORKERS: usize = 2;
const PINS: &str = "the thread may go to the second core";
const STARTS: &str = "the runtime starts";
const ENDS_WELL: &str = "the task ends without a panic";
