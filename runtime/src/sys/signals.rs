//! Signal handlers.

use std::ffi::c_int;
use std::io;
use std::os::fd::OwnedFd;

use signal_hook_registry::{FORBIDDEN, SigId};

use super::pipes;

pub(crate) use libc::{
    SIGALRM, SIGCHLD, SIGHUP, SIGINT, SIGIO, SIGPIPE, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGWINCH,
};

/// A byte for each occurrence of a signal, until dropped.
#[derive(Debug)]
pub(crate) struct Handler(SigId);

impl Handler {
    /// Installs it, with a pipe that it alone writes to.
    pub(crate) fn install(signal: c_int, pipe: OwnedFd) -> io::Result<Self> {
        if signal <= 0 || FORBIDDEN.contains(&signal) {
            let text = format!("Refusing to register signal {signal}: it cannot be caught");
            return Err(io::Error::other(text));
        }
        let tell = move || {
            // A full pipe tells of the signal as well.
            let _ = pipes::write(&pipe, &[1]);
        };
        // SAFETY: the action does what is safe in a signal handler (signal-safety(7)): one write(2)
        // to a descriptor that it owns; it does not allocate, lock or panic.
        let action = unsafe { signal_hook_registry::register(signal, tell) }?;
        Ok(Self(action))
    }
}

impl Drop for Handler {
    fn drop(&mut self) {
        signal_hook_registry::unregister(self.0);
    }
}
