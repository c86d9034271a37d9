//! TCP: listeners, streams and their halves.
//!
//! Place: called by tasks, calls `sys` for the system calls and `oneloop_runtime::io::Source`
//! for waiting; runs on any thread that polls a task.
//!
//! ```text
//! TcpSocket --bind, listen--> TcpListener --accept--> TcpStream --split------> ReadHalf, WriteHalf
//!     |                                                  ^      --into_split-> OwnedReadHalf, OwnedWriteHalf
//!     +----------------------connect---------------------+                        |  reunite
//!                                                        +------------------------+
//! ```

#[cfg(target_os = "linux")]
mod cork;
pub(crate) mod descriptor;
mod detached;
mod halves;
#[cfg(target_os = "linux")]
mod info;
#[cfg(target_os = "linux")]
mod keepalive;
mod listener;
#[cfg(target_os = "linux")]
mod listening_options;
mod options;
mod socket;
mod stream;
mod transfer;

#[cfg(target_os = "linux")]
pub use cork::Corked;
pub use detached::Detached;
pub use halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
#[cfg(target_os = "linux")]
pub use info::{TcpInfo, TcpState};
#[cfg(target_os = "linux")]
pub use keepalive::TcpKeepalive;
pub use listener::TcpListener;
pub use socket::TcpSocket;
pub use stream::TcpStream;
