//! The discard service (RFC 863): reads all, says nothing.
//! `cargo run --example discard`, then `nc 127.0.0.1 7009`.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use oneloop::net::{TcpListener, TcpStream};

fn main() {
    let options = common::Options::from_arguments("discard", 7009);
    let served = options.runtime().block_on(async {
        let listener = TcpListener::bind(options.addr).await?;
        println!("discard on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            drop(oneloop::spawn(discard(stream)));
        }
    });
    let error: std::io::Result<()> = served;
    common::fail(&format!(
        "discard: {}",
        error.expect_err("it serves for ever")
    ));
}

async fn discard(mut stream: TcpStream) {
    let mut buffer = vec![0; 65536];
    // The end of input and an error both end the service.
    while stream.read(&mut buffer).await.is_ok_and(|n| n > 0) {}
}
