//! A tokio-compatible async runtime with one loop per thread.

#[doc(inline)]
pub use oneloop_runtime::{io, runtime, task};
