//! Giving way.

use std::task::Poll;

/// Lets the other ready tasks of this loop run, and the loop look at its descriptors, before the
/// task goes on.
///
/// # Cancel safety
///
/// Nothing is lost.
pub async fn yield_now() {
    let mut yielded = false;
    std::future::poll_fn(|cx| {
        if std::mem::replace(&mut yielded, true) {
            return Poll::Ready(());
        }
        crate::context::defer(cx.waker());
        Poll::Pending
    })
    .await;
}
