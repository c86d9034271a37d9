//! Passing listeners to another process, so that it can take over without refusing a client.
//!
//! Place: called by the applications on both sides, over a Unix socket.
//!
//! ```text
//!  message:  | magic, 14 bytes | count, u16 little-endian |  + the descriptors (SCM_RIGHTS)
//! ```
//!
//! # Why it is so
//! A listener's queue belongs to the socket and not to the process: with a descriptor in both, the
//! successor accepts before the predecessor stops, and no moment is without somebody who does. With
//! `SO_REUSEPORT` alone the queue of the predecessor's socket is reset when it is closed.

use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use oneloop_runtime::io::Interest;
use rustix::io::retry_on_intr;
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags,
};

use super::inherited::{LISTENERS_MAX, into_listener, invalid};
use crate::UnixStream;

const MAGIC: [u8; 14] = *b"oneloop-listen";
const HEADER_BYTES: usize = MAGIC.len() + 2;
const CONTROL_BYTES: usize = rustix::cmsg_space!(ScmRights(LISTENERS_MAX));

/// Sends descriptors of listeners to another process, in one message: see
/// [`ServerHandle::listeners`](super::ServerHandle::listeners). The sender keeps its own.
///
/// The successor begins to accept; then the sender drains. An answer of the successor over the same
/// socket is a good sign to begin.
///
/// # Errors
///
/// `InvalidInput` for none or for more than [`LISTENERS_MAX`]; those of sendmsg(2).
///
/// # Cancel safety
///
/// **Not safe**: if the future is dropped, the message may have been sent or not.
pub async fn send_listeners<L: AsFd>(stream: &UnixStream, listeners: &[L]) -> io::Result<()> {
    if listeners.is_empty() || listeners.len() > LISTENERS_MAX {
        let problem = format!("{} listeners: not 1 to {LISTENERS_MAX}", listeners.len());
        return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
    }
    let mut header = [0; HEADER_BYTES];
    header[..MAGIC.len()].copy_from_slice(&MAGIC);
    // It is at most `LISTENERS_MAX`.
    header[MAGIC.len()..].copy_from_slice(&(listeners.len() as u16).to_le_bytes());
    let descriptors: Vec<BorrowedFd<'_>> = listeners.iter().map(AsFd::as_fd).collect();
    let send = || {
        let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
        let mut control = SendAncillaryBuffer::new(&mut space);
        let fits = control.push(SendAncillaryMessage::ScmRights(&descriptors));
        debug_assert!(fits, "the space is for as many as there may be");
        let slices = [IoSlice::new(&header)];
        let sent = retry_on_intr(|| {
            rustix::net::sendmsg(stream, &slices, &mut control, SendFlags::NOSIGNAL)
        });
        Ok(sent?)
    };
    let sent = stream.async_io(Interest::WRITABLE, send).await?;
    stream.drain(&header[sent..]).await
}

/// Receives the listeners that [`send_listeners`] sends: ready for
/// [`serve_listeners`](super::ServerBuilder::serve_listeners).
///
/// # Errors
///
/// `InvalidData` if the message is another, or if something in it is no listening TCP socket: what
/// came with it is closed then, and nothing more should be read from the stream. `UnexpectedEof` if
/// the stream ends before. Those of recvmsg(2).
///
/// # Cancel safety
///
/// **Not safe**: if the future is dropped, a part of the message may have been read, and its
/// descriptors closed.
pub async fn receive_listeners(stream: &UnixStream) -> io::Result<Vec<net::TcpListener>> {
    let mut header = [0; HEADER_BYTES];
    let mut descriptors = Vec::new();
    let receive = || receive_once(stream, &mut header, &mut descriptors);
    let received = stream.async_io(Interest::READABLE, receive).await?;
    if received == 0 {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    stream.fill(&mut header[received..]).await?;
    let (magic, count) = header.split_at(MAGIC.len());
    let count = usize::from(u16::from_le_bytes([count[0], count[1]]));
    if magic != MAGIC || count != descriptors.len() || count == 0 {
        return Err(invalid("no message with listeners".to_owned()));
    }
    descriptors.into_iter().map(into_listener).collect()
}

fn receive_once(
    stream: &UnixStream,
    header: &mut [u8],
    descriptors: &mut Vec<OwnedFd>,
) -> io::Result<usize> {
    let mut space = [MaybeUninit::uninit(); CONTROL_BYTES];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    let received = retry_on_intr(|| {
        let mut slices = [IoSliceMut::new(header)];
        rustix::net::recvmsg(stream, &mut slices, &mut control, RECEIVE_FLAGS)
    })?;
    for message in control.drain() {
        if let RecvAncillaryMessage::ScmRights(rights) = message {
            descriptors.extend(rights);
        }
    }
    // The space for the control message may hold a few more than it was measured for.
    let is_cut_off = received.flags.contains(ReturnFlags::CTRUNC);
    if is_cut_off || descriptors.len() > LISTENERS_MAX {
        return Err(invalid("more descriptors than listeners may be".to_owned()));
    }
    for descriptor in descriptors.iter() {
        rustix::io::fcntl_setfd(descriptor, rustix::io::FdFlags::CLOEXEC)?;
    }
    Ok(received.bytes)
}

/// Where the system has it, not even a fork in the next moment inherits what is received.
#[cfg(any(target_os = "linux", target_os = "android"))]
const RECEIVE_FLAGS: RecvFlags = RecvFlags::CMSG_CLOEXEC;
#[cfg(not(any(target_os = "linux", target_os = "android")))]
const RECEIVE_FLAGS: RecvFlags = RecvFlags::empty();
