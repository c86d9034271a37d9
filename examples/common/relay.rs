//! What the relays share: a limit of connections, and a copy that ends when nothing happens.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use oneloop::net::{TcpStream, copy_bidirectional};
use oneloop::time::timeout;

/// Connections that are served at once; more are closed as they come.
pub(crate) const CONNECTIONS_MAX: usize = 10_000;

/// Counts the connections that are served.
#[derive(Debug, Clone, Default)]
pub(crate) struct Connections(Arc<AtomicUsize>);

/// One of them, until dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Connections {
    /// A place for one more, if there is one.
    pub(crate) fn enter(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.0));
        (place.0.fetch_add(1, Relaxed) < CONNECTIONS_MAX).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// Copies both ways until both ends are done. `TimedOut` if no byte moved for `idle`.
pub(crate) async fn relay(
    a: &mut TcpStream,
    b: &mut TcpStream,
    idle: Duration,
) -> io::Result<(u64, u64)> {
    let mut copying = copy_bidirectional(a, b);
    let mut before = (0, 0);
    loop {
        if let Ok(outcome) = timeout(idle, &mut copying).await {
            return outcome;
        }
        let now = copying.copied();
        if now == before {
            return Err(io::ErrorKind::TimedOut.into());
        }
        before = now;
    }
}
