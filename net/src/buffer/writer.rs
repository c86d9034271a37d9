//! Frames into a stream: queued with limits, written together.
//!
//! Place: held by protocol code; takes from `queue` and writes to the stream; runs on any thread
//! that polls a task.
//!
//! # Invariants
//! - A byte leaves the queue in the poll in which the stream took it: dropping a future writes
//!   nothing twice and forgets nothing.
//! - The lock of the queue is not held while the stream is called.
//!
//! # Why it is so
//! Bytes are queued without waiting and written by whoever waits: the owner in `flush`, or a task
//! of its own in `run`. A `write` that waited for the stream could not be dropped without leaving
//! half a frame there.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use futures_io::AsyncWrite;

use super::queue::{Queue, WriterEnd};
use super::{LengthPrefix, WriteHandle, WriteLimits};

/// Queues frames and writes them to `W`, as many with one call as there are.
///
/// A task that answers requests writes and flushes:
///
/// ```no_run
/// # use oneloop_net::buffer::{FrameWriter, LengthPrefix};
/// # async fn answer(stream: &oneloop_net::TcpStream) -> std::io::Result<()> {
/// let mut writer = FrameWriter::new(stream);
/// writer.write_length_delimited(LengthPrefix::U32_BE, &b"answer"[..])?;
/// writer.flush().await?;
/// # Ok(())
/// # }
/// ```
///
/// A task that produces much calls [`below_low_water`](Self::below_low_water) before each write,
/// so that it waits for a slow peer. Where several tasks write to one stream, each has a
/// [`WriteHandle`], and one task drives the writer with [`run`](Self::run).
///
/// Dropped, it drops what is not written; [`shutdown`](Self::shutdown) writes it first.
#[derive(Debug)]
pub struct FrameWriter<W> {
    io: W,
    end: WriterEnd,
    /// What was taken from the queue, the front of it perhaps written in part.
    in_flight: VecDeque<Bytes>,
    /// All bytes that the stream has taken.
    written: u64,
    /// Whether the stream has got bytes since it was last flushed.
    is_dirty: bool,
}

impl<W> FrameWriter<W> {
    /// Makes a writer with the default [`WriteLimits`].
    pub fn new(io: W) -> Self {
        Self::with_limits(io, WriteLimits::new())
    }

    /// Makes a writer.
    ///
    /// # Panics
    ///
    /// Unless `low_water_bytes <= high_water_bytes <= max_bytes`.
    #[track_caller]
    pub fn with_limits(io: W, limits: WriteLimits) -> Self {
        limits.check();
        Self {
            io,
            end: WriterEnd(Arc::new(Queue::new(limits))),
            in_flight: VecDeque::new(),
            written: 0,
            is_dirty: false,
        }
    }

    /// Makes a handle for a producer in another task.
    #[must_use]
    pub fn handle(&self) -> WriteHandle {
        WriteHandle::new(self.queue())
    }

    /// Queues a copy of `bytes`, all or nothing. It never waits.
    ///
    /// # Errors
    ///
    /// `QuotaExceeded` with [`BufferFull`](super::BufferFull) if there would be more than
    /// [`max_bytes`](WriteLimits::max_bytes) in the queue: flush and try again, or give the peer
    /// up. `BrokenPipe` after a failed write to the stream and after a
    /// [`shutdown`](Self::shutdown) has begun.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.queue().push(bytes, &Bytes::new())
    }

    /// Queues a copy of `head`, and `body` without a copy unless it is short, all or nothing. They
    /// are written together.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    pub fn write_frame(&mut self, head: &[u8], body: impl Into<Bytes>) -> io::Result<()> {
        self.queue().push(head, &body.into())
    }

    /// Queues `body` behind its length, all or nothing.
    ///
    /// # Errors
    ///
    /// `InvalidData` with a [`FrameError`](super::FrameError) if `body` is longer than the prefix
    /// can say; otherwise as [`write`](Self::write).
    pub fn write_length_delimited(
        &mut self,
        prefix: LengthPrefix,
        body: impl Into<Bytes>,
    ) -> io::Result<()> {
        self.queue().push_length_delimited(prefix, &body.into())
    }

    /// The bytes that are queued.
    #[must_use]
    pub fn queued_bytes(&self) -> usize {
        self.queue().bytes()
    }

    /// Whether the queue has gone above its high-water mark and not yet down to the low one.
    #[must_use]
    pub fn is_above_high_water(&self) -> bool {
        self.queue().is_congested()
    }

    /// How often the queue has gone above its high-water mark, coming from below the low one.
    #[must_use]
    pub fn high_water_crossings(&self) -> u64 {
        self.queue().crossings()
    }

    /// The stream.
    pub fn get_ref(&self) -> &W {
        &self.io
    }

    /// The stream. What is written to it past the writer comes before what is queued.
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.io
    }

    /// Gives the stream back, and what was not written to it. Handles are told `BrokenPipe`.
    pub fn into_parts(mut self) -> (W, VecDeque<Bytes>) {
        self.end.0.close();
        self.end.0.take_chunks(&mut self.in_flight);
        (self.io, self.in_flight)
    }

    fn queue(&self) -> &Arc<Queue> {
        &self.end.0
    }
}

impl<W: AsyncWrite + Unpin> FrameWriter<W> {
    /// Writes what is queued now and flushes the stream. What handles add in the meantime may be
    /// written too, and is not waited for.
    ///
    /// # Errors
    ///
    /// Those of the stream; `WriteZero` if it takes nothing. Handles are told `BrokenPipe` from
    /// then on, and what was not written stays queued.
    ///
    /// # Cancel safety
    ///
    /// Safe: what was not written stays queued, and the next call goes on with it.
    pub async fn flush(&mut self) -> io::Result<()> {
        let end = self.written + self.queued_bytes() as u64;
        poll_fn(|cx| {
            while self.written < end && ready!(self.poll_write_once(cx))? > 0 {}
            self.poll_flush_stream(cx)
        })
        .await
    }

    /// Waits until more may be written: at once, unless the queue
    /// [is above its high-water mark](Self::is_above_high_water); then it writes until the
    /// low-water mark is reached.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// Safe: as [`flush`](Self::flush).
    pub async fn below_low_water(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            while self.is_above_high_water() && ready!(self.poll_write_once(cx))? > 0 {}
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Writes what handles queue, as it comes, until the last handle is dropped (at once, if none
    /// was made). It ends with everything written and flushed; [`shutdown`](Self::shutdown) then
    /// ends the stream.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// Safe: as [`flush`](Self::flush).
    pub async fn run(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            loop {
                ready!(self.poll_write_all(cx))?;
                if !ready!(self.queue().poll_filled(cx)) {
                    return Poll::Ready(Ok(()));
                }
            }
        })
        .await
    }

    /// Refuses further writes, writes what is queued, and ends the stream: for a socket this shuts
    /// down its write direction.
    ///
    /// # Errors
    ///
    /// As [`flush`](Self::flush).
    ///
    /// # Cancel safety
    ///
    /// Safe: the next call goes on, and writes are refused from the first poll on.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|cx| {
            self.end.0.close();
            ready!(self.poll_write_all(cx))?;
            Pin::new(&mut self.io).poll_close(cx)
        })
        .await
    }

    /// Writes until nothing is queued, and flushes the stream.
    fn poll_write_all(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while ready!(self.poll_write_once(cx))? > 0 {}
        self.poll_flush_stream(cx)
    }

    fn poll_flush_stream(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.is_dirty {
            ready!(Pin::new(&mut self.io).poll_flush(cx))?;
            self.is_dirty = false;
        }
        Poll::Ready(Ok(()))
    }

    /// Writes once, as much as the stream takes of all that is queued; 0 if nothing is.
    fn poll_write_once(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        self.end.0.take_chunks(&mut self.in_flight);
        let mut slices = [IoSlice::new(&[]); SLICES_MAX];
        let mut offered = 0;
        let mut filled = 0;
        for (slice, chunk) in slices.iter_mut().zip(&self.in_flight) {
            *slice = IoSlice::new(chunk);
            offered += chunk.len();
            filled += 1;
        }
        if filled == 0 {
            return Poll::Ready(Ok(0));
        }
        let stream = Pin::new(&mut self.io);
        let result = ready!(stream.poll_write_vectored(cx, &slices[..filled]));
        let result = result.and_then(|count| match count {
            0 => Err(io::ErrorKind::WriteZero.into()),
            count if count > offered => Err(io::Error::other(
                "the stream says that it has taken more than it was offered",
            )),
            count => Ok(count),
        });
        match result {
            Ok(count) => self.take_written(count),
            Err(_) => self.end.0.close(),
        }
        Poll::Ready(result)
    }

    /// The stream has taken `count` bytes.
    fn take_written(&mut self, count: usize) {
        self.is_dirty = true;
        self.written += count as u64;
        let mut rest = count;
        while let Some(chunk) = self.in_flight.front_mut().filter(|_| rest > 0) {
            let part = rest.min(chunk.len());
            rest -= part;
            // The end of the chunk, or all that was taken of it.
            drop(chunk.split_to(part));
            if chunk.is_empty() {
                self.in_flight.pop_front();
            }
        }
        if self.in_flight.is_empty() {
            // A writer with nothing to write holds no memory.
            self.in_flight = VecDeque::new();
        }
        self.end.0.written(count);
    }
}

/// The chunks that are written with one call.
const SLICES_MAX: usize = 64;
