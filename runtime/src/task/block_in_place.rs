//! Blocking inside a task.
//!
//! Place: called by tasks; runs the function on the loop's own thread.
//!
//! # Why it is so
//! tokio moves the worker's other tasks to another thread meanwhile. Here a task cannot leave its
//! loop (I1), so the others wait. What is most often done in such a function, a `block_on`, drives
//! the loop from inside, so that they do not wait then.

use super::coop;
use crate::context::{self, MayBlock};
use crate::worker::Local;

/// Runs a function that blocks, on this thread, inside a task or the root of `block_on`.
///
/// The other tasks of this loop wait until it returns, except while it is inside
/// [`Handle::block_on`](crate::runtime::Handle::block_on) of the same runtime, which runs them too.
/// Prefer [`spawn_blocking`](super::spawn_blocking), which holds up nobody. A task that is spawned
/// inside is placed on another loop, if there is one; and there waits what another executor polls
/// inside. On the only loop of a runtime such a wait does not end.
///
/// Calls of `block_on` on one loop end in the reverse order of their beginning, whichever future is
/// done first: one whose future waits for what the task of an earlier one does after its own
/// `block_on` waits for ever. Up to 32 are inside each other on one loop; further ones hold it up.
///
/// Outside async code, and on the blocking pool, it calls the function.
///
/// # Panics
///
/// On the loop of a current-thread runtime, which would stand still. Panics of the function go
/// through.
#[track_caller]
pub fn block_in_place<F, R>(function: F) -> R
where
    F: FnOnce() -> R,
{
    if !context::is_driving_tasks() {
        return function();
    }
    assert!(
        context::may_block_in_place(),
        "can call blocking only when running on the multi-threaded runtime"
    );
    // Those who have given way may be on other threads, which need not wait; nor need what was
    // gathered for the end of this turn.
    context::with_local(|local| local.map(Local::wake_at_turn_end));
    context::with_local(|local| local.map(Local::wake_deferred));
    let _may_block = MayBlock::begin();
    let _unlimited = coop::unlimited();
    function()
}
