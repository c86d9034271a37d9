//! Channels, locks and signals for tasks. None of them needs a runtime.
//!
//! Place: called by tasks and by plain threads (`blocking_*`); calls the cooperative budget and the
//! check for threads that drive tasks, both of `oneloop`; runs on any thread.
//!
//! ```text
//!   Mutex  RwLock  Semaphore  OnceCell  mpsc      watch  Barrier  SetOnce  broadcast    oneshot
//!      \      \       |        /        /            \      |       /          |           |
//!       +------+-- permits ---+--------+ \            +-- notify --+           |           |
//!                     |                   \               |                    |           |
//!                     +------------- wait_list -----------+--------------------+     a word of its own
//! ```
//!
//! # Invariants
//! U1. Code of others (wakers, drops, clones, closures) never runs while a lock of this module is
//! held. The exceptions are the closures and clones which the caller hands to `watch` and
//! `broadcast` to be run on the stored value: they run under that value's own lock.
//!
//! # Why it is so
//! Two queues carry everything: `permits` where somebody has to be let in, `notify` where somebody
//! has to be told. `oneshot` has one waiter on each side, and so needs no queue.

mod blocking;
mod charge;
mod guard;
mod wait_list;
mod waker_slot;
mod wakers;

mod permits;
pub use permits::{AcquireError, TryAcquireError};

mod semaphore;
pub use semaphore::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

mod mutex;
pub use mutex::{
    MappedMutexGuard, Mutex, MutexGuard, OwnedMappedMutexGuard, OwnedMutexGuard, TryLockError,
};

mod rwlock;
pub use rwlock::{
    OwnedRwLockMappedWriteGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock,
    RwLockMappedWriteGuard, RwLockReadGuard, RwLockWriteGuard,
};

mod notify;
pub use notify::Notify;

/// The futures that have names.
pub mod futures {
    pub use super::notify::{Notified, OwnedNotified};
}

mod barrier;
pub use barrier::{Barrier, BarrierWaitResult};

mod once_cell;
pub use once_cell::{OnceCell, SetError};

mod set_once;
pub use set_once::{SetOnce, SetOnceError};

pub mod broadcast;
pub mod mpsc;
pub mod oneshot;
pub mod watch;
