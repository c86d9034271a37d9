//! What a client needs beyond a socket: connecting well, again, and keeping connections.
//!
//! Place: called by tasks that speak to a server; made of `TcpStream`, timers and local tasks of
//! the runtime alone; runs on any thread inside a runtime.
//!
//! ```text
//!  name -- lookup --> addresses -- interleave --> race of attempts --> TcpStream     connector
//!                                                      ^                  |
//!                              RetryPolicy: wait ------+                  |          retry
//!                                                                         v
//!                     idle <---- PooledStream <---- Pool::get ----> of this loop     pool
//!
//!  Heartbeat: who has not been heard of for so many beats is dead                    heartbeat
//! ```

mod connector;
mod heartbeat;
mod pool;
mod race;
mod random;
mod retry;

pub use connector::{
    CONNECTION_ATTEMPT_DELAY, CONNECTION_ATTEMPT_DELAY_MAX, CONNECTION_ATTEMPT_DELAY_MIN,
    Connector, connect_any, connect_with,
};
pub use heartbeat::Heartbeat;
pub use pool::{Pool, PoolBuilder, PoolStats, PooledStream};
pub use race::ATTEMPTS_AT_ONCE_MAX;
pub use retry::{Delays, Jitter, RetryPolicy, is_transient};
