//! What the examples share: their arguments, the histogram of latencies, a client that drives an
//! echo server, and the limits of servers and relays.

#![allow(dead_code, reason = "each example uses a part of this")]
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "examples talk to a person"
)]

pub(crate) mod arguments;
pub(crate) mod connections;
pub(crate) mod drive;
pub(crate) mod histogram;
pub(crate) mod relay;
pub(crate) mod stop;
