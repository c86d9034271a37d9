//! What the tests have in common: a runtime with a deadline, pairs of streams, own processes.

use std::future::{Future, poll_fn};
use std::io::{self, Read as _};
use std::net::{self, Ipv4Addr, SocketAddr};
use std::os::fd::AsFd;
use std::pin::pin;
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use oneloop_net::{TcpListener, TcpSocket, TcpStream};
use oneloop_runtime::runtime::{Builder, Runtime};
use oneloop_runtime::task::{JoinHandle, spawn, yield_now};
use oneloop_runtime::time::timeout;
use rustix::event::{PollFd, PollFlags, poll};

/// Long enough for a machine that is busy with other tests, short enough to notice a hang.
const DEADLINE: Duration = Duration::from_secs(30);

/// A runtime of two loops besides the calling thread's.
pub(crate) fn two_loops() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

/// Runs a test on the main loop of a runtime with two more loops.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    run_on(&two_loops(), test)
}

/// Runs a test on the main loop of `runtime`, within the deadline.
pub(crate) fn run_on<F: Future>(runtime: &Runtime, test: F) -> F::Output {
    let _watchdog = Watchdog::new();
    runtime.block_on(async { timeout(DEADLINE, test).await.expect("deadline of the test") })
}

/// Ends the process if it is not dropped in time: a loop that stands still fires no timer.
pub(crate) struct Watchdog(Option<mpsc::Sender<()>>);

impl Watchdog {
    pub(crate) fn new() -> Self {
        let (alive, end) = mpsc::channel();
        let name = thread::current().name().unwrap_or("unnamed").to_owned();
        thread::spawn(move || {
            if end.recv_timeout(2 * DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
                abort_with(&format!("{name}: the loop stands still"));
            }
        });
        Self(Some(alive))
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        drop(self.0.take());
    }
}

fn abort_with(text: &str) -> ! {
    use io::Write as _;
    // Nobody can be told if this fails.
    let _ = writeln!(io::stderr(), "{text}");
    std::process::abort();
}

/// Both ends of a connection.
pub(crate) async fn pair() -> (TcpStream, TcpStream) {
    let listener = listener().await;
    let address = listener.local_addr().unwrap();
    let near = TcpStream::connect(address).await.unwrap();
    let (far, peer) = listener.accept().await.unwrap();
    assert_eq!(peer, near.local_addr().unwrap());
    (near, far)
}

/// A connection whose other end is a blocking socket of the standard library.
pub(crate) async fn with_std_peer() -> (TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap())
        .await
        .unwrap();
    let (peer, _) = listener.accept().unwrap();
    (stream, peer)
}

/// A listener on a port that the system chose.
pub(crate) async fn listener() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap()
}

/// Polls `future` up to `times` times, a turn of the loop apart, then drops it.
pub(crate) async fn poll_and_drop<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        yield_now().await;
    }
    None
}

/// Spawns a task, and returns when it waits for the first time.
pub(crate) async fn spawn_until_it_waits<F>(future: F) -> JoinHandle<F::Output>
where
    F: Future + Send + 'static,
    F::Output: Send + 'static,
{
    let (waits, does_wait) = mpsc::channel();
    let task = spawn(async move {
        let mut future = pin!(future);
        poll_fn(|cx| {
            let polled = future.as_mut().poll(cx);
            if polled.is_pending() {
                // Nobody listens after the first time.
                let _ = waits.send(());
            }
            polled
        })
        .await
    });
    while does_wait.try_recv().is_err() {
        yield_now().await;
    }
    task
}

/// A connection with small buffers, whose other end is a blocking socket of the standard library.
pub(crate) async fn narrow_with_std_peer() -> (TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let options = socket2::SockRef::from(&listener);
    options.set_recv_buffer_size(4096).unwrap();
    options.set_send_buffer_size(4096).unwrap();
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_send_buffer_size(4096).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    let address = listener.local_addr().unwrap();
    let stream = socket.connect(address).await.unwrap();
    (stream, listener.accept().unwrap().0)
}

/// Reads to the end, a little at a time, with a pause now and then.
pub(crate) fn read_slowly(mut peer: net::TcpStream) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut received = Vec::new();
        let mut buf = vec![0; 50_000];
        for number in 0.. {
            match peer.read(&mut buf) {
                Ok(0) | Err(_) => break,
                Ok(count) => received.extend_from_slice(&buf[..count]),
            }
            if number % 8 == 0 {
                thread::sleep(Duration::from_micros(200));
            }
        }
        received
    })
}

/// Reads to the end, once each time that it is told; when nobody is there to tell it, without a
/// pause. Its other end waits as often as it tells, however fast the machine is.
pub(crate) fn read_when_told(
    mut peer: net::TcpStream,
    told: mpsc::Receiver<()>,
) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut received = Vec::new();
        let mut buf = vec![0; 50_000];
        loop {
            // An error says that nobody will tell it any more.
            let _ = told.recv();
            match peer.read(&mut buf) {
                Ok(0) | Err(_) => return received,
                Ok(count) => received.extend_from_slice(&buf[..count]),
            }
        }
    })
}

/// Bytes of which every stretch is different.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    let mut state = 0x9e37_79b9_u32;
    (0..len)
        .map(|_| {
            state ^= state << 13;
            state ^= state >> 17;
            state ^= state << 5;
            state.to_le_bytes()[0]
        })
        .collect()
}

/// Runs a test alone in a process of its own: for limits, signals and counts of descriptors, and
/// where a port must be free at once: beside it, a process that another test starts has a copy of
/// every socket for a moment.
/// `name` is the test's full name.
pub(crate) fn in_own_process(name: &str, test: impl FnOnce()) {
    if own_process() {
        let _watchdog = Watchdog::new();
        return test();
    }
    let output = own_command(Command::new(std::env::current_exe().unwrap()), name).output();
    let output = output.unwrap();
    assert!(
        output.status.success(),
        "{name} in its own process: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

/// Is this the process that `in_own_process` started?
pub(crate) fn own_process() -> bool {
    std::env::var_os(OWN_PROCESS).is_some()
}

/// Completes a command that ends in this test binary, so that it runs the test `name` alone.
pub(crate) fn own_command(mut command: Command, name: &str) -> Command {
    command
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(OWN_PROCESS, "1")
        .stdin(Stdio::null());
    command
}

const OWN_PROCESS: &str = "ONELOOP_TEST_IN_OWN_PROCESS";

/// An address of this process alone, with any port: where a port is to be free again at once.
/// Beside it, others of this machine take ports of 127.0.0.1 when they like.
pub(crate) fn own_address() -> SocketAddr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    // The upper half of 127.0.0.0/8; Linux has no process numbers beyond 22 bits.
    SocketAddr::from((Ipv4Addr::new(127, 0x80 | a, b, c), 0))
}

/// Waits until the kernel says this of a socket: what one end has done on the loopback is mostly at
/// the other end when the call returns, and where the machine is busy a little later.
pub(crate) fn until_ready(socket: &impl AsFd, flags: PollFlags) {
    let mut polled = [PollFd::new(socket, flags)];
    while !polled[0].revents().intersects(flags) {
        poll(&mut polled, None).unwrap();
    }
}

/// The descriptors that this process has open.
pub(crate) fn open_descriptors() -> usize {
    // One of them belongs to the reading of the directory, every time.
    std::fs::read_dir("/proc/self/fd").unwrap().count()
}
