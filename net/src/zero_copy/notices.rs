//! The system calls of zero-copy sends. None of them waits.
//!
//! Place: called by `held` and `writer`; runs on any thread. Linux alone.
//!
//! # Why it is so
//! The control message is read as bytes, field by field: its layout is the kernel's interface
//! (`struct sock_extended_err` in ip(7)), and a message that is cut short is then no message.

use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

use rustix::io::{Errno, retry_on_intr};
use rustix::net::SendFlags;

use crate::options::raw;

/// What the kernel says about memory that it was given: it needs the memory of these sends no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Notice {
    /// The number of the first send. The kernel counts those of a socket from 0, modulo 2^32.
    pub(super) first: u32,
    /// The number of the last one.
    pub(super) last: u32,
    /// The bytes were copied after all.
    pub(super) copied: bool,
}

/// Whether zero-copy sends may be asked for on a socket (`SO_ZEROCOPY`).
pub(super) fn is_allowed(socket: &impl AsFd) -> io::Result<bool> {
    Ok(raw::int(socket, libc::SOL_SOCKET, libc::SO_ZEROCOPY)? != 0)
}

/// Sets whether zero-copy sends may be asked for.
pub(super) fn allow(socket: &impl AsFd, allowed: bool) -> io::Result<()> {
    raw::set_int(socket, libc::SOL_SOCKET, libc::SO_ZEROCOPY, allowed.into())
}

/// Sends from memory that has to stay as it is until the notice of this send. Only a send that took
/// bytes has a number.
pub(super) fn send(socket: BorrowedFd<'_>, bytes: &[u8]) -> io::Result<usize> {
    let flags = SendFlags::NOSIGNAL | SendFlags::from_bits_retain(libc::MSG_ZEROCOPY as u32);
    Ok(retry_on_intr(|| rustix::net::send(socket, bytes, flags))?)
}

/// Whether a zero-copy send was refused for lack of locked memory or of room for its notice, which
/// says nothing about a plain one.
pub(super) fn is_short_of_memory(error: &io::Error) -> bool {
    Errno::from_io_error(error) == Some(Errno::NOBUFS)
}

/// Takes the first entry of a socket's error queue. `None`: it is about something else.
///
/// # Errors
///
/// `WouldBlock` if the queue is empty.
pub(super) fn take(socket: BorrowedFd<'_>) -> io::Result<Option<Notice>> {
    let mut control = [0; CONTROL_BYTES];
    let filled = receive_error(socket, &mut control)?;
    Ok(parse(&control[..filled]))
}

/// Resets a connection and keeps its descriptor: what was not sent is thrown away, and its memory
/// with it.
pub(super) fn reset(socket: BorrowedFd<'_>) -> io::Result<()> {
    Ok(retry_on_intr(|| rustix::net::connect_unspec(socket))?)
}

/// The length of the control messages of the first entry, which are in `control` then.
fn receive_error(socket: BorrowedFd<'_>, control: &mut [u8; CONTROL_BYTES]) -> io::Result<usize> {
    let message = std::mem::MaybeUninit::<libc::msghdr>::zeroed();
    // SAFETY: zeroes are a value of this plain structure: no name, no buffers, no control messages.
    let mut message = unsafe { message.assume_init() };
    loop {
        message.msg_control = control.as_mut_ptr().cast();
        message.msg_controllen = CONTROL_BYTES as _;
        // SAFETY: the descriptor is open while it is borrowed; the kernel writes to `message`, and
        // as many bytes to `control` as that says, which it has. There are no other buffers.
        let received = unsafe {
            libc::recvmsg(
                socket.as_raw_fd(),
                &raw mut message,
                libc::MSG_ERRQUEUE | libc::MSG_DONTWAIT,
            )
        };
        if received >= 0 {
            #[allow(clippy::unnecessary_cast, reason = "musl has 32 bits for it")]
            let length = message.msg_controllen as usize;
            return Ok(length.min(CONTROL_BYTES));
        }
        let error = io::Error::last_os_error();
        if error.kind() != io::ErrorKind::Interrupted {
            return Err(error);
        }
    }
}

/// Finds the notice among control messages.
fn parse(mut control: &[u8]) -> Option<Notice> {
    loop {
        let (length, rest) = control.split_first_chunk()?;
        let (level, rest) = rest.split_first_chunk()?;
        let (kind, _) = rest.split_first_chunk()?;
        let length = usize::from_ne_bytes(*length);
        let kind = (i32::from_ne_bytes(*level), i32::from_ne_bytes(*kind));
        let error = control.get(CONTROL_HEADER_BYTES..length)?;
        if [
            (libc::SOL_IP, libc::IP_RECVERR),
            (libc::SOL_IPV6, libc::IPV6_RECVERR),
        ]
        .contains(&kind)
        {
            return parse_error(error);
        }
        control = control.get(length.next_multiple_of(size_of::<usize>())..)?;
    }
}

/// Reads a `struct sock_extended_err`: errno, then origin, type, code and padding of a byte each,
/// then two numbers.
fn parse_error(error: &[u8]) -> Option<Notice> {
    let (&[_, _, _, _, origin, _, code, _], rest) = error.split_first_chunk()?;
    let (first, rest) = rest.split_first_chunk()?;
    let (last, _) = rest.split_first_chunk()?;
    (origin == ORIGIN_ZEROCOPY).then(|| Notice {
        first: u32::from_ne_bytes(*first),
        last: u32::from_ne_bytes(*last),
        copied: code & CODE_COPIED != 0,
    })
}

/// Room for the control messages of one entry: a header, the error, and an address of either family.
/// Time stamps that somebody asked for fit in as well.
const CONTROL_BYTES: usize = 256;
/// A `struct cmsghdr`: a length of one word, a level and a type.
const CONTROL_HEADER_BYTES: usize = size_of::<usize>() + 8;
/// `SO_EE_ORIGIN_ZEROCOPY`
const ORIGIN_ZEROCOPY: u8 = 5;
/// `SO_EE_CODE_ZEROCOPY_COPIED`
const CODE_COPIED: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    fn message(level: i32, kind: i32, data: &[u8]) -> Vec<u8> {
        let mut message = Vec::new();
        message.extend((CONTROL_HEADER_BYTES + data.len()).to_ne_bytes());
        message.extend(level.to_ne_bytes());
        message.extend(kind.to_ne_bytes());
        message.extend(data);
        message.resize(message.len().next_multiple_of(size_of::<usize>()), 0);
        message
    }

    fn error(origin: u8, code: u8, first: u32, last: u32) -> Vec<u8> {
        let mut error = vec![0, 0, 0, 0, origin, 0, code, 0];
        error.extend(first.to_ne_bytes());
        error.extend(last.to_ne_bytes());
        error.extend([0; 16]);
        error
    }

    #[test]
    fn notice_is_found_behind_other_messages_and_in_both_families() {
        let stamp = message(libc::SOL_SOCKET, libc::SO_TIMESTAMP, &[7; 13]);
        for (level, kind) in [
            (libc::SOL_IP, libc::IP_RECVERR),
            (libc::SOL_IPV6, libc::IPV6_RECVERR),
        ] {
            let mut control = stamp.clone();
            control.extend(message(level, kind, &error(5, 1, u32::MAX, 2)));
            let notice = Notice {
                first: u32::MAX,
                last: 2,
                copied: true,
            };
            assert_eq!(parse(&control), Some(notice));
        }
    }

    #[test]
    fn what_is_no_whole_notice_is_none() {
        let whole = message(libc::SOL_IP, libc::IP_RECVERR, &error(5, 0, 3, 4));
        assert!(parse(&whole).is_some());
        // Up to the end of the second number.
        for cut in 0..CONTROL_HEADER_BYTES + 16 {
            assert_eq!(parse(&whole[..cut]), None, "{cut}");
        }
        let of_a_time_stamp = message(libc::SOL_IP, libc::IP_RECVERR, &error(4, 0, 3, 4));
        assert_eq!(parse(&of_a_time_stamp), None);
        let mut endless = whole;
        endless[..size_of::<usize>()].fill(0);
        assert_eq!(parse(&endless), None);
        endless[..size_of::<usize>()].fill(0xff);
        assert_eq!(parse(&endless), None);
    }
}
