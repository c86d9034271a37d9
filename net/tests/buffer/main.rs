//! The buffer, framed reads and queued writes through the public interface.
//!
//! Every test that waits has a deadline: see `support::run`.

mod integers;
mod model;
mod search;
mod space;
mod spill;
mod support;
mod traits;

#[cfg(feature = "futures-io")]
mod frames;
#[cfg(feature = "futures-io")]
mod frames_cancel;
#[cfg(feature = "futures-io")]
mod frames_model;
#[cfg(feature = "futures-io")]
mod frames_tcp;
#[cfg(feature = "futures-io")]
mod pieces;
#[cfg(feature = "futures-io")]
mod sink;
#[cfg(feature = "futures-io")]
mod water;
#[cfg(feature = "futures-io")]
mod water_tcp;
#[cfg(feature = "futures-io")]
mod writer;
