//! What the models share. The models are in `tests/`, and exist only under `--cfg loom`.

#![cfg(loom)]

use std::sync::atomic::{AtomicUsize, Ordering};

use loom::sync::{Condvar, Mutex};

/// Explores all executions of `body` at the bound of `LOOM_MAX_PREEMPTIONS` (2 unless set), and
/// gives their number.
///
/// `max_branches` is raised because `concurrent-queue` needs more than loom's default of 1,000.
pub fn explore(name: &str, body: impl Fn() + Send + Sync + 'static) -> usize {
    static EXECUTIONS: AtomicUsize = AtomicUsize::new(0);
    let before = EXECUTIONS.load(Ordering::SeqCst);
    let mut model = loom::model::Builder::new();
    model.max_branches = 20_000;
    model.preemption_bound = model.preemption_bound.or(Some(2));
    let started = std::time::Instant::now();
    model.check(move || {
        EXECUTIONS.fetch_add(1, Ordering::SeqCst);
        body();
    });
    let executions = EXECUTIONS.load(Ordering::SeqCst) - before;
    println!(
        "{name}: {executions} executions in {:.1} s",
        started.elapsed().as_secs_f64()
    );
    executions
}

/// How often a model reached something. Kept outside loom, over all executions.
#[derive(Debug)]
pub struct Reached(AtomicUsize);

impl Reached {
    /// Not reached yet.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "used in statics")]
    pub const fn new() -> Self {
        Self(AtomicUsize::new(0))
    }

    /// Counts once.
    pub fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts once if `condition`.
    pub fn count_if(&self, condition: bool) {
        if condition {
            self.count();
        }
    }

    /// Fails if no execution counted: the model does not explore what it is for.
    #[track_caller]
    pub fn assert(&self, what: &str) {
        let count = self.0.load(Ordering::Relaxed);
        println!("  {what}: {count}");
        assert!(count > 0, "no execution reached: {what}");
    }
}

/// What a sleeping loop waits on. Waiting for a ring that never comes is a deadlock, which loom
/// reports: that is how a lost wake-up shows.
#[derive(Debug)]
pub struct Bell {
    rung: Mutex<bool>,
    bell: Condvar,
}

impl Bell {
    /// A bell that has not rung.
    #[must_use]
    #[allow(
        clippy::new_without_default,
        reason = "loom's objects belong to one execution"
    )]
    pub fn new() -> Self {
        Self {
            rung: Mutex::new(false),
            bell: Condvar::new(),
        }
    }

    /// Rings: ends this wait, or the next.
    pub fn ring(&self) {
        *self.rung.lock().unwrap() = true;
        self.bell.notify_one();
    }

    /// Waits for a ring.
    pub fn wait(&self) {
        let mut rung = self.rung.lock().unwrap();
        while !*rung {
            rung = self.bell.wait(rung).unwrap();
        }
        *rung = false;
    }
}
