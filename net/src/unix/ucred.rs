//! Who is at the other end.
//!
//! Place: made by `UnixStream::peer_cred`, calls `options::raw`; runs on any thread.

#![cfg(any(target_os = "linux", target_os = "android"))]

use std::io;
use std::os::fd::BorrowedFd;

use crate::options::raw;

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
        // `struct ucred`: three words. A process of another namespace has the number 0, which is
        // no process, so the words are taken as they are.
        let mut words = [[0; 4]; 3];
        let (level, name) = (libc::SOL_SOCKET, libc::SO_PEERCRED);
        raw::bytes(&socket, level, name, words.as_flattened_mut())?;
        Ok(Self::from_kernel(words))
    }

    fn from_kernel([pid, uid, gid]: [[u8; 4]; 3]) -> Self {
        let pid = i32::from_ne_bytes(pid);
        Self {
            uid: u32::from_ne_bytes(uid),
            gid: u32::from_ne_bytes(gid),
            pid: (pid != 0).then_some(pid),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_of_another_namespace_is_unknown() {
        let words = |pid: i32| {
            [
                pid.to_ne_bytes(),
                1000_u32.to_ne_bytes(),
                100_u32.to_ne_bytes(),
            ]
        };
        let them = UCred::from_kernel(words(0));
        assert_eq!((them.pid(), them.uid(), them.gid()), (None, 1000, 100));
        assert_eq!(UCred::from_kernel(words(77)).pid(), Some(77));
    }
}
