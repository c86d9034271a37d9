//! A connection that is read into buffers of the loop, and written from them.
//!
//! Place: called by handlers; calls the stream's own leases, and tells the `Link` as every read and
//! write does. Stays on the loop's thread.

use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll};

use oneloop_runtime::buf::{Acquire, Lease};

use super::connection::Connection;
use super::guards::ReadWait;

/// Leases: reading and writing without a buffer of one's own.
impl Connection {
    /// Waits for bytes, then takes a buffer of this loop's
    /// [pool](oneloop_runtime::buf::BufferPool) and reads into it, as [`TcpStream::read_lease`]. An
    /// empty lease is the end of the stream.
    ///
    /// An idle connection holds no buffer. One that has something to read and waits for memory, at
    /// the cap of the pool, is not idle. The size of the buffers is the stream's:
    /// [`set_read_lease_bytes`] of [`get_ref`](Self::get_ref).
    ///
    /// [`TcpStream::read_lease`]: crate::TcpStream::read_lease
    /// [`set_read_lease_bytes`]: crate::TcpStream::set_read_lease_bytes
    ///
    /// # Errors
    ///
    /// As [`poll_read`](Self::poll_read); `OutOfMemory` if the system has no memory for a buffer:
    /// nothing was read.
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was read.
    pub async fn read_lease(&self) -> io::Result<Lease> {
        let wait = ReadWait::new(self);
        let mut memory = None;
        poll_fn(|cx| wait.note(self.poll_read_lease(cx, &mut memory))).await
    }

    fn poll_read_lease(
        &self,
        cx: &mut Context<'_>,
        memory: &mut Option<Acquire>,
    ) -> Poll<io::Result<Lease>> {
        let read = |cx: &mut Context<'_>| self.stream.poll_lease(cx, memory);
        let polled = self.poll_reading(cx, read, |lease| lease.len());
        if polled.is_pending() && memory.is_some() {
            self.link.turn_waits(cx.waker());
        }
        polled
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
    pub async fn write_all_lease(&self, lease: Lease) -> io::Result<()> {
        self.write_all(&lease).await
    }
}
