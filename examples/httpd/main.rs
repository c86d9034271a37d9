//! A server of static files over HTTP/1.1, on every loop.
//!
//! ```text
//! cargo run --release --example httpd -- --root target/doc --addr 0.0.0.0:8080
//! curl http://127.0.0.1:8080/oneloop/index.html
//! ```
//!
//! ```text
//!  bytes --> request.rs --> answer.rs --> bytes      connection.rs: reads, writes, sends files
//!                              |
//!                 files.rs: what the loop has open, looked at anew once a second
//!                              |
//!                 target.rs: which file a request means
//! ```
//!
//! GET and HEAD, connections that stay, pipelining, `If-Modified-Since`; `index.html` for folders.
//! Names that begin with a dot are not served (but `.well-known`), and no path leads above the root;
//! symbolic links are followed. There are no ranges, no compression and no lists of folders.
//!
//! A connection never leaves its loop, so what is open is plain memory of the loop. Files up to
//! `--keep-bytes` are kept in memory, and an answer is one write; larger ones are sent by the kernel
//! (sendfile). An idle connection has no buffer: each loop reads into one that all of its connections
//! share. Ctrl-C or SIGTERM ends the server after the requests in flight.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod answer;
#[path = "../common/mod.rs"]
mod common;
mod connection;
mod files;
mod request;
mod target;

use std::cell::OnceCell;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::Duration;

use common::arguments::Arguments;
use connection::Site;
use files::DESCRIPTORS_MAX;
use oneloop::net::server::{Connection, OverloadPolicy, Server, shutdown_signal};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Connections that are served at once, if there are descriptors for them; for one more, the one
/// that is idle the longest is closed.
const CONNECTIONS_MAX: usize = 10_000;
/// Descriptors of one connection: its own, and that of the file that is sent.
const CONNECTION_DESCRIPTORS: usize = 2;
/// Descriptors that are neither a connection's nor a file's: those of the loops, the listener, files
/// that are being looked at.
const OTHER_DESCRIPTORS: usize = 64;
/// How long a connection may wait for its next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the head of a request may take after its first packet.
const HEAD_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a client may take no byte of its answer.
const WRITE_TIMEOUT: Duration = Duration::from_secs(30);
/// How long requests in flight may take after the signal.
const GRACE: Duration = Duration::from_secs(10);

const USAGE: &str = "httpd --root PATH [--addr 127.0.0.1:8080] [--loops N] [--keep-bytes 16384]";

thread_local! {
    /// What the connections of this loop share.
    static SITE: OnceCell<Rc<Site>> = const { OnceCell::new() };
}

fn main() {
    let arguments = Arguments::read(USAGE);
    let root: PathBuf = arguments.required("--root");
    let addr: SocketAddr = arguments.value("--addr");
    let keep_bytes_max: u64 = arguments.value("--keep-bytes");
    // Fails now rather than at every request.
    let root = root.canonicalize().unwrap_or_else(|error| {
        arguments.refuse(&format!("--root {}: {error}", root.display()));
    });
    if !root.is_dir() {
        arguments.refuse(&format!("--root {}: not a folder", root.display()));
    }
    let runtime = arguments.runtime();
    let loops = runtime.metrics().num_workers();
    let connections_max = connections_max(allow_descriptors(), loops);
    arguments.end(runtime.block_on(run(addr, root, keep_bytes_max, connections_max)));
}

/// Lets the process open as many descriptors as the system lets it. How many those are.
fn allow_descriptors() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        ..limit
    };
    let allowed = match setrlimit(Resource::Nofile, wanted) {
        Ok(()) => limit.maximum,
        // It serves fewer connections then.
        Err(_) => limit.current,
    };
    allowed.unwrap_or(u64::MAX)
}

/// Connections that so many descriptors are enough for, beside the files that the loops have open.
fn connections_max(descriptors: u64, loops: usize) -> usize {
    let descriptors = usize::try_from(descriptors).unwrap_or(usize::MAX);
    let others = loops * DESCRIPTORS_MAX + OTHER_DESCRIPTORS;
    let connections = descriptors.saturating_sub(others) / CONNECTION_DESCRIPTORS;
    connections.clamp(1, CONNECTIONS_MAX)
}

async fn run(
    addr: SocketAddr,
    root: PathBuf,
    keep_bytes_max: u64,
    connections_max: usize,
) -> io::Result<()> {
    // Before a client can come: it may need the last descriptors.
    let stop = shutdown_signal();
    let shown = root.display().to_string();
    let handler = move |connection: Connection| {
        let site = || Rc::new(Site::new(root.clone(), keep_bytes_max));
        let site = SITE.with(|own| Rc::clone(own.get_or_init(site)));
        connection::serve(connection, site)
    };
    let server = Server::builder()
        .max_connections(connections_max, OverloadPolicy::ShedIdle)
        .idle_timeout(IDLE_TIMEOUT)
        .read_timeout(HEAD_TIMEOUT)
        .write_timeout(WRITE_TIMEOUT)
        .serve(addr, handler)
        .await?;
    println!("httpd on {}, serves {shown}", server.local_addr());
    stop.await?;
    println!("{}", server.drain(GRACE).await);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_are_as_many_as_there_are_descriptors_for() {
        assert_eq!(connections_max(u64::MAX, 4), CONNECTIONS_MAX);
        assert_eq!(connections_max(4096, 2), 1760);
        assert_eq!(connections_max(64, 2), 1);
    }
}
