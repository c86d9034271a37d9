//! Whether `SIGPIPE` would end this process.
//!
//! Place: called by `send_file` and `flow` before they use the kernel, calls the operating system;
//! runs on any thread.

/// Asks for the action of the signal: one system call. If it is the default one, a write to a
/// connection that is gone must not raise it.
#[cfg(target_os = "linux")]
pub(super) fn kills() -> bool {
    let mut action = std::mem::MaybeUninit::<libc::sigaction>::zeroed();
    // SAFETY: no new action is given, and the kernel writes the present one to memory that has its
    // size.
    let result = unsafe { libc::sigaction(libc::SIGPIPE, std::ptr::null(), action.as_mut_ptr()) };
    // SAFETY: zeroes are a value of this plain structure, and so is what the kernel wrote.
    let action = unsafe { action.assume_init() };
    result != 0 || action.sa_sigaction == libc::SIG_DFL
}

/// Not asked: nothing that raises it is used.
#[cfg(not(target_os = "linux"))]
pub(super) fn kills() -> bool {
    true
}
