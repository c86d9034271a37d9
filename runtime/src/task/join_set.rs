//! A set of tasks, joined in the order in which they finish.
//!
//! Place: owned by one task or thread; its tasks run anywhere.
//!
//! # Why it is so
//! Each task has a waker of its own that puts the task's key into a list of finished ones, so that
//! a join costs the same however many tasks there are.

use std::collections::VecDeque;
use std::fmt;
use std::future::poll_fn;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};

use super::{AbortHandle, Id, JoinError, JoinHandle, coop};
use crate::contain::wake_contained;
use crate::primitive::sync::Mutex;
use crate::runtime::Handle;
use crate::worker::{LoopId, Table};

/// Tasks that end together: dropping the set aborts all that are left.
pub struct JoinSet<T> {
    tasks: Table<Member<T>>,
    shared: Arc<Finished>,
}

struct Member<T> {
    handle: JoinHandle<T>,
    waker: Waker,
}

/// Keys of tasks to look at, and who waits for them.
#[derive(Debug, Default)]
struct Finished {
    state: Mutex<FinishedState>,
}

#[derive(Debug, Default)]
struct FinishedState {
    keys: VecDeque<usize>,
    joiner: Option<Waker>,
}

impl Finished {
    fn next_key(&self) -> Option<usize> {
        let mut state = self.state.lock();
        let key = state.keys.pop_front();
        if key.is_none() && state.keys.capacity() > KEPT_KEYS_MAX {
            state.keys = VecDeque::new();
        }
        key
    }
}

/// Keys of finished tasks for which an empty list keeps its memory (64 KiB).
const KEPT_KEYS_MAX: usize = 8 * 1024;

struct MemberWaker {
    key: usize,
    shared: Arc<Finished>,
}

impl Wake for MemberWaker {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        let joiner = {
            let mut state = self.shared.state.lock();
            state.keys.push_back(self.key);
            state.joiner.take()
        };
        // Outside the lock: a waker is foreign code (I5).
        if let Some(joiner) = joiner {
            wake_contained(joiner);
        }
    }
}

impl<T> JoinSet<T> {
    /// An empty set.
    #[must_use]
    pub fn new() -> Self {
        Self {
            tasks: Table::new(),
            shared: Arc::new(Finished::default()),
        }
    }

    /// Tasks in the set, finished ones that were not joined included.
    #[must_use]
    pub fn len(&self) -> usize {
        self.tasks.len()
    }

    /// Whether no task is in the set.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Aborts all tasks. They stay in the set until they are joined.
    pub fn abort_all(&mut self) {
        for (_, member) in self.tasks.iter() {
            member.handle.abort();
        }
    }

    /// Takes all tasks out without aborting them.
    pub fn detach_all(&mut self) {
        self.tasks = Table::new();
        // Their keys go with them, those that they still have to call with included. Who waits finds
        // the set empty.
        let shared = std::mem::take(&mut self.shared);
        let joiner = shared.state.lock().joiner.take();
        if let Some(joiner) = joiner {
            wake_contained(joiner);
        }
    }

    /// Whether a task of this id is in the set.
    #[must_use]
    pub fn contains_id(&self, id: Id) -> bool {
        self.tasks
            .iter()
            .any(|(_, member)| member.handle.id() == id)
    }
}

impl<T: 'static> JoinSet<T> {
    /// Spawns a task on the current runtime into the set.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.insert(super::spawn(future))
    }

    /// Spawns a task on another runtime into the set.
    #[track_caller]
    pub fn spawn_on<F>(&mut self, future: F, handle: &Handle) -> AbortHandle
    where
        F: Future<Output = T> + Send + 'static,
        T: Send,
    {
        self.insert(handle.spawn(future))
    }

    /// Spawns a task on a given loop of the current runtime into the set.
    ///
    /// # Panics
    ///
    /// Outside a runtime, or if the runtime has no such loop.
    #[track_caller]
    pub fn spawn_on_loop<M, F>(&mut self, loop_id: LoopId, make: M) -> AbortHandle
    where
        M: FnOnce() -> F + Send + 'static,
        F: Future<Output = T> + 'static,
        T: Send,
    {
        self.insert(super::spawn_on(loop_id, make))
    }

    /// Spawns a task on this thread's loop into the set.
    ///
    /// # Panics
    ///
    /// On a thread that runs no loop.
    #[track_caller]
    pub fn spawn_local<F>(&mut self, future: F) -> AbortHandle
    where
        F: Future<Output = T> + 'static,
    {
        self.insert(super::spawn_local(future))
    }

    /// Runs a blocking function on the pool of the current runtime, as a member of the set.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn spawn_blocking<F>(&mut self, function: F) -> AbortHandle
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send,
    {
        self.insert(super::spawn_blocking(function))
    }

    /// Puts a task that was spawned by other means into the set: by a
    /// [`task::Builder`](super::Builder), on a [`LocalSet`](super::LocalSet), on another runtime's
    /// blocking pool.
    pub fn insert(&mut self, handle: JoinHandle<T>) -> AbortHandle {
        let abort = handle.abort_handle();
        let key = self.tasks.vacant_key();
        let shared = Arc::clone(&self.shared);
        let member = Arc::new(MemberWaker { key, shared });
        let waker = Waker::from(Arc::clone(&member));
        self.tasks.insert(Member { handle, waker });
        // The first look registers the waker; it is made when the set is next joined, which whoever
        // waits already has to be told.
        member.wake();
        abort
    }

    /// The next task that finishes; `None` if the set is empty.
    ///
    /// # Errors
    ///
    /// [`JoinError`] if the task was aborted or panicked.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a task leaves the set when this returns it.
    pub async fn join_next(&mut self) -> Option<Result<T, JoinError>> {
        poll_fn(|cx| self.poll_join_next(cx)).await
    }

    /// As [`join_next`](Self::join_next), with the task's id.
    ///
    /// # Errors
    ///
    /// As [`join_next`](Self::join_next).
    ///
    /// # Cancel safety
    ///
    /// As [`join_next`](Self::join_next).
    pub async fn join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        poll_fn(|cx| self.poll_join_next_with_id(cx)).await
    }

    /// A task that has finished by now, if there is one.
    ///
    /// # Errors
    ///
    /// As [`join_next`](Self::join_next).
    pub fn try_join_next(&mut self) -> Option<Result<T, JoinError>> {
        self.try_join_next_with_id()
            .map(|result| result.map(|(_, value)| value))
    }

    /// As [`try_join_next`](Self::try_join_next), with the task's id.
    ///
    /// # Errors
    ///
    /// As [`join_next`](Self::join_next).
    pub fn try_join_next_with_id(&mut self) -> Option<Result<(Id, T), JoinError>> {
        self.take_finished()
    }

    /// Aborts all tasks and waits until their futures are dropped.
    ///
    /// # Cancel safety
    ///
    /// The tasks are aborted in any case; those not yet waited for stay in the set.
    pub async fn shutdown(&mut self) {
        self.abort_all();
        while self.join_next().await.is_some() {}
    }

    /// Waits for all tasks; their values in the order in which they finished.
    ///
    /// # Panics
    ///
    /// If a task panicked, with its payload, or was cancelled. The others are aborted.
    ///
    /// # Cancel safety
    ///
    /// **Not safe**: the set goes with the future, so the tasks that are left are aborted, and the
    /// values of those that were done are dropped.
    pub async fn join_all(mut self) -> Vec<T> {
        let mut values = Vec::with_capacity(self.len());
        while let Some(result) = self.join_next().await {
            match result {
                Ok(value) => values.push(value),
                Err(error) => match error.try_into_panic() {
                    Ok(payload) => resume_unwind(payload),
                    Err(error) => panic!("{error}"),
                },
            }
        }
        values
    }

    /// As [`join_next`](Self::join_next), for hand-written futures.
    pub fn poll_join_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<T, JoinError>>> {
        self.poll_join_next_with_id(cx)
            .map(|next| next.map(|result| result.map(|(_, value)| value)))
    }

    /// As [`join_next_with_id`](Self::join_next_with_id), for hand-written futures.
    pub fn poll_join_next_with_id(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<(Id, T), JoinError>>> {
        let coop = std::task::ready!(coop::poll_proceed(cx));
        loop {
            if let Some(result) = self.take_finished() {
                coop.made_progress();
                return Poll::Ready(Some(result));
            }
            if self.tasks.is_empty() {
                return Poll::Ready(None);
            }
            let waker = cx.waker().clone();
            let replaced = {
                let mut state = self.shared.state.lock();
                if !state.keys.is_empty() {
                    drop(state);
                    continue;
                }
                state.joiner.replace(waker)
            };
            drop(replaced);
            return Poll::Pending;
        }
    }

    /// Looks at the tasks that called, until one has finished.
    fn take_finished(&mut self) -> Option<Result<(Id, T), JoinError>> {
        loop {
            let key = self.shared.next_key()?;
            // A key may be old: its task was joined or taken out, and another may stand there,
            // which is then looked at once too often.
            let Some(member) = self.tasks.get_mut(key) else {
                continue;
            };
            let mut cx = Context::from_waker(&member.waker);
            if let Poll::Ready(result) = member.handle.poll_trusted(&mut cx) {
                let id = member.handle.id();
                drop(self.tasks.remove(key));
                return Some(result.map(|value| (id, value)));
            }
        }
    }
}

impl<T> Drop for JoinSet<T> {
    fn drop(&mut self) {
        self.abort_all();
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

impl<T, F> FromIterator<F> for JoinSet<T>
where
    F: Future<Output = T> + Send + 'static,
    T: Send + 'static,
{
    #[track_caller]
    fn from_iter<I: IntoIterator<Item = F>>(futures: I) -> Self {
        let mut set = Self::new();
        for future in futures {
            set.spawn(future);
        }
        set
    }
}

#[cfg(test)]
mod tests {
    use super::JoinSet;
    use crate::runtime::Builder;

    #[test]
    fn regression_nothing_is_kept_of_tasks_that_were_detached() {
        let runtime = Builder::new_current_thread().build().unwrap();
        let mut set = JoinSet::new();
        for _ in 0..100 {
            set.spawn_on(async {}, runtime.handle());
            set.detach_all();
        }
        assert_eq!(set.shared.state.lock().keys.len(), 0);
    }
}
