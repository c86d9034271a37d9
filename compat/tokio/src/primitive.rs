//! The one place that names `std` or `loom`.
//!
//! Place: used by every file of `sync` that shares memory between threads; runs on any thread.
//!
//! Under `--cfg loom` the code of `sync` runs on loom's locks, cells and atomics, so that the models
//! explore the code that ships. Everywhere else these are `std`'s, at no cost.
//!
//! # Why it is so
//! A cargo feature is not additive and `cfg(test)` is not set for a dependency; the runtime looks at
//! the same literal `cfg(loom)`.

#[cfg(not(loom))]
mod real;
#[cfg(not(loom))]
pub(crate) use real::*;

#[cfg(loom)]
mod model;
#[cfg(loom)]
pub(crate) use model::*;

/// Keeps a word that one side writes off the cache lines of the words that the other side writes.
/// Two lines, because processors fetch them in pairs.
#[derive(Debug, Default)]
#[repr(align(128))]
pub(crate) struct CachePadded<T>(pub(crate) T);

impl<T> std::ops::Deref for CachePadded<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}
