//! Pipes: of signals, and of a child's standard streams.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use rustix::pipe::{PipeFlags, pipe_with};

/// A pipe in non-blocking mode that children do not inherit: reading end, writing end.
pub(crate) fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?)
}

pub(crate) fn read(fd: impl AsFd, buf: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(fd, buf)?)
}

/// Does nothing else than write(2): safe in a signal handler (signal-safety(7)).
pub(crate) fn write(fd: impl AsFd, buf: &[u8]) -> io::Result<usize> {
    Ok(rustix::io::write(fd, buf)?)
}

pub(crate) fn set_nonblocking(fd: impl AsFd, is_nonblocking: bool) -> io::Result<()> {
    Ok(rustix::io::ioctl_fionbio(fd, is_nonblocking)?)
}
