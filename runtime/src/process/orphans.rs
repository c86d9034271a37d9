//! Children whose `Child` was dropped before their end: somebody has to reap them.
//!
//! Place: called by the drop of a `Child` on any thread.

use std::process::Child as StdChild;

use super::exit::Exit;
use crate::primitive::sync::Mutex;
use crate::runtime::Handle;

/// Those that no task waits for.
static ORPHANS: Mutex<Vec<StdChild>> = Mutex::new(Vec::new());

/// Reaps the child now, or leaves it to a task of its runtime.
pub(super) fn adopt_on(runtime: &Handle, mut child: StdChild) {
    if has_ended(&mut child) {
        return;
    }
    if runtime.is_shut_down() {
        adopt(child);
        return;
    }
    let orphan = Orphan(Some(child));
    let _entered = runtime.enter();
    // Nobody joins it. A runtime that ends drops it, and so hands the child on to the list.
    drop(runtime.spawn(orphan.wait()));
}

/// Reaps the child now, or when the next is started or dropped.
pub(super) fn adopt(child: StdChild) {
    ORPHANS.lock().push(child);
    reap();
}

/// Reaps the orphans that have ended.
pub(super) fn reap() {
    ORPHANS.lock().retain_mut(|child| !has_ended(child));
}

fn has_ended(child: &mut StdChild) -> bool {
    // An error: somebody else has reaped it.
    child.try_wait().map_or(true, |status| status.is_some())
}

struct Orphan(Option<StdChild>);

impl Orphan {
    async fn wait(mut self) {
        let Some(child) = &mut self.0 else { return };
        // Without descriptors for the wait the child goes to the list.
        let Ok(mut exit) = Exit::of(child.id()) else {
            return;
        };
        let status = std::future::poll_fn(|cx| exit.poll(cx, || child.try_wait())).await;
        if status.is_ok() {
            self.0 = None;
        }
    }
}

impl Drop for Orphan {
    fn drop(&mut self) {
        if let Some(child) = self.0.take() {
            adopt(child);
        }
    }
}
