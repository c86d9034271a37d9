//! Connections that are kept for the next exchange, on each loop its own.
//!
//! Place: called by tasks, calls `Connector` and the runtime's local tasks; runs on the loop of the
//! task that asks.
//!
//! ```text
//!            Pool (Send, shared)                    settings, and who has a part of it
//!        loop 0 |        loop 1 |
//!        +------+------+ +------+------+
//!        | State       | | State       |            plain memory of the loop: state
//!        | its reaper  | | its reaper  |            local task: reaper
//!        +------+------+ +-------------+
//!               | get                 ^
//!               v                     |  dropped on another thread: a message (home)
//!        PooledStream ----------------+             checkout, stream
//! ```
//!
//! # Invariants
//! - A connection, a connect that is under way and the turn of a waiter each hold one slot, and
//!   there are never more than `max_connections` on a loop. Kept by `slot::Slot`.
//! - Who waits is served in the order of asking: nobody gets a slot past a waiter.
//! - A part of the pool ends with its loop: the reaper, a local task, owns it.
//!
//! # Why it is so
//! A task stays on its loop, so a connection that a task of this loop has used is best given to
//! another one of this loop: no lock, no wake-up of another thread, and the registration with the
//! reactor stays. The price is that limits count for each loop, and that one loop may connect
//! while another has a connection idle. A future of `get` may be `Send` all the same: it holds
//! no reference into the loop's memory, and finds it through a local of the thread.

mod checkout;
mod home;
mod reaper;
mod slot;
mod state;
mod stream;

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

pub use state::PoolStats;
pub use stream::PooledStream;

use oneloop_runtime::time::Instant;

use super::Connector;
use crate::TcpStream;
use crate::addr::ToSocketAddrs;
use home::Home;
use state::Idle;

/// A pool of connections to one address, on each loop its own.
///
/// A connection goes back to the pool only if its user said, with
/// [`set_reusable`](PooledStream::set_reusable), that the exchange on it is complete. One that is
/// dropped for any other reason (an error, a cancelled request) is closed.
///
/// Cloning is cheap. When the last clone is dropped, idle connections are closed, and those in use
/// are when they come back.
///
/// # Threads
///
/// Any. A loop's part of the pool is made when a task of that loop first asks for a connection, and
/// ends with the loop: for `block_on`, when it returns.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// use oneloop_net::client::Pool;
///
/// let pool = Pool::builder("127.0.0.1:6379").max_connections(4).build();
/// let mut connection = pool.get().await?;
/// connection.write_all(b"PING\r\n").await?;
/// let mut answer = [0; 7];
/// connection.read_exact(&mut answer).await?;
/// connection.set_reusable(true);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Pool {
    handles: Arc<Handles>,
}

/// What all clones of a pool are. Dropped with the last of them.
#[derive(Debug)]
struct Handles {
    shared: Arc<Shared>,
}

impl Drop for Handles {
    fn drop(&mut self) {
        let homes = std::mem::take(&mut *self.shared.homes());
        homes.iter().for_each(|home| home.end());
    }
}

/// What all loops know of a pool.
struct Shared {
    /// No other pool of the process has it.
    id: u64,
    settings: Settings,
    /// The loops that have a part of the pool. Locked when a part begins or ends.
    homes: Mutex<Vec<Arc<Home>>>,
}

impl Shared {
    fn homes(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Home>>> {
        self.homes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings = &self.settings;
        f.debug_struct("Pool")
            .field("max_connections", &settings.max_connections)
            .field("max_idle", &settings.max_idle)
            .field("ages", &settings.ages)
            .field("max_waiting", &settings.max_waiting)
            .finish_non_exhaustive()
    }
}

struct Settings {
    address: Box<dyn ToSocketAddrs + Send + Sync>,
    connector: Connector,
    max_connections: usize,
    max_idle: usize,
    ages: Ages,
    max_waiting: usize,
    ping: Option<Ping>,
}

/// How old a connection may become.
#[derive(Debug, Default, Clone, Copy)]
struct Ages {
    idle_timeout: Duration,
    max_lifetime: Option<Duration>,
}

impl Ages {
    /// When a connection is closed if nobody uses it. A limit that the clock cannot represent is
    /// none.
    fn end_of(self, idle: &Idle) -> Option<Instant> {
        let end = idle.since.checked_add(self.idle_timeout);
        end.into_iter().chain(self.end_of_life(idle)).min()
    }

    fn end_of_life(self, idle: &Idle) -> Option<Instant> {
        idle.made.checked_add(self.max_lifetime?)
    }
}

type Pinging = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// The application's question whether a connection works.
struct Ping {
    after: Duration,
    limit: Duration,
    ask: Box<dyn Fn(TcpStream) -> Pinging + Send + Sync>,
}

/// Configures a [`Pool`]. Made by [`Pool::builder`].
#[must_use]
pub struct PoolBuilder(Settings);

impl PoolBuilder {
    /// How to connect. Default: a [`Connector`] with a timeout of 10 s.
    pub fn connector(mut self, connector: Connector) -> Self {
        self.0.connector = connector;
        self
    }

    /// How many connections each loop has at most, idle ones and those being made included.
    /// Default: 64; none counts as one.
    pub fn max_connections(mut self, count: usize) -> Self {
        self.0.max_connections = count.max(1);
        self
    }

    /// How many idle connections each loop keeps at most. One more closes the one that has been
    /// idle for longest. Default: 16; with 0 no connection is used twice, unless somebody waits
    /// for it.
    pub fn max_idle(mut self, count: usize) -> Self {
        self.0.max_idle = count;
        self
    }

    /// After what time an idle connection is closed. Default: 90 s. Make it shorter than the
    /// server's own limit.
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.0.ages.idle_timeout = limit;
        self
    }

    /// After what time since it was made a connection is not used again. Default: no limit. For
    /// addresses whose machines change, and for servers that limit it themselves.
    ///
    /// An idle connection is closed at that time, one in use when it comes back: an exchange is
    /// never cut.
    pub fn max_lifetime(mut self, limit: Duration) -> Self {
        self.0.ages.max_lifetime = Some(limit);
        self
    }

    /// How many tasks of each loop may wait for a connection at once. Default: 1024.
    pub fn max_waiting(mut self, count: usize) -> Self {
        self.0.max_waiting = count;
        self
    }

    /// Asks the server, before a connection that was idle for at least `after` is used again.
    ///
    /// `ask` gets the connection and gives it back if the answer was right. On an error, or
    /// without an answer within `limit`, it is closed and another one taken or made. Every
    /// connection is looked at without a question in any case: see [`Pool::get`].
    pub fn ping<F, Fut>(mut self, after: Duration, limit: Duration, ask: F) -> Self
    where
        F: Fn(TcpStream) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = io::Result<TcpStream>> + Send + 'static,
    {
        self.0.ping = Some(Ping {
            after,
            limit,
            ask: Box::new(move |stream| Box::pin(ask(stream))),
        });
        self
    }

    /// Makes the pool. Nothing is connected yet.
    #[must_use]
    pub fn build(self) -> Pool {
        static IDS: AtomicU64 = AtomicU64::new(0);
        let shared = Shared {
            id: IDS.fetch_add(1, Relaxed),
            settings: self.0,
            homes: Mutex::new(Vec::new()),
        };
        Pool {
            handles: Arc::new(Handles {
                shared: Arc::new(shared),
            }),
        }
    }
}

impl fmt::Debug for PoolBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder").finish_non_exhaustive()
    }
}

impl Pool {
    /// Configures a pool of connections to `addr`, which is looked up for each connect.
    pub fn builder<A: ToSocketAddrs + Send + Sync + 'static>(addr: A) -> PoolBuilder {
        PoolBuilder(Settings {
            address: Box::new(addr),
            connector: Connector::new().connect_timeout(CONNECT_TIMEOUT),
            max_connections: 64,
            max_idle: 16,
            ages: Ages {
                idle_timeout: Duration::from_secs(90),
                max_lifetime: None,
            },
            max_waiting: 1024,
            ping: None,
        })
    }

    /// What the pool has on this loop now, and did so far. Zeros where it has no part.
    #[must_use]
    pub fn stats(&self) -> PoolStats {
        home::find(&self.handles.shared)
            .and_then(|home| home::with_state(&home, |state| state.stats()))
            .unwrap_or_default()
    }
}

/// The limit of time on a connect of a pool whose builder says nothing of it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
