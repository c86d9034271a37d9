//! Sockets on the loop: what an application reads from and writes to.
//!
//! Place: called by tasks, calls `oneloop_runtime::io::Source` for readiness and the
//! operating system through `sys`; runs on any thread that polls a task.
//!
//! ```text
//!  "host:port" -- ToSocketAddrs --> SocketAddr --+--> TcpStream::connect --+
//!                                                |                         v
//!                                                +--> TcpListener::accept -> TcpStream
//!                                                                             |  split, into_split
//!                                                                             v
//!                                                                  ReadHalf, WriteHalf
//! ```
//!
//! # Invariants
//! I8. Peers and the kernel never cause a panic: every outcome of a system call is a value.

mod addr;
mod lookup;
mod sys;
pub mod tcp;

pub use addr::ToSocketAddrs;
pub use lookup::lookup_host;
#[doc(inline)]
pub use tcp::TcpStream;
