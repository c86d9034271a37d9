//! Moving datagrams, and waiting until it can be done.
//!
//! Place: expands the macro of `datagram`; called by tasks, calls `Source` to wait and `sys` to
//! move datagrams; runs on any thread that polls a task.

use std::os::unix::net::SocketAddr;

use super::super::address;
use super::socket::UnixDatagram;

crate::datagram::datagram!(UnixDatagram, SocketAddr, address::from_kernel);
