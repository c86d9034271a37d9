//! Ends: stop, drop, and the end of the runtime.

use std::io::{self, Read};
use std::net;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use oneloop_net::TcpListener;
use oneloop_net::listeners::{AcceptPolicy, Listeners, is_stopped_error};
use oneloop_runtime::runtime::is_shutdown_error;
use oneloop_runtime::task::{spawn_blocking, spawn_on};
use oneloop_runtime::time::timeout;

use crate::support::{Watchdog, in_own_process, open_descriptors, own_address, run_on};
use crate::{ask, ask_all, loops, tell_loop};

async fn both_kinds() -> [Listeners; 2] {
    let address = own_address();
    [
        TcpListener::bind_per_loop(address).await.unwrap(),
        TcpListener::bind_balanced(address).await.unwrap(),
    ]
}

#[test]
fn stop_serves_what_is_in_the_kernels_queue_first() {
    in_own_process(
        "stopping::stop_serves_what_is_in_the_kernels_queue_first",
        || {
            for count in [1, 2, 4] {
                let runtime = loops(count);
                run_on(&runtime, async {
                    for listeners in both_kinds().await {
                        let address = listeners.local_addr().unwrap();
                        let connect = |_| net::TcpStream::connect(address).unwrap();
                        let mut clients: Vec<_> = (0..100).map(connect).collect();
                        let serving = listeners.serve(tell_loop).unwrap();
                        let stopper = serving.stopper();
                        serving.stop();
                        serving.join().await.unwrap();
                        let refused = net::TcpStream::connect(address).unwrap_err();
                        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
                        let served: u64 = stopper.counts().iter().map(|it| it.served).sum();
                        assert_eq!(served, 100);
                        spawn_blocking(move || ask_all(&mut clients)).await.unwrap();
                    }
                });
            }
        },
    );
}

#[test]
fn stopped_part_says_so_ever_after() {
    let runtime = loops(1);
    run_on(&runtime, async {
        for listeners in both_kinds().await {
            let (mut parts, stopper) = listeners.into_parts().unwrap();
            stopper.stop();
            stopper.stop();
            for _ in 0..2 {
                let error = parts[0].accept().await.unwrap_err();
                assert!(is_stopped_error(&error), "{error}");
            }
            assert!(!is_stopped_error(&io::Error::other("another")));
        }
    });
}

#[test]
fn stop_reaches_an_accept_that_waits() {
    let runtime = loops(2);
    run_on(&runtime, async {
        for listeners in both_kinds().await {
            let serving = listeners.serve(tell_loop).unwrap();
            let address = serving.local_addr();
            spawn_blocking(move || ask(&mut net::TcpStream::connect(address).unwrap()))
                .await
                .unwrap();
            let stopper = serving.stopper();
            let joined = oneloop_runtime::task::spawn(serving.join());
            stopper.stop();
            joined.await.unwrap().unwrap();
        }
    });
}

#[test]
fn dropped_while_accept_is_pending_leaves_nothing_behind() {
    in_own_process(
        "stopping::dropped_while_accept_is_pending_leaves_nothing_behind",
        || {
            let runtime = loops(2);
            run_on(&runtime, async {
                let mut before = None;
                for _ in 0..3 {
                    for listeners in both_kinds().await {
                        let address = listeners.local_addr().unwrap();
                        let (parts, _stopper) = listeners.into_parts().unwrap();
                        for mut part in parts {
                            let pending = spawn_on(part.loop_id(), move || async move {
                                timeout(Duration::from_millis(1), part.accept()).await
                            });
                            assert!(pending.await.unwrap().is_err());
                        }
                        net::TcpStream::connect(address).unwrap_err();
                    }
                    // The first round has opened what the loops keep.
                    let open = open_descriptors();
                    assert_eq!(open, *before.get_or_insert(open));
                }
            });
        },
    );
}

#[test]
fn cancelled_accept_loses_no_connection() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let [_, listeners] = both_kinds().await;
        let address = listeners.local_addr().unwrap();
        let serving: Vec<_> = {
            let (parts, _) = listeners
                .with_policy(AcceptPolicy::RoundRobin)
                .into_parts()
                .unwrap();
            let accept = |mut part: oneloop_net::listeners::LoopListener| async move {
                let mut accepted = 0;
                while accepted < 50 {
                    // Polled once and dropped, again and again.
                    let once = std::future::poll_fn(|cx| {
                        let mut accept = std::pin::pin!(part.accept());
                        std::task::Poll::Ready(accept.as_mut().poll(cx).is_ready())
                    });
                    accepted += usize::from(once.await);
                    oneloop_runtime::task::yield_now().await;
                }
            };
            let spawn = |part: oneloop_net::listeners::LoopListener| {
                spawn_on(part.loop_id(), move || accept(part))
            };
            parts.into_iter().map(spawn).collect()
        };
        let connect = |_| net::TcpStream::connect(address).unwrap();
        let clients: Vec<_> = (0..100).map(connect).collect();
        for one in serving {
            one.await.unwrap();
        }
        drop(clients);
    });
}

#[test]
fn what_waits_for_a_part_that_is_dropped_goes_to_another() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let [_, listeners] = both_kinds().await;
        let listeners = listeners.with_policy(AcceptPolicy::Custom(Arc::new(|_, _| 1)));
        let address = listeners.local_addr().unwrap();
        let (mut parts, stopper) = listeners.into_parts().unwrap();
        let (unread, mut part) = (parts.pop().unwrap(), parts.pop().unwrap());
        let client = net::TcpStream::connect(address).unwrap();
        let handed_over = timeout(Duration::from_millis(5), part.accept()).await;
        assert!(handed_over.is_err());
        assert_eq!(stopper.counts()[0].handed_over, 1);
        drop(unread);
        let (_, peer) = part.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
        // Nobody is there for loop 1 any more: its connections stay.
        let client = net::TcpStream::connect(address).unwrap();
        let (_, peer) = part.accept().await.unwrap();
        assert_eq!(peer, client.local_addr().unwrap());
    });
}

/// Counts itself while it lives.
struct Living(Arc<AtomicUsize>);

impl Living {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Living {
    fn drop(&mut self) {
        self.0.fetch_sub(1, SeqCst);
    }
}

#[test]
fn end_of_the_runtime_ends_listeners_and_connections() {
    in_own_process(
        "stopping::end_of_the_runtime_ends_listeners_and_connections",
        || {
            let _watchdog = Watchdog::new();
            // What the process opens once is open before the count.
            drop(loops(2));
            let before = open_descriptors();
            for count in [1, 2, 4] {
                for kind in [0, 1] {
                    end_of_a_runtime(count, kind);
                }
            }
            assert_eq!(open_descriptors(), before);
        },
    );
}

fn end_of_a_runtime(count: usize, kind: usize) {
    let runtime = loops(count);
    let living = Arc::new(AtomicUsize::new(0));
    let serving = run_on(&runtime, async {
        let [first, second] = both_kinds().await;
        let listeners = if kind == 0 { first } else { second };
        let living = Arc::clone(&living);
        listeners
            .serve(move |stream, peer| {
                let living = Living::new(&living);
                async move {
                    tell_loop(stream, peer).await;
                    drop(living);
                }
            })
            .unwrap()
    });
    let address = serving.local_addr();
    let mut clients: Vec<_> = (0..20)
        .map(|_| net::TcpStream::connect(address).unwrap())
        .collect();
    ask_all(&mut clients);
    assert_eq!(living.load(SeqCst), 20);
    // These may or may not have been accepted when the end comes.
    let more: Vec<_> = (0..20)
        .map(|_| net::TcpStream::connect(address).unwrap())
        .collect();
    drop(runtime);
    assert_eq!(living.load(SeqCst), 0);
    let error = loops(1).block_on(serving.join()).unwrap_err();
    assert!(is_shutdown_error(&error), "{error}");
    net::TcpStream::connect(address).unwrap_err();
    for mut client in clients.into_iter().chain(more) {
        client
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        match client.read(&mut [0; 8]) {
            Ok(0) => {}
            Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
            other => panic!("{other:?}"),
        }
    }
}
