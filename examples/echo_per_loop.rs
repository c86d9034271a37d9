//! An echo server with a listener on every loop: the kernel spreads the connections
//! (`SO_REUSEPORT`), and no connection ever meets another loop, so its task need not be `Send`.
//!
//! ```text
//! cargo run --release --example echo_per_loop
//! nc 127.0.0.1 7777
//! cargo run --release --example echo_per_loop -- --bench 5
//! cargo run --release --example echo_per_loop -- --bench 5 --size 65536 --leases
//! ```

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::io;
use std::net::SocketAddr;

use common::arguments::Arguments;
use common::drive::{Drive, drive};
use oneloop::net::listeners::Serving;
use oneloop::net::{TcpListener, TcpStream};

const USAGE: &str = "echo_per_loop [--addr 127.0.0.1:7777] [--loops N] [--leases] \
                     [--bench SECONDS [--connections 100] [--size 64]]";

fn main() {
    let arguments = Arguments::read(USAGE);
    arguments.end(run(&arguments));
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let addr = arguments.value("--addr");
    let leases = arguments.has("--leases");
    let bench = Drive::asked_for(arguments);
    let runtime = arguments.runtime();
    let loops = runtime.handle().loop_ids().len();
    let serving = runtime.block_on(serve(addr, leases))?;
    let addr = serving.local_addr();
    println!(
        "echo on {addr} with a listener on each of {loops} loops; try: nc {} {}",
        addr.ip(),
        addr.port()
    );
    match bench {
        None => runtime.block_on(serving.join()),
        Some(bench) => drive(&bench, addr),
    }
}

async fn serve(addr: SocketAddr, leases: bool) -> io::Result<Serving> {
    let listeners = TcpListener::bind_per_loop(addr).await?;
    // Made, polled and dropped on one loop: its future may hold what is not `Send`.
    listeners.serve(move |stream: TcpStream, _peer| async move {
        // An error ends this connection; its peer knows already.
        let _ = match leases {
            true => echo_leases(stream).await,
            false => echo(stream).await,
        };
    })
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
