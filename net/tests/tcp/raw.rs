//! What the tests do behind the standard library's back: the only unsafe code among them.

use std::os::fd::{AsRawFd, FromRawFd, OwnedFd, RawFd};

/// Gives SIGPIPE the action that it has in a process that Rust's runtime has not prepared.
pub(crate) fn restore_default_sigpipe() {
    // SAFETY: sets the default action, runs no handler; no other thread deals with signals.
    unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
}

/// Makes the kernel choose the port `port` for a socket that nobody binds. Answers whether this
/// kernel can (Linux 6.3).
pub(crate) fn choose_port(socket: &impl AsRawFd, port: u16) -> bool {
    const IP_LOCAL_PORT_RANGE: libc::c_int = 51;
    let range = u32::from(port) << 16 | u32::from(port);
    // SAFETY: the kernel reads four bytes at the address of a live `u32`.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::IPPROTO_IP,
            IP_LOCAL_PORT_RANGE,
            (&raw const range).cast(),
            4,
        )
    };
    result == 0
}

/// Allows zero-copy sends on a socket.
#[cfg(target_os = "linux")]
pub(crate) fn allow_zero_copy(socket: &impl AsRawFd) {
    let on: libc::c_int = 1;
    // SAFETY: the kernel reads four bytes at the address of a live `c_int`.
    let result = unsafe {
        libc::setsockopt(
            socket.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ZEROCOPY,
            (&raw const on).cast(),
            4,
        )
    };
    assert_eq!(result, 0);
}

/// Makes a number into a descriptor, or into what owns one.
pub(crate) fn from_number<T: FromRawFd + From<OwnedFd>>(number: RawFd) -> T {
    // SAFETY: the callers got the number from `into_raw_fd` and give it away here.
    unsafe { T::from_raw_fd(number) }
}
