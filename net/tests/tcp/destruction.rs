//! Handles and waits that end anywhere: on a thread without a loop, after their runtime, in a panic.
//!
//! Each one has been polled first, so that its loop watches a descriptor or a timer for it.

use std::future::{Future, pending, poll_fn};
use std::net::Ipv4Addr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::thread;
use std::time::Duration;

use oneloop_net::client::{Heartbeat, Pool};
use oneloop_net::server::{Connection, Server};
use oneloop_net::{
    Coalesced, Listeners, TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener,
    UnixStream, copy_bidirectional, unix,
};
use oneloop_runtime::buf::BufferPool;
use oneloop_runtime::runtime::{Builder, Runtime};
use oneloop_runtime::time::{interval, sleep};

use crate::support::{Watchdog, in_own_process, open_descriptors, pair};

const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);
const LATER: Duration = Duration::from_secs(3600);
const BUFFER_BYTES_MAX: usize = 64 * 1024;

/// Something to be dropped.
type Handle = Box<dyn Send>;

/// A wait, polled once, that holds what it waits for.
async fn waiting<F>(future: F) -> Handle
where
    F: Future + Send + 'static,
    F::Output: Send,
{
    let mut future: Pin<Box<dyn Future<Output = F::Output> + Send>> = Box::pin(future);
    let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx).is_pending())).await;
    assert!(polled, "it waits for something that does not come");
    Box::new(future)
}

/// Waits for sockets of each kind.
async fn sockets() -> Vec<Handle> {
    let (mut read, peer) = pair().await;
    let (mut full, full_peer) = pair().await;
    let (halved, halved_peer) = pair().await;
    let (mut read_half, write_half) = halved.into_split();
    let listener = TcpListener::bind(ANY).await.unwrap();
    let udp = UdpSocket::bind(ANY).await.unwrap();
    let (mut unix, unix_peer) = UnixStream::pair().unwrap();
    let (datagram, datagram_peer) = UnixDatagram::pair().unwrap();
    let (sender, mut receiver) = unix::pipe::pipe().unwrap();
    static NAMES: AtomicUsize = AtomicUsize::new(0);
    let number = NAMES.fetch_add(1, Relaxed);
    let name = format!("\0oneloop-destruction-{}-{number}", std::process::id());
    let unix_listener = UnixListener::bind(name).unwrap();
    let (detached, detached_peer) = pair().await;
    vec![
        Box::new((peer, full_peer, halved_peer, detached_peer)),
        Box::new((unix_peer, datagram_peer, sender, detached.detach())),
        Box::new(write_half),
        waiting(async move { read.read(&mut [0; 8]).await }).await,
        waiting(async move { full.write_all(&vec![0; 64 << 20]).await }).await,
        waiting(async move { read_half.read(&mut [0; 8]).await }).await,
        waiting(async move { listener.accept().await }).await,
        waiting(async move { udp.recv_from(&mut [0; 8]).await }).await,
        waiting(async move { unix.read(&mut [0; 8]).await }).await,
        waiting(async move { datagram.recv(&mut [0; 8]).await }).await,
        waiting(async move { receiver.read(&mut [0; 8]).await }).await,
        waiting(async move { unix_listener.accept().await }).await,
    ]
}

/// Copies, files and gathered bytes on their way, and buffers.
async fn transfers() -> Vec<Handle> {
    let (mut near, near_peer) = pair().await;
    let (mut far, far_peer) = pair().await;
    near_peer.try_write(&[7; 100]).unwrap();
    let (mut sending, sending_peer) = pair().await;
    let file = std::fs::File::open("/dev/zero").unwrap();
    let (stream, stream_peer) = pair().await;
    let mut gathered = Coalesced::new(stream);
    gathered.write_all(b"gathered").await.unwrap();
    let (stream, full_peer) = pair().await;
    let mut full = Coalesced::new(stream);
    let pool = BufferPool::current();
    let mut lease = pool.try_acquire(BUFFER_BYTES_MAX / 2).unwrap();
    lease.extend_from_slice(b"bytes");
    let bytes = lease.split_to(2).freeze();
    vec![
        Box::new((near_peer, far_peer, sending_peer, stream_peer, full_peer)),
        waiting(async move { copy_bidirectional(&mut near, &mut far).await }).await,
        waiting(async move { sending.send_file(&file, 0, 64 << 20).await }).await,
        Box::new(gathered),
        waiting(async move { full.write_all(&vec![0; 64 << 20]).await }).await,
        Box::new((bytes.clone(), lease)),
        Box::new(bytes),
        waiting(pool.acquire(BUFFER_BYTES_MAX)).await,
        waiting(sleep(LATER)).await,
        waiting(async {
            let mut ticks = interval(LATER);
            loop {
                ticks.tick().await;
            }
        })
        .await,
    ]
}

/// Servers, listeners of all loops, clients.
async fn services() -> Vec<Handle> {
    async fn silent(connection: Connection) {
        connection.read(&mut [0; 8]).await.map(drop).unwrap_or(());
        drop(connection);
    }
    let server = Server::builder().serve(ANY, silent).await.unwrap();
    let server_client = TcpStream::connect(server.local_addr()).await.unwrap();
    let draining = Server::builder().serve(ANY, |_| pending::<()>());
    let draining = draining.await.unwrap();
    let busy_client = TcpStream::connect(draining.local_addr()).await.unwrap();
    while draining.counts().accepted == 0 {
        sleep(Duration::from_millis(1)).await;
    }
    let serving = TcpListener::bind_balanced(ANY).await.unwrap();
    let serving = serving.serve(|_stream, _peer| pending()).unwrap();
    let balanced: Listeners = TcpListener::bind_balanced(ANY).await.unwrap();
    let (mut parts, stopper) = TcpListener::bind_per_loop(ANY)
        .await
        .unwrap()
        .into_parts()
        .unwrap();
    let mut part = parts.remove(0);
    let pool = Pool::builder(server.local_addr())
        .max_connections(1)
        .build();
    let pooled = pool.get().await.unwrap();
    let heartbeat = Heartbeat::new(LATER, 3);
    vec![
        Box::new((server, server_client, busy_client)),
        waiting(async move { draining.drain(LATER).await }).await,
        Box::new((serving, balanced, stopper, parts)),
        waiting(async move { part.accept().await }).await,
        Box::new(pooled),
        waiting(async move { pool.get().await }).await,
        waiting(async move { heartbeat.run(|| async { Ok(()) }).await }).await,
    ]
}

fn runtime() -> Runtime {
    Builder::new_multi_thread()
        .worker_threads(2)
        .buffer_bytes_max(BUFFER_BYTES_MAX)
        .enable_all()
        .build()
        .unwrap()
}

/// All of them, made on a worker's loop.
fn handles(runtime: &Runtime) -> Vec<Handle> {
    let made = runtime.spawn(async {
        let mut all = sockets().await;
        all.extend(transfers().await);
        all.extend(services().await);
        all
    });
    runtime.block_on(made).unwrap()
}

/// The runtime serves as before: on its loops, its timers and its buffers.
fn assert_serves(runtime: &Runtime) {
    let echo = || async {
        let (mut near, mut far) = pair().await;
        near.write_all(b"ping").await.unwrap();
        let mut word = [0; 4];
        far.read_exact(&mut word).await.unwrap();
        assert_eq!(&word, b"ping");
        sleep(Duration::from_millis(1)).await;
        let lease = BufferPool::current().acquire(BUFFER_BYTES_MAX).await;
        drop(lease.unwrap());
    };
    for loop_id in runtime.handle().loop_ids() {
        let echoed = runtime.handle().spawn_on(loop_id, echo);
        runtime.block_on(echoed).unwrap();
    }
}

/// Waits until as many descriptors are open as before: what is dropped on another thread is told
/// to its loop.
fn assert_descriptors_are_back(before: usize) {
    let _watchdog = Watchdog::new();
    while open_descriptors() != before {
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn dropped_on_a_thread_without_a_loop() {
    in_own_process("destruction::dropped_on_a_thread_without_a_loop", || {
        let before = open_descriptors();
        let runtime = runtime();
        for _ in 0..3 {
            let handles = handles(&runtime);
            thread::spawn(move || drop(handles)).join().unwrap();
            assert_serves(&runtime);
        }
        drop(runtime);
        assert_descriptors_are_back(before);
    });
}

#[test]
fn dropped_on_another_loop_in_any_order() {
    in_own_process("destruction::dropped_on_another_loop_in_any_order", || {
        let before = open_descriptors();
        let runtime = runtime();
        for step in [1, 5, 7] {
            let mut handles = handles(&runtime);
            let loops = runtime.handle().loop_ids();
            while !handles.is_empty() {
                let handle = handles.swap_remove(step % handles.len());
                let there = loops[handles.len() % loops.len()];
                let dropping = runtime
                    .handle()
                    .spawn_on(there, move || async move { drop(handle) });
                runtime.block_on(dropping).unwrap();
            }
            assert_serves(&runtime);
        }
        drop(runtime);
        assert_descriptors_are_back(before);
    });
}

#[test]
fn dropped_after_the_end_of_the_runtime() {
    in_own_process("destruction::dropped_after_the_end_of_the_runtime", || {
        let before = open_descriptors();
        let (first, second) = (runtime(), runtime());
        let (handles, others) = (handles(&first), handles(&second));
        drop((first, second));
        drop(handles);
        thread::spawn(move || drop(others)).join().unwrap();
        assert_eq!(open_descriptors(), before);
    });
}

#[test]
fn dropped_in_a_panic() {
    in_own_process("destruction::dropped_in_a_panic", || {
        let before = open_descriptors();
        let runtime = runtime();
        // On a loop.
        let handles_of_task = handles(&runtime);
        let panicking = runtime.spawn(async move {
            let _dropped = handles_of_task;
            panic!("on purpose");
        });
        let error = runtime.block_on(panicking).unwrap_err();
        assert!(error.is_panic());
        assert_serves(&runtime);
        // On a thread without one.
        let handles_of_thread = handles(&runtime);
        let panicking = thread::spawn(move || {
            let _dropped = handles_of_thread;
            panic!("on purpose");
        });
        assert!(panicking.join().is_err());
        assert_serves(&runtime);
        // With the runtime itself.
        let panicked = catch_unwind(AssertUnwindSafe(move || {
            let _dropped = handles(&runtime);
            let _runtime = runtime;
            panic!("on purpose");
        }));
        assert!(panicked.is_err());
        assert_descriptors_are_back(before);
    });
}
