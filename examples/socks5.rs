//! A SOCKS5 server (RFC 1928): CONNECT to IPv4, IPv6 and domain names, without authentication.
//!
//! ```text
//! cargo run --release --example socks5
//! curl --socks5-hostname 127.0.0.1:7080 http://example.com/      # in another terminal
//! ```
//!
//! It listens on the loopback address unless told otherwise: whoever reaches it can connect to
//! whatever this machine reaches.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use common::arguments::Arguments;
use common::connections::Connections;
use common::relay::relay;
use oneloop::net::{TcpListener, TcpStream};
use oneloop::time::timeout;
use rustix::io::Errno;

/// Connections that are served at once; more are closed as they come.
const CONNECTIONS_MAX: usize = 10_000;
/// How long a client may take to say where it wants to go.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the other side may take to answer a connect, the look-up of its name included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
/// How long a client that is refused may take to read why.
const REFUSAL_TIMEOUT: Duration = Duration::from_secs(5);
/// How long nothing may happen.
const IDLE_TIMEOUT: Duration = Duration::from_secs(300);

const VERSION: u8 = 5;
const NO_AUTHENTICATION: u8 = 0;
const NO_METHOD: u8 = 0xff;
const CONNECT: u8 = 1;

/// What a request is answered with (RFC 1928, section 6).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Reply {
    Succeeded = 0,
    GeneralFailure = 1,
    NotAllowed = 2,
    NetworkUnreachable = 3,
    HostUnreachable = 4,
    ConnectionRefused = 5,
    TimedOut = 6,
    CommandNotSupported = 7,
    AddressNotSupported = 8,
}

impl Reply {
    /// The answer that has no address to tell.
    fn refusal(self) -> Vec<u8> {
        answer(self, SocketAddr::from(([0, 0, 0, 0], 0)))
    }
}

/// Where a client wants to go.
#[derive(Debug)]
enum Target {
    Address(SocketAddr),
    Domain(String, u16),
}

fn main() {
    let arguments = Arguments::read("socks5 [--addr 127.0.0.1:7080] [--loops N]");
    let addr: SocketAddr = arguments.value("--addr");
    arguments.end(arguments.runtime().block_on(async {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        println!("socks5 on {addr}; try: curl --socks5-hostname {addr} http://example.com/");
        let connections = Connections::at_most(CONNECTIONS_MAX);
        loop {
            let (client, _) = listener.accept().await?;
            let Some(place) = connections.enter() else {
                continue;
            };
            drop(oneloop::spawn(async move {
                // An error ends this connection; both sides know already.
                let _ = serve(client).await;
                drop(place);
            }));
        }
    }));
}

async fn serve(mut client: TcpStream) -> io::Result<()> {
    client.set_nodelay(true)?;
    let target = match timeout(GREETING_TIMEOUT, greet(&mut client)).await?? {
        Ok(target) => target,
        Err(refusal) => return refuse(client, &refusal).await,
    };
    let mut server = match timeout(CONNECT_TIMEOUT, connect(&target)).await {
        Ok(Ok(server)) => server,
        Ok(Err(error)) => return refuse(client, &reply_to(&error).refusal()).await,
        Err(_elapsed) => return refuse(client, &Reply::TimedOut.refusal()).await,
    };
    server.set_nodelay(true)?;
    let bound = server.local_addr()?;
    client.write_all(&answer(Reply::Succeeded, bound)).await?;
    relay(&mut client, &mut server, IDLE_TIMEOUT).await
}

/// Reads the greeting and the request. The inner error is what the client is to be told.
async fn greet(client: &mut TcpStream) -> io::Result<Result<Target, Vec<u8>>> {
    let mut head = [0; 2];
    client.read_exact(&mut head).await?;
    if head[0] != VERSION {
        return Err(invalid("not version 5 of the protocol"));
    }
    let mut methods = vec![0; usize::from(head[1])];
    client.read_exact(&mut methods).await?;
    if !methods.contains(&NO_AUTHENTICATION) {
        return Ok(Err(vec![VERSION, NO_METHOD]));
    }
    client.write_all(&[VERSION, NO_AUTHENTICATION]).await?;
    let mut request = [0; 4];
    client.read_exact(&mut request).await?;
    if request[0] != VERSION {
        return Err(invalid("not version 5 of the protocol"));
    }
    let target = match request[3] {
        1 => {
            let mut address = [0; 4];
            client.read_exact(&mut address).await?;
            let address = IpAddr::V4(Ipv4Addr::from(address));
            Target::Address(SocketAddr::new(address, port(client).await?))
        }
        4 => {
            let mut address = [0; 16];
            client.read_exact(&mut address).await?;
            let address = IpAddr::V6(Ipv6Addr::from(address));
            Target::Address(SocketAddr::new(address, port(client).await?))
        }
        3 => {
            let mut length = [0];
            client.read_exact(&mut length).await?;
            let mut name = vec![0; usize::from(length[0])];
            client.read_exact(&mut name).await?;
            let port = port(client).await?;
            match String::from_utf8(name) {
                Ok(name) if !name.is_empty() => Target::Domain(name, port),
                _ => return Ok(Err(Reply::AddressNotSupported.refusal())),
            }
        }
        _ => return Ok(Err(Reply::AddressNotSupported.refusal())),
    };
    Ok(match request[1] {
        CONNECT => Ok(target),
        _ => Err(Reply::CommandNotSupported.refusal()),
    })
}

async fn port(client: &mut TcpStream) -> io::Result<u16> {
    let mut port = [0; 2];
    client.read_exact(&mut port).await?;
    Ok(u16::from_be_bytes(port))
}

async fn connect(target: &Target) -> io::Result<TcpStream> {
    match target {
        Target::Address(address) => TcpStream::connect(address).await,
        Target::Domain(name, port) => TcpStream::connect((name.as_str(), *port)).await,
    }
}

fn reply_to(error: &io::Error) -> Reply {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Reply::ConnectionRefused,
        io::ErrorKind::NetworkUnreachable => Reply::NetworkUnreachable,
        io::ErrorKind::TimedOut => Reply::TimedOut,
        io::ErrorKind::PermissionDenied => Reply::NotAllowed,
        io::ErrorKind::OutOfMemory => Reply::GeneralFailure,
        io::ErrorKind::HostUnreachable => Reply::HostUnreachable,
        // Nothing answers for its address. The error has no kind.
        _ if Errno::from_io_error(error) == Some(Errno::HOSTDOWN) => Reply::HostUnreachable,
        // A name that nobody knows.
        _ if error.raw_os_error().is_none() => Reply::HostUnreachable,
        // It is this machine that fails: no descriptor is free, for instance, or no local port.
        _ => Reply::GeneralFailure,
    }
}

/// Tells the client why, and lets it read that before the connection is closed.
async fn refuse(mut client: TcpStream, refusal: &[u8]) -> io::Result<()> {
    client.write_all(refusal).await?;
    client.close_gracefully(REFUSAL_TIMEOUT).await
}

fn answer(reply: Reply, bound: SocketAddr) -> Vec<u8> {
    let mut answer = vec![VERSION, reply as u8, 0];
    match bound.ip() {
        IpAddr::V4(address) => {
            answer.push(1);
            answer.extend(address.octets());
        }
        IpAddr::V6(address) => {
            answer.push(4);
            answer.extend(address.octets());
        }
    }
    answer.extend(bound.port().to_be_bytes());
    answer
}

fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem.to_owned())
}
