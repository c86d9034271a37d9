//! Waiting for a point in time.
//!
//! Place: polled by tasks; a shell around `Timer`; runs on any thread.

use std::future::Future;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use pin_project_lite::pin_project;

use super::Instant;
use super::error::ShutDown;
use super::timer::Timer;
use crate::task::coop;

/// Waits until `duration` has passed.
///
/// Zero is over at the first poll. More than 30 years count as 30 years. See [`sleep_until`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Dropped, it waits for nothing any more. A new one starts anew: to go on with a wait, keep the
/// [`Sleep`] and await `&mut` of it, pinned.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use oneloop_runtime::{runtime::Builder, time};
///
/// let runtime = Builder::new_current_thread().build()?;
/// runtime.block_on(async {
///     time::sleep(Duration::from_millis(5)).await;
/// });
/// # Ok::<(), std::io::Error>(())
/// ```
#[track_caller]
pub fn sleep(duration: Duration) -> Sleep {
    Sleep::until(Instant::now().after(duration))
}

/// Waits until `deadline`. A deadline in the past is over at the first poll.
///
/// It is never early. It is late by the time that the kernel and the other tasks of the loop take,
/// and by less than a microsecond for rounding.
///
/// # Panics
///
/// Outside a runtime: with none entered there is no loop to wait on.
///
/// # Cancel safety
///
/// As [`sleep`].
#[track_caller]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep::until(deadline)
}

pin_project! {
    /// A wait for a deadline. Made by [`sleep`] and [`sleep_until`].
    ///
    /// It begins to wait at its first poll, on the loop that polls it, and follows its task from
    /// loop to loop.
    ///
    /// # Panics
    ///
    /// When polled before its deadline, if its runtime has been shut down and no other runtime's
    /// loop polls it.
    ///
    /// # Threads
    ///
    /// It may be polled and dropped on any thread, also one that runs no loop or knows no runtime
    /// (a thread of the blocking pool with an executor of its own). It waits there on a loop of the
    /// runtime in which it was made. The wake-up comes from the loop that waits.
    #[project(!Unpin)]
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Sleep {
        timer: Timer,
        #[pin]
        pinned: PhantomPinned,
    }
}

impl Sleep {
    #[track_caller]
    pub(super) fn until(deadline: Instant) -> Self {
        Self {
            timer: Timer::new(deadline),
            pinned: PhantomPinned,
        }
    }

    /// The instant until which this waits.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.timer.deadline()
    }

    /// Whether the deadline has passed. False before the first poll or reset.
    #[must_use]
    pub fn is_elapsed(&self) -> bool {
        self.timer.is_elapsed()
    }

    /// Changes the deadline, also of one that has elapsed, which can then be awaited again.
    ///
    /// A task that is waiting is woken at the new deadline; it need not poll in between. On the loop
    /// on which it waits, a deadline before the loop's last turn wakes it at once. Costs as much as
    /// arming a timer, and less than making a new `Sleep`.
    ///
    /// # Threads
    ///
    /// Any. Away from the loop on which it waits, it sends that loop a message.
    pub fn reset(self: Pin<&mut Self>, deadline: Instant) {
        self.project().timer.reset(deadline);
    }

    /// As `poll`, with an error in the place of the panic after the runtime's end.
    ///
    /// # Errors
    ///
    /// The runtime has been shut down before the deadline.
    pub fn poll_elapsed(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), ShutDown>> {
        let budget = ready!(coop::poll_proceed(cx));
        ready!(self.project().timer.try_poll(cx.waker()))?;
        budget.made_progress();
        Poll::Ready(Ok(()))
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let budget = ready!(coop::poll_proceed(cx));
        ready!(self.project().timer.poll(cx.waker()));
        budget.made_progress();
        Poll::Ready(())
    }
}
