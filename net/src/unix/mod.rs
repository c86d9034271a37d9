//! Unix domain sockets and pipes: streams, listeners and datagrams within one machine.
//!
//! Place: called by tasks, calls `sys` for the system calls and `oneloop_runtime::io::Source` for
//! waiting; runs on any thread that polls a task.
//!
//! Addresses are those of the standard library,
//! [`std::os::unix::net::SocketAddr`]: a path, an abstract name (Linux), or none. Where a path is
//! asked for, one that begins with a NUL byte stands for the abstract name that follows it, as in
//! tokio. A peer whose path has 108 bytes, which that type has no room for, counts as one without a
//! name.

mod address;
mod datagram;
mod halves;
mod listener;
pub mod pipe;
mod socket;
mod stream;
mod transfer;
mod ucred;

pub use datagram::UnixDatagram;
pub use halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use listener::UnixListener;
pub use socket::UnixSocket;
pub use stream::UnixStream;
#[cfg(any(target_os = "linux", target_os = "android"))]
pub use ucred::UCred;
