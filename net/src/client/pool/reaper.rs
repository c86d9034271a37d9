//! The local task of a loop's part of a pool: closes what is too old, and hears what other
//! threads have to tell.
//!
//! Place: spawned by `home`; runs on the loop, and ends with it or with the pool.
//!
//! # Why it is so
//! There is one timer for all idle connections, and it is not moved when one is used, but for one
//! that comes back near the end of its life: a pool in steady use wakes its reaper once in an idle
//! timeout.

use std::future::{Future, poll_fn};
use std::pin::pin;
use std::task::Poll;

use oneloop_runtime::time::{Instant, Sleep, sleep_until};

use super::home::{Ending, with_state};

/// Runs until the last handle of the pool is dropped.
pub(super) async fn reap(ending: Ending) {
    let mut timer = pin!(None::<Sleep>);
    poll_fn(|cx| {
        let news = ending.home.listen(cx.waker());
        if news.is_over {
            return Poll::Ready(());
        }
        news.apply(&ending.home);
        loop {
            let Some(deadline) = expire(&ending) else {
                timer.set(None);
                return Poll::Pending;
            };
            if timer.as_ref().as_pin_ref().map(|it| it.deadline()) != Some(deadline) {
                timer.set(Some(sleep_until(deadline)));
            }
            let sleep = timer.as_mut().as_pin_mut();
            if sleep.is_some_and(|sleep| sleep.poll(cx).is_pending()) {
                return Poll::Pending;
            }
        }
    })
    .await;
}

/// Closes what is too old, and tells when the next will be.
fn expire(ending: &Ending) -> Option<Instant> {
    let (expired, next) = with_state(&ending.home, |state| {
        (state.expire(Instant::now()), state.reaper_fires)
    })?;
    drop(expired);
    next
}
