//! Listeners that the process was started with, as service managers pass them.
//!
//! Place: called by applications at their start, before or inside a runtime.
//!
//! # Invariants
//! - A descriptor is taken over once: the second call finds none, also if the variables could not be
//!   removed.
//! - Nothing is owned before all of it was looked at: what the variables call a listener and is none
//!   belongs to somebody else, and is not closed.

use std::env;
use std::io;
use std::net;
use std::os::fd::{AsFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use rustix::io::FdFlags;
use rustix::net::{AddressFamily, SocketType, sockopt};

/// Listeners that a process takes over at once at most, from its starter or from a predecessor. The
/// kernel passes no more than 253 descriptors with one message (unix(7)).
pub const LISTENERS_MAX: usize = 250;

/// The first descriptor that is passed: sd_listen_fds(3).
const FIRST_DESCRIPTOR: RawFd = 3;

static ARE_TAKEN: AtomicBool = AtomicBool::new(false);

/// Takes over the listening sockets that the process was started with, by the convention of
/// sd_listen_fds(3): `LISTEN_PID` is this process, `LISTEN_FDS` is how many there are, and they are
/// the descriptors from 3 on. systemd and others do this; so a service can be started by its first
/// client, and restarted without refusing one.
///
/// All that is open among these descriptors is made close-on-exec, unless there are more than
/// [`LISTENERS_MAX`]. The variables are removed if the process has one thread, as at the beginning
/// of `main`; with more it would not be safe, and they stay: children do not take them for their
/// own, because of `LISTEN_PID`. None if the variables are missing or mean another process, and none
/// from the second call on.
///
/// # Errors
///
/// `InvalidData` if the variables are no numbers, if there are more than [`LISTENERS_MAX`], or if
/// one is not open or no listening TCP socket. None is closed then, as variables that are wrong may
/// name descriptors of somebody else; nor does a later call take them.
pub fn inherited_listeners() -> io::Result<Vec<net::TcpListener>> {
    let pid = number("LISTEN_PID")?;
    if pid != Some(std::process::id() as usize) || ARE_TAKEN.swap(true, Relaxed) {
        return Ok(Vec::new());
    }
    let listeners = take_all();
    remove_variables();
    listeners
}

/// Takes over what `LISTEN_FDS` counts, all or nothing.
fn take_all() -> io::Result<Vec<net::TcpListener>> {
    let count = number("LISTEN_FDS")?.unwrap_or(0);
    if count > LISTENERS_MAX {
        return Err(invalid(format!(
            "LISTEN_FDS: {count} are more than {LISTENERS_MAX}"
        )));
    }
    // It is at most `LISTENERS_MAX`.
    let numbers = FIRST_DESCRIPTOR..FIRST_DESCRIPTOR + count as RawFd;
    let checked: Vec<_> = numbers.clone().map(check_number).collect();
    checked.into_iter().collect::<io::Result<()>>()?;
    Ok(numbers.map(take).collect())
}

/// Makes a descriptor close-on-exec and looks whether it is a listener.
fn check_number(number: RawFd) -> io::Result<()> {
    // SAFETY: the starter says that it is open. Should it have lied, all that is done with the
    // number are calls that then say so, and change nothing.
    let borrowed = unsafe { BorrowedFd::borrow_raw(number) };
    rustix::io::fcntl_setfd(borrowed, FdFlags::CLOEXEC)
        .map_err(io::Error::from)
        .and_then(|()| check_listener(borrowed))
        .map_err(|error| invalid(format!("descriptor {number} of LISTEN_FDS: {error}")))
}

/// Takes over a descriptor that was found to be a listener.
fn take(number: RawFd) -> net::TcpListener {
    // SAFETY: it is open and a listening socket, and by the convention it was passed to this process
    // for whoever asks first; `ARE_TAKEN` says that this is the first.
    unsafe { OwnedFd::from_raw_fd(number) }.into()
}

/// A listener, if the descriptor is one. It is closed if it is none.
pub(super) fn into_listener(descriptor: OwnedFd) -> io::Result<net::TcpListener> {
    check_listener(descriptor.as_fd())?;
    Ok(descriptor.into())
}

fn check_listener(socket: BorrowedFd<'_>) -> io::Result<()> {
    let is_listener = || -> rustix::io::Result<bool> {
        let family = rustix::net::getsockname(socket)?.address_family();
        Ok(sockopt::socket_type(socket)? == SocketType::STREAM
            && (family == AddressFamily::INET || family == AddressFamily::INET6)
            && listens(socket)?)
    };
    // An error says that it is no socket at all.
    if !is_listener().unwrap_or(false) {
        return Err(invalid(
            "a descriptor is no listening TCP socket".to_owned(),
        ));
    }
    Ok(())
}

#[cfg(not(target_vendor = "apple"))]
fn listens(socket: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    sockopt::socket_acceptconn(socket)
}

/// Apple's systems do not tell: the first accept does.
#[cfg(target_vendor = "apple")]
fn listens(_socket: BorrowedFd<'_>) -> rustix::io::Result<bool> {
    Ok(true)
}

fn number(variable: &str) -> io::Result<Option<usize>> {
    let Some(text) = env::var_os(variable) else {
        return Ok(None);
    };
    let parsed = text.to_str().and_then(|text| text.parse().ok());
    match parsed {
        Some(number) => Ok(Some(number)),
        None => Err(invalid(format!("{variable} is no number: {text:?}"))),
    }
}

fn remove_variables() {
    if !has_one_thread() {
        return;
    }
    for variable in ["LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"] {
        // SAFETY: this is the only thread of the process, so nobody reads or writes the environment
        // meanwhile.
        unsafe { env::remove_var(variable) };
    }
}

/// Whether it is known that this thread is the only one.
fn has_one_thread() -> bool {
    std::fs::read_dir("/proc/self/task").is_ok_and(|threads| threads.count() == 1)
}

pub(super) fn invalid(problem: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}
