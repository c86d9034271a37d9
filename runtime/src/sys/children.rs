//! Child processes.

use std::os::fd::OwnedFd;

/// A descriptor that is readable from the child's end on. None if the system knows none (Linux
/// before 5.3) or refuses it to this process.
#[cfg(target_os = "linux")]
pub(crate) fn pidfd(id: u32) -> Option<OwnedFd> {
    use rustix::process::{Pid, PidfdFlags, pidfd_open};
    let pid = Pid::from_raw(i32::try_from(id).ok()?)?;
    pidfd_open(pid, PidfdFlags::NONBLOCK).ok()
}

/// There is none on this system.
#[cfg(not(target_os = "linux"))]
pub(crate) fn pidfd(_id: u32) -> Option<OwnedFd> {
    None
}
