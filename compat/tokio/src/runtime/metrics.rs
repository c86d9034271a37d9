//! What the loops tell about themselves, under tokio's names.

use std::time::Duration;

use oneloop::runtime::{Handle, LoopMetrics};

/// The state of a runtime's loops; each method reads it anew.
#[derive(Debug, Clone)]
pub struct RuntimeMetrics {
    handle: Handle,
}

impl RuntimeMetrics {
    pub(super) fn new(handle: Handle) -> Self {
        Self { handle }
    }

    fn of_worker(&self, worker: usize) -> LoopMetrics {
        self.handle.metrics().loops()[worker].clone()
    }

    /// The number of loops that run tasks.
    #[must_use]
    pub fn num_workers(&self) -> usize {
        self.handle.metrics().num_workers()
    }

    /// Tasks that have not ended.
    #[must_use]
    pub fn num_alive_tasks(&self) -> usize {
        self.handle.metrics().num_alive_tasks()
    }

    /// What threads have sent to the loops, and the loops have not yet looked at. There is one
    /// inbox for each loop; this is the sum.
    #[must_use]
    pub fn global_queue_depth(&self) -> usize {
        let depths = self.handle.metrics();
        let sum: u64 = depths.loops().iter().map(|one| one.inbox_depth).sum();
        usize::try_from(sum).unwrap_or(usize::MAX)
    }

    /// Time in which the worker did not sleep.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    #[must_use]
    pub fn worker_total_busy_duration(&self, worker: usize) -> Duration {
        self.of_worker(worker).busy
    }

    /// Times the worker went to sleep.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    #[must_use]
    pub fn worker_park_count(&self, worker: usize) -> u64 {
        self.of_worker(worker).parks
    }

    /// Times the worker went to sleep or came back: odd while it sleeps.
    ///
    /// # Panics
    ///
    /// If there is no such worker.
    #[must_use]
    pub fn worker_park_unpark_count(&self, worker: usize) -> u64 {
        let metrics = self.of_worker(worker);
        metrics.parks + metrics.unparks
    }
}
