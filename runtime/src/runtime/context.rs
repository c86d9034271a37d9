//! What a thread knows of its runtime.
//!
//! Place: set by the worker, by `block_on` and by `Handle::enter`; read by `spawn`, sources and
//! timers; runs on any thread, and touches the calling thread alone.
//!
//! Three things are kept apart: the *loop* that runs on this thread (where a leaf future
//! registers), the *handle* of the runtime that was entered (where `spawn` goes), and the *task*
//! that is being polled. A thread of the blocking pool has a handle and no loop.
//!
//! # Why it is so
//! The loop, the task and its budget stand in one local without a destructor, so that a wake-up on
//! the home thread costs one load, and a poll finds all of them at one address. The handles have a
//! destructor; beside them a word says which runtime the last of them is of, so that a spawn on that
//! runtime's own loop need not ask for it.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::marker::PhantomData;
use std::ptr;
use std::task::Waker;

use super::{Handle, Shared};
use crate::primitive::sync::{Arc, MutexGuard};
use crate::primitive::thread_local;
use crate::task::coop::Budget;
use crate::task::{Id, Meta};
use crate::worker::{Local, Remote};

thread_local! {
    static CURRENT: Current = const { Current::nothing() };
    // The runtime whose blocking pool this thread belongs to: only compared, never followed.
    static POOL_OF: Cell<*const Shared> = const { Cell::new(ptr::null()) };
    static RESULT_OF: Cell<Option<Id>> = const { Cell::new(None) };
    static NEXT_RESULT_OF: Cell<Option<Id>> = const { Cell::new(None) };
    static HANDLES: RefCell<Vec<Handle>> = const { RefCell::new(Vec::new()) };
}

/// What every poll asks for: in one place, so that a poll looks it up once.
struct Current {
    local: Cell<*const Local>,
    /// The runtime that was entered last, that of the last of `HANDLES`: only compared, never
    /// followed.
    runtime: Cell<*const Shared>,
    task: Cell<*const Meta>,
    /// The waker that the loop gave to the future being polled.
    trusted_waker: Cell<*const Waker>,
    budget: Cell<Budget>,
    /// Whether a call that blocks this thread would stop tasks.
    is_driving: Cell<bool>,
}

impl Current {
    const fn nothing() -> Self {
        Self {
            local: Cell::new(ptr::null()),
            runtime: Cell::new(ptr::null()),
            task: Cell::new(ptr::null()),
            trusted_waker: Cell::new(ptr::null()),
            budget: Cell::new(Budget::UNLIMITED),
            is_driving: Cell::new(false),
        }
    }
}

/// Calls `f` with the loop that runs on this thread, if there is one.
#[inline]
pub(crate) fn with_local<R>(f: impl FnOnce(Option<&Local>) -> R) -> R {
    let local = CURRENT
        .try_with(|current| current.local.get())
        .unwrap_or(ptr::null());
    // SAFETY: `RunningLoop` sets the pointer to a `Local` that it borrows, and takes it back when
    // it is dropped, on this thread; the loop outlives every call made while it runs.
    f(unsafe { local.as_ref() })
}

/// Calls `f` with the loop that runs on this thread, if it is one of the runtime that was entered last.
#[inline]
pub(crate) fn with_current_loop<R>(f: impl FnOnce(Option<&Local>) -> R) -> R {
    let runtime = CURRENT
        .try_with(|current| current.runtime.get())
        .unwrap_or(ptr::null());
    with_local(|local| f(local.filter(|local| Arc::as_ptr(local.shared()) == runtime)))
}

/// Makes this thread one of the runtime's blocking pool, for good.
pub(crate) fn join_pool(shared: &Arc<Shared>) {
    POOL_OF.with(|cell| cell.set(Arc::as_ptr(shared)));
}

/// Whether this is a thread that the runtime's end waits for.
pub(crate) fn is_thread_of(shared: &Arc<Shared>) -> bool {
    let in_pool = POOL_OF.try_with(Cell::get).unwrap_or(ptr::null());
    in_pool == Arc::as_ptr(shared)
        || with_local(|local| local.is_some_and(|it| Arc::ptr_eq(it.shared(), shared)))
}

/// Marks a loop as the one that runs on this thread, until dropped.
#[derive(Debug)]
pub(crate) struct RunningLoop<'a> {
    before: *const Local,
    local: PhantomData<&'a Local>,
}

impl<'a> RunningLoop<'a> {
    pub(crate) fn enter(local: &'a Local) -> Self {
        let before = CURRENT.with(|current| current.local.replace(local));
        Self {
            before,
            local: PhantomData,
        }
    }
}

impl Drop for RunningLoop<'_> {
    fn drop(&mut self) {
        CURRENT.with(|current| current.local.set(self.before));
    }
}

/// Wakes the task after the loop has looked at its descriptors once; at once where no loop runs.
pub(crate) fn defer(waker: &Waker) {
    with_local(|local| match local {
        Some(local) => local.defer(waker),
        None => waker.wake_by_ref(),
    });
}

/// Wakes `waker` at the end of this turn of the loop: after the tasks that are ready now, before the
/// loop looks at its descriptors or sleeps. At once where no loop runs on this thread.
///
/// For work that is better done once for all that happens in a turn, such as sending what several
/// tasks have written. Each call is one wake-up; who needs only one keeps note of having asked.
///
/// # Threads
///
/// The waker is woken on this thread.
pub fn wake_at_turn_end(waker: &Waker) {
    with_local(|local| match local {
        Some(local) => local.defer_to_turn_end(waker),
        None => waker.wake_by_ref(),
    });
}

/// The task that is polled on this thread, with a full budget, until dropped. Nested polls restore
/// the outer one.
pub(crate) struct PolledTask {
    task: *const Meta,
    waker: *const Waker,
    budget: Budget,
}

impl PolledTask {
    #[inline]
    pub(crate) fn enter(task: Option<&Meta>, waker: &Waker) -> Self {
        let task = task.map_or(ptr::null(), ptr::from_ref);
        let replaced = CURRENT.try_with(|current| Self {
            task: current.task.replace(task),
            waker: current.trusted_waker.replace(waker),
            budget: current.budget.replace(Budget::FULL),
        });
        // An error means that the thread is ending: nobody asks any more. (A value that is made in
        // vain would take the entry back in its drop.)
        replaced.unwrap_or_else(|_| Self {
            task: ptr::null(),
            waker: ptr::null(),
            budget: Budget::UNLIMITED,
        })
    }
}

impl Drop for PolledTask {
    #[inline]
    fn drop(&mut self) {
        let restored = CURRENT.try_with(|current| {
            current.task.set(self.task);
            current.trusted_waker.set(self.waker);
            current.budget.set(self.budget);
        });
        // As above.
        restored.unwrap_or(());
    }
}

/// What is left of the budget of the poll that goes on. A thread whose locals are gone polls
/// without a limit.
#[inline]
pub(crate) fn budget() -> Budget {
    CURRENT
        .try_with(|current| current.budget.get())
        .unwrap_or(Budget::UNLIMITED)
}

/// Sets the budget of the poll that goes on. The former one.
#[inline]
pub(crate) fn replace_budget(budget: Budget) -> Budget {
    CURRENT
        .try_with(|current| current.budget.replace(budget))
        .unwrap_or(Budget::UNLIMITED)
}

/// The task whose result is dropped on this thread, until dropped.
pub(crate) struct DroppedResult {
    before: Option<Id>,
}

impl DroppedResult {
    /// The result that is dropped next on this thread is this task's.
    pub(crate) fn will_be_of(id: Id) {
        // An error means that the thread is ending: nobody asks any more.
        NEXT_RESULT_OF
            .try_with(|cell| cell.set(Some(id)))
            .unwrap_or(());
    }

    /// Of the task that was named last.
    pub(crate) fn begin() -> Self {
        Self::of_task(NEXT_RESULT_OF.try_with(Cell::get).unwrap_or(None))
    }

    pub(crate) fn of(id: Id) -> Self {
        Self::of_task(Some(id))
    }

    fn of_task(id: Option<Id>) -> Self {
        let before = RESULT_OF.try_with(|cell| cell.replace(id));
        Self {
            before: before.unwrap_or(None),
        }
    }

    /// The id of that task.
    pub(crate) fn id() -> Option<Id> {
        RESULT_OF.try_with(Cell::get).unwrap_or(None)
    }
}

impl Drop for DroppedResult {
    fn drop(&mut self) {
        // An error means that the thread is ending: nobody asks any more.
        RESULT_OF
            .try_with(|cell| cell.set(self.before))
            .unwrap_or(());
    }
}

/// Calls `f` with the task that is being polled or dropped on this thread.
pub(crate) fn with_task<R>(f: impl FnOnce(Option<&Meta>) -> R) -> R {
    let task = CURRENT
        .try_with(|current| current.task.get())
        .unwrap_or(ptr::null());
    // SAFETY: `PolledTask` sets the pointer to metadata that outlives the poll, and restores the
    // former value when the poll ends.
    f(unsafe { task.as_ref() })
}

/// Whether this waker is the one that the loop made for the future being polled: it is known not
/// to panic.
#[inline]
pub(crate) fn is_own_waker(waker: &Waker) -> bool {
    let own = CURRENT
        .try_with(|current| current.trusted_waker.get())
        .unwrap_or(ptr::null());
    // SAFETY: `PolledTask` sets the pointer to a waker that outlives the poll, and restores the former
    // value when the poll ends.
    unsafe { own.as_ref() }.is_some_and(|own| own.will_wake(waker))
}

/// Calls `f` with the runtime that was entered last on this thread. `f` runs no user code: the
/// list of handles is borrowed.
pub(crate) fn with_handle<R>(f: impl FnOnce(&Handle) -> R) -> Result<R, TryCurrentError> {
    HANDLES
        .try_with(|handles| handles.borrow().last().map(f))
        .map_err(|_| TryCurrentError {
            thread_is_ending: true,
        })?
        .ok_or(TryCurrentError {
            thread_is_ending: false,
        })
}

/// The runtime that was entered last on this thread.
pub(crate) fn try_handle() -> Result<Handle, TryCurrentError> {
    with_handle(Handle::clone)
}

/// Keeps a runtime entered on this thread. Made by [`Handle::enter`] and [`Runtime::enter`].
///
/// Guards are to be dropped in the reverse order of their making.
///
/// [`Runtime::enter`]: super::Runtime::enter
#[derive(Debug)]
#[must_use = "dropped at once, it leaves the runtime at once"]
pub struct EnterGuard<'a> {
    _entered: Entered,
    // Of no use to the drop, so that a runtime that was entered may be given away before it.
    handle: PhantomData<&'a Handle>,
}

impl EnterGuard<'_> {
    #[track_caller]
    pub(crate) fn new(handle: Handle) -> Self {
        Self {
            _entered: Entered::new(handle),
            handle: PhantomData,
        }
    }
}

#[derive(Debug)]
struct Entered {
    depth: usize,
    // It belongs to the thread that made it, and others may look at it: not Send, and Sync.
    not_send: PhantomData<MutexGuard<'static, ()>>,
}

impl Entered {
    fn new(handle: Handle) -> Self {
        // An error means that the thread is ending: a runtime that is dropped by a destructor of a
        // thread's local goes without the entry.
        let depth = HANDLES.try_with(|handles| {
            let mut handles = handles.borrow_mut();
            handles.push(handle);
            set_current_runtime(handles.last());
            handles.len()
        });
        Self {
            depth: depth.unwrap_or(0),
            not_send: PhantomData,
        }
    }
}

impl Drop for Entered {
    fn drop(&mut self) {
        // An error means that the thread is ending, and its list of handles with it.
        let Ok(left) = HANDLES.try_with(|handles| {
            let mut handles = handles.borrow_mut();
            let in_order = handles.len() == self.depth;
            let left = handles.pop();
            set_current_runtime(handles.last());
            (left, in_order)
        }) else {
            return;
        };
        let (handle, in_order) = left;
        drop(handle);
        assert!(
            in_order || std::thread::panicking(),
            "`EnterGuard` values must be dropped in the reverse order of their making: the guard \
             of a runtime that was entered later is still alive on this thread"
        );
    }
}

fn set_current_runtime(handle: Option<&Handle>) {
    let runtime = handle.map_or(ptr::null(), |handle| Arc::as_ptr(handle.shared()));
    // An error means that the thread is ending: nobody asks any more.
    CURRENT
        .try_with(|current| current.runtime.set(runtime))
        .unwrap_or(());
}

/// There is no runtime on this thread.
#[derive(Debug)]
pub struct TryCurrentError {
    thread_is_ending: bool,
}

impl TryCurrentError {
    /// Whether no runtime was entered on this thread.
    #[must_use]
    pub fn is_missing_context(&self) -> bool {
        !self.thread_is_ending
    }

    /// Whether the thread is ending and its locals are gone.
    #[must_use]
    pub fn is_thread_local_destroyed(&self) -> bool {
        self.thread_is_ending
    }
}

impl fmt::Display for TryCurrentError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.thread_is_ending {
            "the thread is ending: its runtime context is gone"
        } else {
            "there is no oneloop runtime on this thread; call this inside `block_on`, inside a \
             task, or while a guard of `Handle::enter` is alive"
        })
    }
}

impl std::error::Error for TryCurrentError {}

/// Marks this thread as one that drives async code: it must not block. Until dropped.
#[derive(Debug)]
pub(crate) struct Driving(());

impl Driving {
    /// # Panics
    ///
    /// If the thread drives async code already.
    #[track_caller]
    pub(crate) fn begin() -> Self {
        assert!(
            !is_driving_tasks(),
            "Cannot start a runtime from within a runtime. This thread is already driving async \
             code: use `.await` instead of `block_on`, or move the call to `spawn_blocking`."
        );
        set_driving(true);
        Self(())
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        set_driving(false);
    }
}

/// Whether this thread drives tasks now: it polls futures in a worker or in a `block_on`, and a call
/// that blocks it would stop them all. For libraries that refuse to block there.
///
/// False on the threads of the blocking pool, and where a runtime was merely entered.
#[must_use]
pub fn is_driving_tasks() -> bool {
    CURRENT
        .try_with(|current| current.is_driving.get())
        .unwrap_or(false)
}

fn set_driving(is_driving: bool) {
    CURRENT.with(|current| current.is_driving.set(is_driving));
}

/// Calls `f` with the loop of this thread, if a poll here can wait on it: inside `block_in_place` it
/// stands still, and what another executor polls there waits on another loop.
#[inline]
pub(crate) fn with_turning_loop<R>(f: impl FnOnce(Option<&Local>) -> R) -> R {
    with_local(|local| f(local.filter(|_| is_driving_tasks())))
}

/// Whether this is the loop of this thread, and stands still inside `block_in_place`.
pub(crate) fn stands_still(remote: &Arc<Remote>) -> bool {
    with_local(|local| local.is_some_and(|local| local.is(remote))) && !is_driving_tasks()
}

/// Lets this thread block although it drives async code, until dropped.
#[derive(Debug)]
pub(crate) struct MayBlock(());

impl MayBlock {
    pub(crate) fn begin() -> Self {
        set_driving(false);
        Self(())
    }
}

impl Drop for MayBlock {
    fn drop(&mut self) {
        set_driving(true);
    }
}

/// Whether the loop of this thread, if it runs one, is one of several or drives nothing but a root
/// future, and no set of local tasks is being polled on it.
pub(crate) fn may_block_in_place() -> bool {
    let in_set = crate::task::in_local_set();
    let among_others = with_local(|local| {
        local.is_none_or(|local| {
            local.shared().flavor == super::RuntimeFlavor::MultiThread || local.is_main()
        })
    });
    among_others && !in_set
}
