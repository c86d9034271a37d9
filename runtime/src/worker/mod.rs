//! One loop on one thread.
//!
//! Place: made by the builder (one for each worker) and by `block_on` (the main loop); runs on its
//! own thread.
//!
//! ```text
//! turn:  inbox  ->  ready tasks  ->  readiness events  ->  due timers  ->  again, or sleep
//!   (a snapshot)    (61 or 200 us)   (one system call)
//! ```
//!
//! Between tasks and events, who asked for the end of the turn is woken: gathered output goes out.
//!
//! # Invariants
//! I1. Futures are polled and dropped here alone. I2. All of [`Local`] is plain memory of this
//! thread; what others may touch is in [`Remote`]. I3. The sleep is announced before the last look
//! at the inbox; see `inbox` and `doorbell`. I5. No borrow of loop state is held while a task
//! runs, or a waker is woken or dropped (`live` tells of one that may be).
//!
//! # Why it is so
//! The inbox first, so that a task that another thread wakes runs in the turn that begins with the
//! ring, without a look at the descriptors in between; the system call last, because it is also
//! the sleep. A loop with nothing registered skips it while it has work.

pub mod doorbell;
pub mod inbox;
mod joiners;
mod live;
mod queue;
mod remote;
mod rest;
mod stay_awake;
mod table;

use std::cell::{Cell, RefCell};
use std::io;
use std::task::Waker;
use std::time::{Duration, Instant};

pub(crate) use joiners::JoinKey;
pub(crate) use live::{LiveKey, LiveTasks, NOT_ENTERED, NOT_HERE};
pub use remote::LoopId;
pub(crate) use remote::{HomeLoop, Remote};
pub(crate) use table::Table;

use crate::buf::Pool;
use crate::contain::wake_contained;
use crate::metrics::Counts;
use crate::primitive::{self, sync::Arc};
use crate::reactor::{self, Reactor};
use crate::runtime::{Handle, Shared, WorkerExit};
use crate::task::Runnable;
use crate::time::{self, Timers};
use joiners::Joiners;
use queue::RunQueue;
use stay_awake::StayAwake;

/// What other threads send to a loop.
#[derive(Debug)]
pub(crate) enum Message {
    /// A task that was woken, or one that is new here.
    Run(Runnable),
    /// The future of `block_on` was woken.
    WakeRoot,
    /// A change of a source's registration.
    Source(reactor::Message),
    /// A change of a timer.
    Timer(time::Message),
    /// Buffers came home while somebody waits for them.
    Buffers,
    /// The runtime shuts down.
    Stop,
}

/// What belongs to the loop's own thread.
#[derive(Debug)]
pub(crate) struct Local {
    remote: Arc<Remote>,
    shared: Arc<Shared>,
    role: Role,
    is_only_loop: bool,
    pub(crate) reactor: Reactor,
    pub(crate) timers: Timers,
    pub(crate) pool: Pool,
    pub(crate) counts: Counts,
    pub(crate) joiners: Joiners,
    queue: RunQueue,
    live: LiveTasks,
    stay_awake: StayAwake,
    /// Tasks that gave way: woken after the next look at the descriptors.
    deferred: RefCell<Vec<Waker>>,
    /// Woken after the tasks of the turn, before the look at the descriptors.
    at_turn_end: RefCell<Vec<Waker>>,
    awake_since: Cell<Instant>,
    /// When the sleep before this turn ended, if one was: the turn's first look at the clock.
    woke_at: Cell<Option<Instant>>,
    root_woken: Cell<bool>,
    /// Root futures that are driven on this loop, one inside the other.
    roots: Cell<u32>,
    stopping: Cell<bool>,
    ending: Cell<Ending>,
}

/// What a loop is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Role {
    /// Runs tasks on a thread of its own, to the end.
    Worker,
    /// The one of a current-thread runtime: runs tasks while a `block_on` drives it.
    Core,
    /// Runs the root future of one `block_on` and its local tasks.
    Main,
}

/// Which tasks are being ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Ending {
    None,
    LocalTasks,
    All,
}

impl Local {
    pub(crate) fn new(remote: Arc<Remote>, shared: Arc<Shared>, role: Role) -> Self {
        let timers = Timers::new(Arc::clone(&shared.clock));
        let pool = Pool::new(Arc::clone(&remote), shared.config.buffers);
        Self {
            is_only_loop: role != Role::Main && shared.loops.len() == 1,
            remote,
            shared,
            role,
            reactor: Reactor::new(),
            timers,
            pool,
            counts: Counts::default(),
            joiners: Joiners::default(),
            queue: RunQueue::default(),
            live: LiveTasks::default(),
            stay_awake: StayAwake::default(),
            deferred: RefCell::new(Vec::new()),
            at_turn_end: RefCell::new(Vec::new()),
            awake_since: Cell::new(Instant::now()),
            woke_at: Cell::new(None),
            root_woken: Cell::new(false),
            roots: Cell::new(0),
            stopping: Cell::new(false),
            ending: Cell::new(Ending::None),
        }
    }

    pub(crate) fn id(&self) -> LoopId {
        self.remote.id()
    }

    pub(crate) fn remote(&self) -> &Arc<Remote> {
        &self.remote
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    pub(crate) fn is_main(&self) -> bool {
        self.role == Role::Main
    }

    /// Whether all tasks of its runtime that may leave their thread live here.
    #[inline]
    pub(crate) fn is_only_loop(&self) -> bool {
        self.is_only_loop
    }

    #[inline]
    pub(crate) fn is(&self, remote: &Arc<Remote>) -> bool {
        Arc::ptr_eq(&self.remote, remote)
    }

    /// Whether this is the home of a task that has not ended.
    #[inline]
    pub(crate) fn is_home(&self, home: HomeLoop) -> bool {
        home.is(&self.remote)
    }

    // ---- the turn ----

    /// Runs turns until the runtime shuts down: the life of a worker. A task that comes after the
    /// message to stop is not polled any more.
    pub(crate) fn run(&self) {
        loop {
            self.begin_turn();
            if self.stopping.get() {
                return;
            }
            self.run_tasks();
            self.rest();
        }
    }

    /// One turn. Sleeps at its end if there is nothing to do.
    pub(crate) fn turn(&self) {
        self.work();
        self.rest();
    }

    /// The first half of a turn: messages and tasks.
    fn work(&self) {
        self.begin_turn();
        self.run_tasks();
    }

    fn begin_turn(&self) {
        self.counts.turns.add(1);
        self.take_inbox();
        self.pool.collect();
    }

    /// Wakes those whose time has come. Tells whether there were any.
    fn fire_timers(&self) -> bool {
        let have_fired = self.timers.fire_due() > 0;
        if have_fired {
            self.remote.published.publish_timers(&self.timers.stats());
        }
        have_fired
    }

    fn has_work(&self) -> bool {
        !self.queue.is_empty()
            || self.root_woken.get()
            || (self.stopping.get() && self.roots.get() == 0)
            || !self.deferred.borrow().is_empty()
            || !self.at_turn_end.borrow().is_empty()
    }

    /// Polls ready tasks, up to the turn's budget of tasks and time.
    fn run_tasks(&self) {
        let Some(mut runnable) = self.queue.pop() else {
            return;
        };
        let started = self.woke_at.get().unwrap_or_else(|| {
            let now = Instant::now();
            self.publish_turn(now);
            now
        });
        let mut polled = 0;
        loop {
            runnable.run();
            polled += 1;
            if polled == self.shared.config.tasks_per_turn
                || (polled % TASKS_PER_CLOCK == 0 && slice_is_over(started))
            {
                break;
            }
            match self.queue.pop() {
                Some(next) => runnable = next,
                None => break,
            }
        }
        self.counts.polls.add(u64::from(polled));
    }

    /// Takes what other threads have sent up to now.
    fn take_inbox(&self) {
        for message in self.remote.inbox.drain() {
            self.counts.messages.add(1);
            self.receive(message);
        }
    }

    fn receive(&self, message: Message) {
        match message {
            Message::Run(runnable) if runnable.metadata().is_new() => self.adopt(runnable),
            Message::Run(runnable) => self.queue.push(runnable),
            Message::WakeRoot => self.wake_root(),
            Message::Source(message) => self.reactor.receive(self, message),
            Message::Timer(message) => self.timers.on_message(message),
            Message::Buffers => self.pool.look_home(),
            Message::Stop => self.stopping.set(true),
        }
    }

    /// Wakes those who have given way.
    pub(crate) fn wake_deferred(&self) {
        if self.deferred.borrow().is_empty() {
            return;
        }
        let wakers = self.deferred.take();
        for waker in wakers {
            wake_contained(waker);
        }
    }

    /// Tells the others since when this turn lasts, and what was before it.
    fn publish_turn(&self, began: Instant) {
        self.count_busy(began);
        let since_start = began.saturating_duration_since(self.shared.started);
        let published = &self.remote.published;
        published.publish_busy(&self.counts);
        published.set_turn_began(Some(since_start));
    }

    /// Wakes those who wait for the end of the turn. What they ask for meanwhile comes at the end
    /// of the next, which is at once: it counts as work.
    pub(crate) fn wake_at_turn_end(&self) {
        if self.at_turn_end.borrow().is_empty() {
            return;
        }
        let wakers = self.at_turn_end.take();
        for waker in wakers {
            wake_contained(waker);
        }
    }

    /// Adds the time since the last sleep, or the last call.
    fn count_busy(&self, now: Instant) {
        let busy = now.saturating_duration_since(self.awake_since.replace(now));
        self.counts
            .busy_ns
            .add(u64::try_from(busy.as_nanos()).unwrap_or(u64::MAX));
    }

    /// What is told of a loop that nobody drives from now on.
    fn end_last_turn(&self) {
        self.count_busy(Instant::now());
        self.remote.published.set_turn_began(None);
        self.publish();
    }

    fn publish(&self) {
        if self.timers.take_fired_apart() {
            self.remote.published.publish_timers(&self.timers.stats());
        }
        self.remote
            .published
            .publish(&self.counts, self.reactor.len(), self.timers.len());
        self.remote.published.publish_buffers(self.pool.gauges());
    }

    // ---- what tasks and wake-ups ask for ----

    /// A task that was woken on this thread.
    #[inline]
    pub(crate) fn push(&self, runnable: Runnable) {
        self.counts.local_wakes.add(1);
        self.queue.push(runnable);
    }

    /// A new task of this loop: makes it ready. While the loop ends, such a task is ended at once
    /// instead.
    #[inline]
    pub(crate) fn adopt(&self, runnable: Runnable) {
        let meta = runnable.metadata();
        if self.is_ending(meta.is_local()) {
            meta.control().request_abort();
            runnable.run();
            return;
        }
        meta.set_live_key(NOT_ENTERED);
        self.live.arrive(meta.is_local());
        self.remote.published.set_live_tasks(self.live.len());
        self.queue.push(runnable);
    }

    /// A task of this loop that goes on after its first poll.
    pub(crate) fn keep(&self, waker: &Waker, is_local: bool) -> LiveKey {
        self.live.enter(waker.clone(), is_local)
    }

    /// A task of this loop whose future has been dropped.
    #[inline]
    pub(crate) fn release(&self, key: LiveKey, is_local: bool) {
        self.live.leave(key, is_local);
        self.remote.published.set_live_tasks(self.live.len());
    }

    /// Wakes the task of this loop that is in the table under this key, if there is one.
    #[inline]
    pub(crate) fn wake_task(&self, key: LiveKey, is_local: bool) {
        self.live.wake(key, is_local);
    }

    pub(crate) fn defer(&self, waker: &Waker) {
        let waker = waker.clone();
        self.deferred.borrow_mut().push(waker);
    }

    pub(crate) fn defer_to_turn_end(&self, waker: &Waker) {
        let waker = waker.clone();
        self.at_turn_end.borrow_mut().push(waker);
    }

    /// A root future is driven here until the result is dropped. It is polled at once.
    pub(crate) fn begin_root(&self) -> DrivenRoot<'_> {
        self.go_on();
        self.roots.set(self.roots.get() + 1);
        self.root_woken.set(true);
        DrivenRoot(self)
    }

    /// A loop that nobody has driven goes on: until now it was not busy.
    fn go_on(&self) {
        if self.stands_still() {
            let now = Instant::now();
            self.awake_since.set(now);
            self.publish_turn(now);
        }
    }

    /// Whether nobody drives it: it has no thread of its own, and no root.
    fn stands_still(&self) -> bool {
        self.role != Role::Worker && self.roots.get() == 0
    }

    /// Root futures that are driven here, each but the first inside a task of the one before.
    pub(crate) fn roots(&self) -> u32 {
        self.roots.get()
    }

    /// Without a root the wake-up is one of a `block_on` that is over.
    pub(crate) fn wake_root(&self) {
        self.root_woken.set(self.roots.get() > 0);
    }

    /// If it was woken it is polled now: the turn's tasks have their time after that.
    pub(crate) fn take_root_woken(&self) -> bool {
        let was_woken = self.root_woken.replace(false);
        if was_woken {
            self.woke_at.set(None);
        }
        was_woken
    }

    /// Whether tasks are being ended: the local ones, or all.
    #[inline]
    pub(crate) fn is_ending(&self, is_local: bool) -> bool {
        match self.ending.get() {
            Ending::None => false,
            Ending::LocalTasks => is_local,
            Ending::All => true,
        }
    }

    // ---- the end ----

    /// Ends the tasks that may not leave this thread, and waits until their futures are dropped.
    pub(crate) fn end_local_tasks(&self) {
        if self.live.local_count() == 0 {
            return;
        }
        let before = self.ending.replace(Ending::LocalTasks);
        self.live.wake_all(true);
        self.turn_until(|| self.live.local_count() == 0);
        self.ending.set(before);
    }

    /// Leaves a main loop that nobody drives from now on: who waits here is woken, and registers
    /// elsewhere. Local tasks that a waker spawns meanwhile are ended at once.
    pub(crate) fn put_aside(&self) {
        self.ending.set(Ending::LocalTasks);
        self.end_local_tasks();
        self.wake_at_turn_end();
        self.wake_deferred();
        self.timers.clear_on_exit();
        self.reactor.close(self);
        self.pool.put_aside();
        self.take_inbox();
        debug_assert!(self.live.len() == 0, "a main loop has local tasks only");
        debug_assert!(self.joiners.is_empty(), "who waits for a task outlived it");
    }

    /// The loop is driven again.
    pub(crate) fn take_up(&self) {
        self.ending.set(Ending::None);
    }

    /// Turns, and does not sleep once it is `done`.
    fn turn_until(&self, done: impl Fn() -> bool) {
        while !done() {
            self.work();
            if !done() {
                self.rest();
            }
        }
    }

    /// Ends all tasks, waits until their futures are dropped here, and refuses all that comes
    /// later. A waker in another thread's hand may be on its way to the inbox: its task still lives, so the
    /// loop waits for it.
    pub(crate) fn close(&self) {
        self.go_on();
        self.ending.set(Ending::All);
        self.live.wake_all(false);
        self.turn_until(|| self.live.len() == 0);
        // From here on no future of this loop exists, so nothing can be pushed but new tasks.
        self.remote.close();
        while !self.remote.inbox.is_empty() {
            self.take_inbox();
        }
        debug_assert!(self.joiners.is_empty(), "who waits for a task outlived it");
        self.wake_at_turn_end();
        self.wake_deferred();
        self.timers.clear_on_exit();
        self.reactor.close(self);
        self.pool.close();
        self.end_last_turn();
    }
}

impl Drop for Local {
    /// A loop that died without ending its tasks (by a panic of its own, in debug builds) stays
    /// allocated for them: they know it without a count of their own.
    #[expect(clippy::mem_forget, reason = "a count that is never given back")]
    fn drop(&mut self) {
        if self.live.len() > 0 {
            std::mem::forget(Arc::clone(&self.remote));
        }
    }
}

/// A root future that is driven on a loop.
#[derive(Debug)]
pub(crate) struct DrivenRoot<'a>(&'a Local);

impl Drop for DrivenRoot<'_> {
    fn drop(&mut self) {
        let outer = self.0.roots.get() - 1;
        self.0.roots.set(outer);
        // A wake-up of the one outside may have been taken for one of this.
        self.0.root_woken.set(outer > 0);
        // The turn in which it ended has no second half.
        if self.0.stands_still() {
            self.0.end_last_turn();
        } else {
            self.0.publish();
        }
    }
}

/// Starts the thread of a worker; it runs until [`Message::Stop`].
pub(crate) fn start(
    remote: Arc<Remote>,
    shared: Arc<Shared>,
    index: usize,
    name: String,
) -> io::Result<primitive::thread::JoinHandle<()>> {
    use crate::context::{Driving, EnterGuard, RunningLoop};
    let stack_size = shared.config.stack_size;
    primitive::thread::spawn_named(name, stack_size, move || {
        if let Some(cores) = &shared.config.affinity {
            // A core outside the mask leaves the thread where the system puts it: the runtime
            // works, and `affinity`'s documentation says so.
            let _ = crate::sys::cpus::pin_current_thread(cores[index % cores.len()]);
        }
        crate::sys::cpus::sleep_precisely();
        let _exit = WorkerExit::new(&shared);
        let _entered = EnterGuard::new(Handle::from_shared(Arc::clone(&shared)));
        shared.config.hooks.start();
        {
            let local = Local::new(remote, Arc::clone(&shared), Role::Worker);
            let _driving = Driving::begin();
            let _running = RunningLoop::enter(&local);
            local.run();
            local.close();
        }
        shared.config.hooks.stop();
    })
}

fn slice_is_over(started: Instant) -> bool {
    // In a model the same choice must be made in every run of an execution.
    !primitive::IS_MODEL && started.elapsed() >= TIME_SLICE
}

/// Polls between two looks at the clock. A look costs as much as a short poll.
const TASKS_PER_CLOCK: u32 = 16;
/// How long ready tasks may run before descriptors, timers and the inbox are served.
const TIME_SLICE: Duration = Duration::from_micros(200);
