//! What the measurements share: the same small workloads on every runtime, echo servers, a load
//! generator, and tables.
//!
//! ```text
//!   ratios, benches/*.rs              --> workloads --> runtimes             in this process
//!   compare, idle, benches/echo.rs    --> contest, child --> servers, load   one process each
//!   compare                           --> http --> nginx, Go, hyper, httpd under wrk and load
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
pub mod contest;
pub mod footprint;
pub mod goals;
pub mod http;
pub mod idle;
pub mod kind;
pub mod load;
pub mod process;
pub mod report;
pub mod runtimes;
pub mod servers;
pub mod signal;
pub mod turns;
pub mod workloads;
