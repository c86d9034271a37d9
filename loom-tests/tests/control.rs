//! Abort and completion of a task: an abort is never overlooked, and who sees a task finished sees
//! what it did.
//!
//! The real `task/control.rs`. The task's scheduling is async-task's, here one atomic with the
//! same orderings; async-task itself is explored in `loom-tests/async-task`. Bound 2; a second.

#![cfg(loom)]

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::sync::atomic::{AtomicBool, Ordering};
use loom::thread;
use loom_tests::{Bell, Reached, explore};
use oneloop_runtime::protocol::control::Control;

/// A task, its schedule flag, and the loop that sleeps when the task is not scheduled.
struct Task {
    control: Control,
    is_scheduled: AtomicBool,
    bell: Bell,
    data: UnsafeCell<u32>,
}

impl Task {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            control: Control::new(),
            is_scheduled: AtomicBool::new(true),
            bell: Bell::new(),
            data: UnsafeCell::new(0),
        })
    }

    /// As a waker: schedules the task unless it is scheduled.
    fn wake(&self) {
        if !self.is_scheduled.swap(true, Ordering::AcqRel) {
            self.bell.ring();
        }
    }

    /// As `AbortHandle::abort`.
    fn abort(&self) -> bool {
        let first = self.control.request_abort();
        if first {
            self.wake();
        }
        first
    }
}

/// An abort races the polls of a task that waits for ever: it ends, once.
#[test]
fn abort_races_polls() {
    static BEFORE_FIRST_POLL: Reached = Reached::new();
    static WHILE_ASLEEP: Reached = Reached::new();
    static SECOND_ABORT: Reached = Reached::new();

    explore("abort_races_polls", || {
        let task = Task::new();
        let aborters: Vec<_> = (0..2)
            .map(|_| {
                let task = Arc::clone(&task);
                thread::spawn(move || SECOND_ABORT.count_if(!task.abort()))
            })
            .collect();
        let mut polls = 0;
        loop {
            // As async-task's run: unschedule, then poll.
            if task.is_scheduled.swap(false, Ordering::AcqRel) {
                if task.control.is_aborted() {
                    task.control.finish();
                    break;
                }
                polls += 1;
            } else {
                task.bell.wait();
                WHILE_ASLEEP.count();
            }
        }
        BEFORE_FIRST_POLL.count_if(polls == 0);
        for aborter in aborters {
            aborter.join().unwrap();
        }
        assert!(task.control.is_finished());
        assert!(
            !task.control.request_abort(),
            "an abort after the end does nothing"
        );
    });
    BEFORE_FIRST_POLL.assert("aborted before its first poll");
    WHILE_ASLEEP.assert("aborted while it waited");
    SECOND_ABORT.assert("the second abort found the first");
}

/// Who sees the task finished sees what its destructors wrote.
#[test]
fn finish_publishes() {
    static SEEN: Reached = Reached::new();
    explore("finish_publishes", || {
        let task = Task::new();
        let running = Arc::clone(&task);
        let home = thread::spawn(move || {
            // SAFETY: others read only after they have seen the task finished.
            running.data.with_mut(|data| unsafe { *data = 7 });
            running.control.finish();
        });
        if task.control.is_finished() {
            SEEN.count();
            // SAFETY: the task is finished.
            assert_eq!(task.data.with(|data| unsafe { *data }), 7);
        }
        home.join().unwrap();
    });
    SEEN.assert("seen finished");
}

/// What the aborting thread did before is seen by the drops of the future.
#[test]
fn abort_publishes() {
    static SEEN: Reached = Reached::new();
    explore("abort_publishes", || {
        let task = Task::new();
        let aborting = Arc::clone(&task);
        let aborter = thread::spawn(move || {
            // SAFETY: the home reads only after it has seen the abort.
            aborting.data.with_mut(|data| unsafe { *data = 7 });
            aborting.abort();
        });
        if task.control.is_aborted() {
            SEEN.count();
            // SAFETY: the abort was seen.
            assert_eq!(task.data.with(|data| unsafe { *data }), 7);
        }
        aborter.join().unwrap();
    });
    SEEN.assert("seen aborted");
}
