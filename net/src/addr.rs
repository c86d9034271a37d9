//! What may be given as an address: a socket address, a pair of host and port, or text.
//!
//! Place: called by `bind`, `connect` and `lookup_host`, calls the system's resolver on the
//! blocking pool; runs on any thread inside a runtime.
//!
//! # Why it is so
//! The trait is sealed and its only method hidden: the way a name is resolved may change
//! (a resolver on the loop instead of the pool) without breaking anybody.

use std::future::Future;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{option, vec};

use oneloop_runtime::runtime::Handle;
use oneloop_runtime::task::{JoinError, JoinHandle};

/// Turns a value into one or more socket addresses, without blocking the loop.
///
/// Implemented for [`SocketAddr`], [`SocketAddrV4`], [`SocketAddrV6`], pairs of an address
/// and a port, pairs of a host name and a port, text of the form `host:port`, slices of
/// [`SocketAddr`], and references to all of these.
///
/// Addresses and their textual forms are taken as they are. Host names are looked up by the
/// system's resolver on the blocking pool, in the order in which it answers.
///
/// The trait is sealed. To resolve a name yourself, use [`lookup_host`](crate::lookup_host).
pub trait ToSocketAddrs: sealed::Resolve {}

/// Starts to resolve `address`.
pub(crate) fn resolve(address: impl ToSocketAddrs) -> Resolving {
    address.resolve()
}

/// The future of a resolution.
#[derive(Debug)]
#[expect(
    unnameable_types,
    reason = "part of the sealed trait: users must not depend on it"
)]
pub struct Resolving(State);

#[derive(Debug)]
enum State {
    /// No name had to be looked up. `None` once the outcome has been handed out.
    Known(Option<io::Result<Addrs>>),
    /// The resolver works on the blocking pool.
    Pool(Handle, JoinHandle<io::Result<vec::IntoIter<SocketAddr>>>),
}

/// The addresses that a resolution found, in order of preference.
#[derive(Debug)]
#[expect(
    unnameable_types,
    reason = "part of the sealed trait: users must not depend on it"
)]
pub enum Addrs {
    /// A literal.
    One(option::IntoIter<SocketAddr>),
    /// A slice, or the answer of the resolver.
    Many(vec::IntoIter<SocketAddr>),
}

mod sealed {
    /// The hidden half of [`ToSocketAddrs`](super::ToSocketAddrs).
    #[expect(unnameable_types, reason = "that is what seals the trait")]
    pub trait Resolve {
        #[doc(hidden)]
        fn resolve(&self) -> super::Resolving;
    }
}

impl Resolving {
    fn one(address: SocketAddr) -> Self {
        Self(State::Known(Some(Ok(Addrs::One(
            Some(address).into_iter(),
        )))))
    }

    fn many(addresses: Vec<SocketAddr>) -> Self {
        Self(State::Known(Some(Ok(Addrs::Many(addresses.into_iter())))))
    }

    fn failed(text: String) -> Self {
        let error = io::Error::new(io::ErrorKind::InvalidInput, text);
        Self(State::Known(Some(Err(error))))
    }

    /// Asks the system's resolver.
    fn on_pool(host: &str, port: u16) -> Self {
        let host = host.to_owned();
        let ask = move || std::net::ToSocketAddrs::to_socket_addrs(&(host.as_str(), port));
        let runtime = Handle::current();
        match runtime.try_spawn_blocking(ask) {
            Ok(join) => Self(State::Pool(runtime, join)),
            Err(error) => Self(State::Known(Some(Err(error)))),
        }
    }
}

impl Future for Resolving {
    type Output = io::Result<Addrs>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match &mut self.get_mut().0 {
            State::Known(outcome) => match outcome.take() {
                Some(outcome) => Poll::Ready(outcome),
                None => panic!("a name resolution was polled after it had finished"),
            },
            State::Pool(runtime, join) => Poll::Ready(match ready!(Pin::new(join).poll(cx)) {
                Ok(answer) => answer.map(Addrs::Many),
                Err(error) => Err(lost(runtime, error)),
            }),
        }
    }
}

/// The error of a lookup without an answer. The pool cancels one only if its runtime ends.
fn lost(runtime: &Handle, error: JoinError) -> io::Error {
    match runtime.check_running() {
        Err(gone) if error.is_cancelled() => gone,
        _ => io::Error::other(error),
    }
}

impl Iterator for Addrs {
    type Item = SocketAddr;

    fn next(&mut self) -> Option<SocketAddr> {
        match self {
            Self::One(one) => one.next(),
            Self::Many(many) => many.next(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        match self {
            Self::One(one) => one.size_hint(),
            Self::Many(many) => many.size_hint(),
        }
    }
}

/// Resolves a host that may be a literal of either family, with a port beside it.
fn resolve_pair(host: &str, port: u16) -> Resolving {
    match host.parse::<IpAddr>() {
        Ok(ip) => Resolving::one(SocketAddr::new(ip, port)),
        Err(_) => Resolving::on_pool(host, port),
    }
}

/// Resolves text of the form `host:port`, `a.b.c.d:port` or `[v6]:port`.
fn resolve_text(text: &str) -> Resolving {
    if let Ok(address) = text.parse::<SocketAddr>() {
        return Resolving::one(address);
    }
    let pair = text
        .rsplit_once(':')
        .filter(|_| text.parse::<Ipv6Addr>().is_err());
    let Some((host, port)) = pair else {
        return Resolving::failed(format!(
            "invalid socket address {text:?}: no port, expected host:port or [IPv6]:port"
        ));
    };
    match port.parse::<u16>() {
        Ok(port) => Resolving::on_pool(host, port),
        Err(_) => Resolving::failed(format!(
            "invalid socket address {text:?}: {port:?} is not a port number (0 to 65535)"
        )),
    }
}

impl<T: ToSocketAddrs + ?Sized> ToSocketAddrs for &T {}
impl<T: sealed::Resolve + ?Sized> sealed::Resolve for &T {
    fn resolve(&self) -> Resolving {
        (**self).resolve()
    }
}

impl ToSocketAddrs for SocketAddr {}
impl sealed::Resolve for SocketAddr {
    fn resolve(&self) -> Resolving {
        Resolving::one(*self)
    }
}

impl ToSocketAddrs for SocketAddrV4 {}
impl sealed::Resolve for SocketAddrV4 {
    fn resolve(&self) -> Resolving {
        Resolving::one(SocketAddr::V4(*self))
    }
}

impl ToSocketAddrs for SocketAddrV6 {}
impl sealed::Resolve for SocketAddrV6 {
    fn resolve(&self) -> Resolving {
        Resolving::one(SocketAddr::V6(*self))
    }
}

impl ToSocketAddrs for (IpAddr, u16) {}
impl sealed::Resolve for (IpAddr, u16) {
    fn resolve(&self) -> Resolving {
        Resolving::one(SocketAddr::from(*self))
    }
}

impl ToSocketAddrs for (Ipv4Addr, u16) {}
impl sealed::Resolve for (Ipv4Addr, u16) {
    fn resolve(&self) -> Resolving {
        Resolving::one(SocketAddr::from(*self))
    }
}

impl ToSocketAddrs for (Ipv6Addr, u16) {}
impl sealed::Resolve for (Ipv6Addr, u16) {
    fn resolve(&self) -> Resolving {
        Resolving::one(SocketAddr::from(*self))
    }
}

impl ToSocketAddrs for &[SocketAddr] {}
impl sealed::Resolve for &[SocketAddr] {
    fn resolve(&self) -> Resolving {
        Resolving::many(self.to_vec())
    }
}

impl ToSocketAddrs for (&str, u16) {}
impl sealed::Resolve for (&str, u16) {
    fn resolve(&self) -> Resolving {
        resolve_pair(self.0, self.1)
    }
}

impl ToSocketAddrs for (String, u16) {}
impl sealed::Resolve for (String, u16) {
    fn resolve(&self) -> Resolving {
        resolve_pair(&self.0, self.1)
    }
}

impl ToSocketAddrs for str {}
impl sealed::Resolve for str {
    fn resolve(&self) -> Resolving {
        resolve_text(self)
    }
}

impl ToSocketAddrs for String {}
impl sealed::Resolve for String {
    fn resolve(&self) -> Resolving {
        resolve_text(self)
    }
}

#[cfg(test)]
mod tests {
    use std::pin::pin;
    use std::task::Waker;

    use oneloop_runtime::runtime::{Runtime, is_shutdown_error};

    use super::*;

    /// The outcome of an input that needs no resolver.
    fn known(address: impl ToSocketAddrs) -> io::Result<Vec<SocketAddr>> {
        match resolve(address).0 {
            State::Known(Some(outcome)) => outcome.map(Iterator::collect),
            other => panic!("went to the resolver: {other:?}"),
        }
    }

    #[test]
    fn literals_need_no_resolver() {
        let v4: SocketAddr = "127.0.0.1:80".parse().unwrap();
        let v6: SocketAddr = "[::1]:80".parse().unwrap();
        assert_eq!(known("127.0.0.1:80").unwrap(), [v4]);
        assert_eq!(known("[::1]:80").unwrap(), [v6]);
        assert_eq!(known(String::from("127.0.0.1:80")).unwrap(), [v4]);
        assert_eq!(known(("::1", 80)).unwrap(), [v6]);
        assert_eq!(known((String::from("127.0.0.1"), 80)).unwrap(), [v4]);
        assert_eq!(known((Ipv4Addr::LOCALHOST, 80)).unwrap(), [v4]);
        assert_eq!(known((Ipv6Addr::LOCALHOST, 80)).unwrap(), [v6]);
        assert_eq!(known((IpAddr::from([127, 0, 0, 1]), 80)).unwrap(), [v4]);
        assert_eq!(known(v4).unwrap(), [v4]);
        assert_eq!(known(&[v4, v6][..]).unwrap(), [v4, v6]);
        let by_reference: &&SocketAddr = &&v6;
        assert_eq!(known(by_reference).unwrap(), [v6]);
        assert_eq!(known(&[][..]).unwrap(), []);
    }

    #[test]
    fn a_lookup_whose_runtime_has_ended_is_told_as_that() {
        let runtime = Runtime::new().unwrap();
        let handle = runtime.handle().clone();
        drop(runtime);
        let _guard = handle.enter();
        let mut lookup = pin!(resolve("localhost:80"));
        let mut cx = Context::from_waker(Waker::noop());
        let Poll::Ready(Err(error)) = lookup.as_mut().poll(&mut cx) else {
            panic!("an answer, or a wait for one, from a pool that has ended");
        };
        assert!(is_shutdown_error(&error), "{error}");
    }

    #[test]
    fn malformed_text_is_invalid_input_and_is_quoted() {
        for text in [
            "",
            "localhost",
            "localhost:",
            "localhost:http",
            "localhost:65536",
            "::1",
        ] {
            let error = known(text).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{text:?}");
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }
}
