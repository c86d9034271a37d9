//! A queue of messages from many senders to one receiver.
//!
//! Place: called by tasks and threads; calls `permits` for the bounded one; any thread.
//!
//! ```text
//!   Sender -- permit --+                                   +-- permit back --+
//!                      v                                   |                 |
//!   UnboundedSender -> List: [block] -> [block] -> [block] -> Receiver      (list, block)
//!                      |                                       ^
//!                      +--------------- wakes -----------------+            (chan)
//! ```
//!
//! [`channel`] makes a queue with a bound: who sends waits for room. [`unbounded_channel`] makes one
//! that takes all there is memory for.
//!
//! # Why it is so
//! Senders claim a place with one addition and do not wait for each other; the receiver, alone,
//! reads without exchanges. A message costs no allocation of its own: blocks are used again.

mod block;
mod bounded;
mod chan;
pub mod error;
mod list;
mod permit;
mod unbounded;

pub use bounded::{Receiver, Sender, WeakSender, channel};
pub use permit::{OwnedPermit, Permit, PermitIterator};
pub use unbounded::{UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel};
