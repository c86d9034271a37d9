//! The producers' end of a writer.
//!
//! Place: held by tasks that have something to say, on any thread; everything is passed on to
//! `queue`.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;

use bytes::Bytes;

use super::LengthPrefix;
use super::queue::Queue;

/// Queues bytes for a [`FrameWriter`](super::FrameWriter) that another task drives with
/// [`run`](super::FrameWriter::run), and tells when they become too many.
///
/// A producer waits at [`below_low_water`](Self::below_low_water) before it writes: that is
/// backpressure. Who cannot wait, because many others listen, watches
/// [`above_high_water`](Self::above_high_water) and drops what is too slow.
///
/// # Threads
///
/// Can be cloned, sent and dropped anywhere. Each clone can have one future waiting.
#[derive(Debug)]
pub struct WriteHandle {
    queue: Arc<Queue>,
    id: u64,
    /// The crossings of the high-water mark that were told of.
    seen: u64,
}

impl WriteHandle {
    pub(super) fn new(queue: &Arc<Queue>) -> Self {
        let (id, seen) = queue.add_handle();
        Self {
            queue: Arc::clone(queue),
            id,
            seen,
        }
    }

    /// Queues a copy of `bytes`, all or nothing.
    ///
    /// # Errors
    ///
    /// As [`FrameWriter::write`](super::FrameWriter::write). `BrokenPipe` also if the writer was
    /// dropped.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        self.queue.push(bytes, &Bytes::new())
    }

    /// Queues a copy of `head`, and `body` without a copy, all or nothing.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_frame(&self, head: &[u8], body: impl Into<Bytes>) -> io::Result<()> {
        self.queue.push(head, &body.into())
    }

    /// Queues `body` behind its length, all or nothing.
    ///
    /// # Errors
    ///
    /// As [`FrameWriter::write_length_delimited`](super::FrameWriter::write_length_delimited).
    pub fn write_length_delimited(
        &self,
        prefix: LengthPrefix,
        body: impl Into<Bytes>,
    ) -> io::Result<()> {
        self.queue.push_length_delimited(prefix, &body.into())
    }

    /// The bytes that are queued.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queue.bytes()
    }

    /// Whether the queue has gone above its high-water mark and not yet down to the low one.
    #[must_use]
    pub fn is_above_high_water(&self) -> bool {
        self.queue.is_congested()
    }

    /// Waits until the queue goes above its high-water mark: once for each crossing since this
    /// handle was made, also for one that is over. Crossings that nobody waited for count as one.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` if the writer failed, was shut down or dropped.
    ///
    /// # Cancel safety
    ///
    /// Safe: the crossing is told of by the next call.
    pub async fn above_high_water(&mut self) -> io::Result<()> {
        let _waiting = Waiting(&self.queue, self.id);
        poll_fn(|cx| self.queue.poll_crossing(cx, self.id, &mut self.seen)).await
    }

    /// Waits until producers may go on: at once, unless the queue
    /// [is above its high-water mark](Self::is_above_high_water); then until it has come down to
    /// the low-water mark.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` if the writer failed, was shut down or dropped.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn below_low_water(&mut self) -> io::Result<()> {
        let _waiting = Waiting(&self.queue, self.id);
        poll_fn(|cx| self.queue.poll_flowing(cx, self.id)).await
    }
}

/// Another producer, which is told of the crossings after its making.
impl Clone for WriteHandle {
    fn clone(&self) -> Self {
        Self::new(&self.queue)
    }
}

impl Drop for WriteHandle {
    fn drop(&mut self) {
        self.queue.remove_handle();
    }
}

/// Takes the waker back if the future is dropped.
struct Waiting<'q>(&'q Queue, u64);

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.forget_waiter(self.1);
    }
}
