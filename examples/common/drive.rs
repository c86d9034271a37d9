//! A client of an echo server: many connections, one message in flight on each, every byte
//! compared.

use std::cell::RefCell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use oneloop::net::TcpStream;
use oneloop::runtime::Builder;
use oneloop::task::JoinSet;

use super::arguments::Arguments;
use super::histogram::Histogram;

/// What `--bench SECONDS [--connections 100] [--size 64]` asks for.
#[derive(Debug)]
pub(crate) struct Drive {
    time: Duration,
    connections: usize,
    /// Bytes of one message.
    size: usize,
}

impl Drive {
    /// None if the server is to be left alone.
    pub(crate) fn asked_for(arguments: &Arguments) -> Option<Self> {
        let (connections, size) = (
            arguments.number("--connections"),
            arguments.number("--size"),
        );
        arguments.has("--bench").then(|| Self {
            time: arguments.seconds("--bench"),
            connections,
            size,
        })
    }
}

/// Drives the server on a loop of its own, and prints the figures.
///
/// # Errors
///
/// A connection fails, or gives back other bytes than it got.
pub(crate) fn drive(drive: &Drive, addr: SocketAddr) -> io::Result<()> {
    let runtime = Builder::new_current_thread().build()?;
    let &Drive {
        time,
        connections,
        size,
    } = drive;
    let latencies = Rc::new(RefCell::new(Histogram::new()));
    let started = Instant::now();
    runtime.block_on(async {
        let end = started + time;
        let mut clients = JoinSet::new();
        for number in 0..connections {
            let latencies = Rc::clone(&latencies);
            clients.spawn_local(client(addr, number, size, end, latencies));
        }
        // The first error ends it: if it is a full table of descriptors, which the server shares,
        // others may wait until somebody ends.
        while let Some(ended) = clients.join_next().await {
            ended??;
        }
        io::Result::Ok(())
    })?;
    let latencies = latencies.borrow();
    println!(
        "{connections} connections, {size} bytes, {:.1} s: {:.0} requests/s, \
         p50 {:.0} us, p99 {:.0} us, p99.9 {:.0} us",
        started.elapsed().as_secs_f64(),
        latencies.count() as f64 / started.elapsed().as_secs_f64(),
        micros(latencies.quantile(0.5)),
        micros(latencies.quantile(0.99)),
        micros(latencies.quantile(0.999)),
    );
    Ok(())
}

async fn client(
    addr: SocketAddr,
    number: usize,
    size: usize,
    end: Instant,
    latencies: Rc<RefCell<Histogram>>,
) -> io::Result<()> {
    let mut stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let mut message = vec![0; size];
    let mut answer = vec![0; size];
    for round in 0_usize.. {
        let sent = Instant::now();
        if sent >= end {
            break;
        }
        message.fill((number + round) as u8);
        stream.write_all(&message).await?;
        stream.read_exact(&mut answer).await?;
        if message != answer {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "other bytes came back",
            ));
        }
        latencies.borrow_mut().record(sent.elapsed());
    }
    Ok(())
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
