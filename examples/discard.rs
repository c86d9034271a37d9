//! The discard service (RFC 863): reads all, says nothing.
//! `cargo run --example discard`, then `nc 127.0.0.1 7009`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::net::SocketAddr;

use common::arguments::Arguments;
use oneloop::net::{TcpListener, TcpStream};

fn main() {
    let arguments = Arguments::read("discard [--addr 127.0.0.1:7009] [--loops N]");
    let addr: SocketAddr = arguments.value("--addr");
    arguments.end(arguments.runtime().block_on(async {
        let listener = TcpListener::bind(addr).await?;
        println!("discard on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            drop(oneloop::spawn(discard(stream)));
        }
    }));
}

async fn discard(mut stream: TcpStream) {
    let mut buffer = vec![0; 65536];
    // The end of input and an error both end the service.
    while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
}
