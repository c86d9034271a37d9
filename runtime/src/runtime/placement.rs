//! On which loop a new task lives.
//!
//! Place: asked by `spawn` on any thread.
//!
//! # Why it is so
//! There is no stealing, so a task that is placed badly stays so. A server accepts in one task and
//! spawns one task for each connection: kept where they are born, all would share one loop; sent
//! away blindly, a request that spawns three helpers would pay three wake-ups of sleeping loops.
//! So a task leaves only if its loop is clearly busier than the better of two others, chosen at
//! random (the power of two choices: M. Mitzenmacher, IEEE TPDS 12(10), 2001).

use std::cell::Cell;

use super::Shared;
use crate::context;
use crate::primitive::counter::{Counter, Ordering};
use crate::primitive::sync::Arc;
use crate::primitive::{IS_MODEL, thread_local};
use crate::worker::{Local, Remote};

/// On which loop of a multi-thread runtime `spawn` places a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Placement {
    /// From outside the runtime's loops: the less loaded of two loops chosen at random. From a
    /// loop: that loop, unless it has clearly more live tasks (more than an eighth and four on top)
    /// than the better of two others.
    #[default]
    Adaptive,
    /// From a loop: always that loop. From outside: as `Adaptive`.
    Local,
    /// Each loop in turn, wherever the spawn comes from.
    RoundRobin,
    /// The loop with the fewest live tasks of all; the own loop among equals.
    LeastLoaded,
}

impl Shared {
    /// The loop for a new task. None in a child of fork(2), where no loop runs: told apart outside
    /// the runtime's loops alone, as on them it would be a system call for each spawn.
    pub(crate) fn place(&self) -> Option<Arc<Remote>> {
        context::with_local(|local| {
            let here = local.filter(|local| std::ptr::eq(self, &raw const **local.shared()));
            if here.is_none() && self.was_forked() {
                return None;
            }
            if let [only] = self.loops.as_slice() {
                return Some(Arc::clone(only));
            }
            // A main loop runs no Send task: it is driven only while its `block_on` lasts.
            let own = here.filter(|local| !local.is_main());
            // Inside `block_in_place` the own loop stands still.
            if own.is_some() && !context::is_driving_tasks() {
                return Some(Arc::clone(self.better_of_two(own)));
            }
            Some(Arc::clone(match (self.config.placement, own) {
                (Placement::Local, Some(own)) => own.remote(),
                (Placement::Adaptive, Some(own)) => self.own_or_better(own),
                (Placement::Adaptive | Placement::Local, None) => self.better_of_two(None),
                (Placement::RoundRobin, _) => self.next_in_turn(),
                (Placement::LeastLoaded, own) => self.least_loaded(own),
            }))
        })
    }

    /// A loop for something that a thread without a loop waits for.
    pub(crate) fn any_loop(&self) -> &Arc<Remote> {
        self.better_of_two(None)
    }

    fn own_or_better<'a>(&'a self, own: &'a Local) -> &'a Arc<Remote> {
        let own_load = own.remote().load();
        if own_load <= SLACK_TASKS {
            return own.remote();
        }
        let other = self.better_of_two(Some(own));
        let other_load = other.load();
        if own_load > other_load + other_load / SLACK_SHARE + SLACK_TASKS {
            other
        } else {
            own.remote()
        }
    }

    fn better_of_two(&self, except: Option<&Local>) -> &Arc<Remote> {
        let others = self.loops.len() - usize::from(except.is_some());
        let own = except.and_then(|own| self.loops.iter().position(|it| own.is(it)));
        // Numbers among the others, then among all.
        let among_all = |n: usize| n + usize::from(own.is_some_and(|own| n >= own));
        let first = random_below(others);
        let second = if others > 1 {
            (first + 1 + random_below(others - 1)) % others
        } else {
            first
        };
        let (first, second) = (
            &self.loops[among_all(first)],
            &self.loops[among_all(second)],
        );
        if second.load() < first.load() {
            second
        } else {
            first
        }
    }

    fn next_in_turn(&self) -> &Arc<Remote> {
        static TURN: Counter = Counter::new(0);
        let turn = TURN.fetch_add(1, Ordering::Relaxed) % self.loops.len() as u64;
        &self.loops[turn as usize]
    }

    fn least_loaded<'a>(&'a self, own: Option<&'a Local>) -> &'a Arc<Remote> {
        let least = self
            .loops
            .iter()
            .min_by_key(|it| it.load())
            .expect("at least one loop");
        match own {
            Some(own) if own.remote().load() <= least.load() => own.remote(),
            _ => least,
        }
    }
}

/// A cheap random number of this thread: xorshift (G. Marsaglia, JSS 8(14), 2003).
fn random_below(n: usize) -> usize {
    thread_local! {
        static STATE: Cell<u32> = const { Cell::new(0) };
    }
    let random = STATE
        .try_with(|state| {
            let mut x = match state.get() {
                0 => seed(),
                x => x,
            };
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            state.set(x);
            x
        })
        .unwrap_or(0);
    random as usize % n
}

/// Differs from thread to thread, and is never 0.
fn seed() -> u32 {
    static THREADS: Counter = Counter::new(1);
    // In a model the same choice must be made in every run of an execution.
    let n = if IS_MODEL {
        1
    } else {
        THREADS.fetch_add(1, Ordering::Relaxed) as u32
    };
    n.wrapping_mul(0x9E37_79B9) | 1
}

/// A loop is clearly busier with this many tasks more than another,
const SLACK_TASKS: usize = 4;
/// and this share of the other's tasks on top.
const SLACK_SHARE: usize = 8;
