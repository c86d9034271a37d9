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
use oneloop::net::server::{Connection, OverloadPolicy, Server, shutdown_signal};

/// Connections that are served at once; for one more, the one that is idle the longest is closed.
const CONNECTIONS_MAX: usize = 10_000;
/// How long a connection may wait for its next request.
const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How long the head of a request may take from its first byte on.
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
    arguments.end(runtime.block_on(run(addr, root, keep_bytes_max)));
}

async fn run(addr: SocketAddr, root: PathBuf, keep_bytes_max: u64) -> io::Result<()> {
    let shown = root.display().to_string();
    let handler = move |connection: Connection| {
        let site = || Rc::new(Site::new(root.clone(), keep_bytes_max));
        let site = SITE.with(|own| Rc::clone(own.get_or_init(site)));
        connection::serve(connection, site)
    };
    let server = Server::builder()
        .max_connections(CONNECTIONS_MAX, OverloadPolicy::ShedIdle)
        .idle_timeout(IDLE_TIMEOUT)
        .read_timeout(HEAD_TIMEOUT)
        .write_timeout(WRITE_TIMEOUT)
        .serve(addr, handler)
        .await?;
    println!("httpd on {}, serves {shown}", server.local_addr());
    shutdown_signal().await?;
    println!("{}", server.drain(GRACE).await);
    Ok(())
}
