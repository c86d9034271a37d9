//! The bytes that wait to be written, and who is told how many they are.
//!
//! Place: between the `handle`s that add bytes and the `writer` that takes them, each on a thread
//! of its own if need be; calls nobody but wakers.
//!
//! ```text
//!             above high_water_bytes
//!   flowing ---------------------------> congested        one crossing
//!           <---------------------------
//!             at or below low_water_bytes                 producers go on
//! ```
//!
//! # Invariants
//! - `bytes` is what was accepted and not yet written: in `chunks`, in `tail`, and in the hands of
//!   the writer.
//! - I5. Wakers are cloned, woken and dropped outside the lock, and so is what the user's `Bytes`
//!   own.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::{Bytes, BytesMut};

use super::{BufferFull, LengthPrefix};

/// How many bytes a [`FrameWriter`](super::FrameWriter) queues, and when its producers are told.
///
/// ```
/// use oneloop_net::buffer::WriteLimits;
///
/// let limits = WriteLimits::new()
///     .low_water_bytes(4 << 10)
///     .high_water_bytes(16 << 10)
///     .max_bytes(64 << 10);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WriteLimits {
    low_water_bytes: usize,
    high_water_bytes: usize,
    max_bytes: usize,
}

impl WriteLimits {
    /// The defaults: 32 KiB, 64 KiB and 1 MiB.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            low_water_bytes: 32 << 10,
            high_water_bytes: 64 << 10,
            max_bytes: 1 << 20,
        }
    }

    /// The bytes down to which the queue has to be written before producers go on.
    #[must_use]
    pub const fn low_water_bytes(mut self, bytes: usize) -> Self {
        self.low_water_bytes = bytes;
        self
    }

    /// The bytes beyond which producers should stop.
    #[must_use]
    pub const fn high_water_bytes(mut self, bytes: usize) -> Self {
        self.high_water_bytes = bytes;
        self
    }

    /// The bytes that are queued at most: a write that goes beyond is refused.
    #[must_use]
    pub const fn max_bytes(mut self, bytes: usize) -> Self {
        self.max_bytes = bytes;
        self
    }

    #[track_caller]
    pub(super) fn check(&self) {
        assert!(
            self.low_water_bytes <= self.high_water_bytes
                && self.high_water_bytes <= self.max_bytes,
            "low_water_bytes <= high_water_bytes <= max_bytes is not so in {self:?}"
        );
    }
}

impl Default for WriteLimits {
    fn default() -> Self {
        Self::new()
    }
}

/// What the writer and its handles share.
#[derive(Debug)]
pub(super) struct Queue {
    limits: WriteLimits,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    chunks: VecDeque<Bytes>,
    /// Short writes since the last chunk, copied together.
    tail: BytesMut,
    bytes: usize,
    is_congested: bool,
    crossings: u64,
    is_closed: bool,
    handles: usize,
    next_handle: u64,
    /// The writer, when it waits for bytes.
    writer: Option<Waker>,
    /// Handles that wait, each at most once: no more than there are handles.
    waiters: Vec<(u64, Waker)>,
}

impl State {
    fn put(&mut self, bytes: &[u8]) {
        if bytes.len() < COPY_BYTES_MAX {
            self.tail.extend_from_slice(bytes);
        } else {
            self.put_chunk(Bytes::copy_from_slice(bytes));
        }
    }

    fn put_chunk(&mut self, chunk: Bytes) {
        self.end_tail();
        self.chunks.push_back(chunk);
    }

    fn end_tail(&mut self) {
        if !self.tail.is_empty() {
            self.chunks
                .push_back(std::mem::take(&mut self.tail).freeze());
        }
    }

    /// All that wait at a water mark.
    fn take_waiters(&mut self) -> Vec<Waker> {
        self.waiters.drain(..).map(|(_, waker)| waker).collect()
    }
}

impl Queue {
    pub(super) fn new(limits: WriteLimits) -> Self {
        Self {
            limits,
            state: Mutex::default(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        // Nothing of the user's runs under the lock, so a panic leaves no half-done state.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Appends a copy of `head`, and `body`, or nothing.
    pub(super) fn push(&self, head: &[u8], body: &Bytes) -> io::Result<()> {
        let (writer, waiters) = {
            let mut state = self.state();
            if state.is_closed {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            let bytes = state.bytes.saturating_add(head.len());
            let bytes = bytes.saturating_add(body.len());
            if bytes > self.limits.max_bytes {
                return Err(BufferFull::new(bytes, self.limits.max_bytes).into());
            }
            if bytes == state.bytes {
                return Ok(());
            }
            state.bytes = bytes;
            state.put(head);
            if body.len() < COPY_BYTES_MAX {
                state.put(body);
            } else {
                state.put_chunk(body.clone());
            }
            let mut waiters = Vec::new();
            if bytes > self.limits.high_water_bytes && !state.is_congested {
                state.is_congested = true;
                state.crossings += 1;
                waiters = state.take_waiters();
            }
            (state.writer.take(), waiters)
        };
        writer.into_iter().chain(waiters).for_each(Waker::wake);
        Ok(())
    }

    /// Appends `body` behind its length, or nothing.
    pub(super) fn push_length_delimited(
        &self,
        prefix: LengthPrefix,
        body: &Bytes,
    ) -> io::Result<()> {
        let head = prefix.encode(body.len())?;
        self.push(&head[..prefix.width_bytes()], body)
    }

    /// Moves what is queued to the end of `chunks`. It still counts until it is written.
    pub(super) fn take_chunks(&self, chunks: &mut VecDeque<Bytes>) {
        let mut state = self.state();
        state.end_tail();
        if chunks.is_empty() {
            std::mem::swap(chunks, &mut state.chunks);
        } else {
            chunks.append(&mut state.chunks);
        }
    }

    /// The writer is gone: what is queued is nobody's any more.
    fn abandon(&self) {
        self.close();
        let mut unwritten = VecDeque::new();
        self.take_chunks(&mut unwritten);
        self.state().bytes = 0;
    }

    /// The writer tells that `count` bytes are written.
    pub(super) fn written(&self, count: usize) {
        let waiters = {
            let mut state = self.state();
            state.bytes -= count;
            if !state.is_congested || state.bytes > self.limits.low_water_bytes {
                return;
            }
            state.is_congested = false;
            state.take_waiters()
        };
        waiters.into_iter().for_each(Waker::wake);
    }

    /// Refuses bytes from now on. What is queued can still be written.
    pub(super) fn close(&self) {
        let waiters = {
            let mut state = self.state();
            state.is_closed = true;
            state.take_waiters()
        };
        waiters.into_iter().for_each(Waker::wake);
    }

    pub(super) fn bytes(&self) -> usize {
        self.state().bytes
    }

    pub(super) fn is_congested(&self) -> bool {
        self.state().is_congested
    }

    pub(super) fn crossings(&self) -> u64 {
        self.state().crossings
    }

    /// Waits for bytes that the writer has not got: true, or false if there can be no more.
    pub(super) fn poll_filled(&self, cx: &Context<'_>) -> Poll<bool> {
        let waker = cx.waker().clone();
        let replaced = {
            let mut state = self.state();
            if !state.chunks.is_empty() || !state.tail.is_empty() {
                return Poll::Ready(true);
            }
            if state.handles == 0 || state.is_closed {
                return Poll::Ready(false);
            }
            state.writer.replace(waker)
        };
        drop(replaced);
        Poll::Pending
    }

    /// Waits for a crossing after the one that was `seen`. Several count as one.
    pub(super) fn poll_crossing(
        &self,
        cx: &Context<'_>,
        id: u64,
        seen: &mut u64,
    ) -> Poll<io::Result<()>> {
        self.poll_water(cx, id, |state| {
            let is_new = state.crossings > *seen;
            *seen = state.crossings;
            is_new
        })
    }

    /// Waits until the queue is not congested.
    pub(super) fn poll_flowing(&self, cx: &Context<'_>, id: u64) -> Poll<io::Result<()>> {
        self.poll_water(cx, id, |state| !state.is_congested)
    }

    fn poll_water(
        &self,
        cx: &Context<'_>,
        id: u64,
        is_ready: impl FnOnce(&State) -> bool,
    ) -> Poll<io::Result<()>> {
        let waker = cx.waker().clone();
        let replaced = {
            let mut state = self.state();
            if state.is_closed {
                return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
            }
            if is_ready(&state) {
                return Poll::Ready(Ok(()));
            }
            match state.waiters.iter_mut().find(|(waiter, _)| *waiter == id) {
                Some((_, old)) => Some(std::mem::replace(old, waker)),
                None => {
                    state.waiters.push((id, waker));
                    None
                }
            }
        };
        drop(replaced);
        Poll::Pending
    }

    /// The handle with this number waits no more.
    pub(super) fn forget_waiter(&self, id: u64) {
        let forgotten = {
            let waiters = &mut self.state().waiters;
            let at = waiters.iter().position(|(waiter, _)| *waiter == id);
            at.map(|at| waiters.swap_remove(at))
        };
        drop(forgotten);
    }

    /// One handle more: its number, and the crossings so far.
    pub(super) fn add_handle(&self) -> (u64, u64) {
        let mut state = self.state();
        state.handles += 1;
        state.next_handle += 1;
        (state.next_handle, state.crossings)
    }

    /// One handle less. The writer learns of the last one.
    pub(super) fn remove_handle(&self) {
        let writer = {
            let mut state = self.state();
            state.handles -= 1;
            if state.handles > 0 {
                return;
            }
            state.writer.take()
        };
        writer.into_iter().for_each(Waker::wake);
    }
}

/// The writer's end. When it is dropped, nothing can be written any more.
#[derive(Debug)]
pub(super) struct WriterEnd(pub(super) Arc<Queue>);

impl Drop for WriterEnd {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

/// Up to here copying bytes together is cheaper than a slice of their own in a vectored write.
const COPY_BYTES_MAX: usize = 1024;
