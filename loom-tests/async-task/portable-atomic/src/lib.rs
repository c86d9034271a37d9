//! loom's atomics, where async-task asks for portable-atomic's.

#[cfg(loom)]
pub use loom::sync::atomic::*;

#[cfg(not(loom))]
pub use core::sync::atomic::*;
