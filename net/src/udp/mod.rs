//! UDP: sending and receiving datagrams.
//!
//! Place: called by tasks, calls `Source` to wait and `sys` for the system calls; runs on any
//! thread that polls a task.

mod options;
mod peek;
mod socket;
mod transfer;

pub use socket::UdpSocket;
