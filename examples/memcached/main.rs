//! A subset of memcached's text protocol, for any client of it:
//! get, gets, set, add, replace, append, prepend, cas, delete, incr, decr, touch, flush_all, stats,
//! version, verbosity, quit; `noreply` where it is allowed.
//!
//! ```text
//! cargo run --release --example memcached -- --addr 127.0.0.1:11211 --memory-mib 64
//! memcstat --servers=127.0.0.1:11211
//! ```
//!
//! The connections are spread over the loops; the items are in one table for the process, in shards
//! with a lock each.
//!
//! # Why it is so
//! To look an item up takes a fraction of a microsecond. Sent to a loop of its own it would take two
//! messages and two turns of loops, many times as long, and a `get` of ten keys would visit all of
//! them. A lock that is held for so short a time, and never across an await, is nearly always free.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

#[path = "../common/mod.rs"]
mod common;
mod connection;
mod lru;
mod protocol;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;

use common::arguments::Arguments;
use common::connections::Connections;
use oneloop::net::TcpListener;

use store::Store;

/// How many connections there are at most. One more is told so and closed.
const CONNECTIONS_MAX: usize = 1024;

fn main() {
    let arguments =
        Arguments::read("memcached [--addr 127.0.0.1:11211] [--loops N] [--memory-mib 64]");
    let addr: SocketAddr = arguments.value("--addr");
    let mib = arguments.number("--memory-mib");
    let Some(bytes_max) = mib.checked_mul(1 << 20) else {
        arguments.refuse(&format!(
            "--memory-mib {mib}: more bytes than there are addresses"
        ));
    };
    arguments.end(arguments.runtime().block_on(async {
        let listener = TcpListener::bind(addr).await?;
        println!("memcached on {} with {mib} MiB", listener.local_addr()?);
        let store = Arc::new(Store::new(bytes_max));
        let connections = Connections::at_most(CONNECTIONS_MAX);
        loop {
            let (stream, _) = listener.accept().await?;
            let Some(place) = connections.enter() else {
                let connections = connections.clone();
                drop(oneloop::spawn(async move {
                    let farewell = b"ERROR Too many open connections\r\n";
                    connections.turn_away(stream, farewell).await;
                }));
                continue;
            };
            let store = Arc::clone(&store);
            drop(oneloop::spawn(async move {
                // An error ends this connection; its peer knows already.
                let _ = connection::serve(stream, &store).await;
                drop(place);
            }));
        }
    }));
}
