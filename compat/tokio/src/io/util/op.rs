//! The future behind each method of the extension traits: a stream, and what is done to it.
//!
//! Place: made by the extension traits; polled by tasks.
//!
//! # Why it is so
//! Each method has to give a nameless future that is as `Send` as its parts and never `Unpin`. One
//! future with the work as a parameter says that once; the work itself is a small type with a poll.

use std::fmt;
use std::future::Future;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

/// Work on a stream of type `T`.
pub trait Work<T: ?Sized> {
    /// What it comes to.
    type Output;

    /// Goes on with the work.
    fn poll(&mut self, stream: Pin<&mut T>, cx: &mut Context<'_>) -> Poll<Self::Output>;
}

pin_project! {
    /// Work on a stream that is borrowed for its time.
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct Op<'a, T: ?Sized, W> {
        stream: &'a mut T,
        work: W,
        #[pin]
        pinned: PhantomPinned,
    }
}

impl<'a, T: ?Sized, W> Op<'a, T, W> {
    pub(crate) fn new(stream: &'a mut T, work: W) -> Self {
        Self {
            stream,
            work,
            pinned: PhantomPinned,
        }
    }
}

impl<T: ?Sized + Unpin, W: Work<T>> Future for Op<'_, T, W> {
    type Output = W::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<W::Output> {
        let this = self.project();
        this.work.poll(Pin::new(&mut **this.stream), cx)
    }
}

impl<T: ?Sized, W: fmt::Debug> fmt::Debug for Op<'_, T, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.work.fmt(f)
    }
}
