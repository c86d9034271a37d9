//! How a runtime is made.

use std::fmt;
use std::io;
use std::time::Duration;

use super::context::Setup;
use super::{LocalOptions, LocalRuntime, Runtime};

/// Options of a runtime.
pub struct Builder {
    inner: oneloop::runtime::Builder,
    setup: Setup,
    worker_threads: Option<usize>,
    is_multi_thread: bool,
}

impl Builder {
    /// A runtime of one loop, which runs on the thread that is inside `block_on`.
    #[must_use]
    pub fn new_current_thread() -> Self {
        Self::new(oneloop::runtime::Builder::new_current_thread(), false)
    }

    /// A runtime of several loops, each on a thread of its own.
    #[cfg(feature = "rt-multi-thread")]
    #[must_use]
    pub fn new_multi_thread() -> Self {
        Self::new(oneloop::runtime::Builder::new_multi_thread(), true)
    }

    fn new(mut inner: oneloop::runtime::Builder, is_multi_thread: bool) -> Self {
        inner.thread_name(THREAD_NAME);
        Self {
            inner,
            setup: Setup::default(),
            worker_threads: None,
            is_multi_thread,
        }
    }

    /// Allows sockets and timers.
    pub fn enable_all(&mut self) -> &mut Self {
        self.setup.has_io = true;
        self.setup.has_time = true;
        self
    }

    /// Allows sockets, child processes and signals.
    pub fn enable_io(&mut self) -> &mut Self {
        self.setup.has_io = true;
        self
    }

    /// Allows timers.
    pub fn enable_time(&mut self) -> &mut Self {
        self.setup.has_time = true;
        self
    }

    /// Sets the number of loops of a multi-thread runtime. Default: the environment variable
    /// `TOKIO_WORKER_THREADS`, else what oneloop finds the process may use.
    ///
    /// # Panics
    ///
    /// If `val` is 0.
    #[track_caller]
    pub fn worker_threads(&mut self, val: usize) -> &mut Self {
        assert!(val > 0, "Worker threads cannot be set to 0");
        self.worker_threads = Some(val);
        self
    }

    /// Limits the threads of the blocking pool. Default: 512.
    ///
    /// # Panics
    ///
    /// If `val` is 0.
    #[track_caller]
    pub fn max_blocking_threads(&mut self, val: usize) -> &mut Self {
        assert!(val > 0, "Max blocking threads cannot be set to 0");
        self.inner.max_blocking_threads(val);
        self
    }

    /// Names the threads of the runtime. Default: `tokio-rt-worker`.
    pub fn thread_name(&mut self, val: impl Into<String>) -> &mut Self {
        self.inner.thread_name(val);
        self
    }

    /// Names each thread by calling `f`.
    pub fn thread_name_fn<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() -> String + Send + Sync + 'static,
    {
        self.inner.thread_name_fn(f);
        self
    }

    /// Names the runtime.
    ///
    /// # Panics
    ///
    /// If the name is blank.
    #[track_caller]
    pub fn name(&mut self, val: impl Into<String>) -> &mut Self {
        let name = val.into();
        assert!(!name.trim().is_empty(), "runtime name shouldn't be empty");
        self.setup.name = Some(name);
        self
    }

    /// Sets the stack size, in bytes, of the runtime's threads.
    pub fn thread_stack_size(&mut self, val: usize) -> &mut Self {
        self.inner.thread_stack_size(val);
        self
    }

    /// Calls `f` on each thread of the runtime when it starts.
    pub fn on_thread_start<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        self.inner.on_thread_start(f);
        self
    }

    /// Calls `f` on each thread of the runtime before it ends.
    pub fn on_thread_stop<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        self.inner.on_thread_stop(f);
        self
    }

    /// Calls `f` on a loop's thread before the loop sleeps.
    pub fn on_thread_park<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        self.inner.on_thread_park(f);
        self
    }

    /// Calls `f` on a loop's thread after a sleep.
    pub fn on_thread_unpark<F>(&mut self, f: F) -> &mut Self
    where
        F: Fn() + Send + Sync + 'static,
    {
        self.inner.on_thread_unpark(f);
        self
    }

    /// Sets how long an idle thread of the blocking pool stays. Default: 10 s.
    pub fn thread_keep_alive(&mut self, duration: Duration) -> &mut Self {
        self.inner.thread_keep_alive(duration);
        self
    }

    /// Accepted and without effect: there is no global queue. A loop looks at its inbox every
    /// turn.
    ///
    /// # Panics
    ///
    /// If `val` is 0.
    #[track_caller]
    pub fn global_queue_interval(&mut self, val: u32) -> &mut Self {
        assert!(val > 0, "global_queue_interval must be greater than 0");
        self
    }

    /// Sets how many tasks are polled before the loop looks at descriptors and timers. Default: 61.
    ///
    /// # Panics
    ///
    /// If `val` is 0.
    #[track_caller]
    pub fn event_interval(&mut self, val: u32) -> &mut Self {
        assert!(val > 0, "event_interval must be greater than 0");
        self.inner.event_interval(val);
        self
    }

    /// Without effect: a loop takes what the kernel has, in batches of 1024.
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_io_events_per_tick(&mut self, capacity: usize) -> &mut Self {
        assert!(capacity > 0, "max_io_events_per_tick must be non-zero");
        self
    }

    /// Without effect, as [`max_io_events_per_tick`](Self::max_io_events_per_tick).
    ///
    /// # Panics
    ///
    /// If it is zero.
    #[track_caller]
    pub fn max_io_events_per_busy_tick(&mut self, capacity: usize) -> &mut Self {
        assert!(capacity > 0, "max_io_events_per_busy_tick must be non-zero");
        self
    }

    /// Makes the runtime with its clock paused.
    #[cfg(feature = "test-util")]
    pub fn start_paused(&mut self, start_paused: bool) -> &mut Self {
        self.inner.start_paused(start_paused);
        self
    }

    /// Makes the runtime.
    ///
    /// # Errors
    ///
    /// The system refuses threads or descriptors.
    ///
    /// # Panics
    ///
    /// If `TOKIO_WORKER_THREADS` is needed and is no number above 0.
    pub fn build(&mut self) -> io::Result<Runtime> {
        if self.is_multi_thread
            && let Some(count) = self.worker_threads.or_else(workers_by_environment)
        {
            self.inner.worker_threads(count);
        }
        self.inner.user_data(self.setup.clone());
        self.inner.sources_end_with_runtime(true);
        self.inner.build().map(Runtime::from_inner)
    }

    /// Makes a current-thread runtime that stays on this thread.
    ///
    /// # Errors
    ///
    /// The system refuses descriptors.
    ///
    /// # Panics
    ///
    /// If this is a builder of a multi-thread runtime.
    #[track_caller]
    pub fn build_local(&mut self, options: LocalOptions) -> io::Result<LocalRuntime> {
        self.inner.user_data(self.setup.clone());
        self.inner.sources_end_with_runtime(true);
        self.inner
            .build_local(options)
            .map(LocalRuntime::from_inner)
    }
}

fn workers_by_environment() -> Option<usize> {
    let value = std::env::var(WORKERS_VARIABLE).ok()?;
    match value.parse() {
        Ok(0) => panic!("\"{WORKERS_VARIABLE}\" cannot be set to 0"),
        Ok(count) => Some(count),
        Err(error) => {
            panic!("\"{WORKERS_VARIABLE}\" must be usize, error: {error}, value: {value}")
        }
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("inner", &self.inner)
            .field("setup", &self.setup)
            .finish()
    }
}

const WORKERS_VARIABLE: &str = "TOKIO_WORKER_THREADS";
const THREAD_NAME: &str = "tokio-rt-worker";
