//! The halves of a connection.
//!
//! Place: expands the macro of `stream`; made by `TcpStream`, called by tasks, calls the stream;
//! runs on any thread that polls a task.

use std::net::SocketAddr;

use super::stream::TcpStream;

crate::stream::halves!(TcpStream, SocketAddr);
