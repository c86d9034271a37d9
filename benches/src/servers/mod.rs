//! Echo servers with one loop, the same on each runtime: one task for each connection, a buffer of
//! [`BUFFER_BYTES`], no delay, one read and one write for a message.

mod limit;
mod oneloop;
mod smol;
mod tokio;

use std::io;
use std::net::SocketAddr;

/// An echo server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// oneloop with one loop.
    Oneloop,
    /// tokio on one thread.
    TokioCurrent,
    /// tokio with one worker.
    TokioMulti,
    /// smol on one thread.
    Smol,
    /// A loop written by hand around edge-triggered epoll: what is left to win.
    Limit,
}

impl Server {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 5] = [
        Self::Oneloop,
        Self::TokioCurrent,
        Self::TokioMulti,
        Self::Smol,
        Self::Limit,
    ];

    /// The name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oneloop => "oneloop",
            Self::TokioCurrent => "tokio current_thread",
            Self::TokioMulti => "tokio multi_thread(1)",
            Self::Smol => "smol",
            Self::Limit => "epoll by hand",
        }
    }

    /// The server of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|server| server.name() == name)
    }

    /// Listens on a port of the system's choice, announces it, and serves for ever.
    ///
    /// # Errors
    ///
    /// Those of the runtime's start, of the bind and of accepting.
    pub fn run(self, announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
        match self {
            Self::Oneloop => oneloop::run(announce),
            Self::TokioCurrent => tokio::run_current(announce),
            Self::TokioMulti => tokio::run_multi(announce),
            Self::Smol => smol::run(announce),
            Self::Limit => limit::run(announce),
        }
    }
}

/// Bytes of each connection's buffer.
const BUFFER_BYTES: usize = 4096;
const ANY_PORT: (&str, u16) = ("127.0.0.1", 0);
