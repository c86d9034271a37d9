//! How a runtime is made.

use std::any::Any;
use std::fmt;
use std::io;
use std::time::Duration;

use super::block_on::{AfterRoot, Core};
use super::handle::RuntimeFlavor;
use super::shared::{Hook, Parts};
use super::shutdown::Workers;
use super::{Config, Handle, Hooks, Kind, LocalOptions, LocalRuntime, Placement, Runtime, Shared};
use crate::blocking::Pool;
use crate::buf::{BLOCK_BYTES_MIN, Limits};
use crate::primitive::IS_MODEL;
use crate::primitive::sync::{Arc, StdArc};
use crate::primitive::thread;
use crate::sys::cpus;
use crate::time::Clock;
use crate::worker::{self, Local, Remote, Role};

/// Options of a runtime.
///
/// # Examples
///
/// ```
/// use oneloop_runtime::runtime::Builder;
///
/// let runtime = Builder::new_multi_thread().worker_threads(2).thread_name("loop").build()?;
/// assert_eq!(runtime.block_on(async { 6 * 7 }), 42);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone)]
#[must_use = "a builder makes nothing until `build`"]
pub struct Builder {
    flavor: RuntimeFlavor,
    worker_threads: Option<usize>,
    thread_name: StdArc<dyn Fn() -> String + Send + Sync>,
    stack_size: Option<usize>,
    hooks: Hooks,
    event_interval: u32,
    busy_poll: Option<Duration>,
    stay_awake: Option<Duration>,
    affinity: Option<Vec<usize>>,
    placement: Placement,
    max_blocking_threads: usize,
    thread_keep_alive: Duration,
    start_paused: bool,
    sources_end_with_runtime: bool,
    buffers: Limits,
    user_data: Option<StdArc<dyn Any + Send + Sync>>,
}

impl Builder {
    /// A runtime of several loops, each on a thread of its own.
    pub fn new_multi_thread() -> Self {
        Self::new(RuntimeFlavor::MultiThread)
    }

    /// A runtime of one loop, which runs on the thread that is inside `block_on`.
    pub fn new_current_thread() -> Self {
        Self::new(RuntimeFlavor::CurrentThread)
    }

    fn new(flavor: RuntimeFlavor) -> Self {
        Self {
            flavor,
            worker_threads: None,
            thread_name: StdArc::new(|| "oneloop-worker".to_owned()),
            stack_size: None,
            hooks: Hooks::default(),
            event_interval: TASKS_PER_TURN,
            busy_poll: None,
            // A model has no clock that would end it.
            stay_awake: (!IS_MODEL).then_some(STAY_AWAKE),
            affinity: None,
            placement: Placement::default(),
            max_blocking_threads: BLOCKING_THREADS_MAX,
            thread_keep_alive: KEEP_ALIVE,
            start_paused: false,
            sources_end_with_runtime: false,
            buffers: Limits::default(),
            user_data: None,
        }
    }

    /// Turns everything on. Everything is always on: this is here because tokio has it.
    pub fn enable_all(&mut self) -> &mut Self {
        self
    }

    /// As [`enable_all`](Self::enable_all).
    pub fn enable_io(&mut self) -> &mut Self {
        self
    }

    /// As [`enable_all`](Self::enable_all).
    pub fn enable_time(&mut self) -> &mut Self {
        self
    }

    /// Sets the number of loops of a multi-thread runtime. Default: the environment variable
    /// `ONELOOP_WORKER_THREADS`, else the cores in the affinity mask, limited by the cgroup CPU
    /// quota. A current-thread runtime always has one.
    ///
    /// # Panics
    ///
    /// If `count` is 0.
    #[track_caller]
    pub fn worker_threads(&mut self, count: usize) -> &mut Self {
        assert!(
            count > 0,
            "Worker threads cannot be set to 0: a runtime needs a loop to run on"
        );
        self.worker_threads = Some(count);
        self
    }

    /// Names the threads of the workers and the blocking pool. Default: `oneloop-worker`. Linux
    /// shows the first 15 bytes.
    pub fn thread_name(&mut self, name: impl Into<String>) -> &mut Self {
        let name = name.into();
        self.thread_name_fn(move || name.clone())
    }

    /// Names each thread by calling `name`.
    pub fn thread_name_fn<F>(&mut self, name: F) -> &mut Self
    where
        F: Fn() -> String + Send + Sync + 'static,
    {
        self.thread_name = StdArc::new(name);
        self
    }

    /// Sets the stack size, in bytes, of the workers and the blocking pool. Default: std's, 2 MiB.
    pub fn thread_stack_size(&mut self, bytes: usize) -> &mut Self {
        self.stack_size = Some(bytes);
        self
    }

    /// Calls `hook` on each thread of the runtime when it starts, inside the runtime's context:
    /// [`Handle::current`] and [`spawn`](crate::task::spawn) work there.
    pub fn on_thread_start<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.hooks.start = Some(into_hook(hook));
        self
    }

    /// Calls `hook` on each thread of the runtime before it ends, inside the runtime's context.
    /// What it spawns is cancelled unless another loop takes it yet.
    pub fn on_thread_stop<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.hooks.stop = Some(into_hook(hook));
        self
    }

    /// Calls `hook` on a loop's thread before the loop sleeps. If it wakes a task of the loop, the
    /// loop does not sleep.
    pub fn on_thread_park<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.hooks.park = Some(into_hook(hook));
        self
    }

    /// Calls `hook` on a loop's thread after a sleep, or where the loop has found work in place of one.
    pub fn on_thread_unpark<F: Fn() + Send + Sync + 'static>(&mut self, hook: F) -> &mut Self {
        self.hooks.unpark = Some(into_hook(hook));
        self
    }

    /// Sets on which loop `spawn` places tasks. Default: [`Placement::Adaptive`].
    pub fn placement(&mut self, placement: Placement) -> &mut Self {
        self.placement = placement;
        self
    }

    /// Pins worker `i` to the core `cores[i % cores.len()]`. A core that the process may not use
    /// leaves its worker where the system puts it. Default: no pinning. Linux only.
    ///
    /// # Panics
    ///
    /// If `cores` is empty.
    #[track_caller]
    pub fn affinity(&mut self, cores: impl Into<Vec<usize>>) -> &mut Self {
        let cores = cores.into();
        assert!(
            !cores.is_empty(),
            "`affinity` needs at least one core to pin workers to"
        );
        self.affinity = Some(cores);
        self
    }

    /// Keeps each loop looking for work this long before it sleeps, at the cost of CPU time: a
    /// message that comes meanwhile need not wake a sleeping core. Default: off; zero is off. A loop
    /// that waits for a timer of a paused clock sleeps at once, which moves the clock.
    pub fn busy_poll(&mut self, limit: Duration) -> &mut Self {
        self.busy_poll = (!limit.is_zero()).then_some(limit);
        self
    }

    /// Sets how long a loop looks for more work before it sleeps, where that is likely to pay.
    /// Default: 50 microseconds; zero: it sleeps at once.
    ///
    /// It is while several sources are active: between two looks others on the loop's core run. And it
    /// is while messages of other threads (wake-ups, tasks, answers) end the loop's sleeps within twice
    /// this time: it spins for the first sixteenth of it, if that pays, and then lets others on its core
    /// run. A loop that gets a message every few microseconds so uses its whole core. Where they come
    /// after more than a quarter of the time, again and again, or other sources than they end the
    /// looks, or nothing comes, looks become rare: in the end one for 63 sleeps. If something else has had
    /// the core meanwhile there is none for 64 times as long. A loop whose events come one at a time
    /// sleeps at once. [`busy_poll`](Self::busy_poll), if set, takes the place of this.
    pub fn stay_awake(&mut self, limit: Duration) -> &mut Self {
        self.stay_awake = (!limit.is_zero()).then_some(limit);
        self
    }

    /// Sets how many tasks are polled before the loop looks at descriptors, timers and its inbox
    /// again. Default: 61. It also looks after 200 microseconds.
    ///
    /// # Panics
    ///
    /// If `tasks` is 0.
    #[track_caller]
    pub fn event_interval(&mut self, tasks: u32) -> &mut Self {
        assert!(
            tasks > 0,
            "event_interval must be greater than 0: a turn polls at least one task"
        );
        self.event_interval = tasks;
        self
    }

    /// Limits the threads of the blocking pool that take jobs. Default: 512. One that has been idle for
    /// too long and is in its hook [`on_thread_stop`](Self::on_thread_stop) is not among them any more.
    ///
    /// # Panics
    ///
    /// If `count` is 0.
    #[track_caller]
    pub fn max_blocking_threads(&mut self, count: usize) -> &mut Self {
        assert!(
            count > 0,
            "Max blocking threads cannot be set to 0: name lookups need one"
        );
        self.max_blocking_threads = count;
        self
    }

    /// Sets how long a thread of the blocking pool waits for work before it ends. Default: 10 s.
    pub fn thread_keep_alive(&mut self, duration: Duration) -> &mut Self {
        self.thread_keep_alive = duration;
        self
    }

    /// Caps the bytes of each loop's buffers ([`BufferPool`](crate::buf::BufferPool)), those that
    /// are lent out and those that are free together: at the cap, who wants one waits. Default: 256
    /// MiB for each loop.
    ///
    /// # Panics
    ///
    /// If `bytes` is below 2 KiB, the smallest buffer.
    #[track_caller]
    pub fn buffer_bytes_max(&mut self, bytes: usize) -> &mut Self {
        assert!(
            bytes >= BLOCK_BYTES_MIN,
            "buffer_bytes_max must be at least {BLOCK_BYTES_MIN} bytes: the smallest buffer"
        );
        self.buffers.bytes_max = bytes;
        self
    }

    /// Limits the bytes of free buffers that each loop keeps for the next use; what comes home
    /// beyond that is freed, so that a burst does not hold memory for ever. Default: 4 MiB for each
    /// loop.
    pub fn buffer_free_bytes_max(&mut self, bytes: usize) -> &mut Self {
        self.buffers.free_bytes_max = bytes;
        self
    }

    /// Whether each loop's buffers lie in arenas of 2 MiB that Linux is asked to back with huge
    /// pages (madvise(2), `MADV_HUGEPAGE`), which spares faults and entries of the translation cache
    /// where much buffer memory is in use. Default: false, the heap.
    ///
    /// An arena has buffers of one size, and is given back when the last of them is freed. So the
    /// memory in use may be above what [`buffer_bytes_max`](Self::buffer_bytes_max) and
    /// [`buffer_free_bytes_max`](Self::buffer_free_bytes_max) count, which is bytes of buffers: by
    /// less than 2 MiB for each of the ten sizes that are used, and by what a burst has left between
    /// buffers that are lent out for long.
    ///
    /// If the system refuses an arena, or has no huge pages, buffers come from the heap from then on:
    /// [`LoopMetrics::buffer_arena_refusals`](crate::runtime::LoopMetrics::buffer_arena_refusals)
    /// tells. `/sys/kernel/mm/transparent_hugepage/enabled` has to be `madvise` or `always` for the
    /// advice to have an effect.
    pub fn buffer_huge_pages(&mut self, are_wanted: bool) -> &mut Self {
        self.buffers.huge_pages = are_wanted;
        self
    }

    /// Makes the runtime with its clock paused: see [`time::pause`](crate::time::pause). Default:
    /// false. [`build`](Self::build) panics if the runtime is not a current-thread one.
    #[cfg(feature = "test-util")]
    pub fn start_paused(&mut self, start_paused: bool) -> &mut Self {
        self.start_paused = start_paused;
        self
    }

    /// Whether sockets and other sources fail once the runtime that was current when they were made
    /// has shut down, as tokio's do. Default: false: on the loop of another runtime they go on.
    pub fn sources_end_with_runtime(&mut self, value: bool) -> &mut Self {
        self.sources_end_with_runtime = value;
        self
    }

    /// Keeps a value with the runtime, for code above it that gets hold of a handle: see
    /// [`Handle::user_data`]. Default: none.
    pub fn user_data<T: Any + Send + Sync>(&mut self, data: T) -> &mut Self {
        self.user_data = Some(StdArc::new(data));
        self
    }

    /// Makes the runtime, and starts its workers.
    ///
    /// # Errors
    ///
    /// The system refuses threads, descriptors (four for each loop) or, on Linux, epoll_pwait2(2)
    /// (`Unsupported`); or `ONELOOP_WORKER_THREADS` is no number above 0 (`InvalidInput`). Nothing
    /// is left behind.
    pub fn build(&mut self) -> io::Result<Runtime> {
        match self.flavor {
            RuntimeFlavor::CurrentThread => {
                let (handle, core) = self.build_core(AfterRoot::EndLocalTasks)?;
                Ok(Runtime {
                    handle,
                    kind: Kind::CurrentThread(Box::new(core)),
                })
            }
            RuntimeFlavor::MultiThread => self.build_workers(),
        }
    }

    /// Makes a current-thread runtime that stays on this thread, for tasks that are not `Send`.
    ///
    /// # Errors
    ///
    /// The system refuses descriptors or, on Linux, epoll_pwait2(2) (`Unsupported`).
    ///
    /// # Panics
    ///
    /// If this is a builder of a multi-thread runtime.
    #[track_caller]
    pub fn build_local(&mut self, _options: LocalOptions) -> io::Result<LocalRuntime> {
        assert!(
            self.flavor == RuntimeFlavor::CurrentThread,
            "Only the current_thread runtime can be built as a local runtime: use \
             `Builder::new_current_thread`"
        );
        let (handle, core) = self.build_core(AfterRoot::KeepLocalTasks)?;
        Ok(LocalRuntime::from_parts(handle, core))
    }

    fn build_core(&self, after_root: AfterRoot) -> io::Result<(Handle, Core)> {
        let remote = Arc::new(Remote::new()?);
        let shared = Arc::new(self.shared(vec![Arc::clone(&remote)], after_root));
        let local = Local::new(remote, Arc::clone(&shared), Role::Core);
        Ok((Handle::from_shared(shared), Core::new(local, after_root)))
    }

    fn build_workers(&self) -> io::Result<Runtime> {
        let count = self.loop_count()?;
        let loops = (0..count)
            .map(|_| Remote::new().map(Arc::new))
            .collect::<Result<_, _>>()?;
        let shared = Arc::new(self.shared(loops, AfterRoot::EndLocalTasks));
        // The application's function may panic: before the first thread that leaves nothing behind.
        let names: Vec<String> = (0..count)
            .map(|_| shared.config.next_thread_name())
            .collect();
        let mut threads = Vec::with_capacity(count);
        for ((index, remote), name) in shared.loops.iter().enumerate().zip(names) {
            shared.alive.add();
            match worker::start(Arc::clone(remote), Arc::clone(&shared), index, name) {
                Ok(thread) => threads.push(thread),
                Err(error) => {
                    shared.alive.remove();
                    let mut workers = Workers::new(threads);
                    workers.stop(&shared);
                    workers.join(&shared, None);
                    return Err(error);
                }
            }
        }
        let kind = Kind::MultiThread(Workers::new(threads));
        Ok(Runtime {
            handle: Handle::from_shared(shared),
            kind,
        })
    }

    fn shared(&self, loops: Vec<Arc<Remote>>, after_root: AfterRoot) -> Shared {
        let config = Config {
            thread_name: StdArc::clone(&self.thread_name),
            stack_size: self.stack_size,
            hooks: self.hooks.clone(),
            tasks_per_turn: self.event_interval,
            busy_poll: self.busy_poll,
            stay_awake: self.stay_awake,
            affinity: self.affinity.clone(),
            placement: self.placement,
            sources_end_with_runtime: self.sources_end_with_runtime,
            buffers: self.buffers,
            user_data: self.user_data.clone(),
        };
        let can_pause = self.flavor == RuntimeFlavor::CurrentThread;
        let parts = Parts {
            loops,
            blocking: Pool::new(self.max_blocking_threads, self.thread_keep_alive),
            clock: Arc::new(Clock::new(can_pause, self.start_paused)),
            local_thread: (after_root == AfterRoot::KeepLocalTasks).then(thread::current_id),
        };
        Shared::new(config, self.flavor, parts)
    }

    fn loop_count(&self) -> io::Result<usize> {
        if let Some(count) = self.worker_threads {
            return Ok(count);
        }
        let Some(value) = std::env::var_os(LOOPS_VARIABLE) else {
            return Ok(cpus::available());
        };
        let count = value
            .to_str()
            .and_then(|value| value.trim().parse::<usize>().ok());
        count.filter(|&count| count > 0).ok_or_else(|| {
            let text = format!("{LOOPS_VARIABLE} is {value:?}, which is no number above 0");
            io::Error::new(io::ErrorKind::InvalidInput, text)
        })
    }
}

fn into_hook(hook: impl Fn() + Send + Sync + 'static) -> Hook {
    StdArc::new(hook)
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("flavor", &self.flavor)
            .field("worker_threads", &self.worker_threads)
            .field("placement", &self.placement)
            .field("busy_poll", &self.busy_poll)
            .field("stay_awake", &self.stay_awake)
            .field("buffers", &self.buffers)
            .finish_non_exhaustive()
    }
}

/// Tasks polled in one turn, unless the time slice ends before.
const TASKS_PER_TURN: u32 = 61;
const BLOCKING_THREADS_MAX: usize = 512;
/// About what a sleep and a wake-up cost.
const STAY_AWAKE: Duration = Duration::from_micros(50);
const KEEP_ALIVE: Duration = Duration::from_secs(10);
const LOOPS_VARIABLE: &str = "ONELOOP_WORKER_THREADS";
