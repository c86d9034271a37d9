//! The signals by which a server is told to end.
//!
//! Place: used by applications beside their server.

use std::future::poll_fn;
use std::io;
use std::task::Poll;

use oneloop_runtime::signal::unix::{SignalKind, signal};

/// Waits for `SIGTERM` or `SIGINT` (Ctrl-C) and tells which came. From the call on, not only from
/// the first poll, neither ends the process by itself: see [`signal`]. So it is called before the
/// server is there: a signal that comes in between would end the process, and clients may leave no
/// descriptors, of which it takes four.
///
/// # Errors
///
/// Those of [`signal`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// A signal that comes while nobody waits is lost.
#[track_caller]
pub fn shutdown_signal() -> impl Future<Output = io::Result<SignalKind>> {
    let kinds = [SignalKind::terminate(), SignalKind::interrupt()];
    let listeners = kinds.map(|kind| signal(kind).map(|listener| (kind, listener)));
    async move {
        let [terminate, interrupt] = listeners;
        let mut listeners = [terminate?, interrupt?];
        let first = poll_fn(|cx| {
            for (kind, listener) in &mut listeners {
                if listener.poll_recv(cx).is_ready() {
                    return Poll::Ready(*kind);
                }
            }
            Poll::Pending
        });
        Ok(first.await)
    }
}
