//! A TCP descriptor that is closed without blocking.
//!
//! Place: owned by `TcpStream` and `TcpSocket`; dropped on any thread.
//!
//! # Invariants
//! The close of a `Descriptor` never waits: its linger time is taken back before, if it is
//! known to be above zero.
//!
//! # Why it is so
//! On Linux `close` waits for the peer up to the linger time, for a non-blocking descriptor
//! too (socket(7)). All that this wait brings is the knowledge that the bytes went out, which
//! a drop could not report: without it the kernel delivers them just the same. So closing on
//! the blocking pool would keep a thread busy for nothing, and asking the kernel for the linger
//! time at every close would cost a system call for all who never set one.

use std::io;
use std::net;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use crate::sys;

/// The socket of a stream, connected or about to be.
pub(crate) struct Descriptor {
    /// `None` only between `into_std` and the drop that follows at once.
    stream: Option<net::TcpStream>,
    /// A linger time above zero has been set. Relaxed: it orders nothing, and whoever drops
    /// the descriptor has synchronised with all who used it.
    lingers: AtomicBool,
}

impl Descriptor {
    /// Owns a socket whose linger time nobody has set.
    pub(crate) fn new(stream: impl Into<net::TcpStream>) -> Self {
        Self::with_linger(stream, false)
    }

    /// Owns a socket that comes from elsewhere, with options nobody here knows.
    pub(crate) fn adopt(stream: impl Into<net::TcpStream>) -> Self {
        let stream = stream.into();
        let lingers = sys::lingers(&stream);
        Self::with_linger(stream, lingers)
    }

    /// Owns a socket of which it is known whether it lingers.
    pub(crate) fn with_linger(stream: impl Into<net::TcpStream>, lingers: bool) -> Self {
        Self {
            stream: Some(stream.into()),
            lingers: AtomicBool::new(lingers),
        }
    }

    pub(crate) fn std(&self) -> &net::TcpStream {
        match &self.stream {
            Some(stream) => stream,
            None => unreachable!("only into_std empties a descriptor, and it consumes it"),
        }
    }

    /// Gives the socket away as it is, with its linger time.
    pub(crate) fn into_std(mut self) -> net::TcpStream {
        match self.stream.take() {
            Some(stream) => stream,
            None => unreachable!("only into_std empties a descriptor, and it consumes it"),
        }
    }

    pub(crate) fn set_linger(&self, time: Option<Duration>) -> io::Result<()> {
        sys::set_linger(self, time)?;
        self.lingers
            .store(time.is_some_and(|time| !time.is_zero()), Relaxed);
        Ok(())
    }

    pub(crate) fn lingers(&self) -> bool {
        self.lingers.load(Relaxed)
    }
}

impl Drop for Descriptor {
    fn drop(&mut self) {
        if let Some(stream) = &self.stream
            && self.lingers()
        {
            // The result is of no use: the descriptor is closed next, and if the option cannot
            // be taken back it is because the socket is already dead, when close does not wait.
            let _ = sys::set_linger(stream, None);
        }
    }
}

impl AsFd for Descriptor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.std().as_fd()
    }
}

impl From<Descriptor> for OwnedFd {
    fn from(descriptor: Descriptor) -> Self {
        descriptor.into_std().into()
    }
}
