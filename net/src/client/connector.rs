//! How a client connects: names, both families, a limit of time, and again if it failed.
//!
//! Place: called by tasks and by `pool`, calls `lookup`, `race` and `retry`; runs where its task is
//! polled.

use std::io;
use std::time::Duration;

use oneloop_runtime::time::timeout;

use super::race::race;
use super::retry::RetryPolicy;
use crate::addr::{self, ToSocketAddrs};
use crate::{TcpStream, lookup};

/// Default of [`Connector::connection_attempt_delay`] (RFC 8305, section 5).
pub const CONNECTION_ATTEMPT_DELAY: Duration = Duration::from_millis(250);
/// The least that [`Connector::connection_attempt_delay`] takes.
pub const CONNECTION_ATTEMPT_DELAY_MIN: Duration = Duration::from_millis(10);
/// The most that [`Connector::connection_attempt_delay`] takes.
pub const CONNECTION_ATTEMPT_DELAY_MAX: Duration = Duration::from_secs(2);

/// Connects with the defaults of [`Connector`].
///
/// # Errors
///
/// As [`Connector::connect`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// As [`Connector::connect`].
pub async fn connect_any<A: ToSocketAddrs>(addr: A) -> io::Result<TcpStream> {
    Connector::new().connect(addr).await
}

/// Connects with the defaults of [`Connector`], and again as `policy` says.
///
/// # Errors
///
/// As [`Connector::connect_with`].
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// As [`Connector::connect`].
pub async fn connect_with<A: ToSocketAddrs>(addr: A, policy: RetryPolicy) -> io::Result<TcpStream> {
    Connector::new().connect_with(addr, &policy).await
}

/// How to connect to a name that may have many addresses, of both families.
///
/// The attempts run beside each other as RFC 8305 ("happy eyeballs") describes: the families take
/// turns, each address begins a delay after the one before or as soon as one fails, the first
/// connection wins and the other attempts are closed.
/// [`TcpStream::connect`] tries one address after the other instead, and waits for each.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use std::time::Duration;
/// use oneloop_net::client::Connector;
///
/// let connector = Connector::new().connect_timeout(Duration::from_secs(5));
/// let stream = connector.connect("example.org:80").await?;
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Connector {
    attempt_delay: Duration,
    connect_timeout: Option<Duration>,
}

impl Default for Connector {
    fn default() -> Self {
        Self::new()
    }
}

impl Connector {
    /// A connector with a delay of [`CONNECTION_ATTEMPT_DELAY`] and no limit of time but the
    /// system's.
    pub const fn new() -> Self {
        Self {
            attempt_delay: CONNECTION_ATTEMPT_DELAY,
            connect_timeout: None,
        }
    }

    /// How long the next address waits for those before it. Default: 250 ms; less than 10 ms or
    /// more than 2 s count as that.
    pub fn connection_attempt_delay(mut self, delay: Duration) -> Self {
        self.attempt_delay =
            delay.clamp(CONNECTION_ATTEMPT_DELAY_MIN, CONNECTION_ATTEMPT_DELAY_MAX);
        self
    }

    /// The limit of time on one [`connect`](Self::connect), lookup and all attempts together.
    /// Default: none.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = Some(limit);
        self
    }

    /// Connects.
    ///
    /// # Errors
    ///
    /// `TimedOut` at the connector's limit of time. Otherwise, when all addresses have failed, the
    /// error of the one that failed last, where an address without a route from this machine counts
    /// only if there is no other error. Those of [`lookup_host`](crate::lookup_host).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, all attempts are given up and their sockets closed.
    pub async fn connect<A: ToSocketAddrs>(&self, addr: A) -> io::Result<TcpStream> {
        let connecting = self.connect_unlimited(addr);
        match self.connect_timeout {
            None => connecting.await,
            Some(limit) => timeout(limit, connecting)
                .await
                .unwrap_or_else(|_elapsed| Err(no_answer())),
        }
    }

    async fn connect_unlimited<A: ToSocketAddrs>(&self, addr: A) -> io::Result<TcpStream> {
        let addresses: Vec<_> = addr::resolve(addr).await?.collect();
        if addresses.is_empty() {
            return Err(lookup::no_address());
        }
        race(addresses, self.attempt_delay).await
    }

    /// Connects, and after a failure waits and tries again as `policy` says. The name is looked up
    /// for each try.
    ///
    /// # Errors
    ///
    /// As [`RetryPolicy::run`], of [`connect`](Self::connect).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`connect`](Self::connect).
    pub async fn connect_with<A: ToSocketAddrs>(
        &self,
        addr: A,
        policy: &RetryPolicy,
    ) -> io::Result<TcpStream> {
        policy.run(|| self.connect(&addr)).await
    }
}

fn no_answer() -> io::Error {
    io::Error::new(
        io::ErrorKind::TimedOut,
        "no address answered within the connect timeout",
    )
}
