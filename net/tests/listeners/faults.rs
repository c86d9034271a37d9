//! What goes wrong in a process or a handler ends no listener.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{self, Ipv4Addr};
use std::os::fd::AsRawFd;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::{Duration, Instant};

use oneloop_net::listeners::Movable;
use oneloop_net::{TcpListener, TcpStream};
use oneloop_runtime::task::spawn_blocking;
use oneloop_runtime::time::sleep;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::support::{in_own_process, run_on};
use crate::{ask_all, loops, tell_loop};

/// So many attempts at a full table are waited for,
const ERRORS: u64 = 30;
/// of which one of two loops makes half at the least, with a pause before each but the first one.
/// What that takes: the first five may be short, also if a late connection begins them anew, and the
/// others are 100 ms.
const ERRORS_TIME_MIN: Duration = Duration::from_millis((ERRORS / 2 - 1 - 5) * 100);

#[test]
fn regression_r20_full_table_is_no_busy_loop_in_serve() {
    in_own_process(
        "faults::regression_r20_full_table_is_no_busy_loop_in_serve",
        || run_on(&loops(2), full_table()),
    );
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap(),
        time.tv_nsec.try_into().unwrap(),
    )
}

/// Lets no descriptor have a number from here on. What was before.
fn limit_descriptors(limit: u64) -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    let full = Rlimit {
        current: Some(limit),
        ..before
    };
    setrlimit(Resource::Nofile, full).unwrap();
    before
}

/// 50 clients wait, ten can be accepted. When the limit is lifted, all are served.
async fn full_table() {
    let listeners = TcpListener::bind_balanced((Ipv4Addr::LOCALHOST, 0))
        .await
        .unwrap();
    let address = listeners.local_addr().unwrap();
    let connect = |_| net::TcpStream::connect(address).unwrap();
    let mut clients: Vec<_> = (0..50).map(connect).collect();
    let next: Vec<_> = (0..=10).map(|_| File::open("/dev/null").unwrap()).collect();
    let limit = u64::try_from(next[10].as_raw_fd()).unwrap();
    drop(next);
    let before = limit_descriptors(limit);

    let (start, used) = (Instant::now(), processor_time());
    let serving = listeners.serve(tell_loop).unwrap();
    let errors = || -> u64 { serving.counts().iter().map(|it| it.accept_errors).sum() };
    // A machine that is busy delays attempts, and makes no more of them.
    while errors() < ERRORS {
        sleep(Duration::from_millis(20)).await;
    }
    let (time, used) = (start.elapsed(), processor_time() - used);
    let share = used.as_secs_f64() / time.as_secs_f64();
    let counts = serving.counts();
    assert_eq!(counts.iter().map(|it| it.accepted).sum::<u64>(), 10);
    assert!(share < 0.05, "used {:.1} % of a processor", share * 100.0);
    assert!(time >= ERRORS_TIME_MIN, "{ERRORS} attempts in {time:?}");

    setrlimit(Resource::Nofile, before).unwrap();
    let all = spawn_blocking(move || ask_all(&mut clients));
    all.await.unwrap();
    assert_eq!(
        serving.counts().iter().map(|it| it.accepted).sum::<u64>(),
        50
    );
}

#[test]
fn stop_waits_a_shortage_out() {
    in_own_process("faults::stop_waits_a_shortage_out", || {
        run_on(&loops(2), async {
            let listeners = TcpListener::bind_balanced((Ipv4Addr::LOCALHOST, 0))
                .await
                .unwrap();
            let connect = |_| net::TcpStream::connect(listeners.local_addr().unwrap()).unwrap();
            let mut clients: Vec<_> = (0..10).map(connect).collect();
            let before = limit_descriptors(3);
            let serving = listeners.serve(tell_loop).unwrap();
            serving.stop();
            let errors = || -> u64 { serving.counts().iter().map(|it| it.accept_errors).sum() };
            while errors() < 4 {
                sleep(Duration::from_millis(20)).await;
            }
            setrlimit(Resource::Nofile, before).unwrap();
            serving.join().await.unwrap();
            let all = spawn_blocking(move || ask_all(&mut clients));
            all.await.unwrap();
        });
    });
}

#[test]
fn shortage_does_not_hold_up_a_stop_for_nobody() {
    in_own_process(
        "faults::shortage_does_not_hold_up_a_stop_for_nobody",
        || {
            run_on(&loops(2), async {
                let listeners = TcpListener::bind_balanced((Ipv4Addr::LOCALHOST, 0))
                    .await
                    .unwrap();
                limit_descriptors(3);
                let serving = listeners.serve(tell_loop).unwrap();
                serving.stop();
                serving.join().await.unwrap();
            });
        },
    );
}

#[test]
fn panic_of_a_handler_ends_its_connection_alone() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let listeners = TcpListener::bind_balanced((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let serving = listeners
            .serve(|mut stream: TcpStream, peer| {
                // In the call itself, and in the future.
                assert_ne!(peer.ip(), Ipv4Addr::new(127, 0, 0, 2), "no service");
                async move {
                    let mut order = [0];
                    while stream.read_exact(&mut order).await.is_ok() {
                        assert_ne!(&order, b"x", "an order to panic");
                        stream.write_all(&order).await.unwrap();
                    }
                }
            })
            .unwrap();
        let address = serving.local_addr();
        let clients = spawn_blocking(move || {
            let mut steady = net::TcpStream::connect(address).unwrap();
            for _ in 0..10 {
                let mut doomed = net::TcpStream::connect(address).unwrap();
                doomed.write_all(b"x").unwrap();
                assert_ended(doomed);
                let refused =
                    socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None)
                        .unwrap();
                let source = net::SocketAddr::from(([127, 0, 0, 2], 0));
                refused.bind(&source.into()).unwrap();
                refused.connect(&address.into()).unwrap();
                assert_ended(refused.into());
                steady.write_all(b"!").unwrap();
                steady.read_exact(&mut [0]).unwrap();
            }
        });
        clients.await.unwrap();
        // The steady one may have been closed and not yet forgotten.
        let connections: usize = serving.counts().iter().map(|it| it.connections).sum();
        assert!(connections <= 1, "{connections} are counted");
        assert_eq!(serving.counts().iter().map(|it| it.served).sum::<u64>(), 21);
        serving.stop();
        serving.join().await.unwrap();
    });
}

/// May be cloned so many times.
struct Clones(Arc<AtomicUsize>);

impl Clone for Clones {
    fn clone(&self) -> Self {
        let left = self
            .0
            .fetch_update(SeqCst, SeqCst, |left| left.checked_sub(1));
        left.expect("a clone too many");
        Self(Arc::clone(&self.0))
    }
}

#[test]
fn handler_is_cloned_for_each_loop_and_no_more() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let listeners = TcpListener::bind_balanced((Ipv4Addr::LOCALHOST, 0))
            .await
            .unwrap();
        let clones = Clones(Arc::new(AtomicUsize::new(2)));
        let serving = listeners
            .serve(move |stream, peer| {
                let _owned = &clones;
                tell_loop(stream, peer)
            })
            .unwrap();
        let address = serving.local_addr();
        let mut clients: Vec<_> = (0..20)
            .map(|_| net::TcpStream::connect(address).unwrap())
            .collect();
        let answers = spawn_blocking(move || ask_all(&mut clients));
        answers.await.unwrap();
        serving.stop();
        serving.join().await.unwrap();
    });
}

#[test]
fn panic_of_the_handlers_clone_leaves_nothing_that_serves() {
    let runtime = loops(3);
    run_on(&runtime, async {
        for may_move in [false, true] {
            let listeners = TcpListener::bind_balanced((Ipv4Addr::LOCALHOST, 0))
                .await
                .unwrap();
            let address = listeners.local_addr().unwrap();
            let clones = Clones(Arc::new(AtomicUsize::new(1)));
            let served = catch_unwind(AssertUnwindSafe(|| {
                if may_move {
                    listeners.serve_movable(move |_: Movable<()>| {
                        let _owned = &clones;
                        async {}
                    })
                } else {
                    listeners.serve(move |stream, peer| {
                        let _owned = &clones;
                        tell_loop(stream, peer)
                    })
                }
            }));
            assert!(served.is_err());
            let error = net::TcpStream::connect(address).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        }
    });
}

fn assert_ended(mut client: net::TcpStream) {
    client
        .set_read_timeout(Some(Duration::from_secs(10)))
        .unwrap();
    match client.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == io::ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
}
