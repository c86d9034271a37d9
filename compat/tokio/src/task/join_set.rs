//! A set of tasks that are joined in the order in which they end.

use std::fmt;
use std::task::{Context, Poll};

use super::{AbortHandle, Id, JoinError, LocalSet};
use crate::runtime::Handle;

/// A set of tasks with results of one type. Dropping it aborts them.
pub struct JoinSet<T> {
    inner: oneloop::task::JoinSet<T>,
}

impl<T> JoinSet<T> {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: oneloop::task::JoinSet::new(),
        }
    }

    /// Tasks in the set, ended ones that were not joined included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.inner.len()
    }

    /// Whether no task is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inner.is_empty()
    }
}

impl<T: 'static> JoinSet<T> {
    /// Spawns a task into the set.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.inner.insert(super::spawn(task))
    }

    /// Spawns a task on a given runtime into the set.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, task: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.inner.insert(handle.spawn(task))
    }

    /// Spawns a local task into the set.
    ///
    /// # Panics
    ///
    /// As [`spawn_local`](super::spawn_local).
    #[track_caller]
    pub fn spawn_local<F>(&mut self, task: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.inner.insert(super::spawn_local(task))
    }

    /// Spawns a task of a given [`LocalSet`] into the set.
    #[track_caller]
    pub fn spawn_local_on<F>(&mut self, task: F, local_set: &LocalSet) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.inner.insert(local_set.inner().spawn_local(task))
    }

    /// Runs a blocking function as a member of the set.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, f: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.inner.insert(super::spawn_blocking(f))
    }

    /// Runs a blocking function on the pool of a given runtime as a member of the set.
    #[track_caller]
    pub fn spawn_blocking_on<F>(&mut self, f: F, handle: &Handle) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.inner.insert(handle.spawn_blocking(f))
    }

    /// Waits until a task ends. None if the set is empty.
    ///
    /// # Errors
    ///
    /// The task panicked or was aborted.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.inner.join_next().await
    }

    /// As [`join_next`](Self::join_next), with the task's id.
    ///
    /// # Errors
    ///
    /// The task panicked or was aborted.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        self.inner.join_next_with_id().await
    }

    /// The result of a task that has ended, if there is one.
    ///
    /// # Errors
    ///
    /// The task panicked or was aborted.
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.inner.try_join_next()
    }

    /// As [`try_join_next`](Self::try_join_next), with the task's id.
    ///
    /// # Errors
    ///
    /// The task panicked or was aborted.
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        self.inner.try_join_next_with_id()
    }

    /// Aborts all tasks and waits until they have ended.
    ///
    /// # Cancel safety
    ///
    /// Once it was polled, all tasks are aborted; those not waited for yet stay in the set.
    pub async fn shutdown(&mut self) {
        self.inner.shutdown().await;
    }

    /// Waits for all tasks; their results in the order in which they ended.
    ///
    /// # Panics
    ///
    /// If a task panicked, with its panic, or was aborted.
    ///
    /// # Cancel safety
    ///
    /// The set goes with the future: its tasks are aborted, and results that were there are lost.
    pub async fn join_all(self) -> Vec<T> {
        self.inner.join_all().await
    }

    /// Aborts all tasks. They stay in the set.
    pub fn abort_all(&mut self) {
        self.inner.abort_all();
    }

    /// Takes all tasks out of the set, and lets them go on.
    pub fn detach_all(&mut self) {
        self.inner.detach_all();
    }

    /// The poll behind [`join_next`](Self::join_next).
    ///
    /// # Errors
    ///
    /// The task panicked or was aborted.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.inner.poll_join_next(cx)
    }

    /// The poll behind [`join_next_with_id`](Self::join_next_with_id).
    ///
    /// # Errors
    ///
    /// The task panicked or was aborted.
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Id, T), JoinError>>> {
        self.inner.poll_join_next_with_id(cx)
    }
}

impl<T> Default for JoinSet<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T> fmt::Debug for JoinSet<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JoinSet").field("len", &self.len()).finish()
    }
}

impl<T, F> Extend<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    fn extend<I: IntoIterator<Item = F>>(&mut self, iter: I) {
        iter.into_iter().for_each(|task| {
            self.spawn(task);
        });
    }
}

impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    fn from_iter<I: IntoIterator<Item = F>>(iter: I) -> Self {
        let mut set = Self::new();
        set.extend(iter);
        set
    }
}
