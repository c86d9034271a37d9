//! Socket options that neither socket2 nor rustix knows: getsockopt(2) and setsockopt(2) as they
//! are.
//!
//! Place: called by the options of the socket types; runs on any thread.

use std::io;
use std::mem::size_of;
use std::os::fd::{AsFd, AsRawFd};

use libc::{c_int, socklen_t};

/// Reads an option that is an `int`.
pub(crate) fn int(socket: &impl AsFd, level: c_int, name: c_int) -> io::Result<c_int> {
    let mut value = [0; size_of::<c_int>()];
    bytes(socket, level, name, &mut value)?;
    Ok(c_int::from_ne_bytes(value))
}

/// Sets an option that is an `int`.
pub(crate) fn set_int(
    socket: &impl AsFd,
    level: c_int,
    name: c_int,
    value: c_int,
) -> io::Result<()> {
    // SAFETY: the descriptor is open while it is borrowed, and the kernel reads as many bytes as a
    // live `c_int` has.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            (&raw const value).cast(),
            length(size_of::<c_int>()),
        )
    };
    outcome(result)
}

/// Reads an option into `value` and returns how many bytes it has. The rest stays as it was.
pub(crate) fn bytes(
    socket: &impl AsFd,
    level: c_int,
    name: c_int,
    value: &mut [u8],
) -> io::Result<usize> {
    let mut filled = length(value.len());
    // SAFETY: the descriptor is open while it is borrowed, and the kernel writes no more bytes than
    // `filled` says, which `value` has.
    let result = unsafe {
        libc::getsockopt(
            socket.as_fd().as_raw_fd(),
            level,
            name,
            value.as_mut_ptr().cast(),
            &raw mut filled,
        )
    };
    outcome(result)?;
    Ok((filled as usize).min(value.len()))
}

fn length(bytes: usize) -> socklen_t {
    socklen_t::try_from(bytes).unwrap_or(socklen_t::MAX)
}

fn outcome(result: c_int) -> io::Result<()> {
    match result {
        0 => Ok(()),
        _ => Err(io::Error::last_os_error()),
    }
}
