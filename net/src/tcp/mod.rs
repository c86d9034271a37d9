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

pub(crate) mod descriptor;
mod detached;
mod halves;
mod listener;
mod options;
mod socket;
mod stream;
mod transfer;

pub use detached::Detached;
pub use halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use listener::TcpListener;
pub use socket::TcpSocket;
pub use stream::TcpStream;
