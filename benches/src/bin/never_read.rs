//! Peers that never read: what they cost a server, and what they cost the others.
//!
//! ```text
//! never_read [PEERS [CAP_MIB]]     1000 peers and 96 MiB unless given
//! ```
//!
//! A server in a process of its own sends 1 MiB to each of them, in chunks of 64 KiB under its
//! memory cap, with send buffers of 64 KiB. 100 other peers ask and are answered: their p99 without the deaf peers and with them,
//! and the memory that the server has grown by. Ends with an error if the server grew by more than
//! the cap and a tenth, or the p99 more than doubled.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "the figures are what it is for")]

use std::env;
use std::io::{self, BufRead as _, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use oneloop::net::server::{Connection, Server};
use oneloop::net::{TcpSocket, TcpStream};
use oneloop::runtime::Builder;
use oneloop::task::spawn_local;
use oneloop::time::sleep;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;
/// What each peer is sent, and by how much at a time.
const SENT_BYTES: usize = MIB;
const CHUNK_BYTES: usize = 64 * KIB;
const OTHERS: usize = 100;
const TIME: Duration = Duration::from_secs(5);

fn main() -> io::Result<()> {
    allow_descriptors()?;
    let arguments: Vec<String> = env::args().skip(1).collect();
    let number = |at: usize, default: usize| match arguments.get(at) {
        Some(text) => text.parse().map_err(io::Error::other),
        None => Ok(default),
    };
    if arguments.first().is_some_and(|first| first == "server") {
        return serve(number(1, 0)? * MIB);
    }
    measure(number(0, 1_000)?, number(1, 96)? * MIB)
}

/// A process may open as many descriptors as the system lets it.
fn allow_descriptors() -> io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    let wanted = Rlimit {
        current: limit.maximum,
        ..limit
    };
    Ok(setrlimit(Resource::Nofile, wanted)?)
}

/// The server: `b'?'` is answered, `b'!'` is answered with a MiB.
fn serve(cap: usize) -> io::Result<()> {
    let runtime = Builder::new_multi_thread().worker_threads(1).build()?;
    runtime.block_on(async {
        let server = Server::builder()
            .memory_cap(cap)
            // Else the kernel takes the whole MiB (2.8 were seen), and is out of memory first.
            .send_buffer_bytes(CHUNK_BYTES);
        let server = server.serve("127.0.0.1:0", answer).await?;
        println!("{}", server.local_addr());
        // Ends with the process that started it.
        sleep(Duration::from_secs(600)).await;
        Ok(())
    })
}

async fn answer(connection: Connection) -> io::Result<()> {
    let mut order = [0];
    while connection.read(&mut order).await? > 0 {
        let _request = connection.request_guard();
        let chunks = match order {
            [b'!'] => SENT_BYTES / CHUNK_BYTES,
            _ => 0,
        };
        for _ in 0..chunks {
            let room = connection.reserve(CHUNK_BYTES).await?;
            // Made anew each time: memory that is really used, as of a page that is rendered.
            connection.write_all(&vec![b'x'; room.bytes()]).await?;
        }
        if chunks == 0 {
            connection.write_all(&order).await?;
        }
    }
    Ok(())
}

fn measure(peers: usize, cap: usize) -> io::Result<()> {
    let mut server = Command::new(env::current_exe()?)
        .args(["server", &(cap / MIB).to_string()])
        .stdout(Stdio::piped())
        .spawn()?;
    let outcome = measure_at(&mut server, peers, cap);
    server.kill()?;
    server.wait()?;
    outcome
}

fn measure_at(server: &mut Child, peers: usize, cap: usize) -> io::Result<()> {
    let mut line = String::new();
    if let Some(output) = server.stdout.take() {
        BufReader::new(output).read_line(&mut line)?;
    }
    let address: SocketAddr = line.trim().parse().map_err(io::Error::other)?;
    let pid = server.id();
    let runtime = Builder::new_current_thread().build()?;
    runtime.block_on(async {
        let mut others = Vec::new();
        for _ in 0..OTHERS {
            others.push(TcpStream::connect(address).await?);
        }
        (_, others) = ask(others).await?;
        let (alone, others) = ask(others).await?;
        let before = resident_bytes(pid)?;
        let mut deaf = Vec::new();
        for _ in 0..peers {
            deaf.push(connect_deaf(address).await?);
        }
        sleep(Duration::from_secs(1)).await;
        let (beside, _others) = ask(others).await?;
        let grown = resident_bytes(pid)?.saturating_sub(before);
        let mib = |bytes: usize| bytes as f64 / MIB as f64;
        println!("{peers} peers that never read, {:.0} MiB cap", mib(cap));
        println!(
            "the server grew by {:.1} MiB, {:.0} % of the cap",
            mib(grown),
            100.0 * grown as f64 / cap as f64
        );
        println!(
            "p99 of {OTHERS} others: {alone:?} alone, {beside:?} beside them, {:.2} times",
            beside.as_secs_f64() / alone.as_secs_f64()
        );
        drop(deaf);
        if grown > cap + cap / 10 {
            return Err(io::Error::other("the server grew beyond its cap"));
        }
        if beside > 2 * alone {
            return Err(io::Error::other("the others' p99 more than doubled"));
        }
        Ok(())
    })
}

/// A peer that asks for its MiB. Its own machine would hold little of it, so its socket does: or
/// else the kernel, which is both ends' here, would take it all and drop packets for want of memory.
async fn connect_deaf(address: SocketAddr) -> io::Result<TcpStream> {
    let socket = TcpSocket::new_v4()?;
    socket.set_recv_buffer_size(4 * KIB as u32)?;
    let mut peer = socket.connect(address).await?;
    peer.write_all(b"!").await?;
    Ok(peer)
}

/// Asks on all connections for a time, each once in 10 ms, and tells the p99.
async fn ask(peers: Vec<TcpStream>) -> io::Result<(Duration, Vec<TcpStream>)> {
    let end = Instant::now() + TIME;
    let client = |mut peer: TcpStream| async move {
        let mut latencies = Vec::new();
        while Instant::now() < end {
            let asked = Instant::now();
            peer.write_all(b"?").await?;
            peer.read_exact(&mut [0]).await?;
            latencies.push(asked.elapsed());
            sleep(Duration::from_millis(10)).await;
        }
        io::Result::Ok((peer, latencies))
    };
    let clients: Vec<_> = peers
        .into_iter()
        .map(|peer| spawn_local(client(peer)))
        .collect();
    let (mut peers, mut latencies) = (Vec::new(), Vec::new());
    for client in clients {
        let (peer, own) = client.await??;
        peers.push(peer);
        latencies.extend(own);
    }
    latencies.sort_unstable();
    Ok((latencies[latencies.len() * 99 / 100], peers))
}

/// What a process has in memory.
fn resident_bytes(pid: u32) -> io::Result<usize> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB"));
    let kib: Option<usize> = kib.and_then(|kib| kib.trim().parse().ok());
    kib.map(|kib| kib * KIB)
        .ok_or_else(|| io::Error::other("no VmRSS in /proc"))
}
