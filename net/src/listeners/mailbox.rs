//! What other loops leave for one loop: a bounded queue with one reader.
//!
//! Place: pushed to and rescued from on any loop, read by the task of one loop.
//!
//! ```text
//! open --stop--> stopping --close--> closed      push: taken    taken    refused
//!   \______________close______________^
//! ```
//!
//! # Invariants
//! - At most [`ITEMS_MAX`] items wait; what is refused goes back to whoever pushed it.
//! - The reader is woken once for all that arrives before it looks again: that is one message to
//!   its loop in a turn, however much was pushed.
//! - Once closed it is empty for good, and nothing that was pushed is lost: it was read, rescued, or
//!   given out by the close.
//! - I5: a waker is woken and dropped after the lock is free.
//!
//! # Why it is so
//! A lock, and not the loop's own inbox: a loop that stands still does not look into its inbox, and
//! what waits there is out of reach. Out of this, another loop can take it back.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

/// Items for one loop.
#[derive(Debug)]
pub(super) struct Mailbox<T> {
    state: Mutex<State<T>>,
    /// The items that wait, for a look without the lock.
    len: AtomicUsize,
}

#[derive(Debug)]
struct State<T> {
    items: VecDeque<T>,
    waker: Option<Waker>,
    phase: Phase,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    Open,
    Stopping,
    Closed,
}

/// What the reader finds.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Mail<T> {
    Item(T),
    /// Nothing is there, and the reader has been asked to end.
    Stop,
}

impl<T> Mailbox<T> {
    pub(super) fn new() -> Self {
        Self {
            state: Mutex::new(State {
                items: VecDeque::new(),
                waker: None,
                phase: Phase::Open,
            }),
            len: AtomicUsize::new(0),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        // No code of others runs under the lock: a panic cannot have left it half changed.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Items that wait.
    pub(super) fn len(&self) -> usize {
        self.len.load(Relaxed)
    }

    /// Leaves an item for the reader. Gives it back if the box is full or closed.
    pub(super) fn push(&self, item: T) -> Result<(), T> {
        let mut state = self.lock();
        if state.phase == Phase::Closed || state.items.len() >= ITEMS_MAX {
            return Err(item);
        }
        state.items.push_back(item);
        self.len.store(state.items.len(), Relaxed);
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
        Ok(())
    }

    /// The next item. Reader's task.
    pub(super) fn poll_take(&self, cx: &Context<'_>) -> Poll<Mail<T>> {
        let mut state = self.lock();
        if let Some(item) = state.items.pop_front() {
            self.len.store(state.items.len(), Relaxed);
            return Poll::Ready(Mail::Item(item));
        }
        if state.phase != Phase::Open {
            return Poll::Ready(Mail::Stop);
        }
        let knows = |waker: &Waker| waker.will_wake(cx.waker());
        let former = if state.waker.as_ref().is_some_and(knows) {
            None
        } else {
            state.waker.replace(cx.waker().clone())
        };
        drop(state);
        drop(former);
        Poll::Pending
    }

    /// Takes all that waits away from the reader, which has been woken for it in vain.
    pub(super) fn rescue(&self) -> VecDeque<T> {
        let mut state = self.lock();
        self.len.store(0, Relaxed);
        std::mem::take(&mut state.items)
    }

    /// Asks the reader to end once nothing waits.
    pub(super) fn stop(&self) {
        let mut state = self.lock();
        if state.phase == Phase::Open {
            state.phase = Phase::Stopping;
        }
        let waker = state.waker.take();
        drop(state);
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// Closes it if nothing waits. Whether it is closed now.
    pub(super) fn close_if_empty(&self) -> bool {
        let mut state = self.lock();
        if state.items.is_empty() {
            state.phase = Phase::Closed;
        }
        state.phase == Phase::Closed
    }

    /// Closes it, forgets the reader and gives out what waits.
    pub(super) fn close(&self) -> VecDeque<T> {
        let mut state = self.lock();
        state.phase = Phase::Closed;
        self.len.store(0, Relaxed);
        let items = std::mem::take(&mut state.items);
        let waker = state.waker.take();
        drop(state);
        drop(waker);
        items
    }
}

/// What may wait for one loop. More stays where it is.
pub(super) const ITEMS_MAX: usize = 1024;

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use super::*;

    #[derive(Default)]
    struct Wakes(AtomicUsize);

    impl Wake for Wakes {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Relaxed);
        }
    }

    #[test]
    fn reader_is_woken_once_for_all_that_arrives() {
        let wakes = Arc::new(Wakes::default());
        let waker = Waker::from(Arc::clone(&wakes));
        let cx = Context::from_waker(&waker);
        let mailbox = Mailbox::new();
        assert!(mailbox.poll_take(&cx).is_pending());
        for number in 0..10 {
            mailbox.push(number).unwrap();
        }
        assert_eq!(wakes.0.load(Relaxed), 1);
        for number in 0..10 {
            assert_eq!(mailbox.poll_take(&cx), Poll::Ready(Mail::Item(number)));
        }
        assert!(mailbox.poll_take(&cx).is_pending());
        mailbox.push(10).unwrap();
        assert_eq!(wakes.0.load(Relaxed), 2);
    }

    #[test]
    fn full_box_gives_the_item_back() {
        let mailbox = Mailbox::new();
        for number in 0..ITEMS_MAX {
            mailbox.push(number).unwrap();
        }
        assert_eq!(mailbox.push(7), Err(7));
        assert_eq!(mailbox.rescue().len(), ITEMS_MAX);
        assert_eq!(mailbox.len(), 0);
        mailbox.push(8).unwrap();
    }

    #[test]
    fn stop_comes_after_what_waits_and_close_refuses() {
        let cx = Context::from_waker(Waker::noop());
        let mailbox = Mailbox::new();
        mailbox.stop();
        mailbox.push(1).unwrap();
        assert!(!mailbox.close_if_empty());
        assert_eq!(mailbox.poll_take(&cx), Poll::Ready(Mail::Item(1)));
        assert_eq!(mailbox.poll_take(&cx), Poll::Ready(Mail::Stop));
        assert!(mailbox.close_if_empty());
        assert_eq!(mailbox.push(2), Err(2));
        assert_eq!(mailbox.poll_take(&cx), Poll::Ready(Mail::Stop));
    }
}
