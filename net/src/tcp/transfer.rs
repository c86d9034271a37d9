//! Moving bytes through a connection, and waiting until it can be done.
//!
//! Place: expands the macros of `stream`; called by tasks and by the halves, calls `Source` to wait
//! and `sys` to move bytes; runs on any thread that polls a task.

use std::ops::RangeInclusive;
use std::pin::Pin;

use oneloop_runtime::buf::{Acquire, AcquireError, BufferPool, Lease};

use super::stream::TcpStream;

crate::stream::transfer::transfer!(TcpStream, std::convert::identity);
crate::stream::lease::leases!(TcpStream, std::convert::identity);
crate::stream::readiness::readiness!(TcpStream, poll_read_ready, poll_write_ready);
