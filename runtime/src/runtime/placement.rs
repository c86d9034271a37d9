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

use super::{Handle, Shared, refuse_forked};
use crate::context;
use crate::primitive::counter::{Counter, Ordering};
use crate::primitive::sync::Arc;
use crate::primitive::{IS_MODEL, thread_local};
use crate::worker::{HomeLoop, Local, Remote};

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

/// The loop that was chosen for a task, and that exists until the task is there: another than this
/// thread's is held, this thread's stays anyway. One word, which is returned in a register.
#[derive(Debug)]
pub(crate) struct Place(Option<Arc<Remote>>);

impl Place {
    /// The loop of this thread.
    pub(crate) const HERE: Self = Self(None);

    pub(crate) fn at(remote: &Arc<Remote>) -> Self {
        Self(Some(Arc::clone(remote)))
    }

    /// On the thread that chose the place.
    #[inline]
    pub(crate) fn home(&self) -> HomeLoop {
        if let Some(remote) = &self.0 {
            return HomeLoop::of(remote);
        }
        context::with_local(|local| {
            HomeLoop::of(local.expect("a loop runs on this thread").remote())
        })
    }
}

/// Where a task of the runtime that is current on this thread goes.
///
/// # Panics
///
/// Outside a runtime. In a child of fork(2).
#[track_caller]
#[inline]
pub(crate) fn place() -> Place {
    if context::with_current_loop(|own| own.is_some_and(Local::is_only_loop)) {
        return Place::HERE;
    }
    choose_place()
}

#[track_caller]
fn choose_place() -> Place {
    // Without a look at the handle, which most spawns do without.
    if let Some(place) = context::with_current_loop(|own| own.map(place_from)) {
        return place;
    }
    match Handle::with_current(|handle| handle.shared().place()) {
        Ok(Some(place)) => place,
        Ok(None) => refuse_forked(),
        Err(error) => panic!("{error}"),
    }
}

impl Shared {
    /// The place of a new task. None in a child of fork(2), where no loop runs: told apart outside
    /// the runtime's loops alone, as on them it would be a system call for each spawn.
    pub(crate) fn place(&self) -> Option<Place> {
        context::with_local(|local| {
            let here = local.filter(|local| std::ptr::eq(self, &raw const **local.shared()));
            if here.is_none() && self.was_forked() {
                return None;
            }
            Some(match here {
                Some(own) => place_from(own),
                None => Place::at(self.place_from_outside()),
            })
        })
    }

    fn place_from_outside(&self) -> &Arc<Remote> {
        if let [only] = self.loops.as_slice() {
            return only;
        }
        match self.config.placement {
            Placement::Adaptive | Placement::Local => self.better_of_two(None),
            Placement::RoundRobin => self.next_in_turn(),
            Placement::LeastLoaded => self.least_loaded(None),
        }
    }

    /// A loop for something that a thread without a loop waits for.
    pub(crate) fn any_loop(&self) -> &Arc<Remote> {
        context::with_local(|local| {
            let is_one_of_them = |local: &&Local| {
                std::ptr::eq(self, &raw const **local.shared()) && !local.is_main()
            };
            // Inside `block_in_place` the own loop stands still.
            let own = local
                .filter(is_one_of_them)
                .filter(|_| self.loops.len() > 1);
            self.better_of_two(own)
        })
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

/// Where a task goes that is spawned on this loop.
fn place_from(own: &Local) -> Place {
    let shared = own.shared();
    // A main loop runs no Send task: it is driven only while its `block_on` lasts.
    if own.is_main() {
        return Place::at(shared.place_from_outside());
    }
    // For `Shared::place`: else it has been asked already.
    if own.is_only_loop() {
        return Place::HERE;
    }
    // Inside `block_in_place` the own loop stands still.
    if !context::is_driving_tasks() {
        return Place::at(shared.better_of_two(Some(own)));
    }
    let chosen = match shared.config.placement {
        Placement::Local => return Place::HERE,
        Placement::Adaptive => shared.own_or_better(own),
        Placement::RoundRobin => shared.next_in_turn(),
        Placement::LeastLoaded => shared.least_loaded(Some(own)),
    };
    if own.is(chosen) {
        Place::HERE
    } else {
        Place::at(chosen)
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
