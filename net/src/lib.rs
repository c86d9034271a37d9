//! Sockets on the loop: what an application reads from and writes to.
//!
//! Place: called by tasks, calls `oneloop_runtime::io::Source` for readiness and the
//! operating system through `sys`; runs on any thread that polls a task.
//!
//! ```text
//!  "host:port" -- ToSocketAddrs --> SocketAddr --+--> TcpStream::connect --+
//!                                                |                         v
//!                                                +--> TcpListener::accept -> TcpStream
//!                                                |                            |  split, into_split
//!                                                |                            v
//!                                                |                 ReadHalf, WriteHalf
//!                                                +--> UdpSocket
//!  path, abstract name --> UnixStream, UnixListener, UnixDatagram, pipe
//! ```
//!
//! What the families share is written once, in `stream`, `datagram`, `acceptor` and
//! `conversions`, as macros: the methods and their docs belong to the public types.
//!
//! Names and behaviour are tokio's wherever tokio has the thing. What differs:
//!
//! - Streams have inherent `read`, `read_exact`, `write`, `write_all`, `shutdown` and their
//!   `poll_*` forms: no trait has to be imported. With the feature `futures-io` (on by
//!   default) streams and halves also have the traits of that crate, with `tokio-io` those of
//!   tokio, and with `hyper` those of hyper.
//! - `accept` of [`TcpListener`] and [`UnixListener`] never fails because the process or the
//!   machine ran out of descriptors or memory, nor because a client went away: it waits or goes
//!   on, and counts.
//! - `from_std` sets non-blocking mode itself. The default backlog is 4096.
//! - Closing a socket never blocks the loop, whatever its linger time.
//! - A connect that the kernel connected to itself fails with `ConnectionRefused`.
//!
//! Options without a method here are reached through the descriptor: every type has
//! [`AsFd`](std::os::fd::AsFd), which is what `socket2::SockRef` and `rustix` take.
//!
//! # Invariants
//! I8. Peers and the kernel never cause a panic: every outcome of a system call is a value.

mod acceptor;
mod addr;
pub mod buffer;
pub mod client;
mod coalesced;
mod conversions;
mod datagram;
mod faults;
#[cfg(feature = "futures-io")]
mod futures_io;
#[cfg(feature = "hyper")]
pub mod hyper;
pub mod listeners;
mod lookup;
mod options;
pub mod server;
mod stream;
mod sys;
pub mod tcp;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(feature = "tokio-io")]
mod tokio_io;
mod udp;
pub mod unix;
pub mod zero_copy;

pub use addr::ToSocketAddrs;
pub use coalesced::Coalesced;
#[doc(inline)]
pub use listeners::{AcceptPolicy, Listeners};
pub use lookup::lookup_host;
#[doc(inline)]
pub use tcp::{TcpListener, TcpSocket, TcpStream};
pub use udp::UdpSocket;
#[doc(inline)]
pub use unix::{UnixDatagram, UnixListener, UnixSocket, UnixStream};
pub use zero_copy::{copy, copy_bidirectional};
