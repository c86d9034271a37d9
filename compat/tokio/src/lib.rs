//! A drop-in for tokio 1.x on oneloop: one loop per thread, no work stealing.
//!
//! With `[patch.crates-io] tokio = { path = ".../compat/tokio" }` an application and every crate
//! below it run on oneloop unchanged. Names, signatures and behaviour are tokio's; the differences
//! by design are listed in the project's README.
//!
//! Place: called by applications written for tokio, calls `oneloop` for the loop, tasks, timers
//! and sockets. `io`, `sync` and the macros are code of this package: they need no loop.

/// Only this package has it: `const _: () = tokio::ONELOOP;` is a compile-time assertion that the
/// patch is in force.
pub const ONELOOP: () = ();

#[macro_use]
#[doc(hidden)]
pub mod macros;

#[cfg(feature = "fs")]
pub mod fs;
pub mod io;
#[cfg(feature = "net")]
pub mod net;
#[cfg(any(feature = "fs", feature = "io-std"))]
#[cfg_attr(
    not(all(feature = "fs", feature = "io-std")),
    allow(dead_code, reason = "files and standard streams need a part each")
)]
mod offload;
#[cfg(feature = "process")]
pub mod process;
#[cfg(feature = "rt")]
pub mod runtime;
#[cfg(not(feature = "rt"))]
mod runtime {
    pub(crate) mod context;
    pub(crate) mod shutdown;
}
#[cfg(any(feature = "fs", feature = "sync"))]
mod primitive;
#[cfg(feature = "signal")]
pub mod signal;
#[cfg(feature = "sync")]
pub mod sync;
#[cfg(all(feature = "fs", not(feature = "sync")))]
#[allow(
    dead_code,
    unused_imports,
    unreachable_pub,
    reason = "files need the mutex"
)]
mod sync;
pub mod task;
#[cfg(feature = "time")]
pub mod time;

#[cfg(feature = "rt")]
pub use task::spawn;

#[cfg(feature = "macros")]
#[doc(hidden)]
pub use tokio_macros::select_priv_clean_pattern;

#[cfg(all(feature = "macros", feature = "rt-multi-thread"))]
pub use tokio_macros::{main, test};
#[cfg(all(feature = "macros", not(feature = "rt")))]
pub use tokio_macros::{main_fail as main, test_fail as test};
#[cfg(all(feature = "macros", feature = "rt", not(feature = "rt-multi-thread")))]
pub use tokio_macros::{main_rt as main, test_rt as test};
