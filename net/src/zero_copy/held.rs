//! The end of a connection together with the memory that the kernel may still send from.
//!
//! Place: owned by `ZeroCopyWriter`, and after its drop by a task of its own; calls `notices`. Runs
//! on any thread that polls a task.
//!
//! ```text
//!   ZeroCopyWriter --drop--> nothing in flight: closed as usual
//!                      `---> shut down, task: all released -----------> closed
//!                              |      `--no progress: reset, all released --> closed
//!                              `--the task is dropped, or no notice: abandoned --> closed
//! ```
//!
//! # Invariants
//! An owner is dropped after the kernel has released its memory, or never: every way out of here
//! goes through `InFlight`, whose end abandons what is left.
//!
//! # Why it is so
//! Closing a socket does not end the kernel's use of memory, it only ends the notices about it. So
//! the descriptor is kept, and the peer is told of the end by shutdown(2). At a reset the kernel
//! throws away what is not sent; what the network card holds at that moment is released soon after.
//!
//! A reader of the same socket takes the readiness `ERROR` back as well, when it finds nothing to
//! read. So whoever waits for notices registers first and looks into the queue then.

use std::future::poll_fn;
use std::io;
use std::os::fd::AsFd;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use oneloop_runtime::io::Interest;
use oneloop_runtime::runtime::Handle;
use oneloop_runtime::time::timeout;

use super::in_flight::InFlight;
use super::notices;
use crate::{TcpStream, tcp};

/// What a [`ZeroCopyWriter`](super::ZeroCopyWriter) writes to: a stream, or its owned write half.
///
/// The trait is sealed.
pub trait ZeroCopyEnd: sealed::End {}

impl ZeroCopyEnd for TcpStream {}
impl ZeroCopyEnd for tcp::OwnedWriteHalf {}

mod sealed {
    use std::io;

    use crate::TcpStream;

    #[expect(
        unnameable_types,
        reason = "part of the sealed trait: users must not depend on it"
    )]
    pub trait End: AsRef<TcpStream> + Send + Sync + 'static {
        /// Tells the peer what a drop would tell it, and leaves the descriptor open.
        fn shut_down(&self) -> io::Result<()>;
    }
}

impl sealed::End for TcpStream {
    fn shut_down(&self) -> io::Result<()> {
        self.io.get_ref().std().shutdown(std::net::Shutdown::Both)
    }
}

impl sealed::End for tcp::OwnedWriteHalf {
    fn shut_down(&self) -> io::Result<()> {
        let stream: &TcpStream = self.as_ref();
        stream
            .io
            .get_ref()
            .std()
            .shutdown(std::net::Shutdown::Write)
    }
}

#[derive(Debug)]
pub(super) struct Held<W: ZeroCopyEnd> {
    pub(super) end: W,
    pub(super) in_flight: InFlight,
}

impl<W: ZeroCopyEnd> Held<W> {
    pub(super) fn new(end: W) -> Self {
        Self {
            end,
            in_flight: InFlight::default(),
        }
    }

    pub(super) fn stream(&self) -> &TcpStream {
        self.end.as_ref()
    }

    /// Reads all notices that are there and lets go what they release. No system call if nothing is
    /// in flight.
    pub(super) fn look(&mut self) -> io::Result<()> {
        take_notices(self.end.as_ref(), &mut self.in_flight).map(drop)
    }

    /// Waits until notices have come, if something is in flight.
    pub(super) async fn next_notice(&mut self) -> io::Result<()> {
        let (stream, in_flight) = (self.end.as_ref(), &mut self.in_flight);
        let mut waiting = pin!(stream.io.ready(Interest::ERROR));
        poll_fn(|cx| {
            while !in_flight.is_empty() {
                let waits = waiting.as_mut().poll(cx)?.is_pending();
                if take_notices(stream, in_flight)? > 0 {
                    break;
                }
                if waits {
                    return Poll::Pending;
                }
                waiting.set(stream.io.ready(Interest::ERROR));
            }
            Poll::Ready(Ok(()))
        })
        .await
    }

    /// Waits until the kernel has released all memory.
    pub(super) async fn released(&mut self) -> io::Result<()> {
        while !self.in_flight.is_empty() {
            self.next_notice().await?;
        }
        Ok(())
    }

    /// The writer is dropped: has a task wait for what is in flight.
    pub(super) fn outlive_writer(mut self, release_timeout: Duration) {
        // An error leaves everything in flight, and the task will meet it.
        let _ = self.look();
        if self.in_flight.is_empty() {
            return;
        }
        // It fails if the connection is gone, and then there is nobody to tell.
        let _ = self.end.shut_down();
        let runtime = match Handle::try_current() {
            Ok(current) => current,
            Err(_) => self.stream().io.runtime().clone(),
        };
        // Nobody waits for the task. If the runtime has ended, it is dropped at once.
        drop(runtime.spawn(Closing(self).wait(release_timeout)));
    }

    /// Bytes that the peer has acknowledged, if the kernel tells.
    fn bytes_acked(&self) -> Option<u64> {
        self.stream().tcp_info().ok()?.bytes_acked
    }
}

/// What is left of a writer that was dropped too early.
struct Closing<W: ZeroCopyEnd>(Held<W>);

impl<W: ZeroCopyEnd> Closing<W> {
    async fn wait(mut self, release_timeout: Duration) {
        let mut acked = self.0.bytes_acked();
        while timeout(release_timeout, self.0.released()).await.is_err() {
            let now = self.0.bytes_acked();
            if now == acked {
                return self.reset().await;
            }
            acked = now;
        }
    }

    async fn reset(mut self) {
        // It fails if the connection is gone, and that releases the memory just the same.
        let _ = notices::reset(self.0.stream().as_fd());
        // Late: what is left is abandoned.
        let _ = timeout(RELEASE_AFTER_RESET_TIMEOUT, self.0.released()).await;
    }
}

impl<W: ZeroCopyEnd> Drop for Closing<W> {
    fn drop(&mut self) {
        // The runtime may have ended between the last notices and the turn in which the task would
        // have read them.
        let _ = self.0.look();
    }
}

/// Reads all notices that are there: how many.
fn take_notices(stream: &TcpStream, in_flight: &mut InFlight) -> io::Result<usize> {
    let mut count = 0;
    while !in_flight.is_empty() {
        let taken = stream.io.try_io(Interest::ERROR, |descriptor| {
            notices::take(descriptor.as_fd())
        });
        match taken {
            Ok(Some(notice)) => {
                count += 1;
                in_flight.release(notice);
            }
            Ok(None) => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => break,
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

/// How long a reset connection is kept for what the network card still holds.
const RELEASE_AFTER_RESET_TIMEOUT: Duration = Duration::from_secs(5);
