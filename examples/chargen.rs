//! The character generator (RFC 864): lines of 72 characters, each shifted by one, for as long as
//! the peer reads. What it reads slowly is sent slowly.
//! `cargo run --example chargen`, then `nc 127.0.0.1 7019 | head`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::net::SocketAddr;

use common::arguments::Arguments;
use oneloop::net::{TcpListener, TcpStream};

fn main() {
    let arguments = Arguments::read("chargen [--addr 127.0.0.1:7019] [--loops N]");
    let addr: SocketAddr = arguments.value("--addr");
    arguments.end(arguments.runtime().block_on(async {
        let listener = TcpListener::bind(addr).await?;
        println!("chargen on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            drop(oneloop::spawn(generate(stream)));
        }
    }));
}

async fn generate(mut stream: TcpStream) {
    // 95 printable characters give 95 different lines, which repeat.
    let printable: Vec<u8> = (b' '..=b'~').collect();
    let mut page = Vec::with_capacity(printable.len() * 74);
    for first in 0..printable.len() {
        page.extend((0..72).map(|at| printable[(first + at) % printable.len()]));
        page.extend(b"\r\n");
    }
    while stream.write_all(&page).await.is_ok() {}
}
