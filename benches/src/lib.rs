//! What the measurements share: the same small workloads on every runtime, echo servers, a load
//! generator, and tables.
//!
//! ```text
//!   criterion (benches/*.rs)  --+--> workloads --> runtimes     in this process
//!   ratios (src/bin)          --+--> child --> servers, load    one process each, pinned
//! ```
//!
//! A workload is written once and compiled for each runtime, so that only the runtime differs.
//! Everything here panics when it cannot measure: there is no result to save.

#![forbid(unsafe_code)]
#![expect(
    clippy::missing_panics_doc,
    reason = "a measurement that fails has no result"
)]

pub mod child;
pub mod load;
pub mod process;
pub mod report;
pub mod runtimes;
pub mod servers;
pub mod signal;
pub mod workloads;
