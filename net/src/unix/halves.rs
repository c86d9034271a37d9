//! The halves of a connection.
//!
//! Place: expands the macro of `stream`; made by `UnixStream`, called by tasks, calls the stream;
//! runs on any thread that polls a task.

use std::os::unix::net::SocketAddr;

use super::stream::UnixStream;

crate::stream::halves!(UnixStream, SocketAddr);
