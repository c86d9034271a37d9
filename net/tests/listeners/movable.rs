//! Live connections that change loops at their checkpoints.

use std::collections::hash_map::DefaultHasher;
use std::future::Future;
use std::hash::Hasher;
use std::io::{Read, Write};
use std::net::{self, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::Duration;

use oneloop_net::TcpListener;
use oneloop_net::listeners::{AcceptPolicy, LoopCounts, Movable, Rebalance, Serving};
use oneloop_runtime::runtime::Handle;
use oneloop_runtime::task::spawn_blocking;
use oneloop_runtime::time::sleep;

use crate::loops;
use crate::support::{pattern, run_on};

const HEAVY: usize = 8;
const MESSAGE_BYTES: usize = 16 * 1024;
/// What the work for one message costs the loop.
const WORK: Duration = Duration::from_millis(2);

fn fast() -> Rebalance {
    Rebalance::new()
        .with_interval(Duration::from_millis(50))
        .with_residency_min(Duration::from_millis(100))
}

/// Serves on two loops; every connection begins on loop 0.
async fn serve_on_loop_0<S, H, F>(options: Rebalance, handler: H) -> Serving
where
    S: Send + 'static,
    H: Fn(Movable<S>) -> F + Clone + Send + 'static,
    F: Future<Output = ()> + 'static,
{
    let listeners = TcpListener::bind_balanced((Ipv4Addr::LOCALHOST, 0)).await;
    listeners
        .unwrap()
        .with_policy(AcceptPolicy::Custom(Arc::new(|_, _| 0)))
        .with_rebalance(options)
        .serve_movable(handler)
        .unwrap()
}

/// What the handler of a heavy connection knows: the hash of all it has read.
struct Progress {
    hash: DefaultHasher,
    bytes: u64,
}

/// Bytes that each loop has served.
type Served = Arc<[AtomicU64; 2]>;

/// Reads messages, works for each, and answers with the hash of all bytes up to now.
async fn work(mut io: Movable<Progress>, served: Served, work_time: Duration) {
    let mut progress = io.take_state().unwrap_or_else(|| Progress {
        hash: DefaultHasher::new(),
        bytes: 0,
    });
    let mut message = vec![0; MESSAGE_BYTES];
    while io.read_exact(&mut message).await.is_ok() {
        progress.hash.write(&message);
        progress.bytes += MESSAGE_BYTES as u64;
        // The loop is not free meanwhile, whether or not the machine is.
        thread::sleep(work_time);
        let here = Handle::current_loop().unwrap();
        served[here].fetch_add(MESSAGE_BYTES as u64, SeqCst);
        let answer = progress.hash.finish().to_be_bytes();
        if io.write_all(&answer).await.is_err() {
            break;
        }
        (io, progress) = io.checkpoint(progress).await;
    }
}

/// Sends messages until told to stop, and checks every answer. Bytes sent.
fn drive(address: SocketAddr, seed: usize, stop: &AtomicBool) -> u64 {
    let mut client = net::TcpStream::connect(address).unwrap();
    client
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let bytes = pattern(MESSAGE_BYTES + 997 * 8);
    let mut hash = DefaultHasher::new();
    let mut sent = 0;
    while !stop.load(SeqCst) {
        let from = (sent as usize / MESSAGE_BYTES + seed) % 997;
        let message = &bytes[from..from + MESSAGE_BYTES];
        // In two writes, so that a move may meet half a message in the kernel.
        client.write_all(&message[..5000]).unwrap();
        client.write_all(&message[5000..]).unwrap();
        hash.write(message);
        sent += MESSAGE_BYTES as u64;
        let mut answer = [0; 8];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(answer, hash.finish().to_be_bytes(), "after {sent} bytes");
    }
    sent
}

fn moved(counts: &[LoopCounts]) -> (u64, u64) {
    (
        counts.iter().map(|it| it.moved_out).sum(),
        counts.iter().map(|it| it.moved_in).sum(),
    )
}

fn grown(before: [u64; 2], after: [u64; 2]) -> [u64; 2] {
    [after[0] - before[0], after[1] - before[1]]
}

fn is_within_a_quarter(pair: &[u64; 2]) -> bool {
    pair[0].max(pair[1]) * 3 <= pair[0].min(pair[1]) * 4
}

#[test]
fn uneven_load_is_brought_within_a_quarter_and_no_byte_is_lost() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let served: Served = Arc::default();
        let counting = Arc::clone(&served);
        let serving =
            serve_on_loop_0(fast(), move |io| work(io, Arc::clone(&counting), WORK)).await;
        let address = serving.local_addr();
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..HEAVY)
            .map(|seed| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || drive(address, seed, &stop))
            })
            .collect();
        // All begin on one loop.
        while serving.counts()[0].served < HEAVY as u64 {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(serving.counts()[1].served, 0);
        sleep(Duration::from_secs(2)).await;

        let read = || [0, 1].map(|number: usize| served[number].load(SeqCst));
        let busy = || {
            [0, 1].map(|number| {
                Handle::current()
                    .loop_load(number)
                    .unwrap()
                    .busy
                    .as_millis() as u64
            })
        };
        // Who else uses the machine may spoil a window, but not one after the other.
        let mut windows = Vec::new();
        loop {
            let (bytes_before, busy_before) = (read(), busy());
            sleep(Duration::from_secs(2)).await;
            let window = [grown(bytes_before, read()), grown(busy_before, busy())];
            windows.push(window);
            if window.iter().all(is_within_a_quarter) {
                break;
            }
            assert!(windows.len() < 4, "bytes, busy milliseconds: {windows:?}");
        }

        stop.store(true, SeqCst);
        let sent: u64 =
            spawn_blocking(move || clients.into_iter().map(|it| it.join().unwrap()).sum())
                .await
                .unwrap();
        assert_eq!(sent, read().iter().sum());
        let counts = serving.counts();
        let (out, arrived) = moved(&counts);
        assert_eq!(out, arrived);
        assert!(counts[0].moved_out >= 2, "{counts:?}");
        // Four of eight have to go; a few may have come back.
        assert!(out <= 16, "connections flap: {counts:?}");
        assert_eq!(counts[0].served + counts[1].served, HEAVY as u64);
    });
}

#[test]
fn idle_and_equal_loops_move_nothing() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let served: Served = Arc::default();
        let counting = Arc::clone(&served);
        let options = fast().with_gap_percent_min(30);
        let nothing = Duration::from_micros(1);
        let serving =
            serve_on_loop_0(options, move |io| work(io, Arc::clone(&counting), nothing)).await;
        let address = serving.local_addr();
        let done = Arc::new(AtomicUsize::new(0));
        let clients: Vec<_> = (0..HEAVY)
            .map(|seed| {
                let done = Arc::clone(&done);
                // One message, and then silence until the end.
                thread::spawn(move || {
                    let mut client = net::TcpStream::connect(address).unwrap();
                    client.write_all(&pattern(MESSAGE_BYTES)).unwrap();
                    client.read_exact(&mut [0; 8]).unwrap();
                    done.fetch_add(1, SeqCst);
                    (client, seed)
                })
            })
            .collect();
        while done.load(SeqCst) < HEAVY {
            sleep(Duration::from_millis(1)).await;
        }
        sleep(Duration::from_secs(1)).await;
        assert_eq!(moved(&serving.counts()), (0, 0));
        assert_eq!(serving.counts()[0].connections, HEAVY);
        drop(clients);
    });
}

/// Eight heavy connections on loop 0 for a while. The moves that were made.
async fn moves_within(options: Rebalance, time: Duration) -> u64 {
    let served: Served = Arc::default();
    let serving = serve_on_loop_0(options, move |io| work(io, Arc::clone(&served), WORK)).await;
    let address = serving.local_addr();
    let stop = Arc::new(AtomicBool::new(false));
    let clients: Vec<_> = (0..HEAVY)
        .map(|seed| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || drive(address, seed, &stop))
        })
        .collect();
    sleep(time).await;
    let (out, _) = moved(&serving.counts());
    stop.store(true, SeqCst);
    let join = move || {
        clients
            .into_iter()
            .map(|it| it.join().unwrap())
            .sum::<u64>()
    };
    spawn_blocking(join).await.unwrap();
    out
}

#[test]
fn residency_and_budget_hold_moves_back() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let time = Duration::from_millis(1500);
        let resident = fast().with_residency_min(Duration::from_secs(60));
        assert_eq!(moves_within(resident, time).await, 0);
        let off = fast().with_moves_per_second_max(0);
        assert_eq!(moves_within(off, time).await, 0);
        // One in the first second and one in the next, since the time is over before the third.
        let slow = fast().with_moves_per_second_max(1);
        let moves = moves_within(slow, time).await;
        assert!((1..=2).contains(&moves), "{moves}");
    });
}

/// Says when it is dropped, and that nobody else has begun before.
struct Exclusive(Arc<AtomicBool>);

impl Exclusive {
    fn new(held: &Arc<AtomicBool>) -> Self {
        assert!(!held.swap(true, SeqCst), "two loops serve one connection");
        Self(Arc::clone(held))
    }
}

impl Drop for Exclusive {
    fn drop(&mut self) {
        thread::sleep(Duration::from_millis(5));
        self.0.store(false, SeqCst);
    }
}

#[test]
fn handler_has_ended_before_it_begins_elsewhere_also_from_within_select() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let held = Arc::new(AtomicBool::new(false));
        let visits = Arc::new([AtomicUsize::new(0), AtomicUsize::new(0)]);
        let (holding, visiting) = (Arc::clone(&held), Arc::clone(&visits));
        let serving = serve_on_loop_0(fast(), move |mut io: Movable<u32>| {
            let (held, visits) = (Arc::clone(&holding), Arc::clone(&visiting));
            async move {
                let (guard, steps) = match io.peer().ip() == Ipv4Addr::LOCALHOST {
                    true => (None, 0),
                    false => (Some(Exclusive::new(&held)), io.take_state().unwrap_or(0)),
                };
                if guard.is_some() {
                    visits[Handle::current_loop().unwrap()].fetch_add(1, SeqCst);
                }
                let mut steps = steps;
                while io.read_exact(&mut [0]).await.is_ok() {
                    steps += 1;
                    // The one that is watched is half of the load, so it is the one to leave.
                    thread::sleep(Duration::from_millis(if guard.is_some() { 3 } else { 1 }));
                    io.write_all(&steps.to_be_bytes()).await.unwrap();
                    // A checkpoint with a limit of time: it returns at once, or the handler ends.
                    let limit = Duration::from_secs(10);
                    let checkpoint = oneloop_runtime::time::timeout(limit, io.checkpoint(steps));
                    (io, steps) = checkpoint.await.unwrap();
                }
                drop(guard);
            }
        })
        .await;
        let address = serving.local_addr();
        let visited = spawn_blocking(move || one_among_equals(address, &visits));
        visited.await.unwrap();
    });
}

/// A connection from 127.0.0.2 counts its steps until it has been on both loops, while another
/// keeps loop 0 busy so that one of the two has to leave.
fn one_among_equals(address: SocketAddr, visits: &[AtomicUsize; 2]) {
    let connect = |last: u8| -> net::TcpStream {
        let kinds = (socket2::Domain::IPV4, socket2::Type::STREAM);
        let socket = socket2::Socket::new(kinds.0, kinds.1, None).unwrap();
        let source = SocketAddr::from(([127, 0, 0, last], 0));
        socket.bind(&source.into()).unwrap();
        socket.connect(&address.into()).unwrap();
        socket.into()
    };
    let (mut counted, mut others) = (connect(2), [connect(1), connect(1), connect(1)]);
    let began = std::time::Instant::now();
    let mut steps = 0_u32;
    while visits[0].load(SeqCst) == 0 || visits[1].load(SeqCst) == 0 {
        assert!(
            began.elapsed() < Duration::from_secs(20),
            "it was never moved"
        );
        for other in others.iter_mut().chain([&mut counted]) {
            other.write_all(b"?").unwrap();
        }
        for other in &mut others {
            other.read_exact(&mut [0; 4]).unwrap();
        }
        let mut answer = [0; 4];
        counted.read_exact(&mut answer).unwrap();
        steps += 1;
        assert_eq!(
            u32::from_be_bytes(answer),
            steps,
            "the state has gone along"
        );
    }
}

#[test]
fn connection_goes_on_where_it_is_after_a_stop() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let served: Served = Arc::default();
        let counting = Arc::clone(&served);
        let serving =
            serve_on_loop_0(fast(), move |io| work(io, Arc::clone(&counting), WORK)).await;
        let address = serving.local_addr();
        let stop = Arc::new(AtomicBool::new(false));
        let clients: Vec<_> = (0..HEAVY)
            .map(|seed| {
                let stop = Arc::clone(&stop);
                thread::spawn(move || drive(address, seed, &stop))
            })
            .collect();
        while serving.counts()[0].moved_out == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        serving.stop();
        let stopper = serving.stopper();
        serving.join().await.unwrap();
        sleep(Duration::from_millis(500)).await;
        let before: u64 = served.iter().map(|it| it.load(SeqCst)).sum();
        sleep(Duration::from_millis(200)).await;
        let after: u64 = served.iter().map(|it| it.load(SeqCst)).sum();
        assert!(after > before, "live connections go on");
        stop.store(true, SeqCst);
        let join = move || {
            clients
                .into_iter()
                .map(|it| it.join().unwrap())
                .sum::<u64>()
        };
        let sent = spawn_blocking(join).await.unwrap();
        assert_eq!(sent, served.iter().map(|it| it.load(SeqCst)).sum());
        let counts = stopper.counts();
        let (out, arrived) = moved(&counts);
        assert_eq!(out, arrived);
        // A move that was refused begins no new connection.
        assert_eq!(counts[0].served + counts[1].served, HEAVY as u64);
    });
}
