//! The server through the public interface, against the kernel's loopback.
//!
//! Every test ends by itself: `support::run` gives it a deadline on the loop, and a watchdog
//! outside ends the process if the loop itself stands still.

mod drain;
mod handover;
mod leases;
mod limits;
mod loops;
mod memory;
mod overload;
mod process;
mod registry;
mod support;
