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

use common::relay::{Connections, relay};
use oneloop::net::{TcpListener, TcpStream};
use oneloop::time::timeout;

/// How long a client may take to say where it wants to go.
const GREETING_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the other side may take to answer a connect, the look-up of its name included.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(20);
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

/// Where a client wants to go.
#[derive(Debug)]
enum Target {
    Address(SocketAddr),
    Domain(String, u16),
}

fn main() {
    let options = common::Options::from_arguments("socks5", 7080);
    let served: io::Result<()> = options.runtime().block_on(async {
        let listener = TcpListener::bind(options.addr).await?;
        let addr = listener.local_addr()?;
        println!("socks5 on {addr}; try: curl --socks5-hostname {addr} http://example.com/");
        let connections = Connections::default();
        loop {
            let (client, peer) = listener.accept().await?;
            let Some(place) = connections.enter() else {
                println!("socks5: {peer} is one too many");
                continue;
            };
            drop(oneloop::spawn(async move {
                match serve(client).await {
                    Ok((up, down)) => println!("socks5: {peer} sent {up} bytes and got {down}"),
                    Err(error) => println!("socks5: {peer} ended: {error}"),
                }
                drop(place);
            }));
        }
    });
    common::fail(&format!(
        "socks5: {}",
        served.expect_err("it serves for ever")
    ));
}

async fn serve(mut client: TcpStream) -> io::Result<(u64, u64)> {
    client.set_nodelay(true)?;
    let target = match timeout(GREETING_TIMEOUT, greet(&mut client)).await?? {
        Ok(target) => target,
        Err(reply) => return refuse(&mut client, reply).await,
    };
    let mut server = match timeout(CONNECT_TIMEOUT, connect(&target)).await {
        Ok(Ok(server)) => server,
        Ok(Err(error)) => return refuse(&mut client, reply_to(&error)).await,
        Err(_elapsed) => return refuse(&mut client, Reply::TimedOut).await,
    };
    server.set_nodelay(true)?;
    let bound = server.local_addr()?;
    client.write_all(&answer(Reply::Succeeded, bound)).await?;
    relay(&mut client, &mut server, IDLE_TIMEOUT).await
}

/// Reads the greeting and the request. The inner error is to be told to the client.
async fn greet(client: &mut TcpStream) -> io::Result<Result<Target, Reply>> {
    let mut head = [0; 2];
    client.read_exact(&mut head).await?;
    if head[0] != VERSION {
        return Err(invalid("not version 5 of the protocol"));
    }
    let mut methods = vec![0; usize::from(head[1])];
    client.read_exact(&mut methods).await?;
    if !methods.contains(&NO_AUTHENTICATION) {
        client.write_all(&[VERSION, NO_METHOD]).await?;
        return Err(invalid("no method that is supported"));
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
                _ => return Ok(Err(Reply::AddressNotSupported)),
            }
        }
        _ => return Ok(Err(Reply::AddressNotSupported)),
    };
    Ok(match request[1] {
        CONNECT => Ok(target),
        _ => Err(Reply::CommandNotSupported),
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
        // A name that nobody knows, and hosts that do not answer.
        _ => Reply::HostUnreachable,
    }
}

/// Tells the client why, and lets it read that before the connection is closed.
async fn refuse(client: &mut TcpStream, reply: Reply) -> io::Result<(u64, u64)> {
    let nowhere = SocketAddr::from(([0, 0, 0, 0], 0));
    client.write_all(&answer(reply, nowhere)).await?;
    client.shutdown().await?;
    Err(io::Error::other(format!("refused: {reply:?}")))
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
