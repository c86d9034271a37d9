//! The system calls that move bytes within the kernel. None of them waits, except for the disk.
//!
//! Place: called by `send_file` and `flow`; runs on any thread.
//!
//! Other systems than Linux refuse, as Linux does for a file that cannot: `EINVAL`.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::{Errno, retry_on_intr};

use crate::sys;

/// Whether the kernel refused to move bytes between these two, so that a buffer has to.
pub(super) fn is_refusal(error: &io::Error) -> bool {
    matches!(
        Errno::from_io_error(error),
        Some(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP)
    )
}

/// Sends from a position of a file, whose own position is neither used nor changed. 0 bytes: the
/// file ends there.
#[cfg(target_os = "linux")]
pub(super) fn send_file(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    bytes_max: usize,
) -> io::Result<usize> {
    let sent = retry_on_intr(|| {
        let mut offset = offset;
        rustix::fs::sendfile(socket, file, Some(&mut offset), bytes_max)
    });
    match sent {
        // No file of this file system is so long: to read(2) that is an end like any other.
        Err(Errno::OVERFLOW) => Ok(0),
        sent => Ok(sent?),
    }
}

/// Moves bytes from a socket into an empty pipe. 0 bytes: perhaps the end of the stream.
#[cfg(target_os = "linux")]
pub(super) fn splice_in(
    socket: BorrowedFd<'_>,
    pipe: &OwnedFd,
    bytes_max: usize,
) -> io::Result<usize> {
    splice(socket, pipe.as_fd(), bytes_max)
}

/// Moves bytes from a pipe that has them into a socket.
#[cfg(target_os = "linux")]
pub(super) fn splice_out(
    pipe: &OwnedFd,
    socket: BorrowedFd<'_>,
    bytes_max: usize,
) -> io::Result<usize> {
    splice(pipe.as_fd(), socket, bytes_max)
}

#[cfg(target_os = "linux")]
fn splice(from: BorrowedFd<'_>, to: BorrowedFd<'_>, bytes_max: usize) -> io::Result<usize> {
    use rustix::pipe::SpliceFlags;
    Ok(retry_on_intr(|| {
        rustix::pipe::splice(from, None, to, None, bytes_max, SpliceFlags::NONBLOCK)
    })?)
}

/// Makes a pipe: its end to read from, and its end to write to.
#[cfg(target_os = "linux")]
pub(super) fn new_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    use rustix::pipe::PipeFlags;
    let flags = PipeFlags::CLOEXEC | PipeFlags::NONBLOCK;
    Ok(rustix::pipe::pipe_with(flags)?)
}

#[cfg(not(target_os = "linux"))]
pub(super) fn send_file(
    _socket: BorrowedFd<'_>,
    _file: BorrowedFd<'_>,
    _offset: u64,
    _bytes_max: usize,
) -> io::Result<usize> {
    Err(Errno::INVAL.into())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn splice_in(
    _socket: BorrowedFd<'_>,
    _pipe: &OwnedFd,
    _bytes_max: usize,
) -> io::Result<usize> {
    Err(Errno::INVAL.into())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn splice_out(
    _pipe: &OwnedFd,
    _socket: BorrowedFd<'_>,
    _bytes_max: usize,
) -> io::Result<usize> {
    Err(Errno::INVAL.into())
}

#[cfg(not(target_os = "linux"))]
pub(super) fn new_pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Err(Errno::INVAL.into())
}

/// Does by a buffer what [`send_file`] does: reads from the file, and sends. What the socket does
/// not take is read again next time.
pub(super) fn send_file_by_buffer(
    socket: BorrowedFd<'_>,
    file: BorrowedFd<'_>,
    offset: u64,
    bytes_max: usize,
) -> io::Result<usize> {
    let mut buf = [0; STACK_BYTES];
    let want = bytes_max.min(STACK_BYTES);
    let count = retry_on_intr(|| rustix::io::pread(file, &mut buf[..want], offset))?;
    if count == 0 {
        return Ok(0);
    }
    sys::send(socket, &buf[..count])
}

/// What one call moves through the stack of the loop.
const STACK_BYTES: usize = 16 * 1024;
