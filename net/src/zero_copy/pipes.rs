//! Pipes for bytes on their way from socket to socket, kept for the next ones.
//!
//! Place: used by `flow`; the idle ones belong to the thread where they were given back.
//!
//! # Invariants
//! An idle pipe is empty: who gives one back knows that nothing is left in it, and a pipe with bytes
//! is dropped instead.

use std::cell::RefCell;
use std::io;
use std::os::fd::OwnedFd;

use super::kernel;

/// What one pipe takes: 16 pages, the system's default.
pub(super) const PIPE_BYTES: usize = 64 * 1024;

/// Idle pipes that a thread keeps, of two descriptors each.
const PIPES_IDLE_MAX: usize = 16;

thread_local! {
    static IDLE: RefCell<Vec<Pipe>> = const { RefCell::new(Vec::new()) };
}

/// A pipe, both ends.
#[derive(Debug)]
pub(super) struct Pipe {
    pub(super) reader: OwnedFd,
    pub(super) writer: OwnedFd,
}

impl Pipe {
    /// An empty pipe: an idle one or a new one.
    ///
    /// # Errors
    ///
    /// Those of pipe(2): the process or the system is out of descriptors or memory.
    pub(super) fn take() -> io::Result<Self> {
        // A thread whose locals are gone keeps none.
        let idle = IDLE.try_with(|idle| idle.borrow_mut().pop()).ok().flatten();
        match idle {
            Some(pipe) => Ok(pipe),
            None => {
                let (reader, writer) = kernel::new_pipe()?;
                Ok(Self { reader, writer })
            }
        }
    }

    /// Keeps the pipe, which is empty, for the next `take` on this thread; closes it if there are
    /// enough.
    pub(super) fn give_back(self) {
        let mut pipe = Some(self);
        // The error means that the thread is ending: the pipe is closed below.
        IDLE.try_with(|idle| {
            let mut idle = idle.borrow_mut();
            if idle.len() < PIPES_IDLE_MAX {
                idle.extend(pipe.take());
            }
        })
        .unwrap_or(());
        drop(pipe);
    }
}
