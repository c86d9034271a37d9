//! What the tests have in common: runtimes with a watchdog, and servers of several kinds.

use std::collections::HashSet;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{self, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use oneloop_runtime::runtime::{Builder, Runtime};
use oneloop_runtime::time::Instant;
use rustix::event::{PollFd, PollFlags, poll};

/// Long enough for a machine that is busy with other tests.
const DEADLINE: Duration = Duration::from_secs(60);

/// Runs a test on one loop whose clock is paused.
pub(crate) fn paused<F: Future>(test: F) -> F::Output {
    let runtime = Builder::new_current_thread()
        .start_paused(true)
        .build()
        .unwrap();
    run_on(&runtime, test)
}

/// Runs a test on one loop.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    run_on(&Builder::new_current_thread().build().unwrap(), test)
}

/// A runtime of two loops besides the calling thread's.
pub(crate) fn two_loops() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .unwrap()
}

/// Runs a test inside `runtime`. The process ends if it takes too long.
pub(crate) fn run_on<F: Future>(runtime: &Runtime, test: F) -> F::Output {
    let (alive, end) = mpsc::channel::<()>();
    let name = thread::current().name().unwrap_or("unnamed").to_owned();
    thread::spawn(move || {
        if end.recv_timeout(DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
            use io::Write as _;
            // Nobody can be told if this fails.
            let _ = writeln!(io::stderr(), "{name}: did not end in time");
            std::process::abort();
        }
    });
    let output = runtime.block_on(test);
    drop(alive);
    output
}

/// The milliseconds that a future takes, beside its outcome.
pub(crate) async fn timed<F: Future>(future: F) -> (u128, F::Output) {
    let begun = Instant::now();
    let output = future.await;
    (begun.elapsed().as_millis(), output)
}

/// Polls a future once.
pub(crate) async fn poll_once<F: Future>(mut future: Pin<&mut F>) -> Poll<F::Output> {
    poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await
}

/// A listener of std's: the kernel completes connections before anybody accepts them.
pub(crate) fn server() -> (net::TcpListener, SocketAddr) {
    let listener = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    (listener, address)
}

/// A socket whose address refuses, and will until it listens.
pub(crate) fn refusing() -> (socket2::Socket, SocketAddr) {
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    socket.bind(&any_port.into()).unwrap();
    let address = socket.local_addr().unwrap().as_socket().unwrap();
    (socket, address)
}

/// An address that answers nothing: its listener's queue is full.
pub(crate) struct BlackHole {
    pub(crate) address: SocketAddr,
    _listener: socket2::Socket,
    _waiting: Vec<net::TcpStream>,
}

impl BlackHole {
    pub(crate) fn new() -> Self {
        let (listener, address) = refusing();
        listener.listen(0).unwrap();
        // Linux lets one in. That it is there is no matter of time; what the next ones wait for is.
        let mut waiting = vec![net::TcpStream::connect(address).unwrap()];
        poll(&mut [PollFd::new(&listener, PollFlags::IN)], None).unwrap();
        while let Ok(stream) = net::TcpStream::connect_timeout(&address, Duration::from_millis(100))
        {
            waiting.push(stream);
            assert!(waiting.len() < 10, "a queue of 0 takes everything");
        }
        Self {
            address,
            _listener: listener,
            _waiting: waiting,
        }
    }

    /// How many sockets of this machine wait for an answer from it.
    pub(crate) fn attempts(&self) -> usize {
        let remote = format!(":{:04X}", self.address.port());
        // Where others come and go while the kernel writes the table it may show a socket twice or
        // not at all: so each counts once, and it is asked twice.
        let mut sockets = HashSet::new();
        for _ in 0..2 {
            let table = std::fs::read_to_string("/proc/self/net/tcp").unwrap();
            for line in table.lines().filter(|line| line.contains(&remote)) {
                let fields: Vec<&str> = line.split_whitespace().collect();
                if fields[2].ends_with(&remote) && fields[3] == "02" {
                    sockets.insert(fields[1].to_owned());
                }
            }
        }
        sockets.len()
    }
}
