//! The echo server on other runtimes, each as its own documentation would write it.
//!
//! Place: called by [`Server`](super::Server), with the feature `peers`.
//!
//! Those that have a runtime for each thread share nothing between loops: each loop has a listener
//! of its own on one port (`SO_REUSEPORT`), as all of them document it.

mod compio;
mod glommio;
mod go;
mod monoio;

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::process;
use std::sync::mpsc;
use std::thread;

pub(super) use self::compio::{run_polling as compio_polling, run_uring as compio_uring};
pub(super) use self::glommio::run as glommio;
pub(super) use self::go::{is_installed as go_is_installed, run as go};
pub(super) use self::monoio::{run_epoll as monoio_epoll, run_uring as monoio_uring};
use super::ServeOptions;

/// Called with the address once the loop listens.
type Ready<'a> = Box<dyn FnOnce(SocketAddr) + 'a>;

/// One loop: binds the address, says that it is ready, and serves for ever with buffers of so many
/// bytes.
type Loop = fn(SocketAddr, usize, Ready<'_>) -> io::Result<()>;

/// Runs the loops that are asked for: one on this thread, the others each on a thread of its own.
fn run_loops(
    options: &ServeOptions,
    announce: impl FnOnce(SocketAddr),
    serve: Loop,
) -> io::Result<()> {
    let ServeOptions {
        buffer_bytes,
        loops,
    } = *options;
    let ready = |address| {
        let (started, starts) = mpsc::channel();
        for _ in 1..loops {
            let started = started.clone();
            thread::spawn(move || {
                let ready = Box::new(move |_| started.send(()).expect("the first loop waits"));
                end(serve(address, buffer_bytes, ready));
            });
        }
        // A loop that does not start ends the process.
        for () in starts.iter().take(loops - 1) {}
        announce(address);
    };
    serve(ANY_PORT, buffer_bytes, Box::new(ready))
}

/// A server with one loop less is another server: its figures would be of something else.
#[expect(clippy::print_stderr, reason = "nobody waits for this thread")]
fn end(result: io::Result<()>) {
    if let Err(error) = result {
        eprintln!("a loop has ended: {error}");
        process::exit(1);
    }
}

/// Whether the system lets this process use io_uring.
pub(super) fn has_io_uring() -> bool {
    ::monoio::utils::detect_uring()
}

/// For runtimes that do not say it in words, or that panic.
fn require_io_uring() -> io::Result<()> {
    if has_io_uring() {
        return Ok(());
    }
    let refused = "io_uring is refused or too old here";
    Err(io::Error::new(io::ErrorKind::Unsupported, refused))
}

const ANY_PORT: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
