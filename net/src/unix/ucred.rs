//! Who is at the other end.

#![cfg(any(target_os = "linux", target_os = "android"))]

use std::io;
use std::os::fd::BorrowedFd;

/// The credentials of the process that made the peer's socket, as they were then (unix(7),
/// `SO_PEERCRED`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UCred {
    uid: u32,
    gid: u32,
    pid: Option<i32>,
}

impl UCred {
    /// The user.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The group.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// The process; `None` if it is in another namespace. It may have ended since.
    #[must_use]
    pub fn pid(&self) -> Option<i32> {
        self.pid
    }

    pub(super) fn of_peer(socket: BorrowedFd<'_>) -> io::Result<Self> {
        let them = rustix::net::sockopt::socket_peercred(socket)?;
        Ok(Self {
            uid: them.uid.as_raw(),
            gid: them.gid.as_raw(),
            pid: Some(them.pid.as_raw_pid()),
        })
    }
}
