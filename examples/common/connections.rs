//! A limit of the connections that are served at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// Counts the connections that are served, on all loops together.
#[derive(Debug, Clone)]
pub(crate) struct Connections {
    count: Arc<AtomicUsize>,
    max: usize,
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
        }
    }

    /// A place for one more, if there is one.
    pub(crate) fn enter(&self) -> Option<Place> {
        let place = Place(Arc::clone(&self.count));
        (place.0.fetch_add(1, Relaxed) < self.max).then_some(place)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
