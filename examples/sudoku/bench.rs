//! Drives the server: hard boards on some connections, and on one more a ping, which needs no time
//! but its turn.

use std::io;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use oneloop::net::TcpStream;
use oneloop::runtime::Builder;
use oneloop::task::JoinSet;

use crate::common::histogram::Histogram;

/// With 17 digits given, and hard for a solver that goes through the cells.
const HARD: &[u8] =
    b"000000010400000000020000000000050407008000300001090000300400200050100000000806000\n";
const PING: &[u8] = b"ping\n";
/// Between two pings, so that they are no load.
const PING_PAUSE: Duration = Duration::from_millis(1);

/// Runs for `time`, on a loop of its own, and prints the figures.
///
/// # Errors
///
/// A connection fails.
pub(crate) fn bench(addr: SocketAddr, connections: usize, time: Duration) -> io::Result<()> {
    let runtime = Builder::new_current_thread().build()?;
    runtime.block_on(drive(addr, connections, time))
}

async fn drive(addr: SocketAddr, connections: usize, time: Duration) -> io::Result<()> {
    let end = Instant::now() + time;
    let mut clients = JoinSet::new();
    for _ in 0..connections {
        clients.spawn_local(exchange(addr, HARD, Duration::ZERO, end));
    }
    clients.spawn_local(exchange(addr, PING, PING_PAUSE, end));
    let (mut solved, mut pings) = (Histogram::new(), Histogram::new());
    // The first error ends it: if it is a full table of descriptors, which the server shares, others
    // may wait until somebody ends.
    while let Some(ended) = clients.join_next().await {
        let (line, times) = ended??;
        match line == PING {
            true => pings.merge(&times),
            false => solved.merge(&times),
        }
    }
    let micros = |time: Duration| time.as_secs_f64() * 1e6;
    println!(
        "{connections} connections with hard boards: {:.0} boards/s, one took p50 {:.0} us",
        solved.count() as f64 / time.as_secs_f64(),
        micros(solved.quantile(0.5)),
    );
    println!(
        "beside them {} pings: p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us",
        pings.count(),
        micros(pings.quantile(0.5)),
        micros(pings.quantile(0.99)),
        micros(pings.quantile(0.999)),
    );
    Ok(())
}

/// Sends `line` again and again, each time after the answer and a pause. It comes back with the times
/// that the answers took.
async fn exchange(
    addr: SocketAddr,
    line: &'static [u8],
    pause: Duration,
    end: Instant,
) -> io::Result<(&'static [u8], Histogram)> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let mut times = Histogram::new();
    let mut answer = [0; 128];
    while Instant::now() < end {
        let begun = Instant::now();
        stream.write_all(line).await?;
        let mut filled = 0;
        while !answer[..filled].ends_with(b"\n") {
            match stream.read(&mut answer[filled..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        times.record(begun.elapsed());
        oneloop::time::sleep(pause).await;
    }
    Ok((line, times))
}
