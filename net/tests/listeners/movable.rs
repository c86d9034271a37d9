//! Live connections that change loops at their checkpoints.

use std::collections::hash_map::DefaultHasher;
use std::future::Future;
use std::hash::Hasher;
use std::io::{Read, Write};
use std::net::{self, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::SeqCst};
use std::thread;
use std::time::{Duration, Instant};

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
const WORK: Duration = Duration::from_millis(5);
/// The time from one message of a client to its next, at least: a connection is a twelfth of a
/// loop's time, and eight are less than all of it. If clients sent as fast as they are answered,
/// one would be as much work for its loop as seven.
const PACE: Duration = Duration::from_millis(60);
const RESIDENCY_MIN: Duration = Duration::from_millis(100);

fn fast() -> Rebalance {
    Rebalance::new()
        .with_interval(Duration::from_millis(50))
        .with_residency_min(RESIDENCY_MIN)
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

/// What the handler of a heavy connection knows: the hash of all it has read, and its moves.
struct Progress {
    hash: DefaultHasher,
    here: usize,
    /// Its last checkpoint.
    left: Instant,
    /// When it left the loops before, and for how many moves it has to stay.
    moved: Option<(Instant, u32)>,
}

impl Progress {
    fn new() -> Self {
        Self {
            hash: DefaultHasher::new(),
            here: 0,
            left: Instant::now(),
            moved: None,
        }
    }

    /// Checks that the connection has stayed on the loop before for as long as it had to. The time
    /// is taken from one departure to the next: on a machine that is busy it may be longer than the
    /// stay, never shorter.
    fn arrive(&mut self, here: usize) {
        if std::mem::replace(&mut self.here, here) == here {
            return;
        }
        let moves = self.moved.map_or(1, |(before, moves)| {
            let (stay, due) = (self.left - before, RESIDENCY_MIN * (1 << moves.min(6)));
            assert!(stay >= due, "moved after {stay:?}, {moves} moves before");
            if stay >= 8 * due { 1 } else { moves + 1 }
        });
        self.moved = Some((self.left, moves));
    }
}

/// What a loop has done: bytes that it has served, and the time that it has worked for them. On a
/// machine that is busy the same work takes more time, here and for the rebalancer.
#[derive(Default)]
struct Done {
    bytes: AtomicU64,
    work_us: AtomicU64,
}

type Served = Arc<[Done; 2]>;

fn bytes(served: &Served) -> u64 {
    served.iter().map(|it| it.bytes.load(SeqCst)).sum()
}

/// Reads messages, works for each, and answers with the hash of all bytes up to now.
async fn work(mut io: Movable<Progress>, served: Served, work_time: Duration) {
    let here = Handle::current_loop().unwrap();
    let mut progress = io.take_state().unwrap_or_else(Progress::new);
    progress.arrive(here);
    let mut message = vec![0; MESSAGE_BYTES];
    while io.read_exact(&mut message).await.is_ok() {
        progress.hash.write(&message);
        let began = Instant::now();
        // The loop is not free meanwhile, whether or not the machine is.
        thread::sleep(work_time);
        let work = u64::try_from(began.elapsed().as_micros()).unwrap();
        served[here].work_us.fetch_add(work, SeqCst);
        served[here].bytes.fetch_add(MESSAGE_BYTES as u64, SeqCst);
        let answer = progress.hash.finish().to_be_bytes();
        if io.write_all(&answer).await.is_err() {
            break;
        }
        progress.left = Instant::now();
        (io, progress) = io.checkpoint(progress).await;
    }
}

/// Clients that send messages until they are told to stop.
struct Clients {
    stop: Arc<AtomicBool>,
    threads: Vec<thread::JoinHandle<u64>>,
}

impl Clients {
    fn start(address: SocketAddr) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let start = |seed| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || drive(address, seed, &stop))
        };
        let threads = (0..HEAVY).map(start).collect();
        Self { stop, threads }
    }

    /// The bytes that they have sent.
    async fn stop(self) -> u64 {
        self.stop.store(true, SeqCst);
        let join = |thread: thread::JoinHandle<u64>| thread.join().unwrap();
        let sent = spawn_blocking(move || self.threads.into_iter().map(join).sum());
        sent.await.unwrap()
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
        let next = Instant::now() + PACE;
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
        thread::sleep(next.saturating_duration_since(Instant::now()));
    }
    sent
}

fn moved(counts: &[LoopCounts]) -> (u64, u64) {
    (
        counts.iter().map(|it| it.moved_out).sum(),
        counts.iter().map(|it| it.moved_in).sum(),
    )
}

#[test]
fn uneven_load_is_brought_within_a_quarter_and_no_byte_is_lost() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let served: Served = Arc::default();
        let counting = Arc::clone(&served);
        let serving =
            serve_on_loop_0(fast(), move |io| work(io, Arc::clone(&counting), WORK)).await;
        let clients = Clients::start(serving.local_addr());
        // All begin on one loop.
        while serving.counts()[0].served < HEAVY as u64 {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(serving.counts()[1].served, 0);

        // Who else uses the machine may spoil a window, but not one after the other. Three
        // connections and five are not within a quarter.
        let worked = || [0, 1].map(|number: usize| served[number].work_us.load(SeqCst));
        let mut windows = Vec::new();
        loop {
            let before = worked();
            sleep(Duration::from_secs(1)).await;
            let after = worked();
            let window = [after[0] - before[0], after[1] - before[1]];
            windows.push(window);
            if window[0].max(window[1]) * 3 <= window[0].min(window[1]) * 4 {
                break;
            }
            assert!(windows.len() < 15, "microseconds of work: {windows:?}");
        }

        assert_eq!(clients.stop().await, bytes(&served));
        let counts = serving.counts();
        let (out, arrived) = moved(&counts);
        assert_eq!(out, arrived);
        assert!(counts[0].moved_out >= 2, "{counts:?}");
        assert_eq!(counts[0].served + counts[1].served, HEAVY as u64);
    });
}

#[test]
fn idle_and_equal_loops_move_nothing() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let served: Served = Arc::default();
        let counting = Arc::clone(&served);
        // What they do at first is over before any of them may leave.
        let options = fast().with_residency_min(Duration::from_millis(500));
        let options = options.with_gap_percent_min(30);
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

/// Eight heavy connections on loop 0, until so many moves were made or the time is over: the moves,
/// and the time it took.
async fn moves_within(options: Rebalance, enough: u64, time: Duration) -> (u64, Duration) {
    let began = Instant::now();
    let served: Served = Arc::default();
    let serving = serve_on_loop_0(options, move |io| work(io, Arc::clone(&served), WORK)).await;
    let clients = Clients::start(serving.local_addr());
    let out = loop {
        let (out, _) = moved(&serving.counts());
        if out >= enough || began.elapsed() >= time {
            break out;
        }
        sleep(Duration::from_millis(1)).await;
    };
    let took = began.elapsed();
    clients.stop().await;
    (out, took)
}

#[test]
fn residency_and_budget_hold_moves_back() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let time = Duration::from_millis(1500);
        let resident = fast().with_residency_min(Duration::from_secs(60));
        assert_eq!(moves_within(resident, 1, time).await.0, 0);
        let off = fast().with_moves_per_second_max(0);
        assert_eq!(moves_within(off, 1, time).await.0, 0);
        // The first after a second, and the next after another.
        let slow = fast().with_moves_per_second_max(1);
        let (moves, took) = moves_within(slow, 2, Duration::from_secs(20)).await;
        // More than two where the machine was busy when there were two.
        assert!(
            moves >= 2 && took >= Duration::from_secs(moves),
            "{moves} in {took:?}"
        );
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
                    // The one that is watched is half of the load, so it is the one to leave. Long
                    // enough that it is so, too, where each of them takes some milliseconds more.
                    thread::sleep(Duration::from_millis(if guard.is_some() { 15 } else { 5 }));
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
    let began = Instant::now();
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
        let clients = Clients::start(serving.local_addr());
        while serving.counts()[0].moved_out == 0 {
            sleep(Duration::from_millis(1)).await;
        }
        serving.stop();
        let stopper = serving.stopper();
        serving.join().await.unwrap();
        sleep(Duration::from_millis(500)).await;
        let before = bytes(&served);
        // Live connections go on, or this does not end.
        while bytes(&served) == before {
            sleep(Duration::from_millis(1)).await;
        }
        assert_eq!(clients.stop().await, bytes(&served));
        let counts = stopper.counts();
        let (out, arrived) = moved(&counts);
        assert_eq!(out, arrived);
        // A move that was refused begins no new connection.
        assert_eq!(counts[0].served + counts[1].served, HEAVY as u64);
    });
}

#[test]
fn burst_goes_to_the_loops_with_the_fewest_connections() {
    const BURST: u64 = 100;
    let runtime = loops(4);
    run_on(&runtime, async {
        let mut attempts = Vec::new();
        loop {
            let listeners = TcpListener::bind_balanced((Ipv4Addr::LOCALHOST, 0)).await;
            let listeners = listeners
                .unwrap()
                .with_policy(AcceptPolicy::LeastConnections)
                .with_rebalance(Rebalance::new().with_moves_per_second_max(0));
            let address = listeners.local_addr().unwrap();
            // All wait in the kernel's queue when the first loop looks.
            let clients: Vec<_> = (0..BURST)
                .map(|_| net::TcpStream::connect(address).unwrap())
                .collect();
            let serving = listeners
                .serve_movable(
                    async |mut io: Movable<()>| {
                        while let Ok(1..) = io.read(&mut [0]).await {}
                    },
                )
                .unwrap();
            let served = loop {
                let served: Vec<_> = serving.counts().iter().map(|it| it.served).collect();
                if served.iter().sum::<u64>() == BURST {
                    break served;
                }
                sleep(Duration::from_millis(1)).await;
            };
            drop(clients);
            serving.stop();
            serving.join().await.unwrap();
            // Loops that choose at the same moment may choose the same one, and one that the
            // machine keeps waiting is passed over: not time and again.
            if served.iter().all(|&count| count.abs_diff(BURST / 4) <= 5) {
                break;
            }
            attempts.push(served);
            assert!(attempts.len() < 10, "{attempts:?}");
        }
    });
}

/// Sends a byte at a time, which tells the milliseconds of work for it, until told to stop.
fn drive_bytes(address: SocketAddr, work_ms: u8, stop: &AtomicBool) {
    let mut client = net::TcpStream::connect(address).unwrap();
    while !stop.load(SeqCst) {
        client.write_all(&[work_ms]).unwrap();
        client.read_exact(&mut [0]).unwrap();
        thread::sleep(PACE);
    }
}

#[test]
fn connection_that_reaches_no_checkpoint_keeps_no_other_from_leaving() {
    others_leave(usize::MAX);
}

#[test]
fn connection_with_rare_checkpoints_keeps_no_other_from_leaving() {
    // About as far apart as the decisions: it reaches none in the look for which it is to leave.
    others_leave(12);
}

/// One of three leaves, whether or not the heaviest of them is at a checkpoint in time.
fn others_leave(messages_per_checkpoint: usize) {
    const LIGHT: u8 = 6;
    const HEAVY: u8 = 20;
    let runtime = loops(2);
    run_on(&runtime, async {
        // Several messages of each connection in an interval: the heavy one is always the best to
        // leave.
        let options = fast().with_interval(Duration::from_millis(250));
        let serving = serve_on_loop_0(options, move |mut io: Movable<()>| async move {
            let mut work_ms = [0];
            let mut messages = 0;
            while io.read_exact(&mut work_ms).await.is_ok() {
                messages += 1;
                thread::sleep(Duration::from_millis(work_ms[0].into()));
                if io.write_all(&work_ms).await.is_err() {
                    break;
                }
                if work_ms[0] != HEAVY || messages == messages_per_checkpoint {
                    messages = 0;
                    (io, ()) = io.checkpoint(()).await;
                }
            }
        })
        .await;
        let address = serving.local_addr();
        let stop = Arc::new(AtomicBool::new(false));
        let clients = [HEAVY, LIGHT, LIGHT].map(|work_ms| {
            let stop = Arc::clone(&stop);
            thread::spawn(move || drive_bytes(address, work_ms, &stop))
        });
        let began = Instant::now();
        while serving.counts()[0].moved_out == 0 {
            assert!(began.elapsed() < Duration::from_secs(8), "nobody has left");
            sleep(Duration::from_millis(1)).await;
        }
        stop.store(true, SeqCst);
        for client in clients {
            client.join().unwrap();
        }
    });
}
