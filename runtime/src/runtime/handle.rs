//! A runtime, from any thread.

use std::any::Any;
use std::io;
use std::num::NonZeroUsize;

use super::block_on::on_main_loop;
use super::context::{self, EnterGuard, TryCurrentError};
use super::{RuntimeMetrics, Shared, refuse_forked, runtime_is_gone};
use crate::blocking::Job;
use crate::metrics::LoopMetrics;
use crate::primitive::sync::Arc;
use crate::task::{self, Home, JoinHandle, Options};
use crate::time::Clock;
use crate::worker::{HomeLoop, LoopId, Remote};

/// A handle to a runtime. Clones are cheap.
///
/// # Threads
///
/// Works on any thread, also after the runtime is gone: a spawn then gives a handle that resolves
/// to a cancelled [`JoinError`](crate::task::JoinError).
#[derive(Debug, Clone)]
pub struct Handle {
    shared: Arc<Shared>,
}

/// What kind of runtime a handle belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RuntimeFlavor {
    /// One loop, driven inside `block_on`.
    CurrentThread,
    /// Several loops, each on a thread of its own.
    MultiThread,
}

// After a panic nothing behind a handle is half done: see the invariants of the loop.
impl std::panic::UnwindSafe for Handle {}
impl std::panic::RefUnwindSafe for Handle {}

impl Handle {
    pub(crate) fn from_shared(shared: Arc<Shared>) -> Self {
        Self { shared }
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.shared
    }

    /// Leaves what the handles share as it is for ever.
    #[expect(
        clippy::mem_forget,
        reason = "its drop would reach into the parent of a fork"
    )]
    pub(super) fn leak(&self) {
        std::mem::forget(Arc::clone(&self.shared));
    }

    /// The runtime that was entered last on this thread.
    ///
    /// # Panics
    ///
    /// If there is none: outside `block_on`, tasks, and guards of [`enter`](Self::enter).
    #[track_caller]
    #[must_use]
    pub fn current() -> Self {
        match Self::try_current() {
            Ok(handle) => handle,
            Err(error) => panic!("{error}"),
        }
    }

    /// The runtime that was entered last on this thread.
    ///
    /// # Errors
    ///
    /// If there is none, or if the thread is ending.
    pub fn try_current() -> Result<Self, TryCurrentError> {
        context::try_handle()
    }

    /// Calls `f` with the runtime that was entered last on this thread, without the cost of a clone.
    ///
    /// # Errors
    ///
    /// As [`try_current`](Self::try_current).
    ///
    /// # Panics
    ///
    /// If `f` enters a runtime or leaves one.
    pub fn with_current<R>(f: impl FnOnce(&Self) -> R) -> Result<R, TryCurrentError> {
        context::with_handle(f)
    }

    /// Enters the runtime on this thread until the guard is dropped: `spawn`, sockets and timers
    /// find it.
    pub fn enter(&self) -> EnterGuard<'_> {
        EnterGuard::new(self.clone())
    }

    /// Spawns a task: see [`task::spawn`].
    ///
    /// # Panics
    ///
    /// In a child of fork(2): see [`Runtime`](super::Runtime#fork).
    #[track_caller]
    pub fn spawn<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_with(future, Options::default())
    }

    #[track_caller]
    pub(crate) fn spawn_with<F>(&self, future: F, options: Options) -> JoinHandle<F::Output>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        match self.shared.place() {
            Some(place) => task::spawn_at(future, options, &place),
            None => refuse_forked(),
        }
    }

    /// Spawns a task on a given loop: see [`task::spawn_on`].
    ///
    /// On a current-thread runtime it is a local task, since its future need not be `Send`: it is
    /// cancelled when the `block_on` that drives the loop returns.
    ///
    /// # Panics
    ///
    /// If the runtime has no such loop. In a child of fork(2): see
    /// [`Runtime`](super::Runtime#fork).
    #[track_caller]
    pub fn spawn_on<M, F>(&self, loop_id: LoopId, make: M) -> JoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.spawn_on_with(loop_id, make, Options::default())
    }

    #[track_caller]
    pub(crate) fn spawn_on_with<M, F>(
        &self,
        loop_id: LoopId,
        make: M,
        options: Options,
    ) -> JoinHandle<F::Output>
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        self.shared.assert_not_forked_outside();
        let Some(home) = self.remote_of(loop_id) else {
            panic!("{loop_id:?} is no loop of this runtime: ask `Handle::loop_ids` for its loops")
        };
        let options = Options {
            is_local: true,
            ..options
        };
        let future = async move { make().await };
        // SAFETY: until its first poll, which happens at home, the future holds only the closure,
        // which is Send. The handle keeps the home.
        let (new, join) = unsafe { task::create(future, Home::Loop(HomeLoop::of(home)), options) };
        task::send_home(new);
        join
    }

    /// Spawns one task on each loop, made there by the closure. In the order of
    /// [`loop_ids`](Self::loop_ids).
    ///
    /// # Panics
    ///
    /// In a child of fork(2): see [`Runtime`](super::Runtime#fork).
    #[track_caller]
    pub fn spawn_on_each<M, F>(&self, make: M) -> Vec<JoinHandle<F::Output>>
    where
        M: Fn(LoopId) -> F + Clone + Send + 'static,
        F: Future + 'static,
        F::Output: Send + 'static,
    {
        let mut handles = Vec::with_capacity(self.shared.loops.len());
        for loop_id in self.loop_ids() {
            let make = make.clone();
            handles.push(self.spawn_on(loop_id, move || make(loop_id)));
        }
        handles
    }

    /// Runs a blocking function on the pool: see [`task::spawn_blocking`].
    ///
    /// # Panics
    ///
    /// If the system refuses to start the pool's first thread:
    /// [`try_spawn_blocking`](Self::try_spawn_blocking) returns that as an error. In a child of fork(2).
    #[track_caller]
    pub fn spawn_blocking<F, R>(&self, function: F) -> JoinHandle<R>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        match self.try_spawn_blocking(function) {
            Ok(join) => join,
            Err(error) => {
                panic!("the system refuses to start a thread of the blocking pool: {error}")
            }
        }
    }

    /// Runs a blocking function on the pool.
    ///
    /// # Errors
    ///
    /// The system refuses to start the pool's first thread (`WouldBlock` at a limit of threads:
    /// pthread_create(3)). The function is dropped.
    #[track_caller]
    pub fn try_spawn_blocking<F, R>(&self, function: F) -> io::Result<JoinHandle<R>>
    where
        F: FnOnce() -> R + Send + 'static,
        R: Send + 'static,
    {
        self.shared.assert_not_forked_outside();
        // SAFETY: the function is Send, and so is the future made of it.
        let (runnable, join) =
            unsafe { task::create(Job::new(function), Home::Blocking, Options::default()) };
        self.shared.blocking.run(runnable, &self.shared)?;
        Ok(join)
    }

    /// Runs a future to completion on this thread, which is a loop of its own meanwhile. A
    /// current-thread runtime's own loop is not driven by this: its tasks wait for
    /// [`Runtime::block_on`](super::Runtime::block_on).
    ///
    /// # Panics
    ///
    /// On a thread that drives async code already. Panics of the future go through. If the system
    /// refuses the descriptors of a main loop. In a child of fork(2).
    #[track_caller]
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        on_main_loop(self, future)
    }

    /// What kind of runtime this is.
    #[must_use]
    pub fn runtime_flavor(&self) -> RuntimeFlavor {
        self.shared.flavor
    }

    /// The value that the builder was given for this runtime, if it is of this type: see
    /// [`Builder::user_data`](super::Builder::user_data).
    #[must_use]
    pub fn user_data<T: Any>(&self) -> Option<&T> {
        let data: &(dyn Any + Send + Sync) = self.shared.config.user_data.as_deref()?;
        data.downcast_ref()
    }

    /// Whether the runtime has begun to shut down.
    #[must_use]
    pub fn is_shut_down(&self) -> bool {
        self.shared.is_shut_down()
    }

    /// Nothing while the runtime runs.
    ///
    /// # Errors
    ///
    /// It has begun to shut down: an error that
    /// [`is_shutdown_error`](super::is_shutdown_error) knows.
    pub fn check_running(&self) -> io::Result<()> {
        if self.is_shut_down() {
            return Err(runtime_is_gone());
        }
        Ok(())
    }

    pub(crate) fn has_ended_its_sources(&self) -> bool {
        self.shared.config.sources_end_with_runtime && self.is_shut_down()
    }

    /// A number that no other runtime of the process has while this one exists.
    #[must_use]
    #[expect(clippy::missing_panics_doc, reason = "an invariant, not a contract")]
    pub fn id(&self) -> NonZeroUsize {
        let address = Arc::as_ptr(&self.shared).addr();
        NonZeroUsize::new(address).expect("nothing lies at address 0")
    }

    /// Whether this is the runtime of a [`LocalRuntime`](super::LocalRuntime).
    #[must_use]
    pub fn is_local(&self) -> bool {
        self.shared.local_thread.is_some()
    }

    /// The number of the loop that this thread drives, in the order of
    /// [`loop_ids`](Self::loop_ids). None on threads that drive no such loop: outside a runtime, in
    /// the blocking pool, and inside `block_on` of a multi-thread runtime.
    #[must_use]
    pub fn current_loop() -> Option<usize> {
        context::with_local(|local| {
            let local = local?;
            let mut loops = local.shared().loops.iter();
            loops.position(|remote| local.is(remote))
        })
    }

    /// The loops that run tasks. Their number does not change.
    #[must_use]
    pub fn loop_ids(&self) -> Vec<LoopId> {
        self.shared.loops.iter().map(|remote| remote.id()).collect()
    }

    /// The state of the loops, at most one turn old.
    #[must_use]
    pub fn metrics(&self) -> RuntimeMetrics {
        let (blocking_threads, blocking_queue) = self.shared.blocking.size();
        let snapshot = |remote: &Arc<Remote>| -> LoopMetrics {
            let inbox_depth = remote.inbox_depth();
            remote.published.snapshot(remote.id(), inbox_depth)
        };
        RuntimeMetrics {
            loops: self.shared.loops.iter().map(snapshot).collect(),
            blocking_threads,
            blocking_queue,
            age: self.shared.started.elapsed(),
        }
    }

    /// The clock that the runtime's timers go by.
    #[cfg_attr(
        not(feature = "test-util"),
        expect(dead_code, reason = "only tests pause it")
    )]
    pub(crate) fn clock(&self) -> &Arc<Clock> {
        &self.shared.clock
    }

    /// The loop of this id, if it is one of the runtime's.
    pub(crate) fn remote_of(&self, loop_id: LoopId) -> Option<&Arc<Remote>> {
        self.shared
            .loops
            .iter()
            .find(|remote| remote.id() == loop_id)
    }

    /// A loop for something that a thread without a loop waits for.
    pub(crate) fn any_remote(&self) -> &Arc<Remote> {
        self.shared.any_loop()
    }
}
