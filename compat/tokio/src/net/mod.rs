//! Sockets.
//!
//! Place: wraps `oneloop::net`. What is added: tokio's traits, its panic texts, and the check that
//! IO is enabled where a socket is made.

mod datagram;
mod halves;
mod macros;
pub mod tcp;
mod udp;
pub mod unix;

pub use oneloop::net::ToSocketAddrs;
#[doc(inline)]
pub use tcp::{TcpListener, TcpSocket, TcpStream};
pub use udp::UdpSocket;
#[doc(inline)]
pub use unix::{UnixDatagram, UnixListener, UnixSocket, UnixStream};

use std::io;
use std::net::SocketAddr;

use crate::runtime::context::require;
use crate::runtime::shutdown::InTokioWords;

/// Looks a name up on the blocking pool.
///
/// # Errors
///
/// The name is not known, or not an address.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// Nothing is lost. A lookup that has begun on the pool goes on unobserved.
pub async fn lookup_host<T: ToSocketAddrs>(
    host: T,
) -> io::Result<impl Iterator<Item = SocketAddr>> {
    require();
    oneloop::net::lookup_host(host).await.in_tokio_words()
}
