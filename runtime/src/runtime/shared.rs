//! What the handles of a runtime share.

use std::any::Any;
use std::fmt;
use std::time::{Duration, Instant};

use super::context;
use super::handle::RuntimeFlavor;
use super::placement::Placement;
use super::shutdown::Alive;
use crate::blocking::Pool;
use crate::buf::Limits;
use crate::contain::contained;
use crate::primitive::atomic::{AtomicBool, Ordering};
use crate::primitive::sync::{Arc, Mutex, StdArc};
use crate::primitive::thread::{self, ThreadId};
use crate::sys;
use crate::time::Clock;
use crate::worker::{Local, Remote};

/// A runtime, as its handles, workers and tasks see it.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) config: Config,
    pub(crate) flavor: RuntimeFlavor,
    /// The loops that run tasks, in the order of their numbers.
    pub(crate) loops: Vec<Arc<Remote>>,
    pub(crate) blocking: Pool,
    pub(crate) clock: Arc<Clock>,
    pub(crate) started: Instant,
    /// The thread of a [`LocalRuntime`](super::LocalRuntime).
    pub(crate) local_thread: Option<ThreadId>,
    /// Where the threads are that drive the loops.
    process_id: u32,
    is_closing: AtomicBool,
    pub(super) alive: Alive,
    /// Main loops that are not in use. None once the runtime has shut down.
    pub(super) spare_loops: Mutex<Option<Vec<Local>>>,
}

impl Shared {
    /// A runtime that begins.
    pub(super) fn new(config: Config, flavor: RuntimeFlavor, parts: Parts) -> Self {
        Self {
            config,
            flavor,
            loops: parts.loops,
            blocking: parts.blocking,
            clock: parts.clock,
            started: Instant::now(),
            local_thread: parts.local_thread,
            process_id: sys::process_id(),
            is_closing: AtomicBool::new(false),
            alive: Alive::new(),
            spare_loops: Mutex::new(Some(Vec::new())),
        }
    }

    /// Whether the loops have been told to end.
    pub(crate) fn is_shut_down(&self) -> bool {
        // ORDERING: Acquire, pairs with `begin_shutdown`: who sees the end sees what led to it.
        self.is_closing.load(Ordering::Acquire)
    }

    /// Whether this is a copy of the runtime in a child of fork(2). Its loops have no threads here, and
    /// their pollers are the parent's: to wait there takes the parent's events, and to drop a source
    /// takes the parent's registration away.
    pub(super) fn was_forked(&self) -> bool {
        self.process_id != sys::process_id()
    }

    #[track_caller]
    pub(super) fn assert_not_forked(&self) {
        if self.was_forked() {
            refuse_forked();
        }
    }

    /// As `assert_not_forked`, on a thread that drives no loop of this runtime: on others it would be
    /// a system call for each spawn.
    #[track_caller]
    pub(crate) fn assert_not_forked_outside(&self) {
        let is_here = |local: &Local| std::ptr::eq(&raw const **local.shared(), self);
        if context::with_local(|local| !local.is_some_and(is_here)) {
            self.assert_not_forked();
        }
    }

    /// Whether this is a [`LocalRuntime`](super::LocalRuntime) that belongs to this thread.
    pub(crate) fn is_local_here(&self) -> bool {
        self.local_thread
            .is_some_and(|thread| thread == thread::current_id())
    }

    /// The loops are about to be told to end.
    pub(super) fn begin_shutdown(&self) {
        // ORDERING: Release, pairs with `is_shut_down`.
        self.is_closing.store(true, Ordering::Release);
    }
}

/// What a child of fork(2) is told.
#[cold]
#[track_caller]
pub(crate) fn refuse_forked() -> ! {
    panic!(
        "this runtime was made before a fork(2), and its loops stayed in the parent; make another \
         one in the child, or fork before making one"
    )
}

/// What the builder has made for a runtime.
pub(super) struct Parts {
    pub(super) loops: Vec<Arc<Remote>>,
    pub(super) blocking: Pool,
    pub(super) clock: Arc<Clock>,
    pub(super) local_thread: Option<ThreadId>,
}

/// The builder's options, as the loops read them.
pub(crate) struct Config {
    pub(crate) thread_name: StdArc<dyn Fn() -> String + Send + Sync>,
    pub(crate) stack_size: Option<usize>,
    pub(crate) hooks: Hooks,
    pub(crate) tasks_per_turn: u32,
    pub(crate) busy_poll: Option<Duration>,
    pub(crate) stay_awake: Option<Duration>,
    pub(crate) affinity: Option<Vec<usize>>,
    pub(crate) placement: Placement,
    pub(crate) sources_end_with_runtime: bool,
    pub(crate) buffers: Limits,
    pub(crate) user_data: Option<StdArc<dyn Any + Send + Sync>>,
}

impl Config {
    /// The name for another thread. Runs the application's function: no lock may be held. What the
    /// system cannot take in a name (NUL) is left out.
    pub(crate) fn next_thread_name(&self) -> String {
        let mut name = (self.thread_name)();
        name.retain(|letter| letter != '\0');
        name
    }
}

impl fmt::Debug for Config {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Config")
            .field("stack_size", &self.stack_size)
            .field("tasks_per_turn", &self.tasks_per_turn)
            .field("busy_poll", &self.busy_poll)
            .field("stay_awake", &self.stay_awake)
            .field("affinity", &self.affinity)
            .field("placement", &self.placement)
            .field("buffers", &self.buffers)
            .finish_non_exhaustive()
    }
}

pub(super) type Hook = StdArc<dyn Fn() + Send + Sync>;

/// What the application runs at turns in a thread's life. A panic in a hook has been reported by
/// the panic hook, and goes no further.
#[derive(Default, Clone)]
pub(crate) struct Hooks {
    pub(super) start: Option<Hook>,
    pub(super) stop: Option<Hook>,
    pub(super) park: Option<Hook>,
    pub(super) unpark: Option<Hook>,
}

impl Hooks {
    pub(crate) fn start(&self) {
        call(self.start.as_ref());
    }

    pub(crate) fn stop(&self) {
        call(self.stop.as_ref());
    }

    pub(crate) fn park(&self) {
        call(self.park.as_ref());
    }

    pub(crate) fn unpark(&self) {
        call(self.unpark.as_ref());
    }
}

fn call(hook: Option<&Hook>) {
    if let Some(hook) = hook {
        contained(|| hook());
    }
}
