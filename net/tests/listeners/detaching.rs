//! A live connection between two loops: what goes along.

use std::future::poll_fn;
use std::io::{Read, Write};
use std::sync::mpsc;
use std::task::Poll;
use std::time::Duration;

use oneloop_net::TcpStream;
use oneloop_net::tcp::Detached;
use oneloop_runtime::runtime::Handle;
use oneloop_runtime::task::{spawn_blocking, spawn_on};
use oneloop_runtime::time::Instant;

use crate::loops;
use crate::support::{open_descriptors, run_on, with_std_peer};

fn is_send<T: Send + 'static>(_: &T) {}

#[test]
fn detached_connection_keeps_bytes_options_and_what_it_was_given() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let (mut stream, mut peer) = with_std_peer().await;
        stream.set_nodelay(true).unwrap();
        stream.set_linger(Some(Duration::from_secs(30))).unwrap();
        peer.write_all(b"read and unread").unwrap();
        let mut read = [0; 5];
        stream.read_exact(&mut read).await.unwrap();
        let deadline = Instant::now() + Duration::from_secs(7);
        let detached = stream.detach();
        assert!(detached.deadline().is_none());
        let detached = detached.with_read_ahead(&read[..]).with_deadline(deadline);
        is_send(&detached);
        let there = Handle::current().loop_ids()[1];
        let served = spawn_on(there, move || async move {
            let mut detached = detached;
            assert_eq!(detached.deadline(), Some(deadline));
            assert_eq!(detached.take_read_ahead(), b"read ");
            assert_eq!(detached.take_read_ahead(), b"");
            let mut stream = detached.attach().unwrap();
            assert!(stream.nodelay().unwrap());
            assert_eq!(stream.linger().unwrap(), Some(Duration::from_secs(30)));
            let mut rest = [0; 10];
            stream.read_exact(&mut rest).await.unwrap();
            assert_eq!(&rest, b"and unread");
            // Waits on this loop, for what is sent after the move.
            let mut later = [0; 5];
            stream.read_exact(&mut later).await.unwrap();
            stream.write_all(&later).await.unwrap();
            let began = std::time::Instant::now();
            // Unsent bytes and a linger time: the close must not wait for the peer.
            drop(stream);
            began.elapsed()
        });
        let client = spawn_blocking(move || {
            peer.write_all(b"later").unwrap();
            let mut answer = [0; 5];
            peer.read_exact(&mut answer).unwrap();
            assert_eq!(&answer, b"later");
        });
        client.await.unwrap();
        assert!(served.await.unwrap() < Duration::from_secs(15));
    });
}

#[test]
fn detached_connection_keeps_the_size_of_its_leases() {
    const KIB: usize = 1024;
    let runtime = loops(2);
    run_on(&runtime, async {
        let (mut stream, mut peer) = with_std_peer().await;
        stream.set_read_lease_bytes(16 * KIB..=32 * KIB);
        peer.write_all(b"before").unwrap();
        assert_eq!(stream.read_lease().await.unwrap().capacity(), 16 * KIB);
        let detached = stream.detach();
        peer.write_all(&[1; 64 * KIB]).unwrap();
        let there = Handle::current().loop_ids()[1];
        let served = spawn_on(there, move || async move {
            let mut stream = detached.attach().unwrap();
            let bound = stream.read_lease().await.unwrap();
            assert_eq!((bound.len(), bound.capacity()), (16 * KIB, 16 * KIB));
            stream.detach()
        });
        // What the reads have found goes along too: the last one has filled its block.
        let mut stream = served.await.unwrap().attach().unwrap();
        let grown = stream.read_lease().await.unwrap();
        assert_eq!((grown.len(), grown.capacity()), (32 * KIB, 32 * KIB));
    });
}

#[test]
fn connection_goes_round_the_loops_and_loses_no_byte() {
    let runtime = loops(2);
    run_on(&runtime, async {
        let (stream, mut peer) = with_std_peer().await;
        let sender = spawn_blocking(move || {
            for number in 0..10_000_u32 {
                peer.write_all(&number.to_be_bytes()).unwrap();
            }
            peer
        });
        let loop_ids = Handle::current().loop_ids();
        let mut detached = stream.detach();
        let mut expected = 0_u32;
        for round in 0..100 {
            let step = move || async move {
                let mut stream = detached.attach().unwrap();
                for number in expected..expected + 100 {
                    let mut bytes = [0; 4];
                    stream.read_exact(&mut bytes).await.unwrap();
                    assert_eq!(u32::from_be_bytes(bytes), number);
                }
                stream.detach()
            };
            detached = spawn_on(loop_ids[round % 2], step).await.unwrap();
            expected += 100;
        }
        drop(sender.await.unwrap());
        let mut stream: TcpStream = detached.attach().unwrap();
        assert_eq!(stream.read(&mut [0; 8]).await.unwrap(), 0);
    });
}

#[test]
fn detached_connection_that_is_dropped_is_closed() {
    let runtime = loops(1);
    run_on(&runtime, async {
        let (stream, mut peer) = with_std_peer().await;
        let detached: Detached = stream.detach();
        assert_eq!(detached.peer_addr().unwrap(), peer.local_addr().unwrap());
        drop(detached);
        let end = spawn_blocking(move || peer.read(&mut [0; 8]).unwrap());
        assert_eq!(end.await.unwrap(), 0);
        // Only here so that the helper of the other tests is known to work in this process.
        assert!(open_descriptors() > 3);
    });
}

#[test]
fn no_loop_is_woken_because_of_a_detached_connection() {
    let runtime = loops(2);
    let detached = run_on(&runtime, async {
        let (mut stream, mut peer) = with_std_peer().await;
        let there = Handle::current().loop_ids()[0];
        let (waits, does_wait) = mpsc::channel();
        let registered = spawn_on(there, move || async move {
            let mut byte = [0];
            let mut read = Box::pin(stream.read_exact(&mut byte));
            let first = poll_fn(|cx| Poll::Ready(read.as_mut().poll(cx))).await;
            assert!(first.is_pending());
            waits.send(()).unwrap();
            read.await.unwrap();
            stream
        });
        // It waits on its loop before this comes.
        let peer = spawn_blocking(move || {
            does_wait.recv().unwrap();
            peer.write_all(b"!").unwrap();
            peer
        });
        let (stream, peer) = (registered.await.unwrap(), peer.await.unwrap());
        (stream.detach(), peer)
    });
    let (detached, mut peer) = detached;
    let events = || -> u64 {
        let metrics = runtime.metrics();
        metrics.loops().iter().map(|one| one.io_events).sum()
    };
    let sources = || -> u64 {
        let metrics = runtime.metrics();
        metrics.loops().iter().map(|one| one.sources).sum()
    };
    // The registration was taken back by a message, which the loop publishes a turn later.
    while sources() != 0 {
        std::thread::yield_now();
    }
    let before = events();
    peer.write_all(b"nobody hears this").unwrap();
    let heard = runtime.block_on(async {
        let mut stream = detached.attach().unwrap();
        let before_attach = events();
        let mut bytes = [0; 17];
        stream.read_exact(&mut bytes).await.unwrap();
        (before_attach, bytes)
    });
    assert_eq!(heard.0, before);
    assert_eq!(&heard.1, b"nobody hears this");
}
