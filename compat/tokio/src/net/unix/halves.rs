//! The halves of a connection.

use super::{SocketAddr, UnixStream};

crate::net::halves::halves!(UnixStream, SocketAddr);
