//! A server: accepting on every loop, limits, and an orderly end.
//!
//! Place: called by applications; calls listeners and streams of `tcp`, timers and `spawn_on` of the
//! runtime. Each loop has its part, in plain memory of its own; what the loops share is two
//! counters with a limit (`gate`) and words that one loop writes and all read.
//!
//! ```text
//!  ServerHandle ------ tasks by spawn_on ------+
//!   (any thread)                               v
//!  Acceptor -> admit -> Registry <---------- Link ----------> serve: handler + limits
//!   (loop)      |       (loop)       (one connection)             |
//!               +--- Gate: max_connections (all loops) ---+   Connection
//! ```
//!
//! # Invariants
//! I1. A connection, its handler and all that the server knows of it stay on the loop that accepted
//! it. I6. Connections, reserved bytes, farewells, the queue that a drain empties and the peers in
//! its report have limits with names.
//!
//! # Why it is so
//! A server of tokio's is a loop around `accept` with a semaphore, a `select!` in every handler and a
//! counter for the end, each time anew and each time with another gap: the connection that is idle
//! forever, the one that is dropped in the middle of a request, the queue of the kernel that is
//! reset at the end. Here the reads and writes themselves tell what a connection does, so all of
//! this needs nothing from a simple handler.

mod accepting;
mod config;
mod connection;
mod counts;
mod drain;
mod gate;
mod guards;
mod handle;
mod handover;
mod inherited;
mod leases;
mod link;
mod primitive;
mod registry;
mod serving;
mod shared;
// A model has no signals.
#[cfg(not(loom))]
mod shutdown;
mod waiters;

pub use config::{MAX_CONNECTIONS_DEFAULT, Outcome, OverloadPolicy, Server, ServerBuilder};
pub use connection::Connection;
pub use counts::Counts;
pub use drain::{CUT_PEERS_MAX, DrainReport};
pub use guards::{RequestGuard, Reservation};
pub use handle::ServerHandle;
pub use handover::{receive_listeners, send_listeners};
pub use inherited::{LISTENERS_MAX, inherited_listeners};
pub use registry::{ConnectionInfo, ConnectionState};
#[cfg(not(loom))]
pub use shutdown::shutdown_signal;
