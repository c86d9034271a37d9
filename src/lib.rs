//! A tokio-compatible async runtime with one loop per thread.
//!
//! Every worker thread runs a single-threaded executor around its own reactor and its own timers.
//! A task is placed on a loop when it is spawned, and is polled and dropped there for all its life;
//! nothing is stolen. The names and the behaviour are tokio's wherever tokio has the thing.
//!
//! ```
//! let sum = oneloop::block_on(async {
//!     let helper = oneloop::spawn(async { 40 });
//!     helper.await.unwrap() + 2
//! });
//! assert_eq!(sum, 42);
//! ```
//!
//! # Where a task runs
//!
//! [`spawn`] places a task on a loop by load (see [`runtime::Placement`]); [`spawn_local`] keeps it
//! on the loop of this thread and takes futures that are not `Send`; [`task::spawn_on`] and
//! [`runtime::Handle::spawn_on_each`] name the loop. A function that blocks belongs on
//! [`task::spawn_blocking`]: a task that blocks its thread stalls every task of its loop.

#[doc(inline)]
pub use oneloop_net as net;
#[doc(inline)]
pub use oneloop_runtime::{buf, io, runtime, task, time};
// A model has none of these.
#[cfg(not(loom))]
#[doc(inline)]
pub use oneloop_runtime::{fs, process, signal};
#[doc(inline)]
pub use task::{spawn, spawn_local};

/// How it works, for who wants to change it.
#[doc = include_str!("../ARCHITECTURE.md")]
pub mod architecture {}

/// The README's program is compiled with the tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Runs a future to completion on a runtime made for it: one loop for each available core, and a
/// main loop on this thread. The runtime is shut down when the future is done.
///
/// # Panics
///
/// On a thread that drives async code already; if the system refuses threads or descriptors; and
/// the future's panics go through.
#[track_caller]
pub fn block_on<F: Future>(future: F) -> F::Output {
    let runtime = match runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => panic!("the runtime cannot be started: {error}"),
    };
    runtime.block_on(future)
}
