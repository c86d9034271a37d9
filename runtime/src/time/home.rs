//! The loop on which a timer is armed, or would be.
//!
//! Place: one for each loop, made by its `Timers` and shared by the timers made or polled there;
//! used on any thread.
//!
//! # Why it is so
//! A timer has to find its loop from any thread, even one that knows no runtime. A clone of the
//! runtime's own count in each timer would let all loops fight for one cache line; this count is
//! touched by its own loop, and by others only when a timer moves.

use std::fmt;

use super::{Clock, Message};
use crate::context::{self, TryCurrentError};
use crate::primitive::sync::Arc;
use crate::runtime::Shared;
use crate::worker::{self, Local, Remote};

pub(super) struct Home {
    shared: Arc<Shared>,
    remote: Arc<Remote>,
}

impl Home {
    pub(super) fn new(shared: &Arc<Shared>, remote: &Arc<Remote>) -> Self {
        Self {
            shared: Arc::clone(shared),
            remote: Arc::clone(remote),
        }
    }

    /// The loop that runs on this thread; where none runs, one of the runtime that is entered.
    pub(super) fn current() -> Result<Arc<Self>, TryCurrentError> {
        context::with_local(|local| match local {
            Some(local) => Ok(Arc::clone(local.timers.home(local))),
            None => context::with_handle(|handle| Self::any(handle.shared())),
        })
    }

    /// A loop of this runtime that runs for as long as the runtime does.
    pub(super) fn any(shared: &Arc<Shared>) -> Arc<Self> {
        Arc::new(Self::new(shared, shared.any_loop()))
    }

    /// The same, if this one ends with its `block_on`, or stands still.
    pub(super) fn lasting(&self) -> Option<Arc<Self>> {
        let lasts = self
            .shared
            .loops
            .iter()
            .any(|remote| Arc::ptr_eq(remote, &self.remote));
        (!lasts || context::stands_still(&self.remote)).then(|| Self::any(&self.shared))
    }

    pub(super) fn is(&self, local: &Local) -> bool {
        local.is(&self.remote)
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.shared.clock
    }

    /// Sends to the loop. False if it has ended.
    pub(super) fn send(&self, message: Message) -> bool {
        // What a loop refuses needs no undoing: it holds no timers any more.
        self.remote.send(worker::Message::Timer(message)).is_ok()
    }
}

impl fmt::Debug for Home {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.remote.id().fmt(f)
    }
}
