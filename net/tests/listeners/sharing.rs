//! Which loop serves: shares, policies, bursts.

use std::net::{self, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use oneloop_net::listeners::{AcceptPolicy, Candidate, Listeners, LoopCounts, Movable, Serving};
use oneloop_net::{TcpListener, TcpSocket};
use oneloop_runtime::runtime::Builder;
use oneloop_runtime::task::{LocalSet, spawn_blocking};

use crate::support::run_on;
use crate::{ask, loops, tell_loop};

const CONNECTIONS: usize = 1000;

async fn balanced(policy: AcceptPolicy) -> Listeners {
    let address = (Ipv4Addr::LOCALHOST, 0);
    let listeners = TcpListener::bind_balanced(address).await.unwrap();
    listeners.with_policy(policy)
}

/// So many clients, connected one after the other, each of which has had an answer.
async fn clients(address: SocketAddr, count: usize) -> Vec<net::TcpStream> {
    let connect = move || -> Vec<net::TcpStream> {
        (0..count)
            .map(|_| {
                let mut client = net::TcpStream::connect(address).unwrap();
                ask(&mut client);
                client
            })
            .collect()
    };
    spawn_blocking(connect).await.unwrap()
}

fn served(serving: &Serving) -> Vec<u64> {
    serving.counts().iter().map(|it| it.served).collect()
}

/// Whether all were served, and no loop's share is more than a fifth away from an even one.
#[track_caller]
fn is_even(served: &[u64]) -> bool {
    let even = CONNECTIONS as f64 / served.len() as f64;
    assert_eq!(served.iter().sum::<u64>(), CONNECTIONS as u64);
    served
        .iter()
        .all(|&count| (count as f64 - even).abs() / even <= 0.2)
}

#[test]
fn every_loop_gets_its_share() {
    let policies = [
        AcceptPolicy::RoundRobin,
        AcceptPolicy::LeastConnections,
        AcceptPolicy::LeastLoaded,
    ];
    for count in [1, 2, 4] {
        let runtime = loops(count);
        for policy in &policies {
            // A loop that the machine keeps waiting is passed over meanwhile. That may spoil one
            // attempt, but not one after the other.
            let mut attempts: Vec<Vec<u64>> = Vec::new();
            while attempts.last().is_none_or(|served| !is_even(served)) {
                assert!(attempts.len() < 5, "{policy:?}: {attempts:?}");
                attempts.push(run_on(&runtime, async {
                    let listeners = balanced(policy.clone()).await;
                    let serving = listeners.serve(tell_loop).unwrap();
                    let clients = clients(serving.local_addr(), CONNECTIONS).await;
                    let served = served(&serving);
                    assert_eq!(served.len(), count);
                    serving.stop();
                    serving.join().await.unwrap();
                    drop(clients);
                    served
                }));
            }
        }
    }
}

#[test]
fn every_loop_gets_its_share_of_what_the_kernel_spreads() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let address = (Ipv4Addr::LOCALHOST, 0);
        let listeners = TcpListener::bind_per_loop(address).await.unwrap();
        let listeners = listeners.with_policy(AcceptPolicy::LeastConnections);
        let serving = listeners.serve(tell_loop).unwrap();
        let clients = clients(serving.local_addr(), CONNECTIONS).await;
        let counts = serving.counts();
        // The kernel's hash gives some to each, and the policy evens them out.
        assert!(counts.iter().all(|it| it.accepted > 0), "{counts:?}");
        let served = served(&serving);
        assert!(is_even(&served), "{served:?}");
        drop(clients);
    });
}

#[test]
fn kernels_choice_is_left_alone() {
    let runtime = loops(4);
    run_on(&runtime, async {
        let address = (Ipv4Addr::LOCALHOST, 0);
        let listeners = TcpListener::bind_per_loop(address).await.unwrap();
        let serving = listeners.serve(tell_loop).unwrap();
        let clients = clients(serving.local_addr(), 200).await;
        let counts = serving.counts();
        for one in &counts {
            assert_eq!((one.accepted, one.handed_over), (one.served, 0));
        }
        assert_eq!(served(&serving).iter().sum::<u64>(), 200);
        assert!(counts.iter().all(|it| it.accepted > 0), "{counts:?}");
        drop(clients);
    });
}

#[test]
fn burst_before_serving_is_served() {
    for count in [1, 2, 4] {
        let runtime = loops(count);
        run_on(&runtime, async {
            let per_loop = TcpListener::bind_per_loop((Ipv4Addr::LOCALHOST, 0)).await;
            for listeners in [
                per_loop.unwrap(),
                balanced(AcceptPolicy::LeastLoaded).await,
                balanced(AcceptPolicy::RoundRobin).await,
            ] {
                let address = listeners.local_addr().unwrap();
                let connect = move |_| net::TcpStream::connect(address).unwrap();
                let mut clients: Vec<_> = (0..CONNECTIONS).map(connect).collect();
                let serving = listeners.serve(tell_loop).unwrap();
                spawn_blocking(move || {
                    for client in &mut clients {
                        ask(client);
                    }
                })
                .await
                .unwrap();
                assert_eq!(served(&serving).iter().sum::<u64>(), CONNECTIONS as u64);
            }
        });
    }
}

/// Connects from a given address of this machine.
async fn connect_from(source: Ipv4Addr, address: SocketAddr) -> usize {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind(SocketAddr::from((source, 0))).unwrap();
    let mut stream = socket.connect(address).await.unwrap();
    stream.write_all(b"?").await.unwrap();
    let mut answer = [0];
    stream.read_exact(&mut answer).await.unwrap();
    usize::from(answer[0])
}

#[test]
fn hash_keeps_a_peer_on_its_loop_also_after_a_restart() {
    let sources: Vec<_> = (1..=32)
        .map(|last| Ipv4Addr::new(127, 0, 1, last))
        .collect();
    let mut found: Option<Vec<usize>> = None;
    for _restart in 0..2 {
        let runtime = loops(4);
        run_on(&runtime, async {
            let listeners = balanced(AcceptPolicy::PeerHash).await;
            let serving = listeners.serve(tell_loop).unwrap();
            for _again in 0..3 {
                let mut now = Vec::new();
                for &source in &sources {
                    now.push(connect_from(source, serving.local_addr()).await);
                }
                assert_eq!(&now, found.get_or_insert_with(|| now.clone()));
            }
        });
    }
    let found = found.unwrap();
    assert!((0..4).all(|number| found.contains(&number)), "{found:?}");
}

/// Serves three connections by a function of the test, and gives where they were served.
fn served_by(
    choose: impl Fn(SocketAddr, &[Candidate]) -> usize + Send + Sync + 'static,
) -> Vec<LoopCounts> {
    let runtime = loops(2);
    run_on(&runtime, async {
        let listeners = balanced(AcceptPolicy::Custom(Arc::new(choose))).await;
        let serving = listeners.serve(tell_loop).unwrap();
        let clients = clients(serving.local_addr(), 3).await;
        drop(clients);
        serving.counts()
    })
}

#[test]
fn function_chooses_the_loop() {
    let counts = served_by(|peer, candidates| {
        assert!(peer.ip().is_loopback());
        assert_eq!(candidates.len(), 2);
        assert_eq!(candidates.iter().filter(|it| it.is_own).count(), 1);
        1
    });
    assert_eq!((counts[0].served, counts[1].served), (0, 3));
}

#[test]
fn function_that_names_no_loop_or_panics_leaves_the_connection() {
    for counts in [
        served_by(|_, candidates| candidates.len()),
        served_by(|_, _| usize::MAX),
        served_by(|_, _| panic!("a policy of the application")),
        served_by(|_, _| std::panic::panic_any(PanicsInDrop)),
    ] {
        for one in &counts {
            assert_eq!((one.accepted, one.handed_over), (one.served, 0));
        }
        assert_eq!(counts.iter().map(|it| it.served).sum::<u64>(), 3);
    }
}

#[test]
fn local_set_that_is_entered_gets_no_connection() {
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let set = LocalSet::new();
    // The loop of this thread polls its tasks meanwhile, and nobody polls the set's.
    let _entered = set.enter();
    run_on(&runtime, async {
        let serving = balanced(AcceptPolicy::Kernel).await.serve(tell_loop);
        let movable = balanced(AcceptPolicy::Kernel)
            .await
            .serve_movable(|io: Movable<()>| async {
                let peer = io.peer();
                tell_loop(io.into_stream(), peer).await;
            });
        for serving in [serving.unwrap(), movable.unwrap()] {
            assert_eq!(clients(serving.local_addr(), 1).await.len(), 1);
        }
    });
}

/// A panic's payload that panics again.
struct PanicsInDrop;

impl Drop for PanicsInDrop {
    fn drop(&mut self) {
        panic!("a payload of the application");
    }
}
