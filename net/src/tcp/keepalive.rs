//! How the kernel probes a connection on which nothing happens.
//!
//! Place: made by applications, applied and asked for by the options of TCP; runs on any thread.

use std::io;
use std::time::Duration;

use socket2::SockRef;

/// When a connection on which nothing happens is probed, and when it is given up. What is left
/// open is the system's default, which is hours: 2 h, 75 s, 9 probes on Linux.
///
/// # Examples
///
/// ```no_run
/// # fn example(stream: &oneloop_net::TcpStream) -> std::io::Result<()> {
/// use std::time::Duration;
/// use oneloop_net::tcp::TcpKeepalive;
///
/// // A peer that vanished is noticed after 60 s + 3 x 10 s.
/// let keepalive = TcpKeepalive::new()
///     .with_time(Duration::from_secs(60))
///     .with_interval(Duration::from_secs(10))
///     .with_retries(3);
/// stream.set_tcp_keepalive(&keepalive)?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TcpKeepalive {
    time: Option<Duration>,
    interval: Option<Duration>,
    retries: Option<u32>,
}

impl TcpKeepalive {
    /// Leaves all values as they are.
    #[must_use]
    pub const fn new() -> Self {
        Self {
            time: None,
            interval: None,
            retries: None,
        }
    }

    /// The first probe is sent after so long without a packet from the peer (`TCP_KEEPIDLE`). Whole
    /// seconds, 1 to 32767; a fraction counts as a whole one.
    #[must_use]
    pub const fn with_time(self, time: Duration) -> Self {
        Self {
            time: Some(whole_seconds(time)),
            ..self
        }
    }

    /// Further probes are sent at this interval (`TCP_KEEPINTVL`). Whole seconds, 1 to 32767; a
    /// fraction counts as a whole one.
    #[must_use]
    pub const fn with_interval(self, interval: Duration) -> Self {
        Self {
            interval: Some(whole_seconds(interval)),
            ..self
        }
    }

    /// The connection fails with `TimedOut` after so many probes without an answer
    /// (`TCP_KEEPCNT`): 1 to 127.
    #[must_use]
    pub const fn with_retries(self, retries: u32) -> Self {
        Self {
            retries: Some(retries),
            ..self
        }
    }

    /// Time without a packet until the first probe, if it is set.
    #[must_use]
    pub const fn time(&self) -> Option<Duration> {
        self.time
    }

    /// Time between two probes, if it is set.
    #[must_use]
    pub const fn interval(&self) -> Option<Duration> {
        self.interval
    }

    /// Probes without an answer until the connection fails, if it is set.
    #[must_use]
    pub const fn retries(&self) -> Option<u32> {
        self.retries
    }

    pub(crate) fn apply(&self, socket: &SockRef<'_>) -> io::Result<()> {
        let mut keepalive = socket2::TcpKeepalive::new();
        if let Some(time) = self.time {
            keepalive = keepalive.with_time(time);
        }
        if let Some(interval) = self.interval {
            keepalive = keepalive.with_interval(interval);
        }
        if let Some(retries) = self.retries {
            keepalive = keepalive.with_retries(retries);
        }
        socket.set_tcp_keepalive(&keepalive)
    }

    pub(crate) fn of(socket: &SockRef<'_>) -> io::Result<Option<Self>> {
        if !socket.keepalive()? {
            return Ok(None);
        }
        Ok(Some(Self {
            time: Some(socket.tcp_keepalive_time()?),
            interval: Some(socket.tcp_keepalive_interval()?),
            retries: Some(socket.tcp_keepalive_retries()?),
        }))
    }
}

/// The kernel counts in seconds: a fraction would be cut, and zero is refused.
const fn whole_seconds(time: Duration) -> Duration {
    if time.subsec_nanos() == 0 {
        time
    } else {
        Duration::from_secs(time.as_secs().saturating_add(1))
    }
}
