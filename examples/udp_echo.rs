//! The echo service (RFC 862) over UDP: one task on each loop, one socket.
//! `cargo run --example udp_echo`, then `nc -u 127.0.0.1 7007`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::net::SocketAddr;
use std::sync::Arc;

use common::arguments::Arguments;
use oneloop::net::UdpSocket;
use oneloop::task;

fn main() {
    let arguments = Arguments::read("udp_echo [--addr 127.0.0.1:7007] [--loops N]");
    let addr: SocketAddr = arguments.value("--addr");
    let runtime = arguments.runtime();
    arguments.end(runtime.block_on(async {
        let socket = Arc::new(UdpSocket::bind(addr).await?);
        println!("udp_echo on {}", socket.local_addr()?);
        let mut servers = task::JoinSet::new();
        for loop_id in runtime.handle().loop_ids() {
            let socket = Arc::clone(&socket);
            servers.insert(task::spawn_on(loop_id, move || echo(socket)));
        }
        // They end with an error only.
        match servers.join_next().await {
            Some(Ok(error)) => Err(error),
            ended => panic!("a server has ended: {ended:?}"),
        }
    }));
}

async fn echo(socket: Arc<UdpSocket>) -> std::io::Error {
    let mut buffer = vec![0; 65_536];
    loop {
        let (count, peer) = match socket.recv_from(&mut buffer).await {
            Ok(datagram) => datagram,
            Err(error) => return error,
        };
        // A peer that cannot be reached is its own loss.
        let _ = socket.send_to(&buffer[..count], peer).await;
    }
}
