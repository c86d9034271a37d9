//! The blocking pool: threads for functions that block or compute for long.
//!
//! Place: called by `spawn_blocking`; jobs run on the pool's own threads, which run no loop but
//! have the runtime entered.
//!
//! # Invariants
//! I6. At most `max_threads` threads (default 512) that take jobs; one that has been idle for too long
//! takes none any more while its stop hook runs. The queue has no limit of its own: each entry is a
//! `spawn_blocking` somebody made, and tokio's users expect it not to wait.
//! A job that was accepted runs, or is cancelled by the shutdown; its handle always resolves.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use slab::Slab;

use crate::context;
use crate::primitive::sync::{Arc, Condvar, Mutex};
use crate::primitive::thread::{self, JoinHandle};
use crate::runtime::{Handle, Shared};
use crate::sys::cpus;
use crate::task::{Runnable, coop};
use crate::time::Inhibited;

pub(crate) struct Pool {
    state: Mutex<State>,
    work: Condvar,
    ended: Condvar,
    max_threads: usize,
    keep_alive: Duration,
}

#[derive(Default)]
struct State {
    queue: VecDeque<Queued>,
    threads: Slab<Option<JoinHandle<()>>>,
    // Threads that ended after the shutdown began, for it to join.
    ended: Vec<JoinHandle<()>>,
    idle: usize,
    // Threads that were started for a job and have not come to it.
    starting: usize,
    // Threads that come to no job any more, and are not out of `threads` yet.
    leaving: usize,
    is_shut_down: bool,
}

/// A job that has not begun.
struct Queued {
    job: Runnable,
    // A paused clock stands still until the job's result can be seen, and this is dropped.
    inhibited: Inhibited,
}

impl Queued {
    fn run(self) {
        let Self {
            job,
            inhibited: _until_here,
        } = self;
        job.run();
    }

    /// Ends the job. Its function is dropped on this thread: it is `Send`.
    fn cancel(self) {
        self.job.metadata().control().request_abort();
        self.run();
    }
}

impl Pool {
    pub(crate) fn new(max_threads: usize, keep_alive: Duration) -> Self {
        Self {
            state: Mutex::new(State::default()),
            work: Condvar::new(),
            ended: Condvar::new(),
            max_threads,
            keep_alive,
        }
    }

    /// Threads and waiting jobs.
    pub(crate) fn size(&self) -> (usize, usize) {
        let state = self.state.lock();
        (state.threads.len(), state.queue.len())
    }

    /// Queues a job and sees to it that a thread takes it. After the shutdown the job is cancelled.
    ///
    /// # Errors
    ///
    /// The system refuses a first thread. The job is cancelled.
    pub(crate) fn run(&self, job: Runnable, shared: &Arc<Shared>) -> io::Result<()> {
        let inhibited = Inhibited::new(shared);
        let job = Queued { job, inhibited };
        // The application names the thread: outside the lock, and before the job is queued.
        let mut name = None;
        let mut state = loop {
            let state = self.state.lock();
            if name.is_some() || !state.needs_thread(self.max_threads) {
                break state;
            }
            drop(state);
            name = Some(shared.config.next_thread_name());
        };
        if state.is_shut_down {
            drop(state);
            job.cancel();
            return Ok(());
        }
        let needs_thread = state.needs_thread(self.max_threads);
        state.queue.push_back(job);
        let Some(name) = name.filter(|_| needs_thread) else {
            drop(state);
            self.work.notify_one();
            return Ok(());
        };
        let key = state.threads.insert(None);
        state.starting += 1;
        match start_thread(key, Arc::clone(shared), name) {
            Ok(handle) => state.threads[key] = Some(handle),
            Err(error) => {
                state.threads.remove(key);
                state.starting -= 1;
                // The threads that are there will come to the job; if there is none, nobody will.
                if state.working() == 0 {
                    let jobs = std::mem::take(&mut state.queue);
                    drop(state);
                    jobs.into_iter().for_each(Queued::cancel);
                    return Err(error);
                }
            }
        }
        Ok(())
    }

    /// Refuses later jobs, cancels those that no thread has come to or is on its way to, and tells
    /// the threads to end.
    pub(crate) fn shut_down(&self) {
        let jobs = {
            let mut state = self.state.lock();
            state.is_shut_down = true;
            let begun = state.queue.len().min(state.starting + state.idle);
            state.queue.split_off(begun)
        };
        self.work.notify_all();
        jobs.into_iter().for_each(Queued::cancel);
    }

    /// Waits until all threads have ended, at most until the deadline. Those that have not ended by
    /// then are left to themselves.
    pub(crate) fn join(&self, deadline: Option<Instant>) {
        let mut state = self.state.lock();
        while !state.threads.is_empty() {
            let Some(deadline) = deadline else {
                state = self.ended.wait(state);
                continue;
            };
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            state = self.ended.wait_timeout(state, left).0;
        }
        let ended = std::mem::take(&mut state.ended);
        drop(state);
        for handle in ended {
            // The threads contain the panics of their jobs and hooks.
            let joined = handle.join();
            debug_assert!(joined.is_ok(), "a thread of the blocking pool panicked");
        }
    }

    /// The life of one thread.
    fn work(&self) {
        let mut state = self.state.lock();
        state.starting -= 1;
        loop {
            if let Some(job) = state.queue.pop_front() {
                drop(state);
                job.run();
                state = self.state.lock();
                continue;
            }
            if state.is_shut_down {
                break;
            }
            state.idle += 1;
            let (woken, timed_out) = self.work.wait_timeout(state, self.keep_alive);
            state = woken;
            state.idle -= 1;
            if timed_out && state.queue.is_empty() {
                break;
            }
        }
        // Before the lock is given up: who queues a job from now on must not count on this thread.
        state.leaving += 1;
    }

    fn end_thread(&self, key: usize) {
        let mut state = self.state.lock();
        let handle = state.threads.remove(key);
        state.leaving -= 1;
        if state.is_shut_down {
            state.ended.extend(handle);
        }
        drop(state);
        self.ended.notify_all();
    }
}

impl State {
    /// Threads that come to jobs.
    fn working(&self) -> usize {
        self.threads.len() - self.leaving
    }

    /// Whether one job more needs one thread more.
    fn needs_thread(&self, max_threads: usize) -> bool {
        !self.is_shut_down && self.idle <= self.queue.len() && self.working() < max_threads
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (threads, queue) = self.size();
        f.debug_struct("Pool")
            .field("threads", &threads)
            .field("queue", &queue)
            .finish()
    }
}

fn start_thread(key: usize, shared: Arc<Shared>, name: String) -> io::Result<JoinHandle<()>> {
    let stack_size = shared.config.stack_size;
    let work = move || {
        let handle = Handle::from_shared(Arc::clone(&shared));
        context::join_pool(&shared);
        {
            let _entered = handle.enter();
            shared.config.hooks.start();
            shared.blocking.work();
            shared.config.hooks.stop();
        }
        shared.blocking.end_thread(key);
    };
    cpus::with_default_slack(|| thread::spawn_named(name, stack_size, work))
}

/// A blocking function as a future of one poll.
pub(crate) struct Job<F>(Option<F>);

impl<F> Job<F> {
    pub(crate) fn new(function: F) -> Self {
        Self(Some(function))
    }
}

impl<F> Unpin for Job<F> {}

impl<F: FnOnce() -> R, R> Future for Job<F> {
    type Output = R;

    fn poll(mut self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<R> {
        // The function may drive futures with an executor of its own, which knows no budget.
        let _unlimited = coop::unlimited();
        let function = self
            .0
            .take()
            .expect("async-task does not poll a finished task");
        Poll::Ready(function())
    }
}
