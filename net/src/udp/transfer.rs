//! Moving datagrams, and waiting until it can be done.
//!
//! Place: expands the macro of `datagram`; called by tasks, calls `Source` to wait and `sys` to
//! move datagrams; runs on any thread that polls a task.

use std::net::SocketAddr;

use super::socket::UdpSocket;

crate::datagram::datagram!(UdpSocket, SocketAddr, sys::ip_address);
