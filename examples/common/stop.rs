//! A signal to all connections of one loop that the server is to stop.

use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};

/// Plain memory of its loop. Cloned, it is the same signal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stop(Rc<State>);

#[derive(Debug, Default)]
struct State {
    is_set: Cell<bool>,
    next_id: Cell<u64>,
    /// As many as there are connections.
    waiting: RefCell<HashMap<u64, Waker>>,
}

impl Stop {
    /// Wakes all who wait.
    pub(crate) fn set(&self) {
        self.0.is_set.set(true);
        for waker in self.0.waiting.take().into_values() {
            waker.wake();
        }
    }

    /// Waits until the signal is set.
    pub(crate) fn wait(&self) -> Wait {
        let id = self.0.next_id.get();
        self.0.next_id.set(id + 1);
        Wait {
            stop: self.clone(),
            id,
        }
    }
}

/// Made by [`Stop::wait`].
#[derive(Debug)]
pub(crate) struct Wait {
    stop: Stop,
    id: u64,
}

impl Future for Wait {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let state = &self.stop.0;
        if state.is_set.get() {
            return Poll::Ready(());
        }
        let mut waiting = state.waiting.borrow_mut();
        waiting
            .entry(self.id)
            .or_insert_with(|| cx.waker().clone())
            .clone_from(cx.waker());
        Poll::Pending
    }
}

impl Drop for Wait {
    fn drop(&mut self) {
        self.stop.0.waiting.borrow_mut().remove(&self.id);
    }
}
