//! Copies from end to end: one way, and both ways at once.
//!
//! Place: called by tasks, calls `flow` for each direction; runs on any thread that polls a task.

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use super::ends::{ReadEnd, WriteEnd};
use super::flow::{AtEnd, Flow};

/// Copies all that `reader` gives to `writer`, until the reader ends, and flushes the writer. Returns
/// the number of bytes.
///
/// Between sockets the bytes stay in the kernel (splice(2)); otherwise they go through a buffer. The
/// writer is not shut down. Limits: see the [module](crate::zero_copy).
///
/// # Errors
///
/// The first of either end. What was taken from the reader and not yet written is lost.
///
/// # Cancel safety
///
/// **Not safe**: what was taken from the reader and not yet written is lost with the future. Polled
/// by reference and kept, it goes on where it was; [`CopyOneWay::copied`] tells how far it came.
pub fn copy<'a, R, W>(reader: &'a mut R, writer: &'a mut W) -> CopyOneWay<'a, R, W>
where
    R: ReadEnd + ?Sized,
    W: WriteEnd + ?Sized,
{
    CopyOneWay {
        reader,
        writer,
        flow: Flow::new(AtEnd::Flush),
    }
}

/// Copies both ways at once until both have ended: what `a` gives to `b`, and what `b` gives to `a`.
/// Returns the numbers of bytes from `a` to `b` and from `b` to `a`.
///
/// When one end stops giving, the other is shut down, so that a half-close goes through; the other
/// direction goes on. A slow reader slows its writer down: each direction takes bytes only when it
/// got rid of the last ones, 64 KiB at most. Between sockets the bytes stay in the kernel (splice(2));
/// otherwise they go through a buffer. A direction on which nothing happens holds neither pipe nor
/// buffer between sockets. Limits: see the [module](crate::zero_copy).
///
/// There is no limit of time: wrap the call in `timeout`, or look at
/// [`CopyBidirectional::copied`] from time to time.
///
/// # Errors
///
/// The first of either end, and of either direction: it ends both. The ends stay open; dropping them
/// closes them. What was taken and not yet written is lost.
///
/// # Cancel safety
///
/// **Not safe**: what was taken from one end and not yet written to the other is lost with the future.
/// Polled by reference and kept, it goes on where it was.
///
/// # Examples
///
/// ```no_run
/// # async fn example(mut client: oneloop_net::TcpStream) -> std::io::Result<()> {
/// let mut server = oneloop_net::TcpStream::connect("10.0.0.7:80").await?;
/// let (up, down) = oneloop_net::copy_bidirectional(&mut client, &mut server).await?;
/// # drop((up, down));
/// # Ok(())
/// # }
/// ```
pub fn copy_bidirectional<'a, A, B>(a: &'a mut A, b: &'a mut B) -> CopyBidirectional<'a, A, B>
where
    A: ReadEnd + WriteEnd + ?Sized,
    B: ReadEnd + WriteEnd + ?Sized,
{
    CopyBidirectional {
        a,
        b,
        a_to_b: Flow::new(AtEnd::ShutDown),
        b_to_a: Flow::new(AtEnd::ShutDown),
    }
}

/// A copy from one end to another. Made by [`copy`].
#[must_use = "futures do nothing unless polled"]
pub struct CopyOneWay<'a, R: ?Sized, W: ?Sized> {
    reader: &'a mut R,
    writer: &'a mut W,
    flow: Flow,
}

impl<R: ?Sized, W: ?Sized> CopyOneWay<'_, R, W> {
    /// Bytes that the writer has taken so far.
    #[must_use]
    pub fn copied(&self) -> u64 {
        self.flow.moved()
    }
}

impl<R, W> Future for CopyOneWay<'_, R, W>
where
    R: ReadEnd + ?Sized,
    W: WriteEnd + ?Sized,
{
    type Output = io::Result<u64>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let this = self.get_mut();
        this.flow.poll(cx, this.reader, this.writer)
    }
}

impl<R: ?Sized, W: ?Sized> fmt::Debug for CopyOneWay<'_, R, W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyOneWay")
            .field("copied", &self.copied())
            .finish_non_exhaustive()
    }
}

/// A copy between two ends, both ways. Made by [`copy_bidirectional`].
#[must_use = "futures do nothing unless polled"]
pub struct CopyBidirectional<'a, A: ?Sized, B: ?Sized> {
    a: &'a mut A,
    b: &'a mut B,
    a_to_b: Flow,
    b_to_a: Flow,
}

impl<A: ?Sized, B: ?Sized> CopyBidirectional<'_, A, B> {
    /// Bytes that `b` has taken, and those that `a` has taken, so far.
    #[must_use]
    pub fn copied(&self) -> (u64, u64) {
        (self.a_to_b.moved(), self.b_to_a.moved())
    }
}

impl<A, B> Future for CopyBidirectional<'_, A, B>
where
    A: ReadEnd + WriteEnd + ?Sized,
    B: ReadEnd + WriteEnd + ?Sized,
{
    type Output = io::Result<(u64, u64)>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<(u64, u64)>> {
        let this = self.get_mut();
        let up = this.a_to_b.poll(cx, this.a, this.b)?;
        let down = this.b_to_a.poll(cx, this.b, this.a)?;
        match (up, down) {
            (Poll::Ready(up), Poll::Ready(down)) => Poll::Ready(Ok((up, down))),
            _ => Poll::Pending,
        }
    }
}

impl<A: ?Sized, B: ?Sized> fmt::Debug for CopyBidirectional<'_, A, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CopyBidirectional")
            .field("copied", &self.copied())
            .finish_non_exhaustive()
    }
}
