//! Owned halves: reading and writing in two tasks, on one loop or on two.
//!
//! Place: made by `TcpStream::into_split`; everything is passed on to the stream, which both
//! halves own together.
//!
//! # Invariants
//! - There is one half of each kind for a stream, so one reader and one writer (R6).
//! - The write half's end half-closes the connection, unless it already is, or `forget` or
//!   `reunite` ended it.

use std::error::Error;
use std::fmt;
use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::task::{Context, Poll};

use oneloop_runtime::io::{Interest, Ready};

use super::half::{half_addresses, read_half, write_half};
use super::stream::TcpStream;

/// The half to read from, made by [`TcpStream::into_split`].
///
/// Dropping it does nothing to the connection: the socket is closed when both halves are gone.
#[derive(Debug)]
pub struct OwnedReadHalf {
    stream: Arc<TcpStream>,
}

/// The half to write to, made by [`TcpStream::into_split`].
///
/// **Dropping it half-closes the connection**: the peer reads the end of the stream, while the
/// read half goes on. [`forget`](Self::forget) avoids that.
#[derive(Debug)]
pub struct OwnedWriteHalf {
    stream: Arc<TcpStream>,
    /// Relaxed: it belongs to the half alone, and is atomic only because `poll_shutdown` takes a
    /// shared reference.
    shutdown_on_drop: AtomicBool,
}

/// Two halves that do not belong to the same stream. Gives both back.
#[derive(Debug)]
pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

pub(super) fn split_owned(stream: TcpStream) -> (OwnedReadHalf, OwnedWriteHalf) {
    let stream = Arc::new(stream);
    let read = OwnedReadHalf {
        stream: Arc::clone(&stream),
    };
    (
        read,
        OwnedWriteHalf {
            stream,
            shutdown_on_drop: AtomicBool::new(true),
        },
    )
}

fn reunite(read: OwnedReadHalf, write: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
    if !Arc::ptr_eq(&read.stream, &write.stream) {
        return Err(ReuniteError(read, write));
    }
    write.forget();
    // Only the two halves own the stream, and one of them is gone.
    match Arc::into_inner(read.stream) {
        Some(stream) => Ok(stream),
        None => unreachable!("a third owner of a stream that has two halves"),
    }
}

impl OwnedReadHalf {
    fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Puts the stream together again.
    ///
    /// # Errors
    ///
    /// If `other` is the half of another stream; both halves are in the error.
    pub fn reunite(self, other: OwnedWriteHalf) -> Result<TcpStream, ReuniteError> {
        reunite(self, other)
    }
}

impl OwnedWriteHalf {
    fn stream(&self) -> &TcpStream {
        &self.stream
    }

    /// Puts the stream together again. The connection stays open in both directions.
    ///
    /// # Errors
    ///
    /// If `other` is the half of another stream; both halves are in the error.
    pub fn reunite(self, other: OwnedReadHalf) -> Result<TcpStream, ReuniteError> {
        reunite(other, self)
    }

    /// Drops the half without half-closing the connection.
    pub fn forget(self) {
        self.shutdown_on_drop.store(false, Relaxed);
    }

    /// Shuts down the write direction: [`TcpStream::poll_shutdown`]. Dropping the half does not
    /// do it again.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2): `NotConnected` once the connection was reset.
    pub fn poll_shutdown(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let outcome = self.stream.shutdown_write();
        if outcome.is_ok() {
            self.shutdown_on_drop.store(false, Relaxed);
        }
        Poll::Ready(outcome)
    }

    /// Shuts down the write direction: [`TcpStream::shutdown`]. Dropping the half does not do it
    /// again.
    ///
    /// # Errors
    ///
    /// As [`poll_shutdown`](Self::poll_shutdown).
    ///
    /// # Cancel safety
    ///
    /// Safe: it happens at the first poll.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.poll_shutdown(cx)).await
    }
}

impl Drop for OwnedWriteHalf {
    fn drop(&mut self) {
        if *self.shutdown_on_drop.get_mut() {
            // The only error is that the connection is already closed or reset.
            let _ = self.stream.shutdown_write();
        }
    }
}

read_half!(OwnedReadHalf);
write_half!(OwnedWriteHalf);

impl fmt::Display for ReuniteError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("tried to reunite halves that are not from the same stream")
    }
}

impl Error for ReuniteError {}
