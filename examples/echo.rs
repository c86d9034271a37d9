//! An echo server: one listener, one task for each connection, all loops.
//!
//! ```text
//! cargo run --release --example echo
//! nc 127.0.0.1 7777            # in another terminal: what you type comes back
//! cargo run --release --example echo -- --bench 5
//! cargo run --release --example echo -- --bench 5 --size 65536 --leases
//! ```
//!
//! The accepting task spawns the others, and placement spreads them over the loops.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::io;
use std::net::SocketAddr;

use common::arguments::Arguments;
use common::drive::{Drive, drive};
use oneloop::net::{TcpListener, TcpStream};

const USAGE: &str = "echo [--addr 127.0.0.1:7777] [--loops N] [--leases] \
                     [--bench SECONDS [--connections 100] [--size 64]]";

fn main() {
    let arguments = Arguments::read(USAGE);
    arguments.end(run(&arguments));
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let addr: SocketAddr = arguments.value("--addr");
    let leases = arguments.has("--leases");
    let bench = Drive::asked_for(arguments);
    let runtime = arguments.runtime();
    let listener = runtime.block_on(TcpListener::bind(addr))?;
    let addr = listener.local_addr()?;
    let loops = runtime.metrics().num_workers();
    println!(
        "echo on {addr} with {loops} loops; try: nc {} {}",
        addr.ip(),
        addr.port()
    );

    // On a worker, so that accepting needs no thread of its own.
    let server = runtime.spawn(serve(listener, leases));
    match bench {
        None => runtime.block_on(server)?,
        Some(bench) => drive(&bench, addr),
    }
}

async fn serve(listener: TcpListener, leases: bool) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        // Detached: the connection lives until its peer ends it.
        drop(oneloop::spawn(async move {
            // An error ends this connection; its peer knows already.
            let _ = match leases {
                true => echo_leases(stream).await,
                false => echo(stream).await,
            };
        }));
    }
}

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; 4096];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return stream.shutdown().await,
            n => stream.write_all(&buffer[..n]).await?,
        }
    }
}

/// As `echo`, with buffers of the loop: a connection that says nothing holds none.
async fn echo_leases(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let lease = stream.read_lease().await?;
        if lease.is_empty() {
            return stream.shutdown().await;
        }
        stream.write_all_lease(lease).await?;
    }
}
