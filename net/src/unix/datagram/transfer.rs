//! Moving datagrams, and waiting until it can be done.

use std::os::unix::net::SocketAddr;

use super::super::address;
use super::socket::UnixDatagram;

crate::datagram::datagram!(UnixDatagram, SocketAddr, address::from_kernel);
