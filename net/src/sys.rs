//! The system calls on sockets, each one exactly once and with its quirks dealt with.
//!
//! Place: called by `tcp`, calls the operating system; runs on any thread. Nothing here waits:
//! descriptors are non-blocking and `WouldBlock` is an answer like any other.
//!
//! # Invariants
//! - A call that a signal interrupted is made again: no caller ever sees `Interrupted`.
//! - Writing to a socket whose peer is gone is an error and never a `SIGPIPE`.
//! - Every new descriptor is close-on-exec and non-blocking, from its first moment where the
//!   system can do that.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::addr::SocketAddrArg;
use rustix::net::{RecvFlags, SendFlags, SocketAddrAny, SocketAddrUnix};
use socket2::{Domain, SockRef, Socket, Type};

/// Creates a TCP socket of the family of `address`.
pub(crate) fn stream_socket(address: &SocketAddr) -> io::Result<OwnedFd> {
    new_socket(Domain::for_address(*address), Type::STREAM)
}

/// Creates a socket of a family and a type, with the protocol that belongs to them.
pub(crate) fn new_socket(family: Domain, kind: Type) -> io::Result<OwnedFd> {
    #[cfg(not(target_vendor = "apple"))]
    let socket = Socket::new(family, kind.nonblocking(), None)?;
    #[cfg(target_vendor = "apple")]
    let socket = {
        let socket = Socket::new(family, kind, None)?;
        socket.set_nonblocking(true)?;
        socket
    };
    Ok(OwnedFd::from(socket))
}

/// Takes the next connection out of a TCP listener's queue. One system call where the system has
/// `accept4`.
pub(crate) fn accept(listener: BorrowedFd<'_>) -> io::Result<(net::TcpStream, SocketAddr)> {
    let (descriptor, peer) = accept_descriptor(listener)?;
    Ok((net::TcpStream::from(descriptor), ip_address(peer)?))
}

/// The address of a socket that must be an internet one.
pub(crate) fn ip_address(address: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
    // It can be missing only if the descriptor is of another family.
    let address = address.ok_or(Errno::AFNOSUPPORT)?;
    Ok(SocketAddr::try_from(address)?)
}

/// Takes the next connection out of a listener's queue, with the peer's address if it has one.
#[cfg(not(target_vendor = "apple"))]
pub(crate) fn accept_descriptor(
    listener: BorrowedFd<'_>,
) -> Result<(OwnedFd, Option<SocketAddrAny>), Errno> {
    use rustix::net::SocketFlags;
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    retry_on_intr(|| rustix::net::acceptfrom_with(listener, flags))
}

/// Takes the next connection out of a listener's queue, with the peer's address if it has one.
#[cfg(target_vendor = "apple")]
pub(crate) fn accept_descriptor(
    listener: BorrowedFd<'_>,
) -> Result<(OwnedFd, Option<SocketAddrAny>), Errno> {
    let (descriptor, peer) = retry_on_intr(|| rustix::net::acceptfrom(listener))?;
    rustix::io::fcntl_setfd(&descriptor, rustix::io::FdFlags::CLOEXEC)?;
    rustix::io::ioctl_fionbio(&descriptor, true)?;
    rustix::net::sockopt::set_socket_nosigpipe(&descriptor, true)?;
    Ok((descriptor, peer))
}

/// Asks for a connection to `address`.
///
/// # Errors
///
/// `WouldBlock` while the connection is on its way: [`connect_outcome`] tells the rest.
pub(crate) fn connect_start(stream: &net::TcpStream, address: &SocketAddr) -> io::Result<()> {
    match rustix::net::connect(stream, address) {
        Ok(()) => Ok(()),
        // Interrupted: the handshake goes on all the same, a second call would say EALREADY.
        Err(Errno::INPROGRESS | Errno::INTR) => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error.into()),
    }
}

/// Connects to an address within the machine, which is done at once or not at all.
///
/// # Errors
///
/// `WouldBlock` if the listener's queue is full: nothing has been begun.
pub(crate) fn connect_now(socket: impl AsFd, address: &SocketAddrUnix) -> io::Result<()> {
    Ok(retry_on_intr(|| rustix::net::connect(&socket, address))?)
}

/// Tells how a connection that was asked for turned out.
///
/// It asks the socket itself and does not trust the event that led here, which may be spurious.
///
/// # Errors
///
/// `WouldBlock` while the connection is on its way, otherwise the reason of the failure.
pub(crate) fn connect_outcome(stream: &net::TcpStream) -> io::Result<()> {
    if let Some(error) = stream.take_error()? {
        return Err(error);
    }
    match stream.peer_addr() {
        Err(error) if error.kind() == io::ErrorKind::NotConnected => {
            Err(io::ErrorKind::WouldBlock.into())
        }
        outcome => outcome.map(drop),
    }
}

/// Receives into `buf`. 0 is the end of the stream, unless `buf` is empty.
pub(crate) fn receive(stream: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    let (_, count) = retry_on_intr(|| rustix::net::recv(stream, &mut *buf, RecvFlags::empty()))?;
    Ok(count)
}

/// Receives into memory that need not be initialised. That many of its first bytes are
/// initialised afterwards.
pub(crate) fn receive_uninit(
    stream: BorrowedFd<'_>,
    buf: &mut [MaybeUninit<u8>],
) -> io::Result<usize> {
    let count = retry_on_intr(|| {
        let ((filled, _), _) = rustix::net::recv(stream, &mut *buf, RecvFlags::empty())?;
        Ok(filled.len())
    })?;
    Ok(count)
}

/// Receives into several buffers, filling one after the other.
pub(crate) fn receive_vectored(
    stream: BorrowedFd<'_>,
    bufs: &mut [IoSliceMut<'_>],
) -> io::Result<usize> {
    Ok(retry_on_intr(|| rustix::io::readv(stream, &mut *bufs))?)
}

/// Whether a read, or an accept, would find something or fail: a look, which does not wait.
pub(crate) fn has_input(socket: BorrowedFd<'_>) -> bool {
    let mut look = [PollFd::from_borrowed_fd(socket, PollFlags::IN)];
    retry_on_intr(|| poll(&mut look, Some(&Timespec::default()))).is_ok_and(|ready| ready > 0)
}

/// Copies what is first in the receive queue and leaves it there.
pub(crate) fn peek(stream: BorrowedFd<'_>, buf: &mut [u8]) -> io::Result<usize> {
    let (_, count) = retry_on_intr(|| rustix::net::recv(stream, &mut *buf, RecvFlags::PEEK))?;
    Ok(count)
}

/// Sends from `buf`, as much as the kernel takes.
pub(crate) fn send(stream: BorrowedFd<'_>, buf: &[u8]) -> io::Result<usize> {
    Ok(retry_on_intr(|| {
        rustix::net::send(stream, buf, SEND_FLAGS)
    })?)
}

/// Sends from several buffers as if they were one. A few bytes are gathered here: the kernel takes
/// a list of buffers less readily than it takes one.
pub(crate) fn send_vectored(stream: BorrowedFd<'_>, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
    let bytes = |sum: usize, buf: &IoSlice<'_>| sum.saturating_add(buf.len());
    if bufs.iter().fold(0, bytes) <= GATHERED_BYTES_MAX {
        let mut gathered = [0; GATHERED_BYTES_MAX];
        let mut filled = 0;
        for buf in bufs {
            gathered[filled..][..buf.len()].copy_from_slice(buf);
            filled += buf.len();
        }
        return send(stream, &gathered[..filled]);
    }
    let sent = retry_on_intr(|| {
        let mut no_control = rustix::net::SendAncillaryBuffer::default();
        rustix::net::sendmsg(stream, bufs, &mut no_control, SEND_FLAGS)
    })?;
    Ok(sent)
}

/// Receives a datagram. What does not fit is lost, as recvfrom(2) says.
pub(crate) fn receive_from(
    socket: BorrowedFd<'_>,
    buf: &mut [u8],
    flags: RecvFlags,
) -> io::Result<(usize, Option<SocketAddrAny>)> {
    let (_, count, from) = retry_on_intr(|| rustix::net::recvfrom(socket, &mut *buf, flags))?;
    Ok((count, from))
}

/// As [`receive_from`], into memory that need not be initialised. That many of its first bytes are
/// initialised afterwards.
pub(crate) fn receive_from_uninit(
    socket: BorrowedFd<'_>,
    buf: &mut [MaybeUninit<u8>],
) -> io::Result<(usize, Option<SocketAddrAny>)> {
    let received = retry_on_intr(|| {
        let ((filled, _), _, from) = rustix::net::recvfrom(socket, &mut *buf, RecvFlags::empty())?;
        Ok((filled.len(), from))
    })?;
    Ok(received)
}

/// Sends a datagram to an address.
pub(crate) fn send_to(
    socket: BorrowedFd<'_>,
    buf: &[u8],
    address: &impl SocketAddrArg,
) -> io::Result<usize> {
    Ok(retry_on_intr(|| {
        rustix::net::sendto(socket, buf, SEND_FLAGS, address)
    })?)
}

/// Tells whether closing `socket` would block its thread, because its linger time is above
/// zero.
pub(crate) fn lingers(socket: impl AsFd) -> bool {
    matches!(SockRef::from(&socket).linger(), Ok(Some(time)) if !time.is_zero())
}

/// Sets the linger time. A fraction of a second counts as a whole one: the kernel counts in
/// seconds, and zero, to which a fraction would be cut, means to reset the connection. So would the
/// low bits of a time that is too long for the kernel's `int`.
pub(crate) fn set_linger(socket: impl AsFd, time: Option<Duration>) -> io::Result<()> {
    let time = time.map(|time| {
        let fraction = u64::from(time.subsec_nanos() > 0);
        let seconds = time.as_secs().saturating_add(fraction);
        Duration::from_secs(seconds.min(LINGER_SECONDS_MAX))
    });
    SockRef::from(&socket).set_linger(time)
}

/// The bytes that one call can move at most out of `len` asked for, and at least one if `len`
/// is not zero. A call that moves fewer has met the end of what the kernel had.
pub(crate) fn transfer_bytes(len: usize) -> usize {
    len.min(TRANSFER_BYTES_MAX)
}

/// 68 years.
const LINGER_SECONDS_MAX: u64 = i32::MAX.unsigned_abs() as u64;

/// Bytes of several buffers that are copied into one: the head and the body of a short answer.
/// send(2) of 88 bytes over loopback takes 4.2 us, sendmsg(2) of the same in two buffers 4.4.
const GATHERED_BYTES_MAX: usize = 1024;

/// The buffers that one vectored call takes at most.
pub(crate) const VECTORED_BUFFERS_MAX: usize = 1024;

/// Linux moves at most `INT_MAX` rounded down to a page in one call, others at least as much.
const TRANSFER_BYTES_MAX: usize = 0x7fff_f000;

#[cfg(not(target_vendor = "apple"))]
const SEND_FLAGS: SendFlags = SendFlags::NOSIGNAL;
/// Apple's systems have no such flag: there the socket itself is told (`SO_NOSIGPIPE`).
#[cfg(target_vendor = "apple")]
const SEND_FLAGS: SendFlags = SendFlags::empty();

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fraction_of_a_second_does_not_become_an_abortive_close() {
        let socket = new_socket(Domain::IPV4, Type::STREAM).unwrap();
        for (asked, kept) in [(1, 1), (999, 1), (1000, 1), (1001, 2)] {
            set_linger(&socket, Some(Duration::from_millis(asked))).unwrap();
            let linger = SockRef::from(&socket).linger().unwrap();
            assert_eq!(linger, Some(Duration::from_secs(kept)), "{asked} ms");
            assert!(lingers(&socket));
        }
        set_linger(&socket, Some(Duration::ZERO)).unwrap();
        assert!(!lingers(&socket));
    }

    #[test]
    fn new_sockets_are_nonblocking_and_close_on_exec() {
        for family in [Domain::IPV4, Domain::IPV6] {
            let socket = new_socket(family, Type::STREAM).unwrap();
            let status = rustix::fs::fcntl_getfl(&socket).unwrap();
            assert!(status.contains(rustix::fs::OFlags::NONBLOCK));
            let flags = rustix::io::fcntl_getfd(&socket).unwrap();
            assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
        }
    }
}
