//! An HTTP server that serves on every loop: hyper on oneloop, HTTP/1.1 and HTTP/2.
//!
//! ```text
//! cargo run --release --features hyper --example hyper_hello
//! curl http://127.0.0.1:8080/you
//! curl --http2-prior-knowledge http://127.0.0.1:8080/you
//! cargo run --release --features hyper --example hyper_hello -- --bench 5
//! ```
//!
//! A connection never leaves its loop, so the handlers of a loop share plain memory (`Visits`).
//! Ctrl-C ends the server: requests in flight are answered, idle connections closed at once.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::cell::Cell;
use std::convert::Infallible;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::time::{Duration, Instant};

use common::arguments::Arguments;
use common::histogram::Histogram;
use common::stop::Stop;
use oneloop::net::hyper::{self, Request, Response, body, service::service_fn};
use oneloop::net::listeners::{LoopListener, is_stopped_error};
use oneloop::net::server::shutdown_signal;
use oneloop::net::{TcpListener, TcpStream};
use oneloop::runtime::Builder;
use oneloop::task::{JoinSet, spawn_local};
use oneloop::time::timeout;

/// How long requests in flight may take after Ctrl-C.
const GRACE: Duration = Duration::from_secs(10);

/// What the handlers of one loop share.
type Visits = Rc<Cell<u64>>;

const USAGE: &str = "hyper_hello [--addr 127.0.0.1:8080] [--loops N] \
                     [--bench SECONDS [--connections 100]]";

fn main() {
    let arguments = Arguments::read(USAGE);
    arguments.end(run(&arguments));
}

fn run(arguments: &Arguments) -> io::Result<()> {
    let addr: SocketAddr = arguments.value("--addr");
    let connections = arguments.number("--connections");
    let bench = arguments.has("--bench");
    let bench = bench.then(|| arguments.seconds("--bench"));
    let runtime = arguments.runtime();
    // Before a client can come: it may need the last descriptors.
    let stop = {
        let _context = runtime.enter();
        shutdown_signal()
    };
    let listeners = runtime.block_on(TcpListener::bind_balanced(addr))?;
    let addr = listeners.local_addr()?;
    let (parts, stopper) = listeners.into_parts()?;
    println!(
        "http on {addr}, served by {} loops; try: curl http://{addr}/you",
        parts.len()
    );
    let mut servers = Vec::new();
    for part in parts {
        let loop_id = part.loop_id();
        servers.push(runtime.handle().spawn_on(loop_id, move || serve(part)));
    }
    let stopping = runtime.spawn(async move {
        let outcome = stop.await;
        stopper.stop();
        outcome
    });
    if let Some(time) = bench {
        return drive(addr, connections, time);
    }
    for server in servers {
        let visits = runtime.block_on(server)??;
        println!("a loop has answered {visits} requests");
    }
    runtime.block_on(stopping)??;
    Ok(())
}

/// Serves one loop until it is stopped, and then what is in flight. How many requests there were.
async fn serve(mut part: LoopListener) -> io::Result<u64> {
    let stop = Stop::default();
    let visits = Visits::default();
    let mut connections = JoinSet::new();
    loop {
        match part.accept().await {
            Ok((stream, _)) => {
                connections.spawn_local(connection(stream, Rc::clone(&visits), stop.clone()));
            }
            // What waited when it was stopped has been accepted.
            Err(error) if is_stopped_error(&error) => break,
            Err(error) => return Err(error),
        }
        // Those that have ended.
        while connections.try_join_next().is_some() {}
    }
    stop.set();
    let rest = async { while connections.join_next().await.is_some() {} };
    if timeout(GRACE, rest).await.is_err() {
        println!("{} connections were cut", connections.len());
    }
    Ok(visits.get())
}

async fn connection(stream: TcpStream, visits: Visits, stop: Stop) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let service = service_fn(move |request| hello(request, Rc::clone(&visits)));
    hyper::serve_connection(stream, service, stop.wait()).await
}

async fn hello(
    request: Request<body::Incoming>,
    visits: Visits,
) -> Result<Response<String>, Infallible> {
    visits.set(visits.get() + 1);
    let name = request.uri().path().trim_start_matches('/');
    let name = if name.is_empty() { "world" } else { name };
    Ok(Response::new(format!("hello, {name}\n")))
}

/// Drives the server with a client of ours, on a loop of its own, and prints the figures.
fn drive(addr: SocketAddr, connections: usize, time: Duration) -> io::Result<()> {
    let started = Instant::now();
    let end = started + time;
    let latencies = Builder::new_current_thread().build()?.block_on(async {
        let mut clients = JoinSet::new();
        for _ in 0..connections {
            clients.spawn_local(client(addr, end));
        }
        let mut all = Histogram::new();
        // The first error ends it: if it is a full table of descriptors, which the server shares,
        // others may wait until somebody ends.
        while let Some(ended) = clients.join_next().await {
            all.merge(&ended??);
        }
        io::Result::Ok(all)
    })?;
    println!(
        "{connections} connections, {:.1} s: {:.0} requests/s, p50 {:.0} us, p99 {:.0} us",
        started.elapsed().as_secs_f64(),
        latencies.count() as f64 / started.elapsed().as_secs_f64(),
        latencies.quantile(0.5).as_secs_f64() * 1e6,
        latencies.quantile(0.99).as_secs_f64() * 1e6,
    );
    Ok(())
}

/// One request after the other, each answer compared.
async fn client(addr: SocketAddr, end: Instant) -> io::Result<Histogram> {
    let stream = TcpStream::connect(addr).await?;
    stream.set_nodelay(true)?;
    let handshake = hyper::http1_client().handshake(stream).await;
    let (mut sender, connection) = handshake.map_err(io::Error::other)?;
    drop(spawn_local(connection));
    let mut latencies = Histogram::new();
    while Instant::now() < end {
        let sent = Instant::now();
        let request = Request::get("/you").header("host", "localhost");
        let request = request.body(String::new()).map_err(io::Error::other)?;
        let response = sender.send_request(request).await;
        let mut body = response.map_err(io::Error::other)?.into_body();
        let mut text = Vec::new();
        while let Some(frame) = next_frame(&mut body).await {
            if let Ok(data) = frame.map_err(io::Error::other)?.into_data() {
                text.extend_from_slice(&data);
            }
        }
        if text != b"hello, you\n" {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "other bytes"));
        }
        latencies.record(sent.elapsed());
    }
    Ok(latencies)
}

async fn next_frame(
    body: &mut body::Incoming,
) -> Option<Result<body::Frame<body::Bytes>, hyper::Error>> {
    use body::Body;
    poll_fn(|cx| Pin::new(&mut *body).poll_frame(cx)).await
}
