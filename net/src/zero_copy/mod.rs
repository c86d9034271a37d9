//! Bytes that the kernel moves by itself: from a file to a socket, and from socket to socket.
//!
//! Place: called by tasks, calls the system through `kernel`; runs on any thread that polls a task.
//!
//! ```text
//! send_file            file   --sendfile-->          socket
//! copy                 socket --splice--> pipe --splice--> socket
//! copy_bidirectional   both ways at once, a half-close passed on as one
//! ZeroCopyWriter       memory --MSG_ZEROCOPY-->      socket, kept until a notice releases it
//! ```
//!
//! What the kernel refuses, and ends that are no sockets, go through a buffer instead: the bytes
//! and the results are the same.
//!
//! # Limits
//! - One sendfile(2) moves at most 1 MiB, and one poll at most 4 MiB: then others get their turn.
//! - A pipe holds 64 KiB. A copy has one for each direction, only while bytes are in it; 16 that are
//!   idle are kept for each thread, the rest is closed. If the process has no descriptor left for a
//!   pipe, the bytes go through a buffer.
//! - A buffer has 16 KiB, and a copy between sockets holds it only while bytes are in it.
//!
//! # Why it is so
//! Neither sendfile(2) nor splice(2) can be told not to raise `SIGPIPE`. Rust's programs ignore that
//! signal unless they change it; in a process where it would kill, the buffer is used.

mod copy;
mod ends;
mod flow;
#[cfg(target_os = "linux")]
mod held;
#[cfg(target_os = "linux")]
mod in_flight;
mod kernel;
#[cfg(target_os = "linux")]
mod notices;
mod pipes;
#[cfg(feature = "futures-io")]
mod plain;
mod send_file;
mod sigpipe;
#[cfg(target_os = "linux")]
mod writer;

pub use copy::{CopyBidirectional, CopyOneWay, copy, copy_bidirectional};
pub use ends::{AsSocket, ReadEnd, SocketRef, WriteEnd};
#[cfg(target_os = "linux")]
pub use held::ZeroCopyEnd;
#[cfg(target_os = "linux")]
pub use in_flight::abandoned_bytes;
#[cfg(feature = "futures-io")]
pub use plain::Plain;
pub use send_file::{SendFile, read_ahead};
#[cfg(target_os = "linux")]
pub use writer::ZeroCopyWriter;
