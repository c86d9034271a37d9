//! A task's name.
//!
//! Place: made by `Builder`; polled and dropped as the task's future, on the home loop's thread.
//!
//! # Why it is so
//! Few tasks have a name: it stands beside the future, so that the others pay nothing for it, where a
//! field of the metadata would be a word in each task.

use std::cell::RefCell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::{Id, Meta};
use crate::context;
use crate::primitive::thread_local;

thread_local! {
    // With the task, because others may be polled inside its poll (`block_in_place`).
    static CURRENT: RefCell<Option<(Id, Arc<str>)>> = const { RefCell::new(None) };
}

/// The name of the task that is being polled or dropped on this thread, if it has one.
#[must_use]
pub fn name() -> Option<String> {
    let task = context::with_task(|task| task.map(Meta::id))?;
    let of_task = |(id, name): &(Id, Arc<str>)| (*id == task).then(|| name.to_string());
    CURRENT
        .try_with(|current| current.borrow().as_ref().and_then(of_task))
        .unwrap_or(None)
}

pin_project! {
    /// A task's future and the task's name.
    pub(super) struct Named<F> {
        name: Arc<str>,
        // None once it has been dropped.
        #[pin]
        future: Option<F>,
    }

    impl<F> PinnedDrop for Named<F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            let _shown = Shown::new(this.name);
            this.future.set(None);
        }
    }
}

impl<F> Named<F> {
    pub(super) fn new(name: String, future: F) -> Self {
        Self {
            name: name.into(),
            future: Some(future),
        }
    }
}

impl<F: Future> Future for Named<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let _shown = Shown::new(this.name);
        match this.future.as_pin_mut() {
            Some(future) => future.poll(cx),
            None => unreachable!("it is taken out by the drop alone"),
        }
    }
}

/// Shows the name of the task that is polled, until dropped.
struct Shown {
    before: Option<(Id, Arc<str>)>,
}

impl Shown {
    fn new(name: &Arc<str>) -> Self {
        let task = context::with_task(|task| task.map(Meta::id));
        Self {
            before: exchange(task.map(|id| (id, Arc::clone(name)))),
        }
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        drop(exchange(self.before.take()));
    }
}

fn exchange(shown: Option<(Id, Arc<str>)>) -> Option<(Id, Arc<str>)> {
    // An error means that the thread is ending: nobody asks any more.
    CURRENT
        .try_with(|current| current.replace(shown))
        .unwrap_or(None)
}
