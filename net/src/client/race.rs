//! Several addresses, one connection: the attempts run beside each other, the first success wins.
//!
//! Place: called by `connector`, calls `TcpStream::connect_one`; runs where its task is polled.
//!
//! ```text
//!  v6 a |-------------------------- given up (closed)
//!  v4 b      |---- refused
//!  v6 c           |--------- connected
//!       <-delay-> ^ a failure begins the next attempt at once
//! ```
//!
//! # Invariants
//! - An attempt is a socket; dropping the race closes all of them.
//! - At most [`ATTEMPTS_AT_ONCE_MAX`] attempts are under way.
//!
//! # Why it is so
//! This is "happy eyeballs" (RFC 8305) without its two lookups: the system's resolver answers for
//! both families at once and in the order of RFC 6724, so the family of its first address is the
//! preferred one, and there is no answer to wait for.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use oneloop_runtime::time::{Sleep, sleep};

use crate::TcpStream;
use crate::lookup::no_address;

/// How many attempts of one call are under way at once, at most. A further address waits until one
/// of them fails.
pub const ATTEMPTS_AT_ONCE_MAX: usize = 8;

type Attempt = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

/// What the wait for the attempts came to.
enum Event {
    Connected(TcpStream),
    Failed(io::Error),
    /// None of them has answered in the time that the next address waits.
    Slow,
}

/// Connects to one of the addresses, beginning an attempt every `delay` until one succeeds.
pub(super) async fn race(addresses: Vec<SocketAddr>, delay: Duration) -> io::Result<TcpStream> {
    if let [address] = addresses[..] {
        return TcpStream::connect_one(address).await;
    }
    let mut waiting = interleave(addresses);
    let mut attempts: Vec<Attempt> = Vec::new();
    let mut failure = None;
    loop {
        // There is room for it: one has failed, or the wait was for an address that has room.
        debug_assert!(attempts.len() < ATTEMPTS_AT_ONCE_MAX);
        if let Some(address) = waiting.pop_front() {
            attempts.push(Box::pin(TcpStream::connect_one(address)));
        }
        if attempts.is_empty() {
            return Err(failure.unwrap_or_else(no_address));
        }
        let may_begin = attempts.len() < ATTEMPTS_AT_ONCE_MAX && !waiting.is_empty();
        let mut patience = pin!(may_begin.then(|| sleep(delay)));
        let event = poll_fn(|cx| poll_attempts(cx, &mut attempts, patience.as_mut().as_pin_mut()));
        match event.await {
            Event::Connected(stream) => return Ok(stream),
            Event::Failed(error) => failure = Some(more_telling(failure, error)),
            Event::Slow => {}
        }
    }
}

fn poll_attempts(
    cx: &mut Context<'_>,
    attempts: &mut Vec<Attempt>,
    patience: Option<Pin<&mut Sleep>>,
) -> Poll<Event> {
    for at in 0..attempts.len() {
        match attempts[at].as_mut().poll(cx) {
            Poll::Ready(Ok(stream)) => return Poll::Ready(Event::Connected(stream)),
            Poll::Ready(Err(error)) => {
                drop(attempts.remove(at));
                return Poll::Ready(Event::Failed(error));
            }
            Poll::Pending => {}
        }
    }
    match patience {
        Some(patience) => patience.poll(cx).map(|()| Event::Slow),
        None => Poll::Pending,
    }
}

/// The addresses by turns of the families, beginning with the family of the first; in each family
/// their order stays.
fn interleave(addresses: Vec<SocketAddr>) -> VecDeque<SocketAddr> {
    let v6_first = addresses.first().is_some_and(SocketAddr::is_ipv6);
    let preferred = |address: &SocketAddr| address.is_ipv6() == v6_first;
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(preferred);
    let mut ordered = VecDeque::with_capacity(first.len() + second.len());
    let (mut first, mut second) = (first.into_iter(), second.into_iter());
    loop {
        let (one, other) = (first.next(), second.next());
        if one.is_none() && other.is_none() {
            return ordered;
        }
        ordered.extend(one);
        ordered.extend(other);
    }
}

/// The later error, unless it only says that this machine has no way to that family, and the
/// earlier one says more.
fn more_telling(earlier: Option<io::Error>, later: io::Error) -> io::Error {
    match earlier {
        Some(earlier) if has_no_way(&later) && !has_no_way(&earlier) => earlier,
        _ => later,
    }
}

fn has_no_way(error: &io::Error) -> bool {
    let afnosupport = rustix::io::Errno::AFNOSUPPORT.raw_os_error();
    error.raw_os_error() == Some(afnosupport)
        || matches!(
            error.kind(),
            io::ErrorKind::NetworkUnreachable | io::ErrorKind::AddrNotAvailable
        )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(list: &[&str]) -> Vec<SocketAddr> {
        list.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn families_take_turns_and_the_first_one_begins() {
        let cases: [(&[&str], &[&str]); 4] = [
            (
                &["[::1]:1", "[::2]:1", "[::3]:1", "1.0.0.1:1", "1.0.0.2:1"],
                &["[::1]:1", "1.0.0.1:1", "[::2]:1", "1.0.0.2:1", "[::3]:1"],
            ),
            (
                &["1.0.0.1:1", "[::1]:1", "[::2]:1"],
                &["1.0.0.1:1", "[::1]:1", "[::2]:1"],
            ),
            (&["1.0.0.1:1", "1.0.0.2:1"], &["1.0.0.1:1", "1.0.0.2:1"]),
            (&[], &[]),
        ];
        for (given, expected) in cases {
            assert_eq!(interleave(addresses(given)), addresses(expected));
        }
    }

    #[test]
    fn error_of_a_peer_says_more_than_a_missing_route() {
        let refused = || io::Error::from(io::ErrorKind::ConnectionRefused);
        let no_way = || io::Error::from(io::ErrorKind::NetworkUnreachable);
        let kind = |earlier, later| more_telling(earlier, later).kind();
        assert_eq!(kind(None, no_way()), io::ErrorKind::NetworkUnreachable);
        assert_eq!(kind(Some(no_way()), refused()), refused().kind());
        assert_eq!(kind(Some(refused()), no_way()), refused().kind());
        let reset = io::Error::from(io::ErrorKind::ConnectionReset);
        assert_eq!(kind(Some(refused()), reset), io::ErrorKind::ConnectionReset);
    }
}
