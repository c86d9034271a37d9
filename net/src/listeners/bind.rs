//! Binding listeners for all loops, and what can be said of them before they begin.
//!
//! Place: called by applications inside a runtime.

use std::fmt;
use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use oneloop_runtime::runtime::Handle;
use socket2::SockRef;

use super::group::{Desk, Group};
use super::loop_listener::LoopListener;
use super::policy::{AcceptPolicy, STUCK_AFTER};
use super::rebalance::Rebalance;
use crate::addr::{self, ToSocketAddrs};
use crate::tcp::TcpListener;
use crate::{lookup, sys};

/// Listeners on all loops of a runtime, bound and listening, not yet accepting.
///
/// Made by [`TcpListener::bind_per_loop`] and [`TcpListener::bind_balanced`]. Clients that connect
/// before [`serve`](Self::serve) wait in the kernel's queue.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// let serving = oneloop_net::TcpListener::bind_balanced("127.0.0.1:8080")
///     .await?
///     .serve(async |mut stream: oneloop_net::TcpStream, _peer| {
///         let mut buf = [0; 1024];
///         while let Ok(n @ 1..) = stream.read(&mut buf).await {
///             if stream.write_all(&buf[..n]).await.is_err() {
///                 break;
///             }
///         }
///     })?;
/// serving.join().await
/// # }
/// ```
pub struct Listeners {
    handle: Handle,
    /// One for each loop, or one for all.
    sockets: Vec<Arc<net::TcpListener>>,
    policy: AcceptPolicy,
    rescue_interval: Duration,
    backlog: u32,
    pub(super) rebalance: Rebalance,
    lingers: bool,
}

impl TcpListener {
    /// Binds a listener for each loop of the current runtime to one address.
    ///
    /// The kernel spreads the connections over them (`SO_REUSEPORT`, on Linux by a hash of both
    /// addresses), and the loops share nothing. A loop that is blocked by one of its tasks keeps
    /// its share of the clients waiting: [`bind_balanced`](Self::bind_balanced) does not. The
    /// policy is [`AcceptPolicy::Kernel`]. Port, `SO_REUSEADDR` and backlog are as with
    /// [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind): `AddrInUse` if somebody is bound to the port without
    /// `SO_REUSEPORT`, or as another user.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing is bound unless the future completes.
    pub async fn bind_per_loop<A: ToSocketAddrs>(addr: A) -> io::Result<Listeners> {
        let handle = Handle::current();
        let count = handle.loop_ids().len();
        let sockets = bind_first(addr, |address| bind_many(address, count)).await?;
        Ok(Listeners::new(handle, sockets, AcceptPolicy::Kernel))
    }

    /// Binds one listener that all loops of the current runtime accept from, each for whichever
    /// loop has time.
    ///
    /// A connection wakes one loop that sleeps. That loop compares its own load with two others',
    /// and hands the socket, which no loop has registered yet, to the better one:
    /// [`AcceptPolicy::LeastLoaded`], which [`with_policy`](Listeners::with_policy) changes. While
    /// a loop is blocked by a task, the others serve all new connections. Port, `SO_REUSEADDR` and
    /// backlog are as with [`bind`](Self::bind).
    ///
    /// # Errors
    ///
    /// As [`bind`](Self::bind).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Nothing is bound unless the future completes.
    pub async fn bind_balanced<A: ToSocketAddrs>(addr: A) -> io::Result<Listeners> {
        let handle = Handle::current();
        let sockets = bind_first(addr, |address| Ok(vec![bind_one(address, false)?])).await?;
        Ok(Listeners::new(handle, sockets, AcceptPolicy::LeastLoaded))
    }
}

impl Listeners {
    fn new(handle: Handle, sockets: Vec<net::TcpListener>, policy: AcceptPolicy) -> Self {
        Self {
            handle,
            sockets: sockets.into_iter().map(Arc::new).collect(),
            policy,
            rescue_interval: RESCUE_INTERVAL,
            backlog: TcpListener::DEFAULT_BACKLOG,
            rebalance: Rebalance::new(),
            lingers: false,
        }
    }

    /// Takes over a listener of the standard library, such as one that another process has handed
    /// over, as [`bind_balanced`](TcpListener::bind_balanced) would have made it. It must be
    /// listening already; it is set to non-blocking mode here.
    ///
    /// # Errors
    ///
    /// If the mode cannot be set.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    #[track_caller]
    pub fn from_std(listener: net::TcpListener) -> io::Result<Self> {
        Self::from_many(vec![listener], AcceptPolicy::LeastLoaded)
    }

    /// Takes over listeners, at least one. They are dealt out to the loops in turn, so those beyond
    /// the number of loops are not accepted from.
    #[track_caller]
    pub(crate) fn from_many(
        sockets: Vec<net::TcpListener>,
        policy: AcceptPolicy,
    ) -> io::Result<Self> {
        let handle = Handle::current();
        for socket in &sockets {
            socket.set_nonblocking(true)?;
        }
        let lingers = sockets.iter().any(sys::lingers);
        Ok(Self {
            lingers,
            // Whatever they were given: the system has no larger limit by far.
            backlog: u32::from(u16::MAX),
            ..Self::new(handle, sockets, policy)
        })
    }

    /// Sets which loop serves a connection.
    #[must_use]
    pub fn with_policy(self, policy: AcceptPolicy) -> Self {
        Self { policy, ..self }
    }

    /// Sets how many connections may wait in the kernel's queue: in each of the queues with
    /// [`bind_per_loop`](TcpListener::bind_per_loop). Default:
    /// [`TcpListener::DEFAULT_BACKLOG`]. The system may have a smaller limit.
    ///
    /// # Errors
    ///
    /// Those of listen(2).
    pub fn with_backlog(self, backlog: u32) -> io::Result<Self> {
        for socket in &self.sockets {
            listen(socket.as_fd(), backlog)?;
        }
        Ok(Self { backlog, ..self })
    }

    /// Sets how often each loop looks for connections that wait for a loop that stands still.
    /// Default: [`RESCUE_INTERVAL`]. `Duration::MAX` is never; less than [`STUCK_AFTER`] counts as
    /// that, since no loop is taken for one that stands still before that.
    ///
    /// It is what a client waits at most if its connection met a loop in the moment when that was
    /// blocked. No timer runs where there is nothing to look for: with one loop, and with separate
    /// sockets and a policy that does not go by load.
    #[must_use]
    pub fn with_rescue_interval(self, rescue_interval: Duration) -> Self {
        Self {
            rescue_interval: rescue_interval.max(STUCK_AFTER),
            ..self
        }
    }

    /// Sets how live connections are moved, for [`serve_movable`](Self::serve_movable).
    #[must_use]
    pub fn with_rebalance(self, rebalance: Rebalance) -> Self {
        Self { rebalance, ..self }
    }

    /// The address that the listeners are bound to, with the port that the system chose.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.sockets[0].local_addr()
    }

    /// The sockets: one for each loop, or one for all. For options, or to hand them to another
    /// process.
    pub fn sockets(&self) -> impl Iterator<Item = BorrowedFd<'_>> {
        self.sockets.iter().map(|socket| socket.as_fd())
    }

    /// The sockets, to have some of them later on as well: each listens until the last is dropped.
    pub(crate) fn shared_sockets(&self) -> &[Arc<net::TcpListener>] {
        &self.sockets
    }

    /// Gives out each loop's part, in the order of
    /// [`Handle::loop_ids`](oneloop_runtime::runtime::Handle::loop_ids): for servers with an accept
    /// loop of their own. Each part belongs on the loop it [names](LoopListener::loop_id). The parts
    /// are stopped together by [`Stopper::stop`].
    ///
    /// # Errors
    ///
    /// None now: see [`Source::new`](oneloop_runtime::io::Source::new).
    pub fn into_parts(self) -> io::Result<(Vec<LoopListener>, Stopper)> {
        let loop_ids = self.handle.loop_ids();
        let is_shared = self.sockets.len() < loop_ids.len();
        let group = Arc::new(Group {
            handle: self.handle.clone(),
            policy: self.policy,
            rescue_interval: self.rescue_interval,
            // Linux lets one more in than the backlog says.
            drain_max: self.backlog.saturating_add(1),
            desks: loop_ids.into_iter().map(Desk::new).collect(),
            turn: AtomicUsize::new(0),
            lingers: self.lingers,
        });
        let _entered = self.handle.enter();
        let mut parts = Vec::with_capacity(group.desks.len());
        for index in 0..group.desks.len() {
            let socket = Arc::clone(&self.sockets[index % self.sockets.len()]);
            parts.push(LoopListener::new(&group, index, socket, is_shared)?);
        }
        Ok((parts, Stopper { group }))
    }

    pub(super) fn handle(&self) -> &Handle {
        &self.handle
    }
}

impl fmt::Debug for Listeners {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listeners")
            .field("sockets", &self.sockets)
            .field("policy", &self.policy)
            .finish_non_exhaustive()
    }
}

/// Stops the parts of [`Listeners`], and tells what they have done. Clones stop the same ones.
#[derive(Debug, Clone)]
pub struct Stopper {
    group: Arc<Group>,
}

impl Stopper {
    /// Ends the accepting: each loop takes what waits in the kernel's queue and for itself, and then
    /// closes its socket. A client that connects in the moment between is reset; a flood of them
    /// does not hold the end up, since no more is taken than the queue may have held. While descriptors
    /// or memory are short and clients are in the queue, it waits for room.
    ///
    /// # Threads
    ///
    /// Any, at any time; more than once has no effect.
    pub fn stop(&self) {
        self.group.stop();
    }

    /// What each loop has done, in the order of
    /// [`Handle::loop_ids`](oneloop_runtime::runtime::Handle::loop_ids).
    #[must_use]
    pub fn counts(&self) -> Vec<super::LoopCounts> {
        self.group.desks.iter().map(Desk::snapshot).collect()
    }
}

/// Binds the first address that can be bound.
async fn bind_first<A: ToSocketAddrs>(
    addr: A,
    bind: impl Fn(SocketAddr) -> io::Result<Vec<net::TcpListener>>,
) -> io::Result<Vec<net::TcpListener>> {
    let mut last = None;
    for address in addr::resolve(addr).await? {
        match bind(address) {
            Ok(sockets) => return Ok(sockets),
            Err(error) => last = Some(error),
        }
    }
    Err(last.unwrap_or_else(lookup::no_address))
}

/// Binds as many sockets to one address. The first finds the port, if the system is to choose it.
fn bind_many(address: SocketAddr, count: usize) -> io::Result<Vec<net::TcpListener>> {
    let first = bind_one(address, true)?;
    let address = first.local_addr()?;
    let mut sockets = vec![first];
    while sockets.len() < count {
        sockets.push(bind_one(address, true)?);
    }
    Ok(sockets)
}

fn bind_one(address: SocketAddr, reuse_port: bool) -> io::Result<net::TcpListener> {
    let socket = sys::stream_socket(&address)?;
    let options = SockRef::from(&socket);
    options.set_reuse_address(true)?;
    if reuse_port {
        options.set_reuse_port(true)?;
    }
    options.bind(&address.into())?;
    listen(socket.as_fd(), TcpListener::DEFAULT_BACKLOG)?;
    Ok(net::TcpListener::from(socket))
}

fn listen(socket: BorrowedFd<'_>, backlog: u32) -> io::Result<()> {
    SockRef::from(&socket).listen(i32::try_from(backlog).unwrap_or(i32::MAX))
}

/// How often each loop looks for connections that wait for a loop that stands still.
pub const RESCUE_INTERVAL: Duration = Duration::from_millis(100);
