//! Tasks that need not be `Send`.

use std::pin::Pin;
use std::task::{Context, Poll};

use super::JoinHandle;
use crate::runtime::{Id, Runtime};

pub use oneloop::task::LocalEnterGuard;

/// Tasks that need not be `Send`, on one thread, inside any future of that thread.
#[derive(Debug, Default)]
pub struct LocalSet {
    inner: oneloop::task::LocalSet,
    identity: Box<Identity>,
}

/// Its place on the heap tells a set from all others, and from all runtimes, whose ids are places on
/// the heap too.
#[derive(Debug, Default)]
struct Identity {
    _takes_up_room: u8,
}

impl LocalSet {
    /// A set without tasks.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Tells this set from the others, and from the runtimes, that exist.
    #[must_use]
    pub fn id(&self) -> Id {
        Id::of_place(&*self.identity)
    }

    pub(crate) fn inner(&self) -> &oneloop::task::LocalSet {
        &self.inner
    }

    /// Enters the set on this thread until the guard is dropped.
    pub fn enter(&self) -> LocalEnterGuard {
        self.inner.enter()
    }

    /// Spawns a task on the set.
    #[track_caller]
    pub fn spawn_local<F>(&self, future: F) -> JoinHandle<F::Output>
    where
        F: Future + 'static,
        F::Output: 'static,
    {
        self.inner.spawn_local(future)
    }

    /// Runs a future on a runtime, and the set's tasks meanwhile.
    ///
    /// # Panics
    ///
    /// As [`Runtime::block_on`].
    #[track_caller]
    pub fn block_on<F: Future>(&self, rt: &Runtime, future: F) -> F::Output {
        rt.block_on(self.run_until(future))
    }

    /// Runs a future, and the set's tasks until it is done.
    ///
    /// # Cancel safety
    ///
    /// The tasks stay in the set; the future is dropped.
    pub async fn run_until<F: Future>(&self, future: F) -> F::Output {
        self.inner.run_until(future).await
    }
}

impl Future for LocalSet {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        Pin::new(&mut self.inner).poll(cx)
    }
}

/// Spawns a task that need not be `Send` on the current [`LocalSet`], or on the runtime if it is a
/// [`LocalRuntime`](crate::runtime::LocalRuntime).
///
/// # Panics
///
/// Where there is neither.
#[track_caller]
pub fn spawn_local<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + 'static,
    F::Output: 'static,
{
    assert!(
        oneloop::task::in_local_set() || is_on_local_runtime(),
        "`spawn_local` called from outside of a `task::LocalSet` or `runtime::LocalRuntime`"
    );
    oneloop::task::spawn_local(future)
}

fn is_on_local_runtime() -> bool {
    oneloop::runtime::Handle::with_current(oneloop::runtime::Handle::is_local).unwrap_or(false)
}
