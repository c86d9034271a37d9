//! The client's parts through the public interface: connecting, trying again, the pool, heartbeats.
//!
//! Where time is the subject the clock is paused: a loop that would sleep moves it to its next
//! timer, so waits are exact and cost nothing. A watchdog ends the process if a test stands still.

mod connecting;
mod heartbeat;
mod pool;
mod pool_ends;
mod pool_moved;
mod retrying;
mod support;
