//! Echo servers with one loop or several, the same on each runtime: one task for each connection, a
//! buffer of the same size for each (but see [`Server::OneloopLeases`] and [`Server::Limit`]), no
//! delay, kernel buffers of the same size, one read and one write for a message.

mod idle;
mod limit;
mod oneloop;
#[cfg(feature = "peers")]
mod peers;
mod smol;
mod tokio;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd;

use rustix::net::sockopt;

/// What a server is started with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServeOptions {
    /// Bytes of each connection's buffer, if each has one.
    pub buffer_bytes: usize,
    /// Loops, or threads that serve connections; at least one.
    pub loops: usize,
}

impl ServeOptions {
    /// One loop.
    #[must_use]
    pub fn new(buffer_bytes: usize) -> Self {
        Self {
            buffer_bytes,
            loops: 1,
        }
    }
}

/// An echo server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Server {
    /// oneloop with one listener, whose connections placement spreads over the loops.
    Oneloop,
    /// As [`Oneloop`](Self::Oneloop), reading into buffers of the loop: their size follows the
    /// messages.
    OneloopLeases,
    /// oneloop with a listener for each loop.
    OneloopPerLoop,
    /// As [`Oneloop`](Self::Oneloop), looking for work for a while before it sleeps.
    OneloopBusyPoll,
    /// tokio on one thread.
    TokioCurrent,
    /// tokio with workers.
    TokioMulti,
    /// smol on one thread, or on several that share the tasks.
    Smol,
    /// A loop written by hand around edge-triggered epoll, with one buffer for all connections: what
    /// is left to win.
    Limit,
    /// oneloop with one loop, leases, and a limit on the idleness of each connection.
    OneloopIdle,
    /// tokio on one thread, a buffer for all connections, and a limit on the idleness of each.
    TokioIdle,
    /// monoio on epoll.
    #[cfg(feature = "peers")]
    MonoioEpoll,
    /// monoio on io_uring.
    #[cfg(feature = "peers")]
    MonoioUring,
    /// glommio, on io_uring.
    #[cfg(feature = "peers")]
    Glommio,
    /// compio on io_uring.
    #[cfg(feature = "peers")]
    CompioUring,
    /// compio on epoll.
    #[cfg(feature = "peers")]
    CompioPolling,
    /// Go's net package.
    #[cfg(feature = "peers")]
    Go,
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

    /// Other forms of oneloop.
    pub const FORMS: [Self; 2] = [Self::OneloopPerLoop, Self::OneloopBusyPoll];

    /// Other runtimes, from the registry and not.
    #[cfg(feature = "peers")]
    pub const PEERS: [Self; 6] = [
        Self::MonoioEpoll,
        Self::MonoioUring,
        Self::Glommio,
        Self::CompioUring,
        Self::CompioPolling,
        Self::Go,
    ];

    /// Other runtimes: none without the feature `peers`.
    #[cfg(not(feature = "peers"))]
    pub const PEERS: [Self; 0] = [];

    /// Those that hold idle connections.
    pub const IDLE: [Self; 2] = [Self::OneloopIdle, Self::TokioIdle];

    /// The name in tables.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Oneloop => "oneloop",
            Self::OneloopLeases => "oneloop leases",
            Self::OneloopPerLoop => "oneloop per loop",
            Self::OneloopBusyPoll => "oneloop busy_poll",
            Self::TokioCurrent => "tokio current_thread",
            Self::TokioMulti => "tokio multi_thread",
            Self::Smol => "smol",
            Self::Limit => "epoll by hand",
            Self::OneloopIdle => "oneloop idle",
            Self::TokioIdle => "tokio current_thread idle",
            #[cfg(feature = "peers")]
            Self::MonoioEpoll => "monoio epoll",
            #[cfg(feature = "peers")]
            Self::MonoioUring => "monoio io_uring",
            #[cfg(feature = "peers")]
            Self::Glommio => "glommio",
            #[cfg(feature = "peers")]
            Self::CompioUring => "compio io_uring",
            #[cfg(feature = "peers")]
            Self::CompioPolling => "compio polling",
            #[cfg(feature = "peers")]
            Self::Go => "go",
        }
    }

    /// The server of this name.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        let mut all = Self::ALL
            .into_iter()
            .chain(Self::FORMS)
            .chain(Self::PEERS)
            .chain(Self::IDLE);
        all.find(|server| server.name() == name)
    }

    /// Whether it can have more than one loop.
    #[must_use]
    pub fn scales(self) -> bool {
        !matches!(
            self,
            Self::TokioCurrent | Self::Limit | Self::OneloopIdle | Self::TokioIdle
        )
    }

    /// Why it cannot run here, if so: what is not installed, or what the system refuses.
    #[must_use]
    pub fn missing(self) -> Option<&'static str> {
        match self {
            #[cfg(feature = "peers")]
            Self::MonoioUring | Self::Glommio | Self::CompioUring => {
                (!peers::has_io_uring()).then_some("the system refuses io_uring")
            }
            #[cfg(feature = "peers")]
            Self::Go => (!peers::go_is_installed()).then_some("go is not installed"),
            _ => None,
        }
    }

    /// Listens on a port of the system's choice, announces it, and serves for ever.
    ///
    /// # Errors
    ///
    /// Those of the runtime's start, of the bind and of accepting; `InvalidInput` for no loops, and
    /// for several of a server that has one.
    pub fn run(self, options: &ServeOptions, announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
        let can_have = if self.scales() { usize::MAX } else { 1 };
        if !(1..=can_have).contains(&options.loops) {
            let complaint = format!("{} cannot have {} loops", self.name(), options.loops);
            return Err(io::Error::new(io::ErrorKind::InvalidInput, complaint));
        }
        let buffer_bytes = options.buffer_bytes;
        match self {
            Self::Oneloop => oneloop::run(options, announce),
            Self::OneloopLeases => oneloop::run_leases(options, announce),
            Self::OneloopPerLoop => oneloop::run_per_loop(options, announce),
            Self::OneloopBusyPoll => oneloop::run_busy_poll(options, announce),
            Self::TokioCurrent => tokio::run_current(buffer_bytes, announce),
            Self::TokioMulti => tokio::run_multi(options, announce),
            Self::Smol => smol::run(options, announce),
            Self::Limit => limit::run(buffer_bytes, announce),
            Self::OneloopIdle => idle::run_oneloop(announce),
            Self::TokioIdle => idle::run_tokio(announce),
            #[cfg(feature = "peers")]
            Self::MonoioEpoll => peers::monoio_epoll(options, announce),
            #[cfg(feature = "peers")]
            Self::MonoioUring => peers::monoio_uring(options, announce),
            #[cfg(feature = "peers")]
            Self::Glommio => peers::glommio(options, announce),
            #[cfg(feature = "peers")]
            Self::CompioUring => peers::compio_uring(options, announce),
            #[cfg(feature = "peers")]
            Self::CompioPolling => peers::compio_polling(options, announce),
            // Announces by itself.
            #[cfg(feature = "peers")]
            Self::Go => peers::go(options),
        }
    }
}

/// Gives a listener the backlog and the buffers that all have.
fn prepare(listener: impl AsFd) -> io::Result<()> {
    fix_kernel_buffers(&listener)?;
    Ok(rustix::net::listen(listener, BACKLOG)?)
}

/// Fixes the kernel's buffers of a socket, or of those that a listener will accept.
///
/// Left alone the kernel sizes them for each connection, by what went before, and so decides who
/// acknowledges how often: that moved the CPU of a message of 64 KiB by a tenth from run to run.
pub(crate) fn fix_kernel_buffers(socket: impl AsFd) -> io::Result<()> {
    sockopt::set_socket_recv_buffer_size(&socket, KERNEL_BUFFER_BYTES)?;
    Ok(sockopt::set_socket_send_buffer_size(
        &socket,
        KERNEL_BUFFER_BYTES,
    )?)
}

const ANY_PORT: (&str, u16) = ("127.0.0.1", 0);
/// Connections that may wait to be accepted: with the 128 of many the thousand that connect at once
/// are dropped here and there, and try again a second later.
const BACKLOG: i32 = 1024;
/// Of each socket and direction; some messages of 64 KiB.
const KERNEL_BUFFER_BYTES: usize = 256 * 1024;
