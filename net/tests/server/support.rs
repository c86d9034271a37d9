//! What the tests have in common: a runtime with a deadline, handlers, clients.

use std::future::Future;
use std::io::{self, Write as _};
use std::net::{Ipv4Addr, SocketAddr};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use oneloop_net::TcpStream;
use oneloop_net::server::{Connection, Counts, ServerHandle};
use oneloop_runtime::runtime::{Builder, Runtime};
use oneloop_runtime::time::{sleep, timeout};

/// Long enough for a machine that is busy with other tests, short enough to notice a hang.
pub(crate) const DEADLINE: Duration = Duration::from_secs(30);

/// Any port of this machine.
pub(crate) const ANY_PORT: &str = "127.0.0.1:0";

/// An address of this process alone, with any port: where a port is to be free again at once.
/// Beside it, others of this machine take ports of 127.0.0.1 when they like.
pub(crate) fn own_address() -> SocketAddr {
    let [_, a, b, c] = std::process::id().to_be_bytes();
    // The upper half of 127.0.0.0/8; Linux has no process numbers beyond 22 bits.
    SocketAddr::from((Ipv4Addr::new(127, 0x80 | a, b, c), 0))
}

/// Runs a test on the main loop of a runtime with two more loops.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    run_on(&loops(2), test)
}

/// Runs a test on the only loop there is: nothing happens while the test does not wait.
pub(crate) fn run_on_one<F: Future>(test: F) -> F::Output {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    run_on(&runtime, test)
}

/// Runs a test on the only loop there is, whose clock jumps to the next deadline when nothing else
/// is left to do. What one end of a connection has sent is at the other end before that.
pub(crate) fn run_paused<F: Future>(test: F) -> F::Output {
    let mut builder = Builder::new_current_thread();
    run_on(&builder.start_paused(true).build().unwrap(), test)
}

/// A runtime of so many loops besides the calling thread's.
pub(crate) fn loops(count: usize) -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(count)
        .enable_all()
        .build()
        .unwrap()
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
                // Nobody can be told if this fails.
                let _ = writeln!(io::stderr(), "{name}: the loop stands still");
                std::process::abort();
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

/// Reads lines and answers each with itself.
pub(crate) async fn echo_lines(connection: Connection) -> io::Result<()> {
    while let Some(line) = read_line(&connection).await? {
        connection.write_all(&line).await?;
    }
    Ok(())
}

/// One line, read byte by byte. From its first byte on it is a request.
pub(crate) async fn read_line(connection: &Connection) -> io::Result<Option<Vec<u8>>> {
    let mut byte = [0];
    if connection.peek(&mut byte).await? == 0 {
        return Ok(None);
    }
    let _request = connection.request_guard();
    let mut line = Vec::new();
    while line.last() != Some(&b'\n') {
        connection.read_exact(&mut byte).await?;
        line.push(byte[0]);
    }
    Ok(Some(line))
}

/// A client that has sent nothing. The kernel holds back nothing of what it sends: a clock that
/// jumps would not wait for that.
pub(crate) async fn client(server: &ServerHandle) -> TcpStream {
    let client = TcpStream::connect(server.local_addr()).await.unwrap();
    client.set_nodelay(true).unwrap();
    client
}

/// Sends a line and reads it back.
pub(crate) async fn ask(client: &mut TcpStream) {
    client.write_all(b"ping\n").await.unwrap();
    assert_answered(client).await;
}

pub(crate) async fn assert_answered(client: &mut TcpStream) {
    let mut answer = [0; 5];
    client.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"ping\n");
}

/// Reads the end of the stream and nothing before it.
pub(crate) async fn assert_closed(client: &mut TcpStream) {
    let mut rest = [0; 64];
    match client.read(&mut rest).await {
        Ok(0) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        other => panic!("not closed: {other:?}"),
    }
}

/// Whether the server has closed the connection, as far as it has told.
pub(crate) fn is_closed(client: &TcpStream) -> bool {
    match client.try_read(&mut [0]) {
        Ok(count) => count == 0,
        Err(error) => error.kind() != io::ErrorKind::WouldBlock,
    }
}

/// Waits until the server has counted what the test needs; the test's deadline ends it.
pub(crate) async fn until(server: &ServerHandle, reached: impl Fn(&Counts) -> bool) -> Counts {
    loop {
        let counts = server.counts();
        if reached(&counts) {
            return counts;
        }
        sleep(Duration::from_millis(1)).await;
    }
}

/// Runs a test alone in a process of its own: for limits and counts of descriptors, and where a port
/// must be free at once: beside it, a process that another test starts has a copy of every socket
/// for a moment. `name` is the test's full name.
pub(crate) fn in_own_process(name: &str, test: impl FnOnce()) {
    if std::env::var_os(OWN_PROCESS).is_some() {
        let _watchdog = Watchdog::new();
        return test();
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(OWN_PROCESS, "1")
        .stdin(Stdio::null())
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{name} in its own process: {}\n{}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
}

const OWN_PROCESS: &str = "ONELOOP_TEST_IN_OWN_PROCESS";
