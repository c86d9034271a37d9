//! Tasks: spawning over async-task, joining, aborting.
//!
//! Place: `spawn` on any thread; `schedule` wherever a waker is woken; `Spawned::poll` on the home
//! loop's thread.
//!
//! ```text
//!   spawn --> Run message or queue --> adopt: counted --> poll -- pending: in the table --> poll ...
//!                                                          |
//!   JoinHandle <-- result <-- future dropped, leaves <-- ready, panicked or aborted
//! ```
//!
//! # Invariants
//! I1. Polled and dropped at home alone: `schedule` sends a task to its home and nowhere else, and
//! abort is a mark and a wake-up. I4. async-task hands out one `Runnable` at a time. I8. Panics in
//! poll, in the drop of the future and in the drop of the result end that task only.
//!
//! # Why it is so
//! async-task does the state machine, the allocation and the join. In front of it stand the abort
//! (see `control`), the catching of panics (it would abort the process when a future or a result
//! panics in its drop) and the table of live tasks. The schedule function captures nothing, which
//! spares async-task a reference count at each wake-up; the home is in the metadata.

mod abort;
mod block_in_place;
mod builder;
pub mod control;
pub mod coop;
mod error;
mod id;
mod join;
mod join_set;
mod local_set;
mod name;
mod spawned;
mod vtable;
mod yield_now;

use std::cell::Cell;
use std::panic::Location;
use std::task::Waker;

pub use abort::AbortHandle;
pub use block_in_place::block_in_place;
pub use builder::{Builder, Class};
pub(crate) use builder::{FUTURE_BYTES_MAX, spawn_on_local_runtime};
pub use coop::{Unconstrained, consume_budget, unconstrained};
pub use error::JoinError;
pub use id::Id;
pub use join::JoinHandle;
pub use join_set::JoinSet;
pub use local_set::{LocalEnterGuard, LocalSet};
pub use name::name;
pub use yield_now::yield_now;

use crate::context;
use crate::primitive::sync::Arc;
use crate::runtime::Handle;
use crate::runtime::placement::{self, Place};
use crate::worker::{HomeLoop, JoinKey, LiveKey, Local, LoopId, Message, NOT_ENTERED, NOT_HERE};
use control::Control;
use local_set::SetRemote;
use spawned::Spawned;

/// A task that is ready to be polled.
pub(crate) type Runnable = async_task::Runnable<Meta>;

/// What belongs to a task beside its future.
#[derive(Debug)]
pub(crate) struct Meta {
    home: Home,
    id: Id,
    spawned_at: &'static Location<'static>,
    control: Control,
    live_key: HomeCell<LiveKey>,
    joiner: HomeCell<Joiner>,
    class: Class,
    is_local: bool,
}

/// Where a task's wake-ups go.
#[derive(Debug, Clone)]
pub(crate) enum Home {
    Loop(HomeLoop),
    /// A set of local tasks, inside another future.
    Set(Arc<SetRemote>),
    /// A job of the blocking pool: it is polled once, by a thread of the pool.
    Blocking,
}

/// Who waits on the task's home for its end.
#[derive(Debug, Clone, Copy)]
enum Joiner {
    None,
    /// A task there, by its key. It is woken; if it has ended, then nobody, or whoever has its key by then
    /// and is polled once for nothing.
    Task {
        key: LiveKey,
        is_local: bool,
    },
    Other(JoinKey),
}

/// A word in the metadata that the home loop's thread alone touches.
#[derive(Debug)]
struct HomeCell<T: Copy>(Cell<T>);

// SAFETY: the cells of `Meta` are private to this module, hold plain words, and are reached by the home
// loop's thread alone: `live_key` from `Local::adopt`, and from `Spawned` when the task is polled or
// ends there (I1); `joiner` from there too, and from `JoinHandle::poll` once it has found that the task
// is not finished, and so its home exists, and that it is the loop of its thread.
unsafe impl<T: Copy> Sync for HomeCell<T> {}

impl Meta {
    pub(crate) fn id(&self) -> Id {
        self.id
    }

    pub(crate) fn class(&self) -> Class {
        self.class
    }

    pub(crate) fn is_local(&self) -> bool {
        self.is_local
    }

    pub(crate) fn control(&self) -> &Control {
        &self.control
    }

    /// Whether a task that is sent home has not been there yet. Home loop's thread.
    pub(crate) fn is_new(&self) -> bool {
        self.live_key() == NOT_HERE
    }

    pub(crate) fn set_live_key(&self, key: LiveKey) {
        self.live_key.0.set(key);
    }

    fn live_key(&self) -> LiveKey {
        self.live_key.0.get()
    }

    /// Whether this is the loop on which the task lives.
    #[inline]
    fn is_at(&self, local: &Local) -> bool {
        matches!(self.home, Home::Loop(home) if local.is_home(home))
    }

    /// Has `waker` woken at the end of the task, which has not ended yet: that of the future that is
    /// being polled, a task or not. Home loop's thread, so that the end does not come meanwhile.
    #[inline]
    fn wait_at_home(&self, local: &Local, waker: &Waker) {
        let polled = context::with_task(|task| task.and_then(|task| task.as_joiner(local, waker)));
        let joiner = match (self.joiner.0.get(), polled) {
            (Joiner::Other(key), _) => Joiner::Other(local.joiners.register(Some(key), waker)),
            (_, Some(task)) => task,
            (_, None) => Joiner::Other(local.joiners.register(None, waker)),
        };
        self.joiner.0.set(joiner);
    }

    /// As who waits on this loop, if it is the task's home; `waker` is its own. No count is made.
    #[inline]
    fn as_joiner(&self, local: &Local, waker: &Waker) -> Option<Joiner> {
        // One that is not counted here is ending, or has ended: what it drops may poll.
        if !self.is_at(local) || self.live_key() == NOT_HERE {
            return None;
        }
        self.enter_table(local, waker);
        Some(Joiner::Task {
            key: self.live_key(),
            is_local: self.is_local,
        })
    }

    /// Enters the task in its loop's table, if it is not there. (A set enters its tasks at once.)
    #[inline]
    fn enter_table(&self, local: &Local, waker: &Waker) {
        if self.live_key() == NOT_ENTERED {
            self.set_live_key(local.keep(waker, self.is_local));
        }
    }
}

/// What a spawn may say of its task.
#[derive(Debug, Default)]
pub(crate) struct Options {
    pub(crate) class: Class,
    pub(crate) is_local: bool,
}

/// Makes a task. Whoever gets it hands it to its home.
///
/// # Safety
///
/// A future that is not `Send` must be created, polled and dropped on the home loop's thread: the
/// caller hands the task to the loop of its own thread, or the future is `Send` until it is first
/// polled. The home, if it is a loop, must exist until it has been handed the task.
#[track_caller]
pub(crate) unsafe fn create<F>(
    future: F,
    home: Home,
    options: Options,
) -> (Runnable, JoinHandle<F::Output>)
where
    F: Future + 'static,
{
    let meta = Meta {
        home,
        id: Id::next(),
        spawned_at: Location::caller(),
        control: Control::new(),
        live_key: HomeCell(Cell::new(NOT_HERE)),
        joiner: HomeCell(Cell::new(Joiner::None)),
        class: options.class,
        is_local: options.is_local,
    };
    let builder = async_task::Builder::new().metadata(meta);
    // SAFETY: the future is 'static; `schedule` captures nothing, so it is Send, Sync and 'static;
    // that a future which is not Send stays on its thread is the caller's duty and I1: the
    // `Runnable` goes to the home of the metadata alone, and `Local::close` outlives all futures.
    let (runnable, task) =
        unsafe { builder.spawn_unchecked(move |meta: &Meta| Spawned::new(future, meta), schedule) };
    let join = JoinHandle::new::<F>(task, &runnable);
    (runnable, join)
}

/// Sends a task that was woken to its home.
fn schedule(runnable: Runnable) {
    context::with_local(|local| match local {
        Some(local) if runnable.metadata().is_at(local) => local.push(runnable),
        _ => schedule_elsewhere(runnable),
    });
}

/// As `schedule`, for a task whose home is not the loop of this thread.
#[cold]
fn schedule_elsewhere(runnable: Runnable) {
    let home = match &runnable.metadata().home {
        // The count keeps the doorbell alive: once the message is in, the home may finish the task
        // and end before this thread has rung.
        // SAFETY: a task that is scheduled has its future, for which its loop waits (I1).
        Home::Loop(home) => unsafe { home.remote() },
        Home::Set(set) => return schedule_in_set(&Arc::clone(set), runnable),
        Home::Blocking => unreachable!("a job of the blocking pool finishes in its first poll"),
    };
    let refused = home.send(Message::Run(runnable));
    // The inbox closes when no future of the loop exists any more, so nothing is woken then.
    debug_assert!(refused.is_ok(), "a live task outlived its loop (I1)");
}

/// The clone that the caller holds keeps the set's waker alive: once the task is in the inbox, the
/// set may finish it and end before this thread has rung.
fn schedule_in_set(set: &Arc<SetRemote>, runnable: Runnable) {
    let refused = set.send(runnable);
    // The inbox closes when no future of the set exists any more, so nothing is woken then.
    debug_assert!(refused.is_ok(), "a live task outlived its set (I1)");
}

/// Hands a new task to its home, a loop. One that has ended refuses it: then it is ended here,
/// before its first poll, where its future still is `Send`.
#[inline]
pub(crate) fn send_home(new: Runnable) {
    context::with_local(|local| match local {
        Some(local) if new.metadata().is_at(local) => local.adopt(new),
        _ => send_elsewhere(new),
    });
}

#[cold]
fn send_elsewhere(new: Runnable) {
    let Home::Loop(home) = new.metadata().home else {
        unreachable!("tasks of other homes are not sent")
    };
    // SAFETY: who made the task holds its home until it is sent: see `create`.
    let home = unsafe { home.remote() };
    if let Err(Message::Run(refused)) = home.send(Message::Run(new)) {
        refused.metadata().control.request_abort();
        refused.run();
    }
}

/// Spawns a task on this loop.
#[track_caller]
pub(crate) fn spawn_at<F>(future: F, options: Options, place: &Place) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    if size_of::<F>() > FUTURE_BYTES_MAX {
        return spawn_small_at(Box::pin(future), options, place);
    }
    spawn_small_at(future, options, place)
}

#[track_caller]
fn spawn_small_at<F>(future: F, options: Options, place: &Place) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    // SAFETY: the future is Send, and the place keeps the home.
    let (new, join) = unsafe { create(future, Home::Loop(place.home()), options) };
    send_home(new);
    join
}

/// Spawns a task on the current runtime, on a loop that its placement chooses.
///
/// The task starts at once, whether or not the handle is awaited; dropping the handle detaches it.
/// It is polled and dropped on one loop's thread for all its life.
///
/// # Panics
///
/// Outside a runtime. A panic of the task itself is kept for the handle. In a child of fork(2), on a
/// runtime of the parent: see [`Runtime`](crate::runtime::Runtime#fork).
///
/// # Threads
///
/// Any thread inside a runtime.
#[track_caller]
pub fn spawn<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    spawn_at(future, Options::default(), &placement::place())
}

/// Spawns a task on the [`LocalSet`] that is current on this thread, if there is one, else on the
/// loop of this thread. The future need not be `Send`.
///
/// On a worker the task lives until the runtime shuts down; inside `block_on` it lives until that
/// `block_on` returns, and is then dropped, finished or not. On a [`LocalRuntime`] it lives as
/// long as the runtime.
///
/// [`LocalRuntime`]: crate::runtime::LocalRuntime
///
/// # Panics
///
/// On a thread that runs no loop: outside `block_on`, or on the blocking pool.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    builder::spawn_local_with(future, Options::default())
}

/// Spawns a task on the loop of this thread, whatever [`LocalSet`] is current: for what has to go on
/// when nobody polls the set. Otherwise as [`spawn_local`]; so a thread without a loop, on which
/// another executor polls the set, spawns on that.
///
/// # Panics
///
/// On a thread that runs no loop and no set.
#[track_caller]
pub fn spawn_on_this_loop<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    builder::spawn_on_loop_first(future, Options::default())
}

/// Spawns a task on a given loop of the current runtime. Only the closure has to be `Send`: the
/// future is made, polled and dropped there.
///
/// # Panics
///
/// Outside a runtime, or if the runtime has no such loop.
#[track_caller]
pub fn spawn_on<M, F>(loop_id: LoopId, make: M) -> JoinHandle<F::Output>
where
    M: FnOnce() -> F + Send + 'static,
    F: Future + 'static,
    F::Output: Send + 'static,
{
    Handle::current().spawn_on(loop_id, make)
}

/// Runs a function that blocks, or computes for long, on a thread of the blocking pool.
///
/// The function cannot be stopped once it runs; before that, `abort` on the handle cancels it.
///
/// # Panics
///
/// Outside a runtime. A panic of the function is kept for the handle.
#[track_caller]
pub fn spawn_blocking<F, R>(function: F) -> JoinHandle<R>
where
    F: FnOnce() -> R + Send + 'static,
    R: Send + 'static,
{
    Handle::current().spawn_blocking(function)
}

/// The id of the task that is being polled on this thread.
///
/// # Panics
///
/// Outside a task. The future given to `block_on` is not a task.
#[track_caller]
#[must_use]
pub fn id() -> Id {
    try_id()
        .expect("`task::id()` was called outside a task: the root future of `block_on` has none")
}

/// The id of the task that is being polled, or whose future or result is being dropped, on this
/// thread, if there is one.
#[must_use]
pub fn try_id() -> Option<Id> {
    context::DroppedResult::id().or_else(|| context::with_task(|task| task.map(Meta::id)))
}

/// Whether a [`LocalSet`] is current on this thread: entered, or polling its tasks.
#[must_use]
pub fn in_local_set() -> bool {
    local_set::current().is_some()
}

/// Where the task that is being polled or dropped on this thread was spawned.
#[must_use]
pub fn spawned_at() -> Option<&'static Location<'static>> {
    context::with_task(|task| task.map(|task| task.spawned_at))
}
