//! The halves of a connection.

use std::os::unix::net::SocketAddr;

use super::stream::UnixStream;

crate::stream::halves!(UnixStream, SocketAddr);
