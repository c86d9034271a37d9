//! A TCP relay: what comes on one address goes to another, and back.
//!
//! ```text
//! cargo run --release --example proxy -- --listen 127.0.0.1:7070 --to 127.0.0.1:80
//! curl http://127.0.0.1:7070/            # in another terminal
//! ```
//!
//! A slow reader slows its writer down: bytes are taken from one side only when the other has got rid
//! of the last ones, 64 KiB at most. Between sockets they stay in the kernel. A half-close goes
//! through, and so does a reset; a connection on which nothing happens for five minutes is reset.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use common::arguments::Arguments;
use common::connections::Connections;
use common::relay::relay;
use oneloop::net::{TcpListener, TcpStream};
use oneloop::time::timeout;

/// Connections that are served at once; more are closed as they come.
const CONNECTIONS_MAX: usize = 10_000;
/// How long the other side may take to answer a connect.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long nothing may happen.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

fn main() {
    let arguments = Arguments::read("proxy [--listen 127.0.0.1:7070] --to IP:PORT");
    let listen: SocketAddr = arguments.value("--listen");
    let to = arguments.required("--to");
    arguments.end(oneloop::block_on(async {
        let listener = TcpListener::bind(listen).await?;
        println!("proxy on {} to {to}", listener.local_addr()?);
        let connections = Connections::at_most(CONNECTIONS_MAX);
        loop {
            let (client, _) = listener.accept().await?;
            let Some(place) = connections.enter() else {
                continue;
            };
            drop(oneloop::spawn(async move {
                // An error ends this connection; both sides know already.
                let _ = serve(client, to).await;
                drop(place);
            }));
        }
    }));
}

async fn serve(mut client: TcpStream, to: SocketAddr) -> io::Result<()> {
    let mut server = timeout(CONNECT_TIMEOUT, TcpStream::connect(to)).await??;
    client.set_nodelay(true)?;
    server.set_nodelay(true)?;
    relay(&mut client, &mut server, IDLE_TIMEOUT).await
}
