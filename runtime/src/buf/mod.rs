//! Buffers of the loop: blocks that are lent out, come home from any thread, and are used again
//! while they are hot.
//!
//! Place: called by tasks and by the streams of `net`; a pool belongs to its loop's thread, leases
//! are used and dropped on any thread.
//!
//! ```text
//!             BufferPool::acquire                       drop, on the loop's thread
//!  Pool -------------------------------> Lease -----------------------------------> Pool
//!   ^  free blocks, last in, first out    |  drop, anywhere else                      |
//!   |                                     v                                           v
//!   +---- once a turn, or when told ---- Home (a stack of what came back)      who waits, in order
//! ```
//!
//! The modules stand in the order of that way: `pool` gives out, `acquire` waits where the cap is
//! reached, `lease` is what the user holds, `block` its memory, `home` the way back. Where huge pages are wanted,
//! `arena` is where blocks lie.
//!
//! # Why it is so
//! A server with a buffer for each connection reads into memory that is cold by the time the
//! connection speaks again. A block that is taken after the kernel has said "readable", and given
//! back when the answer is written, is the one that was in use a moment ago; and a connection that
//! says nothing holds no buffer at all.

mod acquire;
mod arena;
mod block;
mod error;
#[doc(hidden)]
pub mod home;
mod lease;
mod pool;

pub use acquire::Acquire;
pub use error::AcquireError;
pub use lease::Lease;
pub use pool::BufferPool;

pub(crate) use block::{BLOCK_BYTES_MIN, Limits};
pub(crate) use pool::{Gauges, Pool};
