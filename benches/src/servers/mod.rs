//! Echo servers with one loop, the same on each runtime: one task for each connection, a buffer of
//! the same size for each (but see [`Server::OneloopLeases`] and [`Server::Limit`]), no delay, one
//! read and one write for a message.

mod idle;
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
    /// oneloop with one loop, reading into buffers of the loop: their size follows the messages.
    OneloopLeases,
    /// tokio on one thread.
    TokioCurrent,
    /// tokio with one worker.
    TokioMulti,
    /// smol on one thread.
    Smol,
    /// A loop written by hand around edge-triggered epoll, with one buffer for all connections: what
    /// is left to win.
    Limit,
    /// oneloop with one loop, leases, and a limit on the idleness of each connection.
    OneloopIdle,
    /// tokio on one thread, a buffer for all connections, and a limit on the idleness of each.
    TokioIdle,
}

impl Server {
    /// Those of the echo tables, in their order.
    pub const ALL: [Self; 6] = [
        Self::Oneloop,
        Self::OneloopLeases,
        Self::TokioCurrent,
        Self::TokioMulti,
        Self::Smol,
        Self::Limit,
    ];

    /// Those that hold idle connections.
    pub const IDLE: [Self; 2] = [Self::OneloopIdle, Self::TokioIdle];

    /// The name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oneloop => "oneloop",
            Self::OneloopLeases => "oneloop leases",
            Self::TokioCurrent => "tokio current_thread",
            Self::TokioMulti => "tokio multi_thread(1)",
            Self::Smol => "smol",
            Self::Limit => "epoll by hand",
            Self::OneloopIdle => "oneloop idle",
            Self::TokioIdle => "tokio current_thread idle",
        }
    }

    /// The server of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL.into_iter().chain(Self::IDLE);
        all.find(|server| server.name() == name)
    }

    /// Listens on a port of the system's choice, announces it, and serves for ever, with buffers of
    /// `buffer_bytes`.
    ///
    /// # Errors
    ///
    /// Those of the runtime's start, of the bind and of accepting.
    pub fn run(self, buffer_bytes: usize, announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
        match self {
            Self::Oneloop => oneloop::run(buffer_bytes, announce),
            Self::OneloopLeases => oneloop::run_leases(announce),
            Self::TokioCurrent => tokio::run_current(buffer_bytes, announce),
            Self::TokioMulti => tokio::run_multi(buffer_bytes, announce),
            Self::Smol => smol::run(buffer_bytes, announce),
            Self::Limit => limit::run(buffer_bytes, announce),
            Self::OneloopIdle => idle::run_oneloop(announce),
            Self::TokioIdle => idle::run_tokio(announce),
        }
    }
}

const ANY_PORT: (&str, u16) = ("127.0.0.1", 0);
