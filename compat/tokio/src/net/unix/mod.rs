//! Unix sockets and pipes.

mod address;
mod datagram;
mod halves;
mod listener;
pub mod pipe;
mod socket;
mod stream;

pub use address::SocketAddr;
pub use datagram::UnixDatagram;
pub use halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use listener::UnixListener;
pub use oneloop::net::unix::UCred;
pub use socket::UnixSocket;
pub use stream::UnixStream;

/// A user's number.
#[allow(non_camel_case_types, reason = "tokio's name, which is POSIX's")]
pub type uid_t = u32;
/// A group's number.
#[allow(non_camel_case_types, reason = "tokio's name, which is POSIX's")]
pub type gid_t = u32;
/// A process's number.
#[allow(non_camel_case_types, reason = "tokio's name, which is POSIX's")]
pub type pid_t = i32;
