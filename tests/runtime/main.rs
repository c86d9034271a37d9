//! Behaviour of the runtime through its public API, a module for each subject.

mod abort;
mod block_on;
mod blocking;
mod builder;
mod coop;
mod join_set;
mod local;
mod misuse;
mod panics;
mod placement;
mod shutdown;
mod source;
mod support;
mod tasks;
