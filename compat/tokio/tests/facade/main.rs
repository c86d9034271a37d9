//! What tokio's own tests, which `conformance` runs, do not look at.

#![cfg(feature = "full")]

mod errors;
mod ids;
mod pipes;
mod readiness;
mod shutdown;
mod timers;
