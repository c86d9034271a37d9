//! Serving: an accept task on each loop, a task for each connection.
//!
//! Place: called by applications; the handler runs on the loop that serves the connection.
//!
//! # Invariants
//! - A handler's panic ends its own connection: the handler is called inside the connection's task.
//! - The accept tasks do not depend on the `Serving`: dropped, it detaches them, as a `JoinHandle`
//!   does.

use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use oneloop_runtime::runtime::Handle;
use oneloop_runtime::task::{JoinHandle, spawn_on_this_loop};

use super::bind::{Listeners, Stopper};
use super::group::LoopCounts;
use super::is_stopped_error;
use super::loop_listener::LoopListener;
use crate::tcp::TcpStream;

impl Listeners {
    /// Accepts on every loop and calls `handler` for each connection, on the loop that serves it,
    /// as a task of its own.
    ///
    /// The handler is cloned to every loop, so it is `Send`; its futures are made, polled and
    /// dropped on one loop and need not be. A panic ends the connection it happened in.
    ///
    /// # Errors
    ///
    /// Those of getsockname(2).
    pub fn serve<H, F>(self, handler: H) -> io::Result<Serving>
    where
        H: Fn(TcpStream, SocketAddr) -> F + Clone + Send + 'static,
        F: Future<Output = ()> + 'static,
    {
        let (local_addr, handle) = (self.local_addr()?, self.handle().clone());
        let (parts, stopper) = self.into_parts()?;
        // All before the first loop accepts: the panic of a clone leaves none that nobody can stop.
        let handlers = vec![handler; parts.len()];
        let accepting = parts.into_iter().zip(handlers).map(|(part, handler)| {
            handle.spawn_on(part.loop_id(), move || accept_all(part, handler))
        });
        Ok(Serving {
            local_addr,
            accepting: accepting.collect(),
            stopper,
            handle,
        })
    }
}

async fn accept_all<H, F>(mut part: LoopListener, handler: H) -> io::Result<()>
where
    H: Fn(TcpStream, SocketAddr) -> F + 'static,
    F: Future<Output = ()> + 'static,
{
    // Not cloned here: what it shares with the other loops is left alone for each connection, and a
    // panic of its clone would end the accepting.
    let handler = Rc::new(handler);
    loop {
        match part.accept().await {
            Ok((stream, peer)) => {
                let (occupancy, handler) = (part.occupy(), Rc::clone(&handler));
                drop(spawn_on_this_loop(async move {
                    let _occupancy = occupancy;
                    handler(stream, peer).await;
                }));
            }
            Err(error) if is_stopped_error(&error) => return Ok(()),
            Err(error) => {
                // Half of the loops would serve half of the clients.
                part.group().stop();
                return Err(error);
            }
        }
    }
}

/// Listeners that serve. Dropping it leaves them serving until the runtime ends.
#[derive(Debug)]
pub struct Serving {
    pub(super) local_addr: SocketAddr,
    pub(super) accepting: Vec<JoinHandle<io::Result<()>>>,
    pub(super) stopper: Stopper,
    pub(super) handle: Handle,
}

impl Serving {
    /// The address that clients connect to.
    #[must_use]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// What each loop has done, in the order of
    /// [`Handle::loop_ids`](oneloop_runtime::runtime::Handle::loop_ids).
    #[must_use]
    pub fn counts(&self) -> Vec<LoopCounts> {
        self.stopper.counts()
    }

    /// Ends the accepting, after what waits in the kernel's queue; connections go on. See
    /// [`Stopper::stop`].
    pub fn stop(&self) {
        self.stopper.stop();
    }

    /// What stops the listeners from elsewhere, while this waits in [`join`](Self::join).
    #[must_use]
    pub fn stopper(&self) -> Stopper {
        self.stopper.clone()
    }

    /// Waits until every loop has ended its accepting: after a [stop](Self::stop), or when the
    /// runtime shuts down. Connections may go on.
    ///
    /// # Errors
    ///
    /// The first of the loops' errors; what stops one loop stops all. If the runtime has shut
    /// down, an error that
    /// [`is_shutdown_error`](oneloop_runtime::runtime::is_shutdown_error) knows.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves the listeners serving.
    pub async fn join(self) -> io::Result<()> {
        let mut result = Ok(());
        for accepting in self.accepting {
            let ended = match accepting.await {
                Ok(ended) => ended,
                Err(_) if self.handle.is_shut_down() => self.handle.check_running(),
                Err(error) => Err(error.into()),
            };
            result = result.and(ended);
        }
        result
    }
}
