//! A set of tasks that run inside one future, on one thread.
//!
//! Place: polled by whoever awaits the set or `run_until`; woken from any thread through the set's
//! inbox, which is that of a loop: its doorbell is the waker of who polls the set.
//!
//! ```text
//!   spawn_local -> table of live tasks, inbox --+
//!   a wake-up, any thread ------------> inbox --+--> poll of the set: drains, polls, sleeps
//!                                         |              ^
//!                                         +-- Ring ------+  the waker of who polled last
//! ```
//!
//! # Invariants
//! I1. A set is not `Send`, so its tasks are polled and dropped on the thread that made it. I3. The
//! set announces its sleep before it looks at the inbox for the last time; see `inbox`.
//! I5. The table is not borrowed, and the waker's lock not held, while tasks or wakers run.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

use pin_project_lite::pin_project;

use super::{FUTURE_BYTES_MAX, Home, JoinHandle, Options, Runnable, create};
use crate::contain::wake_contained;
use crate::primitive::sync::{Arc, Mutex, order_of_wakers};
use crate::primitive::{self, thread_local};
use crate::runtime::Runtime;
use crate::worker::inbox::{Duty, Inbox};
use crate::worker::{LiveKey, LiveTasks};

/// Tasks that need not be `Send`, on one thread, inside any future of that thread.
///
/// [`spawn_local`](super::spawn_local) needs no set on a loop of oneloop; a set is for ending a
/// group of local tasks by dropping it, for running them inside an executor that is not ours, and
/// for code written for tokio. Its tasks run while it is awaited or inside
/// [`run_until`](Self::run_until). Awaited, it is done when its tasks are.
///
/// Dropping it drops its tasks, on this thread.
///
/// # Examples
///
/// ```
/// use std::rc::Rc;
/// use oneloop_runtime::{runtime::Runtime, task::{self, LocalSet}};
///
/// let runtime = Runtime::new()?;
/// let set = LocalSet::new();
/// let count = set.block_on(&runtime, async {
///     let shared = Rc::new(1);
///     let also = Rc::clone(&shared);
///     task::spawn_local(async move { *also }).await
/// });
/// assert_eq!(count?, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct LocalSet {
    tasks: Rc<Tasks>,
}

/// What the set's thread touches.
#[derive(Debug)]
pub(crate) struct Tasks {
    remote: Arc<SetRemote>,
    live: LiveTasks,
    is_ending: Cell<bool>,
}

/// What any thread may touch of a set.
#[derive(Debug)]
pub(crate) struct SetRemote {
    inbox: Inbox<Runnable>,
    waker: Mutex<Option<Waker>>,
}

thread_local! {
    static CURRENT: RefCell<Option<Rc<Tasks>>> = const { RefCell::new(None) };
}

/// The set whose tasks are being polled or dropped on this thread, or which was entered. None if the
/// thread is ending.
pub(super) fn current() -> Option<Rc<Tasks>> {
    CURRENT
        .try_with(|cell| cell.borrow().clone())
        .unwrap_or(None)
}

/// Marks a set as the current one of this thread, until dropped.
struct Entered {
    before: Option<Rc<Tasks>>,
}

impl Entered {
    fn new(tasks: &Rc<Tasks>) -> Self {
        Self {
            before: exchange(Some(Rc::clone(tasks))),
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        drop(exchange(self.before.take()));
    }
}

fn exchange(tasks: Option<Rc<Tasks>>) -> Option<Rc<Tasks>> {
    // An error means that the thread is ending: it has no current set any more.
    CURRENT.try_with(|cell| cell.replace(tasks)).unwrap_or(None)
}

/// Keeps a set entered on this thread. Made by [`LocalSet::enter`].
#[must_use = "dropped at once, it leaves the set at once"]
pub struct LocalEnterGuard {
    // Restores the set that was current before.
    _entered: Entered,
}

impl fmt::Debug for LocalEnterGuard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalEnterGuard").finish_non_exhaustive()
    }
}

impl SetRemote {
    /// Sends a task that was woken to its set. Any thread.
    pub(super) fn send(&self, runnable: Runnable) -> Result<(), Runnable> {
        if self.inbox.push(runnable)? == Duty::Ring {
            self.ring();
        }
        Ok(())
    }

    fn ring(&self) {
        let waker = self.waker.lock().take();
        order_of_wakers();
        // Whoever polls the set made it: its panic must not unwind through who wakes a task.
        if let Some(waker) = waker {
            wake_contained(waker);
        }
    }
}

impl Tasks {
    pub(super) fn is(&self, remote: &Arc<SetRemote>) -> bool {
        Arc::ptr_eq(&self.remote, remote)
    }

    /// A task of this set whose future has been dropped. While the set ends, `close` does this.
    pub(super) fn release(&self, key: LiveKey) {
        if !self.is_ending.get() {
            self.live.leave(key, true);
        }
    }

    #[track_caller]
    pub(super) fn spawn<F>(&self, future: F, options: Options) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        if size_of::<F>() > FUTURE_BYTES_MAX {
            return self.spawn_small(Box::pin(future), options);
        }
        self.spawn_small(future, options)
    }

    #[track_caller]
    fn spawn_small<F>(&self, future: F, options: Options) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        let home = Home::Set(Arc::clone(&self.remote));
        let options = Options {
            is_local: true,
            ..options
        };
        // SAFETY: the home is a set of this thread, and the `Runnable` goes there and nowhere else.
        let (runnable, join) = unsafe { create(future, home, options) };
        if self.is_ending.get() {
            end(runnable);
            return join;
        }
        self.live.arrive(true);
        let key = self.live.enter(runnable.waker(), true);
        runnable.metadata().set_live_key(key);
        if let Err(runnable) = self.remote.send(runnable) {
            unreachable!("the inbox of a set closes when it ends: {runnable:?}");
        }
        join
    }

    /// Takes the waker of who polls the set, before anything that it is to be woken for.
    fn register(&self, waker: &Waker) {
        self.remote.inbox.awake();
        let will_wake = |old: &Waker| old.will_wake(waker);
        if self.remote.waker.lock().as_ref().is_some_and(will_wake) {
            return;
        }
        // Outside the lock, for which another thread may wait that holds one of the waker's own.
        let waker = waker.clone();
        let old = self.remote.waker.lock().replace(waker);
        drop(old);
    }

    /// Polls the tasks that are ready. True if others are ready now.
    fn tick(&self) -> bool {
        for runnable in self.remote.inbox.drain().take(TASKS_PER_TICK) {
            runnable.run();
        }
        !self.remote.inbox.prepare_sleep()
    }

    /// Ends all tasks and refuses later ones. It may run while the thread ends, when no set is
    /// current any more: so it asks the tasks to end, and keeps the table, itself.
    fn close(&self) {
        self.is_ending.set(true);
        self.live.wake_all(false);
        while self.live.len() > 0 {
            let mut is_idle = true;
            for runnable in self.remote.inbox.drain() {
                is_idle = false;
                let key = runnable.metadata().live_key();
                end(runnable);
                self.live.leave(key, true);
            }
            if is_idle {
                // A wake-up is in another thread's hand, between its mark and its push.
                primitive::thread::yield_now();
            }
        }
        // No future of the set exists any more: who would be rung has nothing to do.
        let (Duty::Ring | Duty::Nothing) = self.remote.inbox.close();
    }
}

/// Ends a task on the set's thread.
fn end(runnable: Runnable) {
    runnable.metadata().control().request_abort();
    runnable.run();
}

impl LocalSet {
    /// A set without tasks.
    #[must_use]
    pub fn new() -> Self {
        let remote = SetRemote {
            inbox: Inbox::new(),
            waker: Mutex::new(None),
        };
        let tasks = Tasks {
            remote: Arc::new(remote),
            live: LiveTasks::default(),
            is_ending: Cell::new(false),
        };
        Self {
            tasks: Rc::new(tasks),
        }
    }

    /// Enters the set on this thread until the guard is dropped:
    /// [`spawn_local`](super::spawn_local) finds it. Guards are to be dropped in the reverse order
    /// of their making.
    pub fn enter(&self) -> LocalEnterGuard {
        LocalEnterGuard {
            _entered: Entered::new(&self.tasks),
        }
    }

    /// Spawns a task on the set. It runs while the set is awaited or inside
    /// [`run_until`](Self::run_until).
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.tasks.spawn(future, Options::default())
    }

    /// Runs a future on a runtime, and the set's tasks meanwhile.
    ///
    /// # Panics
    ///
    /// As [`Runtime::block_on`].
    #[track_caller]
    pub fn block_on<F: Future>(&self, runtime: &Runtime, future: F) -> F::Output {
        runtime.block_on(self.run_until(future))
    }

    /// Runs a future, and the set's tasks until it is done. Tasks that are not done then stay in
    /// the set. One at a time: of several that are polled in turns, the last one polled is woken
    /// for the tasks.
    ///
    /// # Cancel safety
    ///
    /// The tasks stay in the set; the future is dropped.
    pub async fn run_until<F: Future>(&self, future: F) -> F::Output {
        let run_until = RunUntil { set: self, future };
        run_until.await
    }
}

pin_project! {
    struct RunUntil<'a, F> {
        set: &'a LocalSet,
        #[pin]
        future: F,
    }
}

impl<F: Future> Future for RunUntil<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let tasks = &this.set.tasks;
        let _entered = Entered::new(tasks);
        tasks.register(cx.waker());
        if let Poll::Ready(output) = this.future.poll(cx) {
            return Poll::Ready(output);
        }
        if tasks.tick() {
            cx.waker().wake_by_ref();
        }
        Poll::Pending
    }
}

impl Future for LocalSet {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let tasks = &self.tasks;
        let _entered = Entered::new(tasks);
        tasks.register(cx.waker());
        if tasks.tick() {
            cx.waker().wake_by_ref();
        }
        if tasks.live.len() == 0 {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for LocalSet {
    fn drop(&mut self) {
        let _entered = Entered::new(&self.tasks);
        self.tasks.close();
    }
}

impl Default for LocalSet {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for LocalSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LocalSet")
            .field("tasks", &self.tasks.live.len())
            .finish()
    }
}

/// Tasks polled in one poll of the set, so that its neighbours run too.
const TASKS_PER_TICK: usize = 61;

#[cfg(all(test, not(loom)))]
mod tests {
    use std::future::pending;
    use std::pin::pin;
    use std::sync::mpsc;
    use std::task::{RawWaker, RawWakerVTable};
    use std::time::Duration;

    use super::primitive::thread;
    use super::{Arc, Context, Future, LocalSet, Mutex, SetRemote, Waker};

    /// The set, for the wakers below.
    static REMOTE: Mutex<Option<Arc<SetRemote>>> = Mutex::new(None);

    /// As if the clone took a lock of its own, held by a thread that wakes a task of the set.
    fn clone(_: *const ()) -> RawWaker {
        let remote = REMOTE.lock().clone().expect("set by the test");
        let (done, rung) = mpsc::channel();
        let waking = move || {
            remote.ring();
            // Nobody listens if it came too late.
            let _ = done.send(());
        };
        thread::spawn_named(String::new(), None, waking).expect("a thread for the test");
        rung.recv_timeout(Duration::from_secs(20))
            .expect("the other thread waits for the clone");
        RawWaker::new(std::ptr::null(), &VTABLE)
    }

    fn nothing(_: *const ()) {}

    static VTABLE: RawWakerVTable = RawWakerVTable::new(clone, nothing, nothing, nothing);

    #[test]
    fn wakers_are_cloned_outside_the_lock() {
        let set = LocalSet::new();
        drop(set.spawn_local(pending::<()>()));
        *REMOTE.lock() = Some(Arc::clone(&set.tasks.remote));
        // SAFETY: the functions keep no data, so every rule of `RawWakerVTable` holds.
        let waker = unsafe { Waker::from_raw(RawWaker::new(std::ptr::null(), &VTABLE)) };
        let polled = pin!(set).poll(&mut Context::from_waker(&waker));
        assert!(polled.is_pending());
    }
}
