//! What all threads share of one source: its readiness and where it is registered.
//!
//! Place: owned by a `Source`, held by the slots of the loops where it is registered; runs on any
//! thread.
//!
//! # Invariants
//! I7. While an entry stands in the list of places, the descriptor is open: whoever takes the
//! entry out deletes the registration under the same lock, and a source empties the list before it
//! closes. So no loop ever deletes a number that has been given to another file.

use std::io;
use std::os::fd::{BorrowedFd, RawFd};

use super::homes::Homes;
use super::readiness::Readiness;
use super::slots::Key;
use crate::primitive::sync::{Arc, Mutex};
use crate::runtime::Handle;
use crate::worker::{LoopId, Remote};

#[derive(Debug)]
pub(crate) struct Descriptor {
    fd: RawFd,
    kind: Kind,
    pub(crate) readiness: Readiness,
    pub(crate) homes: Homes,
    places: Mutex<Places>,
}

/// How a descriptor is watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// In both directions, while its runtime lasts.
    OfRuntime,
    /// In both directions; it goes on after its runtime even if the runtime's others end.
    OutlivesRuntime,
    /// For input alone, beside sources of other loops: one of those that sleep is woken.
    Exclusive,
}

/// The loops where the descriptor is registered: nearly always none or one.
#[derive(Debug)]
struct Places {
    open: bool,
    first: Option<Place>,
    /// What few have: made at the first need, so that the others pay one word.
    rest: Option<Box<Rest>>,
}

#[derive(Debug, Default)]
struct Rest {
    places: Vec<Place>,
    /// Why a loop could not register it for a thread without a loop, which has not asked yet.
    refusal: Option<io::Error>,
}

#[derive(Debug)]
pub(crate) struct Place {
    pub(crate) remote: Arc<Remote>,
    pub(crate) key: Key,
}

/// The source was dropped while a message about it was under way.
#[derive(Debug)]
pub(crate) struct SourceIsGone;

impl Descriptor {
    pub(crate) fn new(fd: RawFd, kind: Kind) -> Self {
        let places = Places {
            open: true,
            first: None,
            rest: None,
        };
        Self {
            fd,
            kind,
            readiness: Readiness::new(),
            homes: Homes::new(),
            places: Mutex::new(places),
        }
    }

    /// Whether no loop may watch it any more, because its runtime has shut down.
    pub(crate) fn has_ended_with(&self, runtime: &Handle) -> bool {
        self.kind != Kind::OutlivesRuntime && runtime.has_ended_its_sources()
    }

    /// The key of the slot at this loop, registering it if it has none there. `new_key` makes a
    /// slot; the registration itself is one `epoll_ctl`.
    pub(crate) fn register(
        &self,
        remote: &Arc<Remote>,
        new_key: impl FnOnce() -> Key,
    ) -> io::Result<Result<Key, SourceIsGone>> {
        let mut places = self.places.lock();
        if !places.open {
            return Ok(Err(SourceIsGone));
        }
        if let Some(place) = places.iter().find(|place| place.remote.id() == remote.id()) {
            return Ok(Ok(place.key));
        }
        let key = new_key();
        // SAFETY: the list is open, so the source has not closed its descriptor.
        let fd = unsafe { BorrowedFd::borrow_raw(self.fd) };
        match self.kind {
            Kind::Exclusive => remote.poller().add_exclusive(fd, key.as_u64())?,
            Kind::OfRuntime | Kind::OutlivesRuntime => remote.poller().add(fd, key.as_u64())?,
        }
        places.push(Place {
            remote: Arc::clone(remote),
            key,
        });
        Ok(Ok(key))
    }

    /// Takes the registration at one loop back. No effect after the source is gone.
    pub(crate) fn unregister(&self, id: LoopId) {
        let mut places = self.places.lock();
        if let Some(place) = places.take(id) {
            // SAFETY: the entry stood in the list, so the descriptor is open.
            let fd = unsafe { BorrowedFd::borrow_raw(self.fd) };
            place.remote.forget_descriptor(fd);
        }
    }

    /// Takes all registrations back, for ever. The source calls it before it closes.
    pub(crate) fn unregister_all(&self) -> impl Iterator<Item = Place> {
        let mut places = self.places.lock();
        places.open = false;
        let (first, rest) = (places.first.take(), places.rest.take());
        drop(places);
        let more = rest.map(|rest| rest.places).unwrap_or_default();
        let all = first.into_iter().chain(more);
        // SAFETY: the source is being dropped and closes its descriptor afterwards.
        let fd = unsafe { BorrowedFd::borrow_raw(self.fd) };
        all.inspect(move |place| place.remote.forget_descriptor(fd))
    }

    /// Keeps the error of a registration for the thread without a loop that asked for it.
    pub(crate) fn refuse(&self, error: io::Error) {
        self.places.lock().rest.get_or_insert_default().refusal = Some(error);
    }

    pub(crate) fn take_refusal(&self) -> Option<io::Error> {
        self.places.lock().rest.as_mut()?.refusal.take()
    }

    /// The loop with this id and the slot there, if the descriptor is registered with it.
    pub(crate) fn place_at(&self, id: u32) -> Option<(Arc<Remote>, Key)> {
        let places = self.places.lock();
        let place = places.iter().find(|place| place.remote.id().as_u32() == id);
        place.map(|place| (Arc::clone(&place.remote), place.key))
    }
}

impl Places {
    fn iter(&self) -> impl Iterator<Item = &Place> {
        let more = self.rest.iter().flat_map(|rest| &rest.places);
        self.first.iter().chain(more)
    }

    fn push(&mut self, place: Place) {
        if self.first.is_none() {
            self.first = Some(place);
        } else {
            self.rest.get_or_insert_default().places.push(place);
        }
    }

    fn take(&mut self, id: LoopId) -> Option<Place> {
        if self
            .first
            .as_ref()
            .is_some_and(|place| place.remote.id() == id)
        {
            return self.first.take();
        }
        let more = &mut self.rest.as_mut()?.places;
        let at = more.iter().position(|place| place.remote.id() == id)?;
        Some(more.swap_remove(at))
    }
}
