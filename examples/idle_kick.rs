//! An echo server that disconnects clients which say nothing for a while, and tells them why.
//!
//! ```text
//! cargo run --release --example idle_kick -- 127.0.0.1:7777 10
//! nc 127.0.0.1 7777
//! ```
//!
//! The limit is a [`Deadline`]: each line moves it on by one store, not by a timer operation. A
//! server that need not say goodbye sets `idle_timeout` and has nothing to do. A client that does not
//! read what comes back cannot be heard either: it has as long, and no goodbye.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use common::arguments::Arguments;
use futures_lite::future::or;
use oneloop::net::server::{Connection, Server, shutdown_signal};
use oneloop::time::Deadline;

fn main() {
    let arguments = Arguments::read("idle_kick [ADDR=127.0.0.1:7777 [SECONDS=10]]");
    let address: SocketAddr = arguments.value("ADDR");
    let limit = arguments.seconds("SECONDS");
    arguments.end(oneloop::block_on(async {
        // Before a client can come: it may need the last descriptors.
        let stop = shutdown_signal();
        let handler = move |connection| echo(connection, limit);
        let server = Server::builder().write_timeout(limit);
        let server = server.serve(address, handler).await?;
        println!(
            "echo on {}, {} s of silence end a connection",
            server.local_addr(),
            limit.as_secs()
        );
        stop.await?;
        let report = server.drain(Duration::from_secs(1)).await;
        println!("{report}");
        Ok(())
    }));
}

async fn echo(connection: Connection, limit: Duration) -> io::Result<()> {
    let silence = Deadline::new(limit);
    let mut buffer = [0; 4096];
    loop {
        let read = async { Some(connection.read(&mut buffer).await) };
        let expired = async {
            silence.expired().await;
            None
        };
        match or(read, expired).await {
            Some(Ok(0)) => return Ok(()),
            Some(Ok(count)) => {
                silence.touch();
                connection.write_all(&buffer[..count]).await?;
            }
            Some(Err(error)) => return Err(error),
            None => {
                let goodbye = format!("nothing heard for {} s, goodbye\n", limit.as_secs());
                return connection.write_all(goodbye.as_bytes()).await;
            }
        }
    }
}
