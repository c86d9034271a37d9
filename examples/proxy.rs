//! A TCP relay: what comes on one address goes to another, and back.
//!
//! ```text
//! cargo run --release --example proxy -- --listen 127.0.0.1:7070 --to 127.0.0.1:80
//! curl http://127.0.0.1:7070/            # in another terminal
//! ```
//!
//! A slow reader slows its writer down: bytes are taken from one side only when the other has got rid
//! of the last ones, 64 KiB at most. Between sockets they stay in the kernel. A half-close goes
//! through, and a connection on which nothing happens for five minutes is closed.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use common::relay::{Connections, relay};
use oneloop::net::{TcpListener, TcpStream};
use oneloop::time::timeout;

/// How long the other side may take to answer a connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing may happen.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

const USAGE: &str = "usage: proxy [--listen 127.0.0.1:7070] --to IP:PORT";

fn main() {
    let (listen, to) = arguments().unwrap_or_else(|problem| common::fail(&problem));
    let served: io::Result<()> = oneloop::block_on(async {
        let listener = TcpListener::bind(listen).await?;
        println!("proxy on {} to {to}", listener.local_addr()?);
        let connections = Connections::default();
        loop {
            let (client, peer) = listener.accept().await?;
            let Some(place) = connections.enter() else {
                println!("proxy: {peer} is one too many");
                continue;
            };
            drop(oneloop::spawn(async move {
                match serve(client, to).await {
                    Ok((up, down)) => println!("proxy: {peer} sent {up} bytes and got {down}"),
                    Err(error) => println!("proxy: {peer} ended: {error}"),
                }
                drop(place);
            }));
        }
    });
    common::fail(&format!(
        "proxy: {}",
        served.expect_err("it serves for ever")
    ));
}

async fn serve(mut client: TcpStream, to: SocketAddr) -> io::Result<(u64, u64)> {
    let mut server = timeout(CONNECT_TIMEOUT, TcpStream::connect(to)).await??;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    relay(&mut client, &mut server, IDLE_TIMEOUT).await
}

fn arguments() -> Result<(SocketAddr, SocketAddr), String> {
    let mut listen = SocketAddr::from(([127, 0, 0, 1], 7070));
    let mut to = None;
    let mut arguments = std::env::args().skip(1);
    while let Some(flag) = arguments.next() {
        if flag == "--help" || flag == "-h" {
            println!("{USAGE}");
            std::process::exit(0);
        }
        let value = arguments.next().unwrap_or_default();
        let address = value
            .parse()
            .map_err(|_| format!("{flag}: {value:?} is no IP:PORT\n{USAGE}"))?;
        match flag.as_str() {
            "--listen" => listen = address,
            "--to" => to = Some(address),
            _ => return Err(format!("unknown option {flag:?}\n{USAGE}")),
        }
    }
    let to = to.ok_or_else(|| format!("--to is missing\n{USAGE}"))?;
    Ok((listen, to))
}
