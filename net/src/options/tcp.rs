//! Options of TCP that may be set before or after the connection is made. A connection inherits
//! them from its listener.
//!
//! Place: a macro that `tcp` expands for its sockets, listeners and streams; the methods are called
//! by applications and call the operating system; runs on any thread.

use std::io;
use std::time::Duration;

/// Gives a TCP socket that is `AsFd` the options of tcp(7).
macro_rules! tcp_options {
    ($Socket:ident) => {
        /// Options of TCP (Linux). Connections that a listener accepts inherit its options.
        impl $Socket {
            /// Has the kernel probe a connection on which nothing happens (`SO_KEEPALIVE`), as
            /// [`TcpKeepalive`](crate::tcp::TcpKeepalive) says; what it leaves open stays as it is.
            ///
            /// # Errors
            ///
            /// `InvalidInput` if a value is out of the kernel's range; otherwise those of
            /// setsockopt(2). Values that were set before the failure stay set.
            pub fn set_tcp_keepalive(
                &self,
                keepalive: &crate::tcp::TcpKeepalive,
            ) -> std::io::Result<()> {
                keepalive.apply(&socket2::SockRef::from(self))
            }

            /// Returns how the kernel probes an idle connection; `None` if it does not.
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn tcp_keepalive(&self) -> std::io::Result<Option<crate::tcp::TcpKeepalive>> {
                crate::tcp::TcpKeepalive::of(&socket2::SockRef::from(self))
            }

            /// Returns how long sent bytes may stay without an acknowledgement
            /// (`TCP_USER_TIMEOUT`); `None`: as long as retransmissions go on.
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn user_timeout(&self) -> std::io::Result<Option<std::time::Duration>> {
                let timeout = socket2::SockRef::from(self).tcp_user_timeout()?;
                Ok(timeout.filter(|timeout| !timeout.is_zero()))
            }

            /// Sets how long sent bytes may stay without an acknowledgement until the connection
            /// fails with `TimedOut` (`TCP_USER_TIMEOUT`), in milliseconds; a fraction counts as a
            /// whole one. It also ends the probes of
            /// [`set_tcp_keepalive`](Self::set_tcp_keepalive). `None`, the default, and zero: as
            /// long as retransmissions go on, about 15 minutes.
            ///
            /// # Errors
            ///
            /// `InvalidInput` for more than 2^31 - 1 milliseconds; otherwise those of setsockopt(2).
            pub fn set_user_timeout(
                &self,
                timeout: Option<std::time::Duration>,
            ) -> std::io::Result<()> {
                let timeout = timeout.map(crate::options::whole_milliseconds);
                socket2::SockRef::from(self).set_tcp_user_timeout(timeout)
            }

            /// Returns how many bytes may wait unsent while the socket counts as writable
            /// (`TCP_NOTSENT_LOWAT`).
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn notsent_lowat(&self) -> std::io::Result<u32> {
                socket2::SockRef::from(self).tcp_notsent_lowat()
            }

            /// Lets the socket count as writable only while fewer than so many bytes wait unsent in
            /// the kernel (`TCP_NOTSENT_LOWAT`): less memory, and what is written goes out sooner.
            ///
            /// # Errors
            ///
            /// Those of setsockopt(2).
            pub fn set_notsent_lowat(&self, bytes: u32) -> std::io::Result<()> {
                socket2::SockRef::from(self).set_tcp_notsent_lowat(bytes)
            }

            /// Returns the name of the congestion control (`TCP_CONGESTION`), such as `cubic`.
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn congestion(&self) -> std::io::Result<String> {
                let name = socket2::SockRef::from(self).tcp_congestion()?;
                Ok(crate::options::congestion_name(&name))
            }

            /// Chooses the congestion control by name (`TCP_CONGESTION`).
            /// `/proc/sys/net/ipv4/tcp_available_congestion_control` lists what is loaded.
            ///
            /// # Errors
            ///
            /// `NotFound`, with the name, if the system does not know it; `PermissionDenied` if it
            /// is not among those that may be used without `CAP_NET_ADMIN`. The former one stays.
            pub fn set_congestion(&self, name: &str) -> std::io::Result<()> {
                let set = socket2::SockRef::from(self).set_tcp_congestion(name.as_bytes());
                set.map_err(|error| crate::options::unknown_congestion(name, error))
            }

            /// Returns whether a connection with few packets in flight retransmits without waiting
            /// longer each time (`TCP_THIN_LINEAR_TIMEOUTS`).
            ///
            /// # Errors
            ///
            /// Those of getsockopt(2).
            pub fn thin_linear_timeouts(&self) -> std::io::Result<bool> {
                socket2::SockRef::from(self).tcp_thin_linear_timeouts()
            }

            /// Sets `TCP_THIN_LINEAR_TIMEOUTS`: if true, a connection with few packets in flight
            /// does not double its time-out at the first six retransmissions. For interactive
            /// connections over lossy ways. (`TCP_THIN_DUPACK` does nothing since Linux 4.12.)
            ///
            /// # Errors
            ///
            /// Those of setsockopt(2).
            pub fn set_thin_linear_timeouts(&self, on: bool) -> std::io::Result<()> {
                socket2::SockRef::from(self).set_tcp_thin_linear_timeouts(on)
            }
        }
    };
}

pub(crate) use tcp_options;

/// The kernel counts in milliseconds: a fraction would be cut, and zero means no limit.
pub(crate) fn whole_milliseconds(time: Duration) -> Duration {
    match time.subsec_nanos() % 1_000_000 {
        0 => time,
        cut => time.saturating_add(Duration::from_nanos(u64::from(1_000_000 - cut))),
    }
}

/// The name as the kernel fills it in, up to the first NUL.
pub(crate) fn congestion_name(bytes: &[u8]) -> String {
    let name = bytes.split(|&byte| byte == 0).next().unwrap_or_default();
    String::from_utf8_lossy(name).into_owned()
}

/// The kernel says `ENOENT` for an unknown name: this says which.
pub(crate) fn unknown_congestion(name: &str, error: io::Error) -> io::Error {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::InvalidInput => io::Error::new(
            io::ErrorKind::NotFound,
            format!("the system has no congestion control named {name:?}"),
        ),
        _ => error,
    }
}
