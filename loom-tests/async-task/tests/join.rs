//! Joining, detaching and waking a task of the real async-task, whose state loom sees here.
//!
//! The task is built as `runtime/src/task` builds it: a schedule function that captures nothing,
//! no propagation of panics, a handle that is detached when dropped. Bound 2; seconds.

#![cfg(loom)]

use std::future::Future;
use std::pin::{Pin, pin};
use std::sync::Arc as StdArc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use loom::sync::{Arc, Mutex};
use loom::thread;
use loom_tests::{Bell, Reached, explore};

type Runnable = async_task::Runnable<Queue>;

/// The home of a task: a queue of runnables and a bell, in the task's metadata.
#[derive(Clone)]
struct Queue(Arc<Home>);

struct Home {
    ready: Mutex<Vec<Runnable>>,
    bell: Bell,
}

impl Queue {
    fn new() -> Self {
        Self(Arc::new(Home {
            ready: Mutex::new(Vec::new()),
            bell: Bell::new(),
        }))
    }

    fn push(&self, runnable: Runnable) {
        self.0.ready.lock().unwrap().push(runnable);
        self.0.bell.ring();
    }

    /// Runs one task, waiting for it.
    fn run_one(&self) {
        loop {
            let next = self.0.ready.lock().unwrap().pop();
            if let Some(runnable) = next {
                runnable.run();
                return;
            }
            self.0.bell.wait();
        }
    }
}

fn spawn<F>(home: &Queue, future: F) -> (Runnable, async_task::Task<F::Output, Queue>)
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let builder = async_task::Builder::new().metadata(home.clone());
    builder.spawn(
        move |_| future,
        |runnable: Runnable| {
            let home = runnable.metadata().clone();
            home.push(runnable);
        },
    )
}

/// A result that counts its drops.
struct Value(StdArc<AtomicUsize>);

impl Drop for Value {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

/// A waker that rings a bell.
struct Joiner(Bell);

impl Wake for Joiner {
    fn wake(self: StdArc<Self>) {
        self.0.ring();
    }
}

/// Polls until ready, waiting on a bell. True if it had to wait.
fn join<F: Future>(future: F) -> (F::Output, bool) {
    let joiner = StdArc::new(Joiner(Bell::new()));
    let waker = Waker::from(StdArc::clone(&joiner));
    let mut future = pin!(future);
    let mut waited = false;
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return (value, waited);
        }
        waited = true;
        joiner.0.wait();
    }
}

#[test]
fn join_races_completion() {
    static WAITED: Reached = Reached::new();
    static READY: Reached = Reached::new();
    explore("join_races_completion", || {
        let home = Queue::new();
        let drops = StdArc::new(AtomicUsize::new(0));
        let value = Value(StdArc::clone(&drops));
        let (runnable, task) = spawn(&home, async move { value });
        let runner = thread::spawn(move || {
            runnable.run();
        });
        let (value, waited) = join(task);
        assert_eq!(drops.load(Ordering::SeqCst), 0, "the joiner has the value");
        drop(value);
        if waited {
            WAITED.count()
        } else {
            READY.count()
        }
        runner.join().unwrap();
        assert_eq!(drops.load(Ordering::SeqCst), 1);
    });
    WAITED.assert("the joiner waited");
    READY.assert("the task was faster");
}

#[test]
fn detach_races_completion() {
    static EXPLORED: Reached = Reached::new();
    explore("detach_races_completion", || {
        let home = Queue::new();
        let drops = StdArc::new(AtomicUsize::new(0));
        let value = Value(StdArc::clone(&drops));
        let (runnable, task) = spawn(&home, async move { value });
        let runner = thread::spawn(move || {
            runnable.run();
        });
        task.detach();
        runner.join().unwrap();
        assert_eq!(
            drops.load(Ordering::SeqCst),
            1,
            "the result is dropped once"
        );
        EXPLORED.count();
    });
    EXPLORED.assert("explored");
}

/// Counts polls; ready at the poll after a mark was set.
struct UntilMarked {
    mark: Arc<loom::sync::atomic::AtomicUsize>,
    waker: Arc<Mutex<Option<Waker>>>,
}

impl Future for UntilMarked {
    type Output = usize;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<usize> {
        let waker = cx.waker().clone();
        *self.waker.lock().unwrap() = Some(waker);
        match self.mark.load(loom::sync::atomic::Ordering::Acquire) {
            2 => Poll::Ready(2),
            _ => Poll::Pending,
        }
    }
}

/// Two threads mark and wake; the task's home runs it until both marks are seen. As an abort:
/// mark, then wake. A wake-up that is lost leaves the home asleep for ever.
#[test]
fn two_wakes_race_the_poll() {
    static FINISHED: Reached = Reached::new();
    explore("two_wakes_race_the_poll", || {
        let home = Queue::new();
        let mark = Arc::new(loom::sync::atomic::AtomicUsize::new(0));
        let waker = Arc::new(Mutex::new(None));
        let future = UntilMarked {
            mark: Arc::clone(&mark),
            waker: Arc::clone(&waker),
        };
        let (runnable, task) = spawn(&home, future);
        runnable.run();
        let first = waker.lock().unwrap().clone().expect("polled once");
        let wakers: Vec<_> = [first.clone(), first]
            .into_iter()
            .map(|waker| {
                let mark = Arc::clone(&mark);
                thread::spawn(move || {
                    mark.fetch_add(1, loom::sync::atomic::Ordering::Release);
                    waker.wake();
                })
            })
            .collect();
        while !task.is_finished() {
            home.run_one();
        }
        assert_eq!(join(task).0, 2);
        for waker in wakers {
            waker.join().unwrap();
        }
        FINISHED.count();
        drop(waker.lock().unwrap().take());
    });
    FINISHED.assert("finished");
}
