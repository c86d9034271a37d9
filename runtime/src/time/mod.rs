//! Time: sleeping, intervals, timeouts, idle limits, and the clock they go by.
//!
//! Place: the public types are polled by tasks; each loop owns a `Timers`; runs on any thread, the
//! wheel on its own.
//!
//! ```text
//!  Sleep, Interval, Timeout, Deadline     what an application awaits
//!                 |
//!               timer                     one deadline; follows the task from loop to loop
//!        on home  |  from elsewhere: a message
//!              driver                     the loop's side: arms, fires, tells when to wake up
//!                 |
//!               wheel                     which is due next
//! ```
//!
//! A timer is armed when it is first polled, on the loop that polls it, so that its wake-up is local
//! and costs no atomic operation. Timers need no memory that threads share: see `timer`.

mod clock;
mod deadline;
mod driver;
pub mod error;
mod home;
mod instant;
mod interval;
mod sleep;
mod stats;
mod timeout;
mod timer;
mod wheel;

#[doc(no_inline)]
pub use std::time::Duration;

pub(crate) use clock::{Clock, Inhibited};
#[cfg(feature = "test-util")]
pub use clock::{advance, pause, resume};
pub use deadline::{Deadline, Expired};
pub(crate) use driver::{Message, Timers};
pub use instant::Instant;
pub use interval::{Interval, MissedTickBehavior, interval, interval_at};
pub use sleep::{Sleep, sleep, sleep_until};
pub(crate) use stats::{LATE_BUCKETS, Stats};
pub use timeout::{Timeout, timeout, timeout_at};

#[cfg(test)]
mod tests;
