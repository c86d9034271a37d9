//! The local task of a loop's part of a pool: closes what is idle for too long, and hears what
//! other threads have to tell.
//!
//! Place: spawned by `home`; runs on the loop, and ends with it or with the pool.
//!
//! # Why it is so
//! There is one timer for all idle connections, and it is not moved when one is used: a pool in
//! steady use wakes its reaper once in an idle timeout.

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
            if let Some(sleep) = timer.as_mut().as_pin_mut()
                && sleep.poll(cx).is_pending()
            {
                return Poll::Pending;
            }
            timer.set(None);
            match expire(&ending) {
                Some(deadline) => timer.set(Some(sleep_until(deadline))),
                None => return Poll::Pending,
            }
        }
    })
    .await;
}

/// Closes what has been idle for too long, and tells when the next will have been.
fn expire(ending: &Ending) -> Option<Instant> {
    let limit = ending.shared.settings.idle_timeout;
    let (expired, oldest) = with_state(&ending.home, |state| {
        // Before the clock's beginning nothing was idle.
        let expired = match Instant::now().checked_sub(limit) {
            Some(before) => state.expire(before),
            None => Vec::new(),
        };
        // A limit that the clock cannot represent is none.
        let next = state.oldest().and_then(|since| since.checked_add(limit));
        state.reaper_is_armed = next.is_some();
        (expired, next)
    })?;
    drop(expired);
    oldest
}
