//! The right to one connection of a loop, wherever it is dropped.
//!
//! Place: held by `checkout` while it waits for the server, and by `PooledStream`; dropped on any
//! thread.

use std::sync::Arc;

use oneloop_runtime::time::Instant;

use super::home::{Home, act};
use super::state::Idle;
use crate::TcpStream;

/// One of a loop's `max_connections`. Given back when dropped.
#[derive(Debug)]
pub(super) struct Slot {
    /// `None` once it was given back.
    home: Option<Arc<Home>>,
}

impl Slot {
    /// Owns a slot that the state has counted.
    pub(super) fn new(home: Arc<Home>) -> Self {
        Self { home: Some(home) }
    }

    pub(super) fn home(&self) -> Option<&Arc<Home>> {
        self.home.as_ref()
    }

    /// Gives the slot back together with its connection, to be used again. On another thread than
    /// its own, the connection is closed.
    pub(super) fn give_back_with(mut self, stream: TcpStream, made: Instant) {
        self.settle(Some((stream, made)));
    }

    fn settle(&mut self, connection: Option<(TcpStream, Instant)>) {
        if let Some(home) = self.home.take() {
            let since = Instant::now();
            let idle = connection.map(|(stream, made)| Idle {
                stream,
                made,
                since,
            });
            if !act(&home, |state| state.give_back(idle, since)) {
                home.tell_freed();
            }
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.settle(None);
    }
}
