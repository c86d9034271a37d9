//! Connections that are idle after they have been served once.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket};

/// Connects `count` times. Each has been served once before the next comes, so that none waits in
/// the kernel's queue and all that a server makes at the first use of a connection is made.
///
/// # Errors
///
/// Those of the connections.
pub fn connect_idle(address: SocketAddr, count: usize) -> io::Result<Vec<TcpStream>> {
    let mut connections = Vec::with_capacity(count);
    for index in 0..count {
        let mut connection = connect_from(source(index), address)?;
        exchange(&mut connection)?;
        connections.push(connection);
    }
    Ok(connections)
}

/// Is served once more.
///
/// # Errors
///
/// The connection has ended.
pub fn exchange(connection: &mut TcpStream) -> io::Result<()> {
    connection.write_all(b"?")?;
    connection.read_exact(&mut [0])
}

/// One address has ports for twice 15,000 connections at most, and other programs use some.
fn source(index: usize) -> Ipv4Addr {
    Ipv4Addr::new(127, 0, 0, SOURCES[index % SOURCES.len()])
}

fn connect_from(source: Ipv4Addr, address: SocketAddr) -> io::Result<TcpStream> {
    let socket = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&socket, &SocketAddrV4::new(source, 0))?;
    connect(&socket, &address)?;
    Ok(socket.into())
}

const SOURCES: [u8; 8] = [2, 3, 4, 5, 6, 7, 8, 9];
