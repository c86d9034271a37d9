//! Spawning with a name and a class.

use super::name::Named;
use super::{Home, JoinHandle, Options, create, local_set, send_home, spawn_at};
use crate::context;
use crate::runtime::Handle;
use crate::runtime::placement::{self, Place};
use crate::worker::LoopId;

/// How urgent a task is among the ready tasks of its loop. No class starves another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Class {
    /// Polled before normal tasks, at most 16 in a row while normal ones wait.
    Latency,
    /// The class of all tasks that say nothing.
    #[default]
    Normal,
    /// Polled when no other task is ready, and after at most 64 others.
    Background,
}

/// Spawns tasks that have a name or a class.
///
/// # Examples
///
/// ```
/// use oneloop_runtime::{runtime::Runtime, task};
///
/// let runtime = Runtime::new()?;
/// let sum = runtime.block_on(async {
///     let sum = task::Builder::new().name("sum").class(task::Class::Latency);
///     sum.spawn(async { 1 + 2 }).await
/// });
/// assert_eq!(sum?, 3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Default)]
#[must_use = "a builder spawns nothing by itself"]
pub struct Builder {
    name: Option<String>,
    options: Options,
}

impl Builder {
    /// A task without a name, of the normal class.
    pub fn new() -> Self {
        Self::default()
    }

    /// Names the task, for metrics and messages.
    pub fn name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Sets the class.
    pub fn class(mut self, class: Class) -> Self {
        self.options.class = class;
        self
    }

    /// As [`task::spawn`](super::spawn).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let place = placement::place();
        match self.name {
            None => spawn_at(future, self.options, &place),
            Some(name) => spawn_at(Named::new(name, future), self.options, &place),
        }
    }

    /// As [`task::spawn_local`](super::spawn_local).
    ///
    /// # Panics
    ///
    /// On a thread that runs no loop.
    #[track_caller]
    pub fn spawn_local<F>(self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        match self.name {
            None => spawn_local_with(future, self.options),
            Some(name) => spawn_local_with(Named::new(name, future), self.options),
        }
    }

    /// As [`task::spawn_on`](super::spawn_on).
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if the runtime has no such loop.
    #[track_caller]
    pub fn spawn_on<M, F>(self, loop_id: LoopId, make: M) -> JoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let handle = Handle::current();
        match self.name {
            None => handle.spawn_on_with(loop_id, make, self.options),
            Some(name) => {
                let make = move || Named::new(name, async move { make().await });
                handle.spawn_on_with(loop_id, make, self.options)
            }
        }
    }
}

#[track_caller]
pub(super) fn spawn_local_with<F>(future: F, options: Options) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    // Not in a closure: it would be the caller that the task remembers.
    match local_set::current() {
        Some(set) => set.spawn(future, options),
        None => spawn_on_this_loop(future, options),
    }
}

#[track_caller]
pub(super) fn spawn_on_loop_first<F>(future: F, options: Options) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let has_loop = context::with_local(|local| local.is_some());
    // As above.
    match local_set::current() {
        Some(set) if !has_loop => set.spawn(future, options),
        _ => spawn_on_this_loop(future, options),
    }
}

/// Spawns onto the loop of this thread, whatever local set is entered.
#[track_caller]
pub(crate) fn spawn_on_this_loop<F>(future: F, options: Options) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    if size_of::<F>() > FUTURE_BYTES_MAX {
        create_on_this_loop(Box::pin(future), options)
    } else {
        create_on_this_loop(future, options)
    }
}

/// Spawns onto a local runtime on its thread, whether or not it is driven now.
#[track_caller]
pub(crate) fn spawn_on_local_runtime<F>(runtime: &Handle, future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    runtime.shared().assert_not_forked_outside();
    let place = Place::at(&runtime.shared().loops[0]);
    if size_of::<F>() > FUTURE_BYTES_MAX {
        create_local(Box::pin(future), &place, Options::default())
    } else {
        create_local(future, &place, Options::default())
    }
}

#[track_caller]
fn create_on_this_loop<F>(future: F, options: Options) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    create_local(future, &place_of_local_tasks(), options)
}

/// The loop of this thread, or the one that will run on it: that of a local runtime.
#[track_caller]
fn place_of_local_tasks() -> Place {
    if context::with_local(|local| local.is_some()) {
        return Place::HERE;
    }
    let local_runtime = |handle: &Handle| {
        let shared = handle.shared();
        let place = || (Place::at(&shared.loops[0]), shared.is_local_here());
        shared.local_thread.is_some().then(place)
    };
    if let Ok(Some((place, is_here))) = Handle::with_current(local_runtime) {
        assert!(
            is_here,
            "Local tasks can only be spawned on a LocalRuntime from the thread the runtime was \
             created on"
        );
        return place;
    }
    panic!(
        "a local task was spawned on a thread that runs no oneloop loop: `spawn_local` is for calls \
         inside `block_on` or inside a task"
    );
}

/// The home runs on this thread, now or later: so the future stays here.
#[track_caller]
fn create_local<F>(future: F, place: &Place, options: Options) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    let options = Options {
        is_local: true,
        ..options
    };
    // SAFETY: the home is a loop of this thread alone, and it gets the `Runnable` on the next line.
    // The place keeps it.
    let (new, join) = unsafe { create(future, Home::Loop(place.home()), options) };
    send_home(new);
    join
}

/// Futures above this size are boxed before they are moved into their task: each move copies them
/// on the stack.
pub(crate) const FUTURE_BYTES_MAX: usize = 4096;
