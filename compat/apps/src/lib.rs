//! What the applications share.

pub mod greeter;

use std::io;
use std::net::SocketAddr;

use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

/// A program that was meant to run on the drop-in and does not fails to build.
#[cfg(feature = "oneloop")]
const _: () = tokio::ONELOOP;

/// Binds to a port that the system chooses, and tells it to who started the program.
///
/// # Errors
///
/// Those of the system.
pub async fn listen() -> io::Result<TcpListener> {
    let listener = TcpListener::bind(SocketAddr::from(([127, 0, 0, 1], 0))).await?;
    println!("{}", listener.local_addr()?);
    Ok(listener)
}

/// Waits until the program is asked to end.
pub async fn asked_to_end() {
    let mut terminate = signal(SignalKind::terminate()).expect("SIGTERM can be caught");
    terminate.recv().await;
}

/// Spans and events go to the standard error.
pub fn trace() {
    tracing_subscriber::fmt().with_writer(io::stderr).init();
}
