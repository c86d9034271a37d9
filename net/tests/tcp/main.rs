//! TCP through the public interface, against the kernel's loopback.
//!
//! Every test ends by itself: `support::run` gives it a deadline on the loop, and a watchdog
//! outside ends the process if the loop itself stands still.

mod accept_faults;
#[cfg(feature = "futures-io")]
mod adapters;
mod bounds;
mod bytes;
mod cancel;
mod closing;
mod coalescing;
mod connecting;
mod copying;
mod destruction;
mod halves;
mod leases;
mod listening;
mod moving;
mod options;
mod raw;
mod resets;
mod scenarios;
mod sending_files;
mod support;
mod system_calls;
mod vectored;
#[cfg(target_os = "linux")]
mod zero_copy_writes;
