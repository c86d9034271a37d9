//! The one place that names `std` or `loom`.
//!
//! Place: used by every file that shares memory between threads; runs on any thread.
//!
//! Under `--cfg loom` the protocol files run on loom's threads, locks, cells and atomics, so that
//! the models explore the code that ships. Everywhere else these are `std`'s, at no cost.
//!
//! # Why it is so
//! A cargo feature is not additive, `cfg(test)` is not set for a dependency, and a private cfg
//! would leave `concurrent-queue` uninstrumented: it looks at the literal `cfg(loom)`.

#[cfg(not(loom))]
mod real;
#[cfg(not(loom))]
pub(crate) use real::*;

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub(crate) use model::*;

/// Whether this build is explored by loom, which has no clock.
pub(crate) const IS_MODEL: bool = cfg!(loom);

/// Keeps a word that one thread writes and others read off its neighbours' cache lines.
pub(crate) use crossbeam_utils::CachePadded;

/// Counters and identifiers that no protocol depends on. They stay `std`'s under loom, where a
/// static must not belong to one execution.
pub(crate) mod counter {
    pub(crate) use std::sync::atomic::AtomicU64 as Counter;
    pub(crate) use std::sync::atomic::Ordering;
}
