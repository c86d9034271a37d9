//! Moving bytes through a connection, and waiting until it can be done.
//!
//! Place: expands the macros of `stream`; called by tasks and by the halves, calls `Source` to wait
//! and `sys` to move bytes; runs on any thread that polls a task.
//!
//! # Why it is so
//! A short read does not say that nothing is left: the kernel ends one where a message carries
//! descriptors (unix(7), `SCM_RIGHTS`). So the next read asks the kernel again.

use std::ops::RangeInclusive;
use std::pin::Pin;

use oneloop_runtime::buf::{Acquire, AcquireError, BufferPool, Lease};

use super::stream::UnixStream;

crate::stream::transfer::transfer!(UnixStream, crate::stream::transfer::none);
crate::stream::lease::leases!(UnixStream, crate::stream::transfer::none);
crate::stream::readiness::readiness!(UnixStream, poll_read_ready, poll_write_ready);
