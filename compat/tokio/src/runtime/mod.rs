//! The runtime: loops, their threads, and the blocking pool.
//!
//! Place: wraps `oneloop::runtime`. What is added: tokio's panic texts, and the switches
//! `enable_io` and `enable_time`, which oneloop itself does not have.

mod builder;
pub(crate) mod context;
mod handle;
mod local_runtime;
mod metrics;
#[allow(
    clippy::module_inception,
    reason = "the type that gives the module its name"
)]
mod runtime;
pub(crate) mod shutdown;

pub use builder::Builder;
pub use handle::{EnterGuard, Handle, Id, RuntimeFlavor, TryCurrentError};
pub use local_runtime::{LocalOptions, LocalRuntime};
pub use metrics::RuntimeMetrics;
pub use runtime::Runtime;
pub use shutdown::is_rt_shutdown_err;

/// The number of the worker that this thread is, if it is one. The thread inside `block_on` of a
/// current-thread runtime is worker 0; inside that of a multi-thread runtime it is none.
#[must_use]
pub fn worker_index() -> Option<usize> {
    oneloop::runtime::Handle::current_loop()
}
