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

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;

use common::Options;
use oneloop::net::{TcpListener, TcpStream};

fn main() {
    let options = Options::from_arguments("echo_per_loop", 7777);
    let runtime = options.runtime();
    let loops = runtime.handle().loop_ids();
    let listeners = match runtime.block_on(bind_all(options.addr, loops.len())) {
        Ok(listeners) => listeners,
        Err(error) => common::fail(&format!(
            "echo_per_loop: cannot listen on {}: {error}",
            options.addr
        )),
    };
    let addr = listeners[0]
        .local_addr()
        .expect("a bound socket has an address");
    println!(
        "echo on {addr} with a listener on each of {} loops; try: nc {} {}",
        loops.len(),
        addr.ip(),
        addr.port()
    );
    let leases = options.leases;
    let mut servers = Vec::new();
    for (loop_id, listener) in loops.into_iter().zip(listeners) {
        servers.push(
            runtime
                .handle()
                .spawn_on(loop_id, move || serve(listener, leases)),
        );
    }
    if let Some(time) = options.bench {
        if let Err(error) = common::drive::drive(&options, addr, time) {
            common::fail(&format!("echo_per_loop: the drive failed: {error}"));
        }
        return;
    }
    for server in servers {
        if let Ok(Err(error)) = runtime.block_on(server) {
            common::fail(&format!("echo_per_loop: {error}"));
        }
    }
}

/// One listener for each loop. The first finds the port, if the system is to choose it.
async fn bind_all(addr: SocketAddr, count: usize) -> io::Result<Vec<TcpListener>> {
    let first = TcpListener::bind_reuse_port(addr).await?;
    let addr = first.local_addr()?;
    let mut listeners = vec![first];
    while listeners.len() < count {
        listeners.push(TcpListener::bind_reuse_port(addr).await?);
    }
    Ok(listeners)
}

async fn serve(listener: TcpListener, leases: bool) -> io::Result<()> {
    // Plain memory of this loop: no other thread can see it.
    let connections = Rc::new(Cell::new(0_u64));
    loop {
        let (stream, _) = listener.accept().await?;
        let connections = Rc::clone(&connections);
        connections.set(connections.get() + 1);
        drop(oneloop::spawn_local(async move {
            // An error ends this connection; its peer knows already.
            let _ = match leases {
                true => echo_leases(stream).await,
                false => echo(stream).await,
            };
            connections.set(connections.get() - 1);
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
