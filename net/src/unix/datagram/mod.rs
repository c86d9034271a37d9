//! Datagrams within the machine: kept in order, and never lost.
//!
//! Place: called by tasks, calls `Source` to wait and `sys` for the system calls; runs on any
//! thread that polls a task.

mod socket;
mod transfer;

pub use socket::UnixDatagram;
