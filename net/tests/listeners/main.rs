//! Listeners on all loops, through the public interface, against the kernel's loopback.
//!
//! Every test ends by itself: see `support`.

mod binding;
mod blocked;
mod detaching;
mod faults;
mod movable;
mod sharing;
mod stopping;
#[allow(
    dead_code,
    reason = "shared with the tests of TCP, which use all of it"
)]
#[path = "../tcp/support.rs"]
mod support;

use std::io::{Read, Write};
use std::net::{self, SocketAddr};

use oneloop_net::TcpStream;
use oneloop_runtime::runtime::{Builder, Handle, Runtime};

fn loops(count: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(count)
        .enable_all()
        .build()
        .unwrap()
}

/// A handler that answers each byte with the number of the loop it is served on.
async fn tell_loop(mut stream: TcpStream, _peer: SocketAddr) {
    let number = u8::try_from(Handle::current_loop().unwrap()).unwrap();
    while let Ok(1) = stream.read(&mut [0]).await {
        if stream.write_all(&[number]).await.is_err() {
            break;
        }
    }
}

/// Asks a connection that is served by `tell_loop`.
fn ask(client: &mut net::TcpStream) -> usize {
    client.write_all(b"?").unwrap();
    let mut answer = [0];
    client.read_exact(&mut answer).unwrap();
    usize::from(answer[0])
}

fn ask_all(clients: &mut [net::TcpStream]) {
    for client in clients {
        ask(client);
    }
}
