//! What a loop tells about itself.
//!
//! Place: counted by the loop in plain cells, published once a turn; read on any thread.
//!
//! # Invariants
//! I2. Each word is written by its loop alone; nobody decrements another's counter.
//!
//! # Why it is so
//! Counting in plain memory and storing the sums once a turn costs a few relaxed stores on a cache
//! line that nobody else writes; a read may be one turn old.

use std::cell::Cell;
use std::time::Duration;

use crate::buf::Gauges;
use crate::primitive::counter::{Counter, Ordering};
use crate::time::{LATE_BUCKETS, Stats};
use crate::worker::LoopId;

/// A counter of the loop's own thread.
#[derive(Debug, Default)]
pub(crate) struct Count(Cell<u64>);

impl Count {
    pub(crate) fn add(&self, n: u64) {
        self.0.set(self.0.get().wrapping_add(n));
    }

    fn get(&self) -> u64 {
        self.0.get()
    }
}

/// What the loop counts as it goes.
#[derive(Debug, Default)]
pub(crate) struct Counts {
    pub(crate) turns: Count,
    pub(crate) polls: Count,
    pub(crate) parks: Count,
    pub(crate) unparks: Count,
    pub(crate) busy_ns: Count,
    pub(crate) local_wakes: Count,
    pub(crate) messages: Count,
    pub(crate) source_moves: Count,
    pub(crate) io_events: Count,
}

/// The same for all to read.
#[derive(Debug, Default)]
pub(crate) struct Published {
    live_tasks: Counter,
    sources: Counter,
    timers: Counter,
    timers_fired: Counter,
    timers_late_total_us: Counter,
    timers_late_max_us: Counter,
    timers_late: [Counter; LATE_BUCKETS],
    turns: Counter,
    polls: Counter,
    parks: Counter,
    unparks: Counter,
    busy_ns: Counter,
    /// When the turn began that goes on, in nanoseconds of the runtime's age. 0: it sleeps.
    turn_began_ns: Counter,
    local_wakes: Counter,
    messages: Counter,
    source_moves: Counter,
    io_events: Counter,
    buffer_bytes_out: Counter,
    buffer_bytes_free: Counter,
    buffers_out: Counter,
    buffer_waits: Counter,
    buffer_arena_bytes: Counter,
    buffer_arena_refusals: Counter,
}

impl Published {
    pub(crate) fn live_tasks(&self) -> usize {
        usize::try_from(self.live_tasks.load(Ordering::Relaxed)).unwrap_or(usize::MAX)
    }

    #[inline]
    pub(crate) fn set_live_tasks(&self, count: usize) {
        self.live_tasks.store(count as u64, Ordering::Relaxed);
    }

    pub(crate) fn publish_busy(&self, counts: &Counts) {
        self.busy_ns.store(counts.busy_ns.get(), Ordering::Relaxed);
    }

    /// The loop is back from a sleep, long before the turn is over.
    pub(crate) fn publish_unpark(&self, counts: &Counts) {
        self.unparks.store(counts.unparks.get(), Ordering::Relaxed);
    }

    /// The age of the runtime at which the present turn began. None when the loop goes to sleep.
    pub(crate) fn set_turn_began(&self, age: Option<Duration>) {
        let began = age.map_or(0, |age| nanoseconds(age).max(1));
        self.turn_began_ns.store(began, Ordering::Relaxed);
    }

    /// The time in which the loop did not sleep up to now, and how much of it is the present turn.
    pub(crate) fn busy_at(&self, age: Duration) -> (Duration, Duration) {
        let before = Duration::from_nanos(self.busy_ns.load(Ordering::Relaxed));
        let turn = match self.turn_began_ns.load(Ordering::Relaxed) {
            0 => Duration::ZERO,
            began => age.saturating_sub(Duration::from_nanos(began)),
        };
        (before + turn, turn)
    }

    pub(crate) fn publish(&self, counts: &Counts, sources: usize, timers: usize) {
        let all = [
            (&self.turns, counts.turns.get()),
            (&self.polls, counts.polls.get()),
            (&self.parks, counts.parks.get()),
            (&self.unparks, counts.unparks.get()),
            (&self.busy_ns, counts.busy_ns.get()),
            (&self.local_wakes, counts.local_wakes.get()),
            (&self.messages, counts.messages.get()),
            (&self.source_moves, counts.source_moves.get()),
            (&self.io_events, counts.io_events.get()),
            (&self.sources, sources as u64),
            (&self.timers, timers as u64),
        ];
        for (published, count) in all {
            published.store(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn publish_timers(&self, stats: &Stats) {
        let us = |duration: Duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX);
        self.timers_fired.store(stats.fired, Ordering::Relaxed);
        self.timers_late_total_us
            .store(us(stats.late_total), Ordering::Relaxed);
        self.timers_late_max_us
            .store(us(stats.late_max), Ordering::Relaxed);
        for (published, count) in self.timers_late.iter().zip(stats.late_histogram) {
            published.store(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn publish_buffers(&self, gauges: Gauges) {
        let all = [
            (&self.buffer_bytes_out, gauges.bytes_out as u64),
            (&self.buffer_bytes_free, gauges.bytes_free as u64),
            (&self.buffers_out, gauges.blocks_out as u64),
            (&self.buffer_waits, gauges.waits),
            (&self.buffer_arena_bytes, gauges.arena_bytes as u64),
            (&self.buffer_arena_refusals, gauges.arena_refusals),
        ];
        for (published, count) in all {
            published.store(count, Ordering::Relaxed);
        }
    }

    pub(crate) fn snapshot(&self, id: LoopId, inbox_depth: usize) -> LoopMetrics {
        let read = |counter: &Counter| counter.load(Ordering::Relaxed);
        LoopMetrics {
            id,
            inbox_depth: inbox_depth as u64,
            busy: Duration::from_nanos(read(&self.busy_ns)),
            unparks: read(&self.unparks),
            live_tasks: read(&self.live_tasks),
            sources: read(&self.sources),
            timers: read(&self.timers),
            timers_fired: read(&self.timers_fired),
            timers_late_total: Duration::from_micros(read(&self.timers_late_total_us)),
            timers_late_max: Duration::from_micros(read(&self.timers_late_max_us)),
            timers_late_histogram: self.timers_late.iter().map(read).collect(),
            turns: read(&self.turns),
            polls: read(&self.polls),
            parks: read(&self.parks),
            local_wakes: read(&self.local_wakes),
            messages: read(&self.messages),
            source_moves: read(&self.source_moves),
            io_events: read(&self.io_events),
            buffer_bytes_out: read(&self.buffer_bytes_out),
            buffer_bytes_free: read(&self.buffer_bytes_free),
            buffers_out: read(&self.buffers_out),
            buffer_waits: read(&self.buffer_waits),
            buffer_arena_bytes: read(&self.buffer_arena_bytes),
            buffer_arena_refusals: read(&self.buffer_arena_refusals),
        }
    }
}

fn nanoseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// The state of one loop, at most one turn old. Counters only grow.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct LoopMetrics {
    /// Which loop.
    pub id: LoopId,
    /// Messages from other threads that wait now: spawns and wake-ups for the most part.
    pub inbox_depth: u64,
    /// Time in which the loop neither slept nor looked for work before a sleep.
    pub busy: Duration,
    /// Times the loop came back from a sleep: as many as [`parks`](Self::parks), or one less while
    /// it sleeps.
    pub unparks: u64,
    /// Tasks that live on this loop now.
    pub live_tasks: u64,
    /// Descriptors registered with this loop now.
    pub sources: u64,
    /// Timers armed on this loop now.
    pub timers: u64,
    /// Timers that fired.
    pub timers_fired: u64,
    /// The sum of the times by which they were late.
    pub timers_late_total: Duration,
    /// The longest time by which one was late.
    pub timers_late_max: Duration,
    /// How many were late by less than 1 us, 2 us, 4 us, 8 us and so on; the last has the rest.
    pub timers_late_histogram: Vec<u64>,
    /// Turns made.
    pub turns: u64,
    /// Polls of tasks.
    pub polls: u64,
    /// Times the loop went to sleep.
    pub parks: u64,
    /// Wake-ups of tasks by this loop's own thread.
    pub local_wakes: u64,
    /// Messages from other threads: wake-ups, spawns, and changes of sources and timers.
    pub messages: u64,
    /// Descriptors that a task of another loop took over from this one.
    pub source_moves: u64,
    /// Readiness events from the kernel.
    pub io_events: u64,
    /// Bytes of the buffers that are lent out now, each with its whole block.
    pub buffer_bytes_out: u64,
    /// Bytes of the buffers that the loop keeps for the next.
    pub buffer_bytes_free: u64,
    /// Buffers that are lent out now.
    pub buffers_out: u64,
    /// Times that somebody had to wait for a buffer.
    pub buffer_waits: u64,
    /// Bytes of the arenas of huge pages that the loop keeps, whether a buffer lies there or not: 0
    /// unless [`buffer_huge_pages`](crate::runtime::Builder::buffer_huge_pages) is on.
    pub buffer_arena_bytes: u64,
    /// Times that the system refused an arena, so that buffers came from the heap: at most one, since
    /// the loop does not ask again.
    pub buffer_arena_refusals: u64,
}

/// The state of a runtime's loops. Made by [`Handle::metrics`](crate::runtime::Handle::metrics).
#[derive(Debug, Clone)]
pub struct RuntimeMetrics {
    pub(crate) loops: Vec<LoopMetrics>,
    pub(crate) blocking_threads: usize,
    pub(crate) blocking_queue: usize,
    pub(crate) age: Duration,
}

impl RuntimeMetrics {
    /// The number of loops that run tasks.
    #[must_use]
    pub fn num_workers(&self) -> usize {
        self.loops.len()
    }

    /// Tasks that live on all loops.
    #[must_use]
    pub fn num_alive_tasks(&self) -> usize {
        usize::try_from(self.loops.iter().map(|one| one.live_tasks).sum::<u64>())
            .unwrap_or(usize::MAX)
    }

    /// Each loop's own figures, in the order of [`Handle::loop_ids`].
    ///
    /// [`Handle::loop_ids`]: crate::runtime::Handle::loop_ids
    #[must_use]
    pub fn loops(&self) -> &[LoopMetrics] {
        &self.loops
    }

    /// Threads of the blocking pool.
    #[must_use]
    pub fn num_blocking_threads(&self) -> usize {
        self.blocking_threads
    }

    /// Jobs that wait for a thread of the blocking pool.
    #[must_use]
    pub fn blocking_queue_depth(&self) -> usize {
        self.blocking_queue
    }

    /// Time since the runtime was built.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.age
    }
}
