//! Looking up a host name without connecting to it.
//!
//! Place: called by applications, calls `addr`; runs on any thread inside a runtime.

use std::io;
use std::net::SocketAddr;

use crate::addr::{self, ToSocketAddrs};

/// Resolves a host to its socket addresses, IPv4 and IPv6.
///
/// The answer of the system's resolver is passed on as it is: it may be empty and it may
/// name an address more than once. Literals are answered without a lookup.
///
/// # Errors
///
/// `InvalidInput` for text that is not of the form `host:port`; otherwise the resolver's own
/// error. A lookup may be repeated. If the runtime shuts down meanwhile, `Other`.
///
/// # Panics
///
/// If a name has to be looked up outside a runtime.
///
/// # Cancel safety
///
/// Nothing is lost. A lookup that has begun on the blocking pool runs to its end unobserved.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> std::io::Result<()> {
/// for address in oneloop_net::lookup_host("localhost:3000").await? {
///     println!("{address}");
/// }
/// # Ok(())
/// # }
/// ```
pub async fn lookup_host<T>(host: T) -> io::Result<impl Iterator<Item = SocketAddr>>
where
    T: ToSocketAddrs,
{
    addr::resolve(host).await
}

/// The error of an address list that was empty.
pub(crate) fn no_address() -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidInput,
        "could not resolve to any address",
    )
}
