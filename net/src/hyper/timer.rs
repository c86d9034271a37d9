//! Time for hyper: its sleeps are timers in the loop's wheel.
//!
//! Place: called by hyper on the thread that polls the connection, calls `time`.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant as StdInstant};

use ::hyper::rt::{Sleep, Timer};
use oneloop_runtime::time::{self, Instant};
use pin_project_lite::pin_project;

/// Measures time by the clock of the runtime, which a test can pause.
///
/// # Panics
///
/// Making a sleep panics outside a runtime.
#[derive(Debug, Clone, Copy, Default)]
pub struct LoopTimer;

impl Timer for LoopTimer {
    #[track_caller]
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(LoopSleep {
            sleep: time::sleep(duration),
        })
    }

    #[track_caller]
    fn sleep_until(&self, deadline: StdInstant) -> Pin<Box<dyn Sleep>> {
        Box::pin(LoopSleep {
            sleep: time::sleep_until(Instant::from_std(deadline)),
        })
    }

    fn now(&self) -> StdInstant {
        Instant::now().into_std()
    }

    /// Moves the deadline in place, without a new allocation.
    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, new_deadline: StdInstant) {
        match sleep.as_mut().downcast_mut_pin::<LoopSleep>() {
            Some(ours) => ours.project().sleep.reset(Instant::from_std(new_deadline)),
            // Another timer's.
            None => *sleep = self.sleep_until(new_deadline),
        }
    }
}

pin_project! {
    /// A wait of hyper's. Made by [`LoopTimer`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct LoopSleep {
        #[pin]
        sleep: time::Sleep,
    }
}

impl Future for LoopSleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        self.project().sleep.poll(cx)
    }
}

impl Sleep for LoopSleep {}
