//! A server that ends in an orderly way: lines are answered, and SIGTERM or Ctrl-C drains.
//!
//! ```text
//! cargo run --release --example graceful -- 127.0.0.1:7777
//! nc 127.0.0.1 7777          "hello" comes back; "work 3" comes back after three seconds;
//!                            "who" tells the connections
//! kill -TERM <pid>           idle ones are closed, "work" is finished, then the report
//! systemd-socket-activate -l 7777 target/release/examples/graceful
//! ```

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use common::arguments::Arguments;
use oneloop::net::server::{
    Connection, OverloadPolicy, Server, ServerHandle, inherited_listeners, shutdown_signal,
};
use oneloop::runtime::Runtime;
use oneloop::time::sleep;

/// The longest line that is read.
const LINE_BYTES_MAX: usize = 1024;
/// How long busy connections may take after the signal.
const DRAIN_TIME: Duration = Duration::from_secs(10);

fn main() {
    let arguments = Arguments::read("graceful [ADDR=127.0.0.1:7777]");
    arguments.end(run(arguments.value("ADDR")));
}

fn run(address: SocketAddr) -> io::Result<()> {
    // Before the runtime starts threads: so the variables can be removed.
    let inherited = inherited_listeners()?;
    let runtime = Runtime::new()?;
    runtime.block_on(async {
        // Before a client can come: it may need the last descriptors.
        let stop = shutdown_signal();
        let handle = Arc::new(OnceLock::new());
        let own = Arc::clone(&handle);
        let handler = move |connection| answer_lines(connection, Arc::clone(&own));
        let server = Server::builder()
            .max_connections(1_000, OverloadPolicy::ShedIdle)
            .idle_timeout(Duration::from_secs(300))
            .read_timeout(Duration::from_secs(30))
            .write_timeout(Duration::from_secs(30))
            .build();
        let server = if inherited.is_empty() {
            server.serve(address, handler).await?
        } else {
            server.serve_listeners(inherited, handler)?
        };
        println!(
            "process {} on {}; kill -TERM {0} drains",
            std::process::id(),
            server.local_addr()
        );
        // Nobody else sets it.
        let _ = handle.set(server.clone());

        stop.await?;
        println!("draining, {} s at most", DRAIN_TIME.as_secs());
        let report = server.drain(DRAIN_TIME).await;
        println!("{report}");
        for peer in &report.cut_peers {
            println!("cut: {peer}");
        }
        Ok(())
    })
}

async fn answer_lines(
    connection: Connection,
    server: Arc<OnceLock<ServerHandle>>,
) -> io::Result<()> {
    connection.get_ref().set_nodelay(true)?;
    while let Some(line) = read_line(&connection).await? {
        let _request = connection.request_guard();
        let text = String::from_utf8_lossy(&line);
        if let Some(seconds) = text.strip_prefix("work ") {
            let seconds = seconds.trim().parse().unwrap_or(1);
            sleep(Duration::from_secs(seconds)).await;
        }
        let answer = match (text.trim(), server.get()) {
            ("who", Some(server)) => who(server).await,
            _ => line,
        };
        connection.write_all(&answer).await?;
    }
    Ok(())
}

/// One line. From its first byte on it is a request, so that a drain waits for the rest.
async fn read_line(connection: &Connection) -> io::Result<Option<Vec<u8>>> {
    let mut byte = [0];
    if connection.peek(&mut byte).await? == 0 {
        return Ok(None);
    }
    let _request = connection.request_guard();
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        if line.len() == LINE_BYTES_MAX {
            let problem = "a line is too long";
            return Err(io::Error::new(io::ErrorKind::InvalidData, problem));
        }
        // A byte at a time is slow and short; a protocol would read into a buffer.
        connection.read_exact(&mut byte).await?;
        line.push(byte[0]);
    }
    Ok(Some(line))
}

async fn who(server: &ServerHandle) -> Vec<u8> {
    let mut text = String::new();
    for connection in server.connections().await {
        text.push_str(&format!(
            "{} on loop {}: {:?}, {:.1} s old, {} bytes in, {} out\n",
            connection.peer,
            connection.loop_index,
            connection.state,
            connection.age.as_secs_f64(),
            connection.bytes_in,
            connection.bytes_out
        ));
    }
    text.into_bytes()
}
