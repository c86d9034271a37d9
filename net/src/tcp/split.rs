//! Borrowed halves: reading and writing at once within one task.
//!
//! Place: made by `TcpStream::split`; everything is passed on to the stream.
//!
//! # Invariants
//! There is one pair of halves at a time, because `split` borrows the stream mutably: so there is
//! one reader and one writer (R6).

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::SocketAddr;
use std::task::{Context, Poll};

use oneloop_runtime::io::{Interest, Ready};

use super::half::{half_addresses, read_half, write_half};
use super::stream::TcpStream;

/// The half to read from, made by [`TcpStream::split`].
#[derive(Debug)]
pub struct ReadHalf<'a>(&'a TcpStream);

/// The half to write to, made by [`TcpStream::split`]. Dropping it does nothing.
#[derive(Debug)]
pub struct WriteHalf<'a>(&'a TcpStream);

impl<'a> ReadHalf<'a> {
    pub(super) fn new(stream: &'a TcpStream) -> Self {
        Self(stream)
    }

    fn stream(&self) -> &TcpStream {
        self.0
    }
}

impl<'a> WriteHalf<'a> {
    pub(super) fn new(stream: &'a TcpStream) -> Self {
        Self(stream)
    }

    fn stream(&self) -> &TcpStream {
        self.0
    }

    /// Shuts down the write direction: [`TcpStream::poll_shutdown`].
    ///
    /// # Errors
    ///
    /// Those of shutdown(2): `NotConnected` once the connection was reset.
    pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.0.poll_shutdown(cx)
    }

    /// Shuts down the write direction: [`TcpStream::shutdown`].
    ///
    /// # Errors
    ///
    /// As [`poll_shutdown`](Self::poll_shutdown).
    ///
    /// # Cancel safety
    ///
    /// Safe: it happens at the first poll.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        self.0.shutdown_write()
    }
}

read_half!(ReadHalf<'_>);
write_half!(WriteHalf<'_>);
