//! A file into a connection, without a copy in user memory.
//!
//! Place: made by `send_file` of streams and write halves; calls `kernel` when the socket has room.
//!
//! # Invariants
//! `offset` and `sent` move only by what the socket took, in the poll that reports it: so dropping
//! the future loses nothing that `sent` does not tell.

use std::future::Future;
use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use oneloop_runtime::io::Direction;

use super::ends::SocketRef;
use super::{kernel, sigpipe};

/// A file, or a part of one, on its way into a connection. Made by `send_file` of a stream.
///
/// Resolves to the number of bytes, which is the length that was asked for.
///
/// # Cancel safety
///
/// Safe: [`sent`](Self::sent) bytes from the offset on are in the connection, and no others. To give
/// up for a while and go on, poll it by reference and keep it; or drop it, and send the rest from
/// `offset + sent` on.
///
/// # Examples
///
/// ```no_run
/// # async fn example(stream: &mut oneloop_net::TcpStream) -> std::io::Result<()> {
/// use std::time::Duration;
/// use oneloop_runtime::time::timeout;
///
/// let file = std::fs::File::open("film.mp4")?;
/// let length = file.metadata()?.len();
/// let mut sending = stream.send_file(&file, 0, length);
/// let mut before = 0;
/// // A minute without progress, not a minute in all.
/// while timeout(Duration::from_secs(60), &mut sending).await.is_err() {
///     if sending.sent() == before {
///         return Err(std::io::ErrorKind::TimedOut.into());
///     }
///     before = sending.sent();
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
#[must_use = "futures do nothing unless polled"]
pub struct SendFile<'a, F> {
    socket: SocketRef<'a>,
    file: F,
    /// Of the next byte in the file.
    offset: u64,
    left: u64,
    sent: u64,
    /// The kernel has not refused this file.
    by_kernel: bool,
}

// The file is not polled: nothing here is pinned.
impl<F> Unpin for SendFile<'_, F> {}

impl<'a, F: AsFd> SendFile<'a, F> {
    pub(crate) fn new(socket: SocketRef<'a>, file: F, offset: u64, length: u64) -> Self {
        Self {
            socket,
            file,
            offset,
            left: length,
            sent: 0,
            by_kernel: length > 0 && !sigpipe::kills(),
        }
    }

    /// Bytes that the connection has taken so far.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Sends once, as much as the socket has room for. 0 bytes: the file ends there.
    fn poll_once(&self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let in_file = FILE_BYTES_MAX.saturating_sub(self.offset);
        let bytes_max = usize::try_from(self.left.min(in_file))
            .unwrap_or(usize::MAX)
            .min(CALL_BYTES_MAX);
        if bytes_max == 0 {
            return Poll::Ready(Ok(0));
        }
        let (file, offset) = (self.file.as_fd(), self.offset);
        let by_kernel = self.by_kernel;
        self.socket.poll_io(cx, Direction::Write, |socket| {
            if by_kernel {
                kernel::send_file(socket, file, offset, bytes_max)
            } else {
                kernel::send_file_by_buffer(socket, file, offset, bytes_max)
            }
        })
    }
}

impl<F: AsFd> Future for SendFile<'_, F> {
    type Output = io::Result<u64>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let this = self.get_mut();
        let before = this.sent;
        while this.left > 0 {
            if this.sent - before >= POLL_BYTES_MAX {
                cx.waker().wake_by_ref();
                return Poll::Pending;
            }
            match ready!(this.poll_once(cx)) {
                Ok(0) => return Poll::Ready(Err(file_ended())),
                Ok(count) => {
                    this.sent += count as u64;
                    this.offset += count as u64;
                    this.left -= count as u64;
                }
                Err(error) if this.by_kernel && kernel::is_refusal(&error) => {
                    this.by_kernel = false;
                }
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(this.sent))
    }
}

fn file_ended() -> io::Error {
    io::Error::new(
        io::ErrorKind::UnexpectedEof,
        "the file ended before the length that was to be sent",
    )
}

/// Asks the kernel to read a part of a file into its cache ahead of
/// [`send_file`](crate::TcpStream::send_file), and does not wait for it (`POSIX_FADV_WILLNEED`).
/// `length` 0: to the end.
///
/// # Errors
///
/// Those of posix_fadvise(2): `InvalidInput` for what is no regular file. Not on systems without it.
pub fn read_ahead(file: impl AsFd, offset: u64, length: u64) -> io::Result<()> {
    #[cfg(not(any(target_vendor = "apple", target_os = "openbsd")))]
    {
        let length = std::num::NonZeroU64::new(length);
        rustix::fs::fadvise(file, offset, length, rustix::fs::Advice::WillNeed)?;
    }
    #[cfg(any(target_vendor = "apple", target_os = "openbsd"))]
    let _unused = (file, offset, length);
    Ok(())
}

/// Where every file has ended: the kernel's positions go no further, and a part that would is invalid
/// to it.
const FILE_BYTES_MAX: u64 = i64::MAX as u64;
/// What one system call moves at most: it may have to wait for the disk, and the loop with it.
const CALL_BYTES_MAX: usize = 1024 * 1024;
/// What one poll moves at most, if the peer reads as fast as that.
const POLL_BYTES_MAX: u64 = 4 * 1024 * 1024;

/// Gives a stream or a write half, whose socket `AsRef<$Stream>` leads to, the method to send a file.
macro_rules! send_file {
    ($Stream:ident, $($writer:tt)+) => {
        impl $($writer)+ {
            /// Sends `length` bytes of a file from `offset` on, without a copy in user memory
            /// (sendfile(2)). The file's own position is neither used nor changed.
            ///
            /// Waits whenever the socket is full, and takes up after what was sent. Any offset and
            /// length; of a length of 0 nothing is looked at. A file that sendfile(2) refuses, such
            /// as those of `/proc`, goes through a buffer.
            ///
            /// **What is not in the kernel's cache is read from the disk on this loop**, at most
            /// 1 MiB at a time, while its other tasks stand still. For files that are large, seldom
            /// asked for, or on a slow disk, call
            /// [`read_ahead`](crate::zero_copy::read_ahead) early, or read on the blocking pool.
            ///
            /// # Errors
            ///
            /// `UnexpectedEof` if the file ends before, also if it was made shorter meanwhile; those
            /// of send(2), such as `BrokenPipe`; those of read(2) on the file.
            /// [`SendFile::sent`](crate::zero_copy::SendFile::sent) tells how far it came.
            ///
            /// # Cancel safety
            ///
            /// Safe, as [`SendFile`](crate::zero_copy::SendFile) says.
            pub fn send_file<F: std::os::fd::AsFd>(
                &mut self,
                file: F,
                offset: u64,
                length: u64,
            ) -> crate::zero_copy::SendFile<'_, F> {
                let stream: &$Stream = AsRef::<$Stream>::as_ref(self);
                let socket = crate::zero_copy::AsSocket::as_socket(stream);
                crate::zero_copy::SendFile::new(socket, file, offset, length)
            }
        }
    };
}

use crate::{TcpStream, UnixStream, tcp, unix};

send_file!(TcpStream, TcpStream);
send_file!(TcpStream, tcp::WriteHalf<'_>);
send_file!(TcpStream, tcp::OwnedWriteHalf);
send_file!(UnixStream, UnixStream);
send_file!(UnixStream, unix::WriteHalf<'_>);
send_file!(UnixStream, unix::OwnedWriteHalf);
