//! A place where tasks wait for each other.
//!
//! Place: called by tasks; calls `notify`.

use super::charge::charged;
use super::notify::Notify;
use crate::primitive::Mutex;

/// Lets tasks go on together once so many have come. Can be used again and again.
///
/// # Examples
///
/// ```
/// # oneloop::block_on(async {
/// use std::sync::Arc;
/// use tokio::sync::Barrier;
///
/// let barrier = Arc::new(Barrier::new(2));
/// let other = Arc::clone(&barrier);
/// let helper = oneloop::spawn(async move { other.wait().await.is_leader() });
/// let leads = barrier.wait().await.is_leader();
/// assert_ne!(leads, helper.await.unwrap());
/// # });
/// ```
#[derive(Debug)]
pub struct Barrier {
    n: usize,
    state: Mutex<State>,
    opened: Notify,
}

#[derive(Debug)]
struct State {
    arrived: usize,
    /// How often the barrier has opened.
    openings: usize,
}

impl Barrier {
    /// A barrier for `n` tasks. One for none is one for one.
    #[track_caller]
    pub fn new(n: usize) -> Self {
        Self {
            n: n.max(1),
            state: Mutex::new(State {
                arrived: 0,
                openings: 0,
            }),
            opened: Notify::new(),
        }
    }

    /// Waits for the others. One of them, the last, is the leader.
    ///
    /// # Cancel safety
    ///
    /// None: the task counts as arrived.
    pub async fn wait(&self) -> BarrierWaitResult {
        charged(self.wait_uncharged()).await
    }

    async fn wait_uncharged(&self) -> BarrierWaitResult {
        let Some(openings) = self.arrive() else {
            self.opened.notify_waiters();
            return BarrierWaitResult(true);
        };
        loop {
            // Made before the look at the state: an opening after the look is not missed.
            let opened = self.opened.notified();
            if self.state.lock().openings != openings {
                return BarrierWaitResult(false);
            }
            opened.await;
        }
    }

    /// Counts a task. Gives the openings before the one that it waits for; None if it is the last.
    fn arrive(&self) -> Option<usize> {
        let mut state = self.state.lock();
        state.arrived += 1;
        if state.arrived < self.n {
            return Some(state.openings);
        }
        state.arrived = 0;
        state.openings = state.openings.wrapping_add(1);
        None
    }
}

/// What [`Barrier::wait`] says about the task.
#[derive(Debug, Clone)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether the task was the last to come.
    pub fn is_leader(&self) -> bool {
        self.0
    }
}
