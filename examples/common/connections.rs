//! A limit of the connections that are served at once, and what one more is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::time::Duration;

use oneloop::net::TcpStream;

/// Counts the connections that are served, on all loops together.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    count: Arc<AtomicUsize>,
    max: usize,
    farewells: Arc<AtomicUsize>,
}

/// One of them, until dropped.
#[derive(Debug)]
pub(crate) struct Place(Arc<AtomicUsize>);

impl Connections {
    /// With places for `max` connections.
    pub(crate) fn at_most(max: usize) -> Self {
        Self {
            count: Arc::default(),
            max,
            farewells: Arc::default(),
        }
    }

    /// A place for one more, if there is one.
    pub(crate) fn enter(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.count));
        (place.0.fetch_add(1, Relaxed) < self.max).then_some(place)
    }

    /// Tells a client that there is no place for it, and closes. A close with its request unread
    /// would be a reset, which may take the farewell with it: so the request is read and thrown
    /// away, for a moment, unless that is done for many already.
    pub(crate) async fn turn_away(&self, stream: TcpStream, farewell: &[u8]) {
        // It is closed either way.
        let _ = stream.try_write(farewell);
        let place = Place(Arc::clone(&self.farewells));
        if place.0.fetch_add(1, Relaxed) < FAREWELLS_MAX {
            let _ = stream.close_gracefully(FAREWELL_TIME).await;
        }
    }
}

/// Clients that are turned away at once, and may read why.
const FAREWELLS_MAX: usize = 64;
/// How long one of them may take to close.
const FAREWELL_TIME: Duration = Duration::from_secs(1);

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
