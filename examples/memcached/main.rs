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
#![allow(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "an example talks to a person"
)]

mod connection;
mod lru;
mod protocol;
mod store;

use std::io;
use std::net::SocketAddr;
use std::process::exit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use oneloop::net::{TcpListener, TcpStream};
use oneloop::runtime::Builder;

use store::Store;

/// How many connections there are at most. One more is told so and closed.
const CONNECTIONS_MAX: usize = 1024;

struct Options {
    addr: SocketAddr,
    loops: Option<usize>,
    memory_mib: usize,
}

fn main() {
    let options = match Options::from_arguments() {
        Ok(options) => options,
        Err(problem) => {
            eprintln!(
                "memcached: {problem}\nusage: memcached [--addr 127.0.0.1:11211] [--loops N] \
                 [--memory-mib 64]"
            );
            exit(2);
        }
    };
    let mut builder = Builder::new_multi_thread();
    if let Some(loops) = options.loops {
        builder.worker_threads(loops);
    }
    let served = builder
        .build()
        .and_then(|runtime| runtime.block_on(serve(&options)));
    if let Err(error) = served {
        eprintln!("memcached: {error}");
        exit(1);
    }
}

impl Options {
    fn from_arguments() -> Result<Self, String> {
        let mut options = Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 11211)),
            loops: None,
            memory_mib: 64,
        };
        let mut arguments = std::env::args().skip(1);
        while let Some(flag) = arguments.next() {
            let value = arguments.next().unwrap_or_default();
            let number = value.parse().ok().filter(|&number: &usize| number > 0);
            let number = number.ok_or_else(|| format!("{flag}: {value:?} is no number above 0"));
            match flag.as_str() {
                "--addr" => {
                    let parsed = value.parse();
                    options.addr = parsed.map_err(|_| format!("{value:?} is no IP:PORT"))?;
                }
                "--loops" => options.loops = Some(number?),
                "--memory-mib" => options.memory_mib = number?,
                _ => return Err(format!("unknown option {flag:?}")),
            }
        }
        Ok(options)
    }
}

async fn serve(options: &Options) -> io::Result<()> {
    let listener = TcpListener::bind(options.addr).await?;
    println!(
        "memcached on {} with {} MiB",
        listener.local_addr()?,
        options.memory_mib
    );
    let store = Arc::new(Store::new(options.memory_mib << 20));
    let connections = Arc::new(AtomicUsize::new(0));
    loop {
        let (stream, _) = listener.accept().await?;
        if connections.load(Relaxed) >= CONNECTIONS_MAX {
            // It is closed either way.
            let _ = stream.try_write(b"ERROR Too many open connections\r\n");
            continue;
        }
        connections.fetch_add(1, Relaxed);
        let counted = Counted(Arc::clone(&connections));
        drop(oneloop::spawn(one(stream, Arc::clone(&store), counted)));
    }
}

async fn one(stream: TcpStream, store: Arc<Store>, _counted: Counted) {
    // An error ends this connection; its peer knows already.
    let _ = connection::serve(stream, &store).await;
}

/// A connection that is counted while it lives.
struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
