//! Waiting for a point in time.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::{Duration, Instant};
use crate::runtime::context::require_time;
use crate::runtime::shutdown::SHUT_DOWN;

/// Waits until `duration` has passed.
///
/// # Panics
///
/// Where there is no runtime with timers.
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    require_time();
    Sleep {
        inner: oneloop::time::sleep(duration),
    }
}

/// Waits until `deadline`.
///
/// # Panics
///
/// Where there is no runtime with timers.
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    require_time();
    Sleep {
        inner: oneloop::time::sleep_until(deadline),
    }
}

pin_project! {
    /// Waits for its deadline. Made by [`sleep`] and [`sleep_until`].
    ///
    /// # Panics
    ///
    /// Polled before its deadline after the runtime has shut down.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Sleep {
        #[pin]
        inner: oneloop::time::Sleep,
    }
}

impl Sleep {
    /// The instant until which this waits.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.inner.deadline()
    }

    /// Whether the deadline has passed.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.inner.is_elapsed()
    }

    /// Changes the deadline.
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.project().inner.reset(deadline);
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        match ready!(self.project().inner.poll_elapsed(cx)) {
            Ok(()) => Poll::Ready(()),
            Err(_) => panic!("{SHUT_DOWN}"),
        }
    }
}
