//! A connection that large messages are written to without a copy.
//!
//! Place: made by applications over a stream; calls `held` for what is in flight and `notices` to
//! send; runs on any thread that polls a task.
//!
//! # Invariants
//! The poll in which the kernel takes bytes from memory is the one that books their owner: nothing
//! is awaited in between, so a future that is dropped leaves no memory unguarded.

use std::fmt;
use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use oneloop_runtime::io::Direction;

use super::held::{Held, ZeroCopyEnd};
use super::notices;
use crate::{TcpStream, sys};

/// A TCP connection whose large messages the kernel sends from where they are (`MSG_ZEROCOPY` in
/// the kernel's documentation, since Linux 4.14), instead of copying them. Linux alone.
///
/// Worth it for messages of many kilobytes that leave the machine: pinning memory and reading the
/// kernel's notice about it cost something as well. What is shorter than
/// [`BYTES_MIN`](Self::BYTES_MIN) is copied, as by any other write.
///
/// The bytes stay in memory until the kernel has released them, which is when the peer has
/// acknowledged them. [`write_all`](Self::write_all) does not wait for that,
/// [`released`](Self::released) does. Notices are read by these two, by
/// [`in_flight_bytes`](Self::in_flight_bytes), and after the drop: a writer that is not used keeps
/// what it last sent.
///
/// The first send is made alone, and what follows it before its notice is copied: the notice tells
/// how the kernel counts, and whether it copies anyway, as it does to peers on the same machine and
/// while somebody captures packets. Then the writer stops asking:
/// [`with_keep_asking`](Self::with_keep_asking) has it go on.
///
/// One writer for each socket. While it has one, nobody else sends with `MSG_ZEROCOPY` or reads the
/// error queue through the descriptor, which would be taken for the writer's own; if the socket
/// allows such sends already (`SO_ZEROCOPY`), the writer leaves that to whom it may concern, and
/// copies. Time stamps in the error queue are lost.
///
/// # Dropping it
///
/// As dropping the stream, or the half. If the kernel still sends from memory, the socket is shut
/// down, in both directions or that of the half: the peer gets what was written, and the end of the
/// stream after it. A task of the current runtime, or else of the stream's own, keeps the descriptor
/// and the memory until the kernel has released it. If the peer acknowledges nothing for
/// [`RELEASE_TIMEOUT`](Self::RELEASE_TIMEOUT) the connection is reset, also under a read half. What
/// is in flight when the runtime ends is sent, but its memory is never freed:
/// [`abandoned_bytes`](super::abandoned_bytes) counts it. Wait for `released` before.
///
/// # Examples
///
/// ```no_run
/// # async fn example(stream: oneloop_net::TcpStream, film: bytes::Bytes) -> std::io::Result<()> {
/// use oneloop_net::zero_copy::ZeroCopyWriter;
///
/// let mut writer = ZeroCopyWriter::new(stream);
/// writer.write_all(film).await?;
/// let mut stream = writer.into_inner().await?;
/// stream.shutdown().await?;
/// # Ok(())
/// # }
/// ```
pub struct ZeroCopyWriter<W: ZeroCopyEnd = TcpStream> {
    /// `None` only after `into_inner`.
    held: Option<Held<W>>,
    asks: Asks,
    bytes_min: usize,
    in_flight_bytes_max: usize,
    keeps_asking: bool,
    release_timeout: Duration,
    asked_bytes: u64,
}

/// Whether zero copy is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    /// Nothing was large enough so far.
    NotYet,
    Yes,
    /// The kernel cannot, somebody else does, or it copies anyway. In the last case `SO_ZEROCOPY`
    /// was set here.
    No {
        was_allowed: bool,
    },
}

/// How the next bytes are sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Way {
    Copied,
    /// At most so many.
    ZeroCopy(usize),
    /// When memory has been released.
    Later,
}

impl<W: ZeroCopyEnd> ZeroCopyWriter<W> {
    /// From how many bytes on zero copy is asked for, by default: 32 KiB.
    pub const BYTES_MIN: usize = 32 * 1024;

    /// How many bytes may be in flight by default: 16 MiB. At this limit a write waits.
    ///
    /// The buffer of the socket is another limit. The memory that a process may lock
    /// (`RLIMIT_MEMLOCK`) is one too, over all connections of its user: at that, bytes are copied.
    pub const IN_FLIGHT_BYTES_MAX: usize = 16 * 1024 * 1024;

    /// How long a dropped writer waits by default for a peer that acknowledges nothing: 2 minutes.
    pub const RELEASE_TIMEOUT: Duration = Duration::from_secs(120);

    /// Writes to this stream, or to this half of one. Makes no system call.
    #[must_use]
    pub fn new(end: W) -> Self {
        Self {
            held: Some(Held::new(end)),
            asks: Asks::NotYet,
            bytes_min: Self::BYTES_MIN,
            in_flight_bytes_max: Self::IN_FLIGHT_BYTES_MAX,
            keeps_asking: false,
            release_timeout: Self::RELEASE_TIMEOUT,
            asked_bytes: 0,
        }
    }

    /// Sets from how many bytes on zero copy is asked for. At least 1.
    #[must_use]
    pub fn with_bytes_min(mut self, bytes: usize) -> Self {
        self.bytes_min = bytes.max(1);
        self
    }

    /// Sets how many bytes may be in flight. Never less than those from which zero copy is asked
    /// for.
    #[must_use]
    pub fn with_in_flight_bytes_max(mut self, bytes: usize) -> Self {
        self.in_flight_bytes_max = bytes;
        self
    }

    /// Goes on asking after the kernel has said that it copied: for a path that may change.
    #[must_use]
    pub fn with_keep_asking(mut self) -> Self {
        self.keeps_asking = true;
        self
    }

    /// Sets how long a dropped writer waits for a peer that acknowledges nothing.
    #[must_use]
    pub fn with_release_timeout(mut self, timeout: Duration) -> Self {
        self.release_timeout = timeout;
        self
    }

    /// Writes all bytes: returns when the kernel has taken them, not when it has released them.
    ///
    /// # Errors
    ///
    /// Those of send(2): `BrokenPipe` or `ConnectionReset` if the peer is gone. `WriteZero` if the
    /// socket took none.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the first part of the bytes was written, and nobody knows how long
    /// it is: [`write`](Self::write) tells.
    pub async fn write_all(&mut self, mut bytes: Bytes) -> io::Result<()> {
        while !bytes.is_empty() {
            if self.write(&mut bytes).await? == 0 {
                return Err(io::Error::new(
                    io::ErrorKind::WriteZero,
                    "the socket took no bytes and gave no reason",
                ));
            }
        }
        Ok(())
    }

    /// Writes some of the bytes and takes those off `bytes`. How many they were.
    ///
    /// # Errors
    ///
    /// As [`write_all`](Self::write_all).
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was written.
    pub async fn write(&mut self, bytes: &mut Bytes) -> io::Result<usize> {
        if bytes.is_empty() {
            return Ok(0);
        }
        loop {
            self.held_mut().look()?;
            let sent = match self.way(bytes.len()) {
                Way::Later => {
                    self.held_mut().next_notice().await?;
                    continue;
                }
                Way::Copied => self.send_copied(bytes).await?,
                Way::ZeroCopy(bytes_max) => {
                    let first = bytes.slice(..bytes_max);
                    match poll_fn(|cx| self.poll_send(cx, &first)).await {
                        Err(error) if notices::is_short_of_memory(&error) => {
                            self.send_copied(bytes).await?
                        }
                        sent => sent?,
                    }
                }
            };
            bytes.advance(sent);
            return Ok(sent);
        }
    }

    /// Waits until the kernel has released the memory of all that was written.
    ///
    /// # Errors
    ///
    /// If the socket cannot be registered with the loop, or the runtime is gone.
    ///
    /// # Cancel safety
    ///
    /// Safe: it only waits.
    pub async fn released(&mut self) -> io::Result<()> {
        self.held_mut().released().await
    }

    /// Tells the peer that no more bytes come, after those that were written.
    ///
    /// # Errors
    ///
    /// Those of shutdown(2): `NotConnected` once the connection was reset.
    ///
    /// # Cancel safety
    ///
    /// Safe: it happens at the first poll.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.held().stream().poll_shutdown(cx)).await
    }

    /// Waits until the kernel has released all memory, and gives the stream or the half back.
    ///
    /// # Errors
    ///
    /// As [`released`](Self::released); those of setsockopt(2). The writer is dropped then.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, so is the writer.
    pub async fn into_inner(mut self) -> io::Result<W> {
        self.released().await?;
        if matches!(self.asks, Asks::Yes | Asks::No { was_allowed: true }) {
            notices::allow(self.held().stream(), false)?;
        }
        match self.held.take() {
            Some(held) => Ok(held.end),
            None => unreachable!("{HAS_END}"),
        }
    }

    /// The stream or the half, to read from it, or to set options.
    #[must_use]
    pub fn get_ref(&self) -> &W {
        &self.held().end
    }

    /// Reads the notices that are there, and returns how many bytes of memory the kernel may still
    /// send from.
    ///
    /// # Errors
    ///
    /// Those of recvmsg(2).
    pub fn in_flight_bytes(&mut self) -> io::Result<usize> {
        let held = self.held_mut();
        held.look()?;
        Ok(held.in_flight.bytes())
    }

    /// How many bytes the kernel was asked to send without a copy so far, and took.
    #[must_use]
    pub fn asked_bytes(&self) -> u64 {
        self.asked_bytes
    }

    /// Whether the kernel has said that it copied bytes which it was asked not to copy.
    #[must_use]
    pub fn was_copied(&self) -> bool {
        self.held().in_flight.was_copied()
    }

    /// Decides how the first of `len` bytes are sent.
    fn way(&mut self, len: usize) -> Way {
        if len < self.bytes_min || !self.is_asking() || !self.held().in_flight.may_send() {
            return Way::Copied;
        }
        let bytes_max = self.in_flight_bytes_max.max(self.bytes_min);
        let room = bytes_max.saturating_sub(self.held().in_flight.bytes());
        if room < self.bytes_min {
            return Way::Later;
        }
        Way::ZeroCopy(sys::transfer_bytes(room.min(len)))
    }

    /// Whether zero copy is to be asked for. Allows it at the first call.
    fn is_asking(&mut self) -> bool {
        if self.asks == Asks::NotYet {
            let stream = self.held().stream();
            let is_free = matches!(notices::is_allowed(stream), Ok(false));
            self.asks = if is_free && notices::allow(stream, true).is_ok() {
                Asks::Yes
            } else {
                Asks::No { was_allowed: false }
            };
        }
        if self.asks == Asks::Yes && self.was_copied() && !self.keeps_asking {
            self.asks = Asks::No { was_allowed: true };
        }
        self.asks == Asks::Yes
    }

    async fn send_copied(&self, bytes: &Bytes) -> io::Result<usize> {
        poll_fn(|cx| self.held().stream().poll_write(cx, bytes)).await
    }

    /// Has the kernel send from the memory of `bytes`, and keeps what it took.
    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &Bytes) -> Poll<io::Result<usize>> {
        let held = self.held_mut();
        held.look()?;
        held.in_flight.reserve();
        let io = &held.stream().io;
        let sent = ready!(
            io.poll_transfer(cx, Direction::Write, bytes.len(), |descriptor| {
                notices::send(descriptor.as_fd(), bytes)
            })
        )?;
        if sent > 0 {
            held.in_flight.push(bytes.slice(..sent));
            self.asked_bytes += sent as u64;
        }
        Poll::Ready(Ok(sent))
    }

    fn held(&self) -> &Held<W> {
        self.held.as_ref().expect(HAS_END)
    }

    fn held_mut(&mut self) -> &mut Held<W> {
        self.held.as_mut().expect(HAS_END)
    }
}

impl<W: ZeroCopyEnd> Drop for ZeroCopyWriter<W> {
    fn drop(&mut self) {
        if let Some(held) = self.held.take() {
            held.outlive_writer(self.release_timeout);
        }
    }
}

impl<W: ZeroCopyEnd + fmt::Debug> fmt::Debug for ZeroCopyWriter<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ZeroCopyWriter")
            .field("held", &self.held)
            .field("asks", &self.asks)
            .field("asked_bytes", &self.asked_bytes)
            .finish_non_exhaustive()
    }
}

const HAS_END: &str = "the end is there until the writer is consumed";
