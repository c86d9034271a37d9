//! Moving datagrams, and waiting until it can be done.

use std::net::SocketAddr;

use super::socket::UdpSocket;

crate::datagram::datagram!(UdpSocket, SocketAddr, sys::ip_address);
