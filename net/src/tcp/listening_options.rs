//! Options that concern how connections come in, of a listener and of a socket that will be one.
//!
//! Place: called by applications, calls `options::raw`; runs on any thread.

use std::io;
use std::time::Duration;

use super::listener::TcpListener;
use super::socket::TcpSocket;
use crate::options::raw;

macro_rules! listening_options {
    ($Socket:ident) => {
        /// Options of listening (Linux).
        impl $Socket {
            /// Has accept give a connection out only when its client has spoken, or after so long
            /// (`TCP_DEFER_ACCEPT`). Whole seconds, a fraction counts as a whole one; zero undoes
            /// it. The kernel rounds up to a time of its retransmissions.
            ///
            /// # Errors
            ///
            /// Those of setsockopt(2).
            pub fn set_defer_accept(&self, limit: Duration) -> io::Result<()> {
                let fraction = u64::from(limit.subsec_nanos() > 0);
                let seconds = limit.as_secs().saturating_add(fraction);
                let seconds = i32::try_from(seconds).unwrap_or(i32::MAX);
                raw::set_int(self, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT, seconds)
            }

            /// Returns how long accept waits for the client to speak; zero: it does not.
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn defer_accept(&self) -> io::Result<Duration> {
                let seconds = raw::int(self, libc::IPPROTO_TCP, libc::TCP_DEFER_ACCEPT)?;
                Ok(Duration::from_secs(seconds.unsigned_abs().into()))
            }

            /// Takes bytes that come with the first packet of a client that was here before
            /// (`TCP_FASTOPEN`): `pending_max` such connections may wait for the end of their
            /// handshake; 0 undoes it. The system must allow it too (`net.ipv4.tcp_fastopen`, 2).
            ///
            /// # Errors
            ///
            /// Those of setsockopt(2).
            pub fn set_fastopen(&self, pending_max: u32) -> io::Result<()> {
                let pending = i32::try_from(pending_max).unwrap_or(i32::MAX);
                raw::set_int(self, libc::IPPROTO_TCP, libc::TCP_FASTOPEN, pending)
            }

            /// Returns how many connections with bytes in their first packet may wait.
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn fastopen(&self) -> io::Result<u32> {
                let pending = raw::int(self, libc::IPPROTO_TCP, libc::TCP_FASTOPEN)?;
                Ok(pending.unsigned_abs())
            }
        }
    };
}

listening_options!(TcpSocket);
listening_options!(TcpListener);

crate::options::socket_options!(TcpSocket);
crate::options::tcp_options!(TcpSocket);
crate::options::socket_options!(TcpListener);
crate::options::tcp_options!(TcpListener);
