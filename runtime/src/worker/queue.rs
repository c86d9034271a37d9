//! The ready tasks of one loop, in three classes.
//!
//! Place: pushed by wake-ups on the home thread and by the drain of the inbox, popped by the turn;
//! runs on the loop's own thread.
//!
//! # Invariants
//! I2. Plain memory. I4. A task is in at most one queue, once: async-task hands out one `Runnable`
//! at a time. No class starves: see [`LATENCY_RUN_MAX`] and [`NORMAL_RUN_MAX`].

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;

use crate::task::{Class, Runnable};

/// Tasks ready to be polled.
#[derive(Debug, Default)]
pub(crate) struct RunQueue {
    normal: RefCell<VecDeque<Runnable>>,
    latency: RefCell<VecDeque<Runnable>>,
    background: RefCell<VecDeque<Runnable>>,
    // Tasks of the two rare classes that wait: while zero, a pop looks at `normal` alone.
    rare: Cell<usize>,
    latency_run: Cell<u32>,
    foreground_run: Cell<u32>,
}

impl RunQueue {
    #[inline]
    pub(crate) fn push(&self, runnable: Runnable) {
        match runnable.metadata().class() {
            Class::Normal => self.normal.borrow_mut().push_back(runnable),
            Class::Latency => self.push_rare(&self.latency, runnable),
            Class::Background => self.push_rare(&self.background, runnable),
        }
    }

    #[cold]
    fn push_rare(&self, queue: &RefCell<VecDeque<Runnable>>, runnable: Runnable) {
        self.rare.set(self.rare.get() + 1);
        queue.borrow_mut().push_back(runnable);
    }

    #[inline]
    pub(crate) fn pop(&self) -> Option<Runnable> {
        if self.rare.get() > 0 {
            return self.pop_by_class();
        }
        self.pop_normal()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rare.get() == 0 && self.normal.borrow().is_empty()
    }

    #[cold]
    fn pop_by_class(&self) -> Option<Runnable> {
        let background_is_due = self.foreground_run.get() >= NORMAL_RUN_MAX;
        if background_is_due && let Some(runnable) = self.pop_background() {
            return Some(runnable);
        }
        self.foreground_run
            .set(self.foreground_run.get().saturating_add(1));

        let normal_is_due = self.latency_run.get() >= LATENCY_RUN_MAX;
        if !normal_is_due && let Some(runnable) = self.pop_rare(&self.latency) {
            self.latency_run.set(self.latency_run.get() + 1);
            return Some(runnable);
        }
        self.latency_run.set(0);
        if let Some(runnable) = self.pop_normal() {
            return Some(runnable);
        }
        if let Some(runnable) = self.pop_rare(&self.latency) {
            return Some(runnable);
        }
        self.pop_background()
    }

    fn pop_background(&self) -> Option<Runnable> {
        let runnable = self.pop_rare(&self.background)?;
        self.foreground_run.set(0);
        Some(runnable)
    }

    #[inline]
    fn pop_normal(&self) -> Option<Runnable> {
        let next = self.normal.borrow_mut().pop_front();
        if next.is_none() {
            self.trim();
        }
        next
    }

    /// Gives the memory of a long queue back, once it is empty.
    #[cold]
    fn trim(&self) {
        let mut normal = self.normal.borrow_mut();
        if normal.capacity() > KEPT_TASKS_MAX {
            *normal = VecDeque::new();
        }
    }

    /// From the queue of one of the two rare classes: once it is empty, nobody looks there again.
    fn pop_rare(&self, queue: &RefCell<VecDeque<Runnable>>) -> Option<Runnable> {
        let mut queue = queue.borrow_mut();
        let runnable = queue.pop_front()?;
        self.rare.set(self.rare.get() - 1);
        if queue.is_empty() && queue.capacity() > KEPT_TASKS_MAX {
            *queue = VecDeque::new();
        }
        Some(runnable)
    }
}

/// Ready tasks for which an empty queue keeps its memory (128 KiB).
const KEPT_TASKS_MAX: usize = 16 * 1024;
/// Latency tasks polled in a row while normal ones wait.
const LATENCY_RUN_MAX: u32 = 16;
/// Latency and normal tasks polled in a row while background ones wait.
const NORMAL_RUN_MAX: u32 = 64;
