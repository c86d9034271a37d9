//! A live connection between two loops.
//!
//! Place: made of a `TcpStream` on the loop that gives it up, made a `TcpStream` again on the loop
//! that takes it; sent through whatever the application likes.
//!
//! # Invariants
//! - A detached connection stands in no loop's poller: nothing wakes up because of it, and what
//!   arrives meanwhile waits in the kernel.
//! - All that a stream holds besides its registration goes along: the linger time that was set, the
//!   size of its leases.
//!
//! # Why it is so
//! A `TcpStream` is `Send` and its readiness follows whoever polls it, so it may simply be polled on
//! another loop: the former home is told by a message and gives its slot up. Detached, the
//! registration is taken back where that costs no message, and what belongs to the connection but
//! not to the socket goes along in one piece.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd};

use oneloop_runtime::time::Instant;

use super::descriptor::Descriptor;
use super::stream::TcpStream;
use crate::stream::lease::LeaseSize;

/// A connection that no loop watches, on its way to another loop.
///
/// Carries the descriptor with all its options, the
/// [bounds of its leases](TcpStream::set_read_lease_bytes), and what its former owner gives it to
/// take along: bytes that were read and not yet used, and a deadline. Dropping it closes the
/// connection.
///
/// # Examples
///
/// ```no_run
/// # async fn example(stream: oneloop_net::TcpStream, rest: Vec<u8>) -> std::io::Result<()> {
/// let there = oneloop_runtime::runtime::Handle::current().loop_ids()[1];
/// let detached = stream.detach().with_read_ahead(rest);
/// oneloop_runtime::task::spawn_on(there, move || async move {
///     let mut detached = detached;
///     let unused = detached.take_read_ahead();
///     let stream = detached.attach()?;
///     // ... goes on with `unused`, then with what `stream` reads.
///     # drop((stream, unused));
///     # std::io::Result::Ok(())
/// });
/// # Ok(())
/// # }
/// ```
#[must_use = "dropping it closes the connection"]
pub struct Detached {
    descriptor: Descriptor,
    lease_size: LeaseSize,
    read_ahead: Vec<u8>,
    deadline: Option<Instant>,
}

impl TcpStream {
    /// Takes the connection off the loops: one system call if a loop watched it, none otherwise.
    ///
    /// # Threads
    ///
    /// Any; on the loop that watches it no message is sent.
    pub fn detach(self) -> Detached {
        let Self { io, lease_size } = self;
        Detached {
            descriptor: io.into_inner(),
            lease_size,
            read_ahead: Vec::new(),
            deadline: None,
        }
    }
}

impl Detached {
    /// Gives it bytes to take along that were read and not yet used.
    pub fn with_read_ahead(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.read_ahead = bytes.into();
        self
    }

    /// Gives it a deadline to take along. The new owner arms the timer for it.
    pub fn with_deadline(mut self, deadline: Instant) -> Self {
        self.deadline = Some(deadline);
        self
    }

    /// The bytes it was given. Empty afterwards.
    #[must_use = "what is taken and dropped is lost to the connection"]
    pub fn take_read_ahead(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.read_ahead)
    }

    /// The deadline it was given.
    #[must_use]
    pub fn deadline(&self) -> Option<Instant> {
        self.deadline
    }

    /// The address of the peer.
    ///
    /// # Errors
    ///
    /// Those of getpeername(2): `NotConnected` once the peer has reset the connection.
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.descriptor.std().peer_addr()
    }

    /// Makes it a stream again, which the loop that polls it next will watch. Makes no system call.
    /// Bytes to take along that have not been [taken](Self::take_read_ahead) are dropped.
    ///
    /// # Errors
    ///
    /// None now: see [`Source::new`](oneloop_runtime::io::Source::new).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn attach(self) -> io::Result<TcpStream> {
        let stream = TcpStream {
            lease_size: self.lease_size,
            ..TcpStream::register(self.descriptor)?
        };
        // Something may have arrived while nobody looked.
        stream.assume_readable();
        Ok(stream)
    }
}

impl AsFd for Detached {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl std::fmt::Debug for Detached {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Detached")
            .field("stream", self.descriptor.std())
            .field("read_ahead_bytes", &self.read_ahead.len())
            .field("deadline", &self.deadline)
            .finish()
    }
}
