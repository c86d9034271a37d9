//! Reading into a buffer of the loop, and writing from one.
//!
//! Place: the methods of every stream, called by tasks and by the halves; calls `BufferPool` for a
//! block and `Source` to wait; runs on any thread that polls a task.
//!
//! # Invariants
//! - A stream that waits for its peer holds no block: one is taken right before the system call that
//!   reads, and given back in that poll if there was nothing to read.
//! - Only a stream that has something to read waits for memory, and nothing is read before the block
//!   is there: a future that is dropped loses nothing.
//!
//! # Why it is so
//! The block is taken within the operation that `Source` tries, so that the poll which finds nothing
//! said of new bytes, one for each message, takes none.

use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// How large a block the next read of a stream takes, by what the last ones found.
///
/// One word: the orders (logarithms) of the size, of its bounds, and the number of small reads one
/// after the other. Relaxed and without exchange: it is a hint, and a stream has one reader.
#[derive(Debug)]
pub(crate) struct LeaseSize(AtomicU32);

impl LeaseSize {
    pub(crate) fn new() -> Self {
        Self(AtomicU32::new(pack(
            LEASE_BYTES_DEFAULT.start().ilog2(),
            LEASE_BYTES_DEFAULT.start().ilog2(),
            LEASE_BYTES_DEFAULT.end().ilog2(),
        )))
    }

    /// Keeps the size within bounds from now on.
    pub(crate) fn set_bounds(&self, bytes: &RangeInclusive<usize>) {
        let order = |bytes: usize| bytes.clamp(1, ORDER_BYTES_MAX).next_power_of_two().ilog2();
        let low = order(*bytes.start());
        let high = order(*bytes.end()).max(low);
        let within = |word: u32| Some(pack((word & FIELD).clamp(low, high), low, high));
        self.0
            .fetch_update(Relaxed, Relaxed, within)
            .expect("the function always gives a word");
    }

    #[inline]
    pub(crate) fn bytes(&self) -> usize {
        1 << (self.0.load(Relaxed) & FIELD)
    }

    /// What a read into a block of `capacity` bytes has found. It fills the block: the next is four
    /// times as large, up to the bound. It is small several times in a row: the next is half.
    #[inline]
    pub(crate) fn note(&self, count: usize, capacity: usize) {
        let word = self.0.load(Relaxed);
        let (size, low, high) = (word & FIELD, word >> 8 & FIELD, word >> 16 & FIELD);
        let small_reads = word >> SMALL_READS_AT;
        let is_small = count <= capacity / SMALL_PART && size > low;
        if count < capacity && !is_small && small_reads == 0 {
            return;
        }
        let next = if count >= capacity {
            pack((size + 2).min(high), low, high)
        } else if !is_small {
            pack(size, low, high)
        } else if small_reads + 1 < SMALL_READS_MAX {
            pack(size, low, high) | (small_reads + 1) << SMALL_READS_AT
        } else {
            pack(size - 1, low, high)
        };
        if next != word {
            // If bounds were set meanwhile they hold, and what this read has found is forgotten.
            let _ = self.0.compare_exchange(word, next, Relaxed, Relaxed);
        }
    }
}

/// No small reads.
fn pack(size: u32, low: u32, high: u32) -> u32 {
    size | low << 8 | high << 16
}

/// Bounds of the blocks that a stream reads into, unless it is told others.
const LEASE_BYTES_DEFAULT: RangeInclusive<usize> = 4096..=128 * 1024;
/// A read is small if it fills at most this part of the block: less than half, so that a size that
/// was reached by halving is not left at once.
const SMALL_PART: usize = 4;
/// Small reads in a row that halve the size.
const SMALL_READS_MAX: u32 = 8;
const FIELD: u32 = 0xff;
const SMALL_READS_AT: u32 = 24;
const ORDER_BYTES_MAX: usize = 1 << 30;

/// Gives a stream with fields `io: Source<_>` and `lease_size: LeaseSize` the methods that read into
/// leases and write from them. `$drained_below`: as for `transfer`.
macro_rules! leases {
    ($Stream:ident, $drained_below:path) => {
        /// Leases: reading and writing without a buffer of one's own.
        impl $Stream {
            /// Waits for bytes, then takes a buffer of this loop's
            /// [pool](oneloop_runtime::buf::BufferPool) and reads into it. An empty lease is the end
            /// of the stream.
            ///
            /// A stream that waits holds no buffer, however many of them there are, and the buffer is
            /// one that was in use a moment ago. Its size follows what the last reads found, from 4
            /// KiB to 128 KiB unless [`set_read_lease_bytes`](Self::set_read_lease_bytes) says
            /// otherwise. At the pool's cap it waits for memory, and the peer is slowed down by the
            /// kernel meanwhile.
            ///
            /// # Errors
            ///
            /// As [`poll_read`](Self::poll_read); `OutOfMemory` if the system has no memory for a
            /// buffer: nothing was read.
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, nothing was read.
            ///
            /// # Threads
            ///
            /// On a thread that runs no loop the buffer is plain memory, without a cap.
            // Not an `async fn`: the future of an idle connection is as small as it can be.
            pub fn read_lease(&mut self) -> impl Future<Output = io::Result<Lease>> + Send + Unpin {
                self.lease()
            }

            /// Sets the bounds of the buffers that [`read_lease`](Self::read_lease) takes, in bytes,
            /// rounded up to powers of two. Default: 4 KiB to 128 KiB. Bounds above the pool's
            /// largest buffer (1 MiB, or its cap) mean that one.
            pub fn set_read_lease_bytes(&self, bounds: RangeInclusive<usize>) {
                self.lease_size.set_bounds(&bounds);
            }

            /// Writes all that is filled in a lease, and gives its buffer back.
            ///
            /// # Errors
            ///
            /// As [`write_all`](Self::write_all).
            ///
            /// # Cancel safety
            ///
            /// **Not safe**: if the future is dropped, an unknown part has been written.
            pub fn write_all_lease(
                &mut self,
                lease: Lease,
            ) -> impl Future<Output = io::Result<()>> + Send + Unpin {
                self.drain_lease(lease)
            }

            pub(crate) fn lease(&self) -> impl Future<Output = io::Result<Lease>> + Send + Unpin {
                let mut memory = None;
                poll_fn(move |cx| self.poll_lease(cx, &mut memory))
            }

            pub(crate) fn drain_lease(
                &self,
                mut lease: Lease,
            ) -> impl Future<Output = io::Result<()>> + Send + Unpin {
                poll_fn(move |cx| {
                    while !lease.is_empty() {
                        match ready!(self.poll_write(cx, &lease))? {
                            0 => return Poll::Ready(Err(crate::stream::transfer::took_nothing())),
                            count => lease.advance(count),
                        }
                    }
                    // The block goes home now, however long the future is kept.
                    lease = Lease::empty();
                    Poll::Ready(Ok(()))
                })
            }

            pub(crate) fn poll_lease(
                &self,
                cx: &mut Context<'_>,
                memory: &mut Option<Acquire>,
            ) -> Poll<io::Result<Lease>> {
                if memory.is_none()
                    && let Some(lease) = ready!(self.poll_fill(cx, || self.block()))?
                {
                    return Poll::Ready(Ok(lease));
                }
                self.poll_lease_at_cap(cx, memory)
            }

            /// As `poll_lease`, for a stream that has to wait for memory.
            #[cold]
            fn poll_lease_at_cap(
                &self,
                cx: &mut Context<'_>,
                memory: &mut Option<Acquire>,
            ) -> Poll<io::Result<Lease>> {
                loop {
                    let acquire = match memory {
                        Some(acquire) => acquire,
                        None => {
                            ready!(self.io.poll_ready(cx, Direction::Read))?;
                            memory.insert(BufferPool::current().acquire(self.lease_bytes()))
                        }
                    };
                    let acquired = ready!(Pin::new(acquire).poll(cx));
                    *memory = None;
                    let mut block = Some(acquired?);
                    // Asked for another one, where the first read found nothing after all.
                    let block = || block.take().map_or_else(|| self.block(), |it| Ok(Some(it)));
                    if let Some(lease) = ready!(self.poll_fill(cx, block))? {
                        return Poll::Ready(Ok(lease));
                    }
                }
            }

            /// Reads into a block that `block` gives once there may be something to read. If there is
            /// nothing, the block goes home. None if there is no block.
            #[inline]
            fn poll_fill(
                &self,
                cx: &mut Context<'_>,
                mut block: impl FnMut() -> io::Result<Option<Lease>>,
            ) -> Poll<io::Result<Option<Lease>>> {
                let read = |descriptor: &_| {
                    let Some(mut lease) = block()? else {
                        return Ok(None);
                    };
                    let count =
                        sys::receive_uninit(AsFd::as_fd(descriptor), lease.spare_capacity_mut())?;
                    // SAFETY: `count` is what `receive_uninit` returned, into the spare capacity of
                    // an empty lease: that many bytes from its start are initialised.
                    unsafe { lease.set_len(count) };
                    Ok(Some(lease))
                };
                let is_short = |lease: &Option<Lease>| {
                    lease.as_ref().is_some_and(|lease| {
                        let want = $drained_below(sys::transfer_bytes(lease.capacity()));
                        !lease.is_empty() && lease.len() < want
                    })
                };
                let lease = ready!(
                    self.io
                        .poll_transfer_of(cx, Direction::Read, read, is_short)
                )?;
                Poll::Ready(Ok(lease.map(|lease| self.noted(lease))))
            }

            /// Learns from a read. At the end of the stream the block goes home.
            #[inline]
            fn noted(&self, lease: Lease) -> Lease {
                if lease.is_empty() {
                    return Lease::empty();
                }
                self.lease_size.note(lease.len(), lease.capacity());
                lease
            }

            /// A block for the next read. None at the cap.
            #[inline]
            fn block(&self) -> io::Result<Option<Lease>> {
                match BufferPool::current().try_acquire(self.lease_size.bytes()) {
                    Ok(lease) => Ok(Some(lease)),
                    Err(error) => self.block_after(error),
                }
            }

            /// As `block`, after the pool has refused one.
            #[cold]
            fn block_after(&self, mut error: AcquireError) -> io::Result<Option<Lease>> {
                if error.is_too_large() {
                    match BufferPool::current().try_acquire(self.lease_bytes()) {
                        Ok(lease) => return Ok(Some(lease)),
                        Err(next) => error = next,
                    }
                }
                if error.is_full() {
                    return Ok(None);
                }
                Err(error.into())
            }

            #[cold]
            fn lease_bytes(&self) -> usize {
                let largest = BufferPool::current().lease_bytes_max();
                self.lease_size.bytes().min(largest)
            }
        }
    };
}

pub(crate) use leases;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn size_grows_when_reads_fill_the_block_and_stays_within_bounds() {
        let size = LeaseSize::new();
        let mut seen = Vec::new();
        for _ in 0..5 {
            seen.push(size.bytes());
            size.note(size.bytes(), size.bytes());
        }
        assert_eq!(seen, [4096, 16_384, 65_536, 131_072, 131_072]);
    }

    #[test]
    fn size_shrinks_after_several_small_reads_in_a_row() {
        let size = LeaseSize::new();
        size.note(4096, 4096);
        assert_eq!(size.bytes(), 16_384);
        for _ in 0..SMALL_READS_MAX - 1 {
            size.note(1, 16_384);
        }
        assert_eq!(size.bytes(), 16_384, "not yet");
        size.note(10_000, 16_384);
        for _ in 0..SMALL_READS_MAX - 1 {
            size.note(1, 16_384);
        }
        assert_eq!(size.bytes(), 16_384, "a middling read ends the row");
        size.note(1, 16_384);
        assert_eq!(size.bytes(), 8192);
        for _ in 0..100 {
            size.note(1, size.bytes());
        }
        assert_eq!(size.bytes(), 4096, "not below the bound");
    }

    #[test]
    fn bounds_are_rounded_up_and_kept() {
        let size = LeaseSize::new();
        size.set_bounds(&(10_000..=20_000));
        assert_eq!(size.bytes(), 16_384);
        size.note(16_384, 16_384);
        assert_eq!(size.bytes(), 32_768);
        size.set_bounds(&(0..=0));
        assert_eq!(size.bytes(), 1);
        size.set_bounds(&RangeInclusive::new(8192, 1));
        assert_eq!(size.bytes(), 8192, "the lower bound counts");
        size.set_bounds(&(usize::MAX..=usize::MAX));
        assert_eq!(size.bytes(), ORDER_BYTES_MAX);
    }
}
