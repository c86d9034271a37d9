//! Which loop serves a new connection.
//!
//! Place: asked by a `LoopListener` for each connection it takes out of the kernel's queue, on the
//! loop that accepted.
//!
//! # Why it is so
//! Two choices beat one by far and a third adds little (M. Mitzenmacher, IEEE TPDS 12(10), 2001),
//! so the default looks at two other loops and not at all of them. A hand-over wakes another
//! thread, so a connection leaves only a loop that is clearly busier.

use std::fmt;
use std::hash::Hasher;
use std::net::{IpAddr, SocketAddr};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use oneloop_runtime::runtime::LoopLoad;

/// Which loop serves a connection that was accepted.
///
/// A loop that [stands still](Candidate::is_stuck) is passed over by the policies that go by load
/// and by `RoundRobin`. `PeerHash` and `Custom` mean the loop that they say: the connection waits
/// for it.
#[derive(Clone, Default)]
#[non_exhaustive]
pub enum AcceptPolicy {
    /// The loop that accepted: the kernel's choice.
    Kernel,
    /// The loop that accepted, unless it has clearly more tasks (more than an eighth and four on top)
    /// than the better of two others.
    #[default]
    LeastLoaded,
    /// The loop with the fewest connections of these listeners; among equals the one that accepted.
    /// Somebody has to count them: [`serve`](super::Listeners::serve) does, and who accepts from a
    /// [`LoopListener`](super::LoopListener) keeps an [`Occupancy`](super::Occupancy) for each.
    LeastConnections,
    /// Each loop in turn.
    RoundRobin,
    /// All connections of one IP address on one loop, also after a restart, as long as the number
    /// of loops is the same.
    PeerHash,
    /// A function's choice: the index of one of the candidates, which stand in the order of
    /// [`Handle::loop_ids`](oneloop_runtime::runtime::Handle::loop_ids). If there is no such
    /// candidate, or if the function panics, the connection stays on the loop that accepted it.
    Custom(Arc<Choose>),
}

/// What [`AcceptPolicy::Custom`] asks: the peer's address and the loops that may serve it, for the
/// index of one.
pub type Choose = dyn Fn(SocketAddr, &[Candidate]) -> usize + Send + Sync;

impl AcceptPolicy {
    /// Whether a connection may be served by any loop that has time for it.
    pub(super) fn goes_by_load(&self) -> bool {
        match self {
            Self::LeastLoaded | Self::LeastConnections | Self::RoundRobin => true,
            Self::Kernel | Self::PeerHash | Self::Custom(_) => false,
        }
    }
}

impl fmt::Debug for AcceptPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kernel => "Kernel",
            Self::LeastLoaded => "LeastLoaded",
            Self::LeastConnections => "LeastConnections",
            Self::RoundRobin => "RoundRobin",
            Self::PeerHash => "PeerHash",
            Self::Custom(_) => "Custom(..)",
        })
    }
}

/// A loop that may serve a connection.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub struct Candidate {
    /// How busy the loop is.
    pub load: LoopLoad,
    /// Connections of these listeners there, and those on their way to it.
    pub connections: usize,
    /// Connections on their way to it, which are not yet among its tasks.
    pub arriving: usize,
    /// Whether it is the loop that accepted.
    pub is_own: bool,
    /// Whether a [`Server`](crate::server::Server) has stopped to accept there, until it has room
    /// for one more.
    pub is_paused: bool,
}

impl Candidate {
    /// Whether the loop takes no connection now: it [is paused](Self::is_paused), or its present turn
    /// has lasted so long ([`STUCK_AFTER`]) that one of its tasks probably blocks it. Never true for
    /// the loop that asks.
    #[must_use]
    pub fn is_stuck(&self) -> bool {
        !self.is_own && (self.is_paused || self.load.turn >= STUCK_AFTER)
    }

    fn tasks(&self) -> usize {
        self.load.tasks + self.arriving
    }
}

/// A turn that lasts this long is taken as a sign that its loop stands still. A busy machine may
/// keep a healthy thread waiting as long: then a connection stays where it is, which harms nobody.
pub const STUCK_AFTER: Duration = Duration::from_millis(10);

/// The clearly better one of two others, or the own loop.
pub(super) fn own_or_better(
    own: &Candidate,
    others: [&Candidate; 2],
    indices: [usize; 2],
) -> Option<usize> {
    let live = (0..2).filter(|&at| !others[at].is_stuck());
    let best = live.min_by_key(|&at| others[at].tasks())?;
    let theirs = others[best].tasks();
    (own.tasks() > theirs + theirs / SLACK_SHARE + SLACK_TASKS).then_some(indices[best])
}

/// The loop with the fewest connections, `own` among equals.
pub(super) fn fewest_connections(candidates: &[Candidate], own: usize) -> usize {
    let live = candidates
        .iter()
        .enumerate()
        .filter(|(_, it)| !it.is_stuck());
    let fewest = live.min_by_key(|(at, it)| (it.connections, *at != own));
    fewest.map_or(own, |(at, _)| at)
}

/// The first live loop from `turn` on.
pub(super) fn next_in_turn(candidates: &[Candidate], turn: usize, own: usize) -> usize {
    let count = candidates.len();
    let mut numbers = (0..count).map(|step| turn.wrapping_add(step) % count);
    numbers
        .find(|&at| !candidates[at].is_stuck())
        .unwrap_or(own)
}

/// The same number for the same address, in every process. An IPv4 address in IPv6's clothes is
/// the IPv4 address.
pub(super) fn by_peer(peer: SocketAddr, count: usize) -> usize {
    let mut hash = Fnv(FNV_OFFSET);
    match peer.ip().to_canonical() {
        IpAddr::V4(ip) => hash.write(&ip.octets()),
        IpAddr::V6(ip) => hash.write(&ip.octets()),
    }
    (hash.finish() % count as u64) as usize
}

/// What the application's function says, if that is a loop.
pub(super) fn ask(
    choose: &Choose,
    peer: SocketAddr,
    candidates: &[Candidate],
    own: usize,
) -> usize {
    // The panic hook has told of the panic. Nothing of ours is half done: we only asked.
    match catch_unwind(AssertUnwindSafe(|| choose(peer, candidates))) {
        Ok(choice) if choice < candidates.len() => choice,
        Ok(_) => own,
        Err(payload) => {
            // Its drop is the application's code as well.
            // The same as in the runtime's `contain`, which is private to it.
            if let Err(payload) = catch_unwind(AssertUnwindSafe(|| drop(payload))) {
                #[expect(clippy::mem_forget, reason = "its drop may panic again, without end")]
                std::mem::forget(payload);
            }
            own
        }
    }
}

/// FNV-1a with a last stir: addresses of one network differ in a few bits only, and the loops are
/// told apart by the lowest.
struct Fnv(u64);

impl Hasher for Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = (self.0 ^ u64::from(byte)).wrapping_mul(FNV_PRIME);
        }
    }

    fn finish(&self) -> u64 {
        let mut hash = self.0;
        hash ^= hash >> 32;
        hash = hash.wrapping_mul(STIR);
        hash ^ (hash >> 29)
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
const FNV_PRIME: u64 = 0x0000_0100_0000_01b3;
const STIR: u64 = 0x9e37_79b9_7f4a_7c15;
/// A loop is clearly busier with this many tasks more than another,
const SLACK_TASKS: usize = 4;
/// and this share of the other's tasks on top.
const SLACK_SHARE: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn peers_of_one_network_use_every_loop_evenly() {
        for count in [2, 3, 4, 7] {
            let mut loops = vec![0_usize; count];
            for last in 0..=255 {
                let peer = SocketAddr::from(([10, 0, 0, last], 4000));
                loops[by_peer(peer, count)] += 1;
            }
            let even = 256 / count;
            assert!(
                loops.iter().all(|&it| it > even / 2 && it < even * 3 / 2),
                "{loops:?}"
            );
        }
    }

    #[test]
    fn hash_is_the_same_for_ever_and_blind_to_port_and_form() {
        let v4 = SocketAddr::from(([192, 0, 2, 7], 1));
        let mapped: SocketAddr = "[::ffff:192.0.2.7]:9".parse().unwrap();
        let v6: SocketAddr = "[2001:db8::7]:9".parse().unwrap();
        assert_eq!(by_peer(v4, 1000), by_peer(mapped, 1000));
        // Written down: another result would move every client at an update.
        assert_eq!([by_peer(v4, 1000), by_peer(v6, 1000)], [710, 235]);
    }

    #[test]
    fn choice_of_a_function_is_taken_only_if_it_is_a_loop() {
        let peer = SocketAddr::from(([192, 0, 2, 7], 1));
        assert_eq!(ask(&|_, _| 0, peer, &[], 3), 3);
        assert_eq!(ask(&|_, _| usize::MAX, peer, &[], 3), 3);
    }
}
