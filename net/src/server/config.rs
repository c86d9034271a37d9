//! How a server is configured.
//!
//! Place: used by applications before a server begins.

use std::io;
use std::net;
use std::time::Duration;

use super::accepting::{adopt, bind};
use super::connection::Connection;
use super::handle::ServerHandle;
use super::shared::Shared;
use crate::addr::ToSocketAddrs;
use crate::listeners::AcceptPolicy;

/// Connections that a server serves at once by default.
pub const MAX_CONNECTIONS_DEFAULT: usize = 10_000;

/// A limit that is looked at more often would keep its loop busy.
const TIMEOUT_MIN: Duration = Duration::from_millis(1);

/// What a server does about a new connection when it has as many as it may have.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum OverloadPolicy {
    /// Accepts no more until one has ended. Clients wait in the kernel's queue; each loop holds one
    /// of them in its hand.
    #[default]
    Pause,
    /// Accepts and closes at once, so that clients know.
    Reject {
        /// Sent before the close, as far as the socket takes it without waiting. Empty for none.
        farewell: Vec<u8>,
    },
    /// Closes the connection that has been idle for the longest, among those of the accepting loop,
    /// or of another loop if that has none. If all are busy, it is as with `Pause`.
    ShedIdle,
}

/// A server, configured and not yet listening. Made by [`Server::builder`].
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
/// use oneloop_net::server::{Connection, OverloadPolicy, Server, shutdown_signal};
///
/// # async fn example() -> std::io::Result<()> {
/// let stop = shutdown_signal();
/// let server = Server::builder()
///     .max_connections(1_000, OverloadPolicy::ShedIdle)
///     .idle_timeout(Duration::from_secs(60))
///     .serve("127.0.0.1:7777", |connection: Connection| async move {
///         let mut buf = [0; 1024];
///         loop {
///             match connection.read(&mut buf).await? {
///                 0 => return Ok::<(), std::io::Error>(()),
///                 n => connection.write_all(&buf[..n]).await?,
///             }
///         }
///     })
///     .await?;
/// stop.await?;
/// let report = server.drain(Duration::from_secs(5)).await;
/// println!("{report}");
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Server {
    config: Config,
}

/// Configures a [`Server`]. Each limit has a default, given at its method.
#[derive(Debug, Clone, Default)]
#[must_use = "a builder does nothing until it builds"]
pub struct ServerBuilder {
    config: Config,
}

/// The limits of a server.
#[derive(Debug, Clone)]
pub(super) struct Config {
    pub(super) accept_policy: AcceptPolicy,
    pub(super) connections_max: usize,
    pub(super) overload: OverloadPolicy,
    pub(super) idle_timeout: Option<Duration>,
    pub(super) read_timeout: Option<Duration>,
    pub(super) write_timeout: Option<Duration>,
    pub(super) memory_bytes_max: usize,
    pub(super) send_buffer_bytes: Option<usize>,
    pub(super) first_request_grace: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            accept_policy: AcceptPolicy::default(),
            connections_max: MAX_CONNECTIONS_DEFAULT,
            overload: OverloadPolicy::default(),
            idle_timeout: None,
            read_timeout: None,
            write_timeout: None,
            memory_bytes_max: usize::MAX,
            send_buffer_bytes: None,
            first_request_grace: Duration::ZERO,
        }
    }
}

impl ServerBuilder {
    /// Sets which loop serves a connection. Default: [`AcceptPolicy::LeastLoaded`].
    ///
    /// With [`AcceptPolicy::Kernel`] each loop has a listener of its own (`SO_REUSEPORT`), and the
    /// loops share nothing. It suits servers that accept very many short connections; a loop that is
    /// blocked by a task then keeps its share of the new clients waiting. With the others there is
    /// one listener that all loops accept from, and a blocked loop holds up no new client; with
    /// `PeerHash` and `Custom` it does hold up those that are meant for it.
    pub fn accept_policy(mut self, policy: AcceptPolicy) -> Self {
        self.config.accept_policy = policy;
        self
    }

    /// Limits the connections that are served at once, on all loops together, and says what happens
    /// to one more. Default: [`MAX_CONNECTIONS_DEFAULT`], [`OverloadPolicy::Pause`]. 0 counts as 1.
    pub fn max_connections(mut self, count: usize, policy: OverloadPolicy) -> Self {
        self.config.connections_max = count.max(1);
        self.config.overload = policy;
        self
    }

    /// Closes a connection that has been [idle](super::ConnectionState::Idle) for this long: no
    /// byte came or went, and its handler waits in a read. Default: none; at least a millisecond.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.config.idle_timeout = Some(limit.max(TIMEOUT_MIN));
        self
    }

    /// Limits the time in which a request has to arrive, however steadily its bytes come. It counts
    /// from the handler's first wait for more of it: a read that waits when that is over fails with
    /// `TimedOut`. Default: none; at least a millisecond.
    ///
    /// A request begins with the first byte that is read, or with
    /// [`request_guard`](Connection::request_guard). It ends when the guard is dropped; without
    /// guards, with the first byte that the handler writes. So a handler that only reads needs
    /// guards, or no such limit.
    pub fn read_timeout(mut self, limit: Duration) -> Self {
        self.config.read_timeout = Some(limit.max(TIMEOUT_MIN));
        self
    }

    /// Limits the time for which a write may wait without the peer taking a byte: it then fails
    /// with `TimedOut`. Default: none; at least a millisecond.
    pub fn write_timeout(mut self, limit: Duration) -> Self {
        self.config.write_timeout = Some(limit.max(TIMEOUT_MIN));
        self
    }

    /// Limits the bytes that handlers reserve for their buffers, on all loops together: see
    /// [`Connection::reserve`]. While somebody waits for room, no connection is accepted (but the one
    /// that each loop may be waiting for already) and no new request is read; requests that have
    /// begun go on, and so do connections that hold memory, because their end makes room. Default:
    /// none. 0 counts as 1.
    ///
    /// What is not reserved is not in it, and has limits of its own, which add up:
    /// - buffers of the runtime's pool, which leases are: the runtime's `buffer_bytes_max`, for each
    ///   loop. A handler that keeps leases while it waits reserves their bytes too, or uses buffers
    ///   of its own under a reservation;
    /// - the socket's memory in the kernel: [`send_buffer_bytes`](Self::send_buffer_bytes), for each
    ///   connection;
    /// - the tasks: [`max_connections`](Self::max_connections) times the size of the handler's
    ///   future.
    pub fn memory_cap(mut self, bytes: usize) -> Self {
        self.config.memory_bytes_max = bytes.max(1);
        self
    }

    /// Sets `SO_SNDBUF` of each connection: the bytes that the kernel takes from the handler before
    /// the peer has acknowledged them. Linux doubles the number, for what it needs around them, and
    /// has a limit (`net.core.wmem_max`). Default: none, the kernel finds the size itself.
    ///
    /// On Linux that grows to 4 MiB (`tcp_wmem`), 2.8 MB of which a peer that never reads has been
    /// seen to take: with 1,000 of them the machine is out of memory for sockets, and every
    /// connection suffers. So a server with strangers as peers and a [`memory_cap`](Self::memory_cap)
    /// sets this. The price is speed over long distances, no more than this number in a round trip:
    /// 64 KiB at 100 ms are about 1 MB/s or less. That is why a memory cap alone does not set it.
    pub fn send_buffer_bytes(mut self, bytes: usize) -> Self {
        self.config.send_buffer_bytes = Some(bytes);
        self
    }

    /// Lets a drain wait this long, from its beginning, for the first byte of connections that have
    /// not sent any: their clients may not know how to try again, as they do with a connection that
    /// they have used before. For servers whose successor listens already. Default: none, they are
    /// closed at once as all idle ones are.
    pub fn first_request_grace(mut self, time: Duration) -> Self {
        self.config.first_request_grace = time;
        self
    }

    /// Builds the server, which does not listen yet.
    #[must_use]
    pub fn build(self) -> Server {
        Server {
            config: self.config,
        }
    }

    /// As [`build`](Self::build) and [`Server::serve`].
    ///
    /// # Errors
    ///
    /// As [`Server::serve`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`Server::serve`].
    pub async fn serve<A, H, F>(self, addr: A, handler: H) -> io::Result<ServerHandle>
    where
        A: ToSocketAddrs,
        H: Fn(Connection) -> F + Clone + Send + 'static,
        F: Future<Output: Outcome> + 'static,
    {
        self.build().serve(addr, handler).await
    }

    /// As [`build`](Self::build) and [`Server::serve_listeners`].
    ///
    /// # Errors
    ///
    /// As [`Server::serve_listeners`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn serve_listeners<H, F>(
        self,
        listeners: Vec<net::TcpListener>,
        handler: H,
    ) -> io::Result<ServerHandle>
    where
        H: Fn(Connection) -> F + Clone + Send + 'static,
        F: Future<Output: Outcome> + 'static,
    {
        self.build().serve_listeners(listeners, handler)
    }
}

impl Server {
    /// Begins to configure a server.
    pub fn builder() -> ServerBuilder {
        ServerBuilder::default()
    }

    /// Listens on an address and serves on every loop of the runtime. Which loop serves a connection
    /// is up to the [`accept_policy`](ServerBuilder::accept_policy).
    ///
    /// For each connection `handler` is called on the loop that serves it, and its future stays
    /// there: it need not be `Send`. The connection ends when the future does. A panic ends that
    /// connection only.
    ///
    /// The server goes on when the handle is dropped, until [`ServerHandle::drain`] or the end of
    /// the runtime. On a current-thread runtime it lives while the `block_on` lasts that drives the
    /// loop.
    ///
    /// # Errors
    ///
    /// As [`TcpListener::bind`](crate::TcpListener::bind).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing listens unless the future completes.
    pub async fn serve<A, H, F>(&self, addr: A, handler: H) -> io::Result<ServerHandle>
    where
        A: ToSocketAddrs,
        H: Fn(Connection) -> F + Clone + Send + 'static,
        F: Future<Output: Outcome> + 'static,
    {
        let listeners = bind(addr, &self.config.accept_policy).await?;
        Shared::start(self.config.clone(), listeners, handler)
    }

    /// Serves connections of listeners that are there already: those of a service manager
    /// ([`inherited_listeners`](super::inherited_listeners)), those of a predecessor
    /// ([`receive_listeners`](super::receive_listeners)), or with options of one's own.
    ///
    /// Every loop accepts from all of them, except with [`AcceptPolicy::Kernel`]: then they are dealt
    /// out to the loops in turn, and several loops accept from one if there are fewer. A policy
    /// counts the connections of each listener by themselves. The rest is as with
    /// [`serve`](Self::serve).
    ///
    /// # Errors
    ///
    /// `InvalidInput` without a listener; if a listener cannot be set to non-blocking mode.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    pub fn serve_listeners<H, F>(
        &self,
        listeners: Vec<net::TcpListener>,
        handler: H,
    ) -> io::Result<ServerHandle>
    where
        H: Fn(Connection) -> F + Clone + Send + 'static,
        F: Future<Output: Outcome> + 'static,
    {
        if listeners.is_empty() {
            let problem = "a server needs at least one listener";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, problem));
        }
        let listeners = adopt(listeners, &self.config.accept_policy)?;
        Shared::start(self.config.clone(), listeners, handler)
    }
}

/// What the future of a handler gives: `()`, or a `Result<(), E>` whose errors are counted.
pub trait Outcome {
    /// Whether the handler ended with success.
    fn is_success(&self) -> bool;
}

impl Outcome for () {
    fn is_success(&self) -> bool {
        true
    }
}

impl<E> Outcome for Result<(), E> {
    fn is_success(&self) -> bool {
        self.is_ok()
    }
}
