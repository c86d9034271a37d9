//! The halves of a connection.

use std::net::SocketAddr;

use super::stream::TcpStream;

crate::stream::halves!(TcpStream, SocketAddr);
