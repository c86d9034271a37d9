//! Behaviour of the runtime through its public API, a module for each subject.

#![allow(clippy::print_stdout, reason = "children of a test print for it")]
#![allow(
    clippy::async_yields_async,
    reason = "handles are handed out of `block_on` on purpose"
)]

mod abort;
mod block_in_place;
mod block_on;
mod blocking;
mod buffers;
mod builder;
mod connections;
mod coop;
mod files;
mod huge_pages;
mod join_set;
mod joining;
mod local;
mod local_set;
mod metrics;
mod misuse;
mod panics;
mod placement;
mod processes;
mod roots;
mod shutdown;
mod signals;
mod source;
mod spawned_at;
mod support;
mod tasks;
mod turn_end;
