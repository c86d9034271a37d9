//! Options that several socket types have in common.
//!
//! Place: made of macros that `tcp`, `udp` and `unix` expand: the methods and their docs belong to
//! the public types. Options of one type alone stand in its own folder.
//!
//! ```text
//! buffer_sizes!   the kernel's buffers           streams, datagram sockets
//! socket_options! mark, priority, polling        TCP and UDP
//! tcp_options!    probes, time-outs, congestion  TcpSocket, TcpListener, TcpStream
//! ```
//!
//! # Invariants
//! No option is set by default. Above all not the size of the receive buffer: the kernel adapts it
//! to the connection only as long as nobody has set it (tcp(7), `tcp_moderate_rcvbuf`).

mod buffer_sizes;
// Android has the credentials of a peer only.
#[cfg(any(target_os = "linux", target_os = "android"))]
#[cfg_attr(not(target_os = "linux"), allow(dead_code))]
pub(crate) mod raw;
#[cfg(target_os = "linux")]
mod socket;
#[cfg(target_os = "linux")]
mod tcp;

pub(crate) use buffer_sizes::{buffer_sizes, clamp_size, size_u32};
#[cfg(target_os = "linux")]
pub(crate) use {
    socket::socket_options,
    tcp::{congestion_name, tcp_options, unknown_congestion, whole_milliseconds},
};
