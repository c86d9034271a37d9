//! Leases: bytes arrive whole, idle connections hold no buffer, and the cap slows down and loses
//! nothing.

use std::future::{Future, poll_fn};
use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::pin::pin;
use std::sync::mpsc;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::Duration;

use oneloop_net::{TcpStream, UnixStream};
use oneloop_runtime::buf::{BufferPool, Lease};
use oneloop_runtime::runtime::{Builder, Runtime};
use oneloop_runtime::task::{spawn, spawn_local, yield_now};
use oneloop_runtime::time::{sleep, timeout};

use crate::support::{pair, pattern, run, run_on, with_std_peer};

const KIB: usize = 1024;

fn capped(bytes: usize) -> Runtime {
    Builder::new_current_thread()
        .enable_all()
        .buffer_bytes_max(bytes)
        .build()
        .unwrap()
}

fn bytes_out() -> usize {
    BufferPool::current().bytes_out()
}

/// Polls once and drops the future if it waits.
async fn now_or_never<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| {
        Poll::Ready(match future.as_mut().poll(cx) {
            Poll::Ready(output) => Some(output),
            Poll::Pending => None,
        })
    })
    .await
}

#[test]
fn all_bytes_arrive_in_order_and_the_end_is_an_empty_lease() {
    run(async {
        let (mut stream, mut peer) = with_std_peer().await;
        let sent = pattern(1_000_000);
        let copy = sent.clone();
        let writer = thread::spawn(move || {
            for (number, piece) in copy.chunks(7000).enumerate() {
                peer.write_all(piece).unwrap();
                if number % 16 == 0 {
                    thread::sleep(Duration::from_micros(300));
                }
            }
        });
        let mut received = Vec::new();
        loop {
            let lease = stream.read_lease().await.unwrap();
            if lease.is_empty() {
                break;
            }
            received.extend_from_slice(&lease);
        }
        assert!(received == sent, "{} of {}", received.len(), sent.len());
        assert!(
            stream.read_lease().await.unwrap().is_empty(),
            "the end stays"
        );
        writer.join().unwrap();
        assert_eq!(bytes_out(), 0);
    });
}

#[test]
fn idle_connections_hold_no_buffer() {
    run(async {
        let mut peers = Vec::new();
        let mut readers = Vec::new();
        for _ in 0..50 {
            let (mut near, far) = pair().await;
            peers.push(far);
            readers.push(spawn_local(async move {
                near.read_lease().await.unwrap().len()
            }));
        }
        for _ in 0..3 {
            yield_now().await;
        }
        assert_eq!(bytes_out(), 0);
        for peer in &mut peers {
            peer.write_all(b"hello").await.unwrap();
        }
        for reader in readers {
            assert_eq!(reader.await.unwrap(), 5);
        }
        assert_eq!(bytes_out(), 0);
    });
}

#[test]
fn the_next_read_takes_the_block_that_was_just_written_from() {
    run(async {
        let (mut near, mut far) = pair().await;
        let mut addresses = Vec::new();
        for _ in 0..10 {
            far.write_all(b"ping").await.unwrap();
            let lease = near.read_lease().await.unwrap();
            addresses.push(lease.as_ptr());
            near.write_all_lease(lease).await.unwrap();
            assert_eq!(bytes_out(), 0, "written, it is home");
            far.read_exact(&mut [0; 4]).await.unwrap();
        }
        assert!(addresses.iter().all(|&address| address == addresses[0]));
    });
}

#[test]
fn a_dropped_read_loses_nothing() {
    run(async {
        let (mut stream, mut peer) = with_std_peer().await;
        let sent = pattern(300_000);
        let copy = sent.clone();
        // Goes on when a read that waited was dropped.
        let (tell, told) = mpsc::channel();
        let writer = thread::spawn(move || {
            for piece in copy.chunks(3000) {
                peer.write_all(piece).unwrap();
                told.recv().unwrap();
            }
        });
        let (mut received, mut dropped) = (Vec::new(), 0);
        loop {
            match now_or_never(stream.read_lease()).await {
                None => {
                    dropped += 1;
                    // It may have written all by now.
                    let _ = tell.send(());
                    yield_now().await;
                }
                Some(lease) => {
                    let lease = lease.unwrap();
                    if lease.is_empty() {
                        break;
                    }
                    received.extend_from_slice(&lease);
                }
            }
        }
        assert!(received == sent, "{} of {}", received.len(), sent.len());
        assert!(dropped >= 100, "only {dropped} reads were dropped");
        writer.join().unwrap();
    });
}

#[test]
fn at_the_cap_a_read_waits_for_memory_and_takes_nothing_before() {
    run_on(&capped(4 * KIB), async {
        let (mut stream, mut peer) = with_std_peer().await;
        let held = BufferPool::current().acquire(4 * KIB).await.unwrap();
        peer.write_all(b"hello").unwrap();
        let starved = timeout(Duration::from_millis(20), stream.read_lease()).await;
        assert!(starved.is_err(), "there was no memory");
        // The read that was given up took nothing out of the stream.
        let mut seen = [0; 16];
        assert_eq!(stream.peek(&mut seen).await.unwrap(), 5);
        let free = spawn(async move {
            sleep(Duration::from_millis(1)).await;
            drop(held);
        });
        assert_eq!(&stream.read_lease().await.unwrap()[..], b"hello");
        free.await.unwrap();
    });
}

#[test]
fn at_the_cap_idle_connections_do_not_stand_in_the_queue_for_memory() {
    run_on(&capped(4 * KIB), async {
        let (mut idle, _quiet) = with_std_peer().await;
        let (mut active, mut peer) = with_std_peer().await;
        let held = BufferPool::current().acquire(4 * KIB).await.unwrap();
        let mut waits_for_peer = pin!(idle.read_lease());
        let mut cx = Context::from_waker(Waker::noop());
        assert!(waits_for_peer.as_mut().poll(&mut cx).is_pending());
        peer.write_all(b"hello").unwrap();
        let reader = spawn_local(async move { active.read_lease().await.unwrap().to_vec() });
        sleep(Duration::from_millis(5)).await;
        // A block for an idle connection would be lost to the active one: nobody polls the idle.
        drop(held);
        assert_eq!(reader.await.unwrap(), b"hello");
    });
}

#[test]
fn many_connections_share_a_small_cap() {
    run_on(&capped(16 * KIB), async {
        let mut tasks = Vec::new();
        for number in 0..20 {
            let (mut near, mut far) = pair().await;
            tasks.push(spawn(async move {
                loop {
                    let lease = near.read_lease().await.unwrap();
                    if lease.is_empty() {
                        return near.shutdown().await.unwrap();
                    }
                    // Keeps memory over a turn, so that it runs short.
                    yield_now().await;
                    near.write_all_lease(lease).await.unwrap();
                }
            }));
            tasks.push(spawn(async move {
                let sent = pattern(100_000 + number);
                let mut received = vec![0; sent.len()];
                let (mut read, mut write) = far.split();
                let writing = async {
                    write.write_all(&sent).await.unwrap();
                    write.shutdown().await.unwrap();
                };
                let reading = async { read.read_exact(&mut received).await.unwrap() };
                futures_lite::future::zip(writing, reading).await;
                assert!(received == sent);
            }));
        }
        for task in tasks {
            task.await.unwrap();
        }
        assert_eq!(bytes_out(), 0);
    });
}

#[test]
fn the_size_follows_the_reads_within_bounds() {
    run(async {
        let (mut stream, mut peer) = with_std_peer().await;
        let mut exchange = async |bytes: usize| {
            peer.write_all(&vec![1; bytes]).unwrap();
            let (mut left, mut largest) = (bytes, 0);
            while left > 0 {
                let lease = stream.read_lease().await.unwrap();
                left -= lease.len();
                largest = largest.max(lease.capacity());
            }
            largest
        };
        assert_eq!(exchange(10).await, 4 * KIB);
        // How much of a message is there at once is the kernel's choice.
        while exchange(256 * KIB).await < 128 * KIB {}
        assert!(exchange(1).await >= 64 * KIB);
        for _ in 0..100 {
            exchange(1).await;
        }
        assert_eq!(exchange(1).await, 4 * KIB);
        stream.set_read_lease_bytes(16 * KIB..=32 * KIB);
        peer.write_all(&[1; 200]).unwrap();
        assert_eq!(stream.read_lease().await.unwrap().capacity(), 16 * KIB);
    });
}

#[test]
fn a_size_above_the_cap_means_the_largest_block() {
    run_on(&capped(6 * KIB), async {
        let (mut stream, mut peer) = with_std_peer().await;
        stream.set_read_lease_bytes(64 * KIB..=1024 * KIB);
        peer.write_all(b"hello").unwrap();
        let lease = stream.read_lease().await.unwrap();
        assert_eq!((&lease[..], lease.capacity()), (&b"hello"[..], 4 * KIB));
        // And where it has to wait for it.
        peer.write_all(b"again").unwrap();
        let free = spawn(async move { drop(lease) });
        assert_eq!(&stream.read_lease().await.unwrap()[..], b"again");
        free.await.unwrap();
    });
}

#[test]
fn halves_and_unix_streams_have_leases_too() {
    run(async {
        let (near, mut far) = pair().await;
        let (mut read, mut write) = near.into_split();
        far.write_all(b"to owned").await.unwrap();
        let lease = read.read_lease().await.unwrap();
        assert_eq!(&lease[..], b"to owned");
        write.write_all_lease(lease).await.unwrap();
        let (mut read, _write) = far.split();
        read.set_read_lease_bytes(8 * KIB..=8 * KIB);
        let lease = read.read_lease().await.unwrap();
        assert_eq!((&lease[..], lease.capacity()), (&b"to owned"[..], 8 * KIB));

        let (mut near, mut far) = UnixStream::pair().unwrap();
        let sent = pattern(100_000);
        let copy = sent.clone();
        let writer = spawn(async move {
            near.write_all(&copy).await.unwrap();
            near.shutdown().await.unwrap();
            near.read_lease().await.unwrap().is_empty()
        });
        let mut received = Vec::new();
        loop {
            let lease = far.read_lease().await.unwrap();
            if lease.is_empty() {
                break;
            }
            received.extend_from_slice(&lease);
        }
        drop(far);
        assert!(received == sent);
        assert!(writer.await.unwrap());
    });
}

#[test]
fn a_thread_without_a_loop_reads_into_plain_memory() {
    let runtime = Builder::new_multi_thread()
        .worker_threads(1)
        .build()
        .unwrap();
    run_on(&runtime, async {
        let (mut stream, mut peer) = with_std_peer().await;
        let thread = thread::spawn(move || {
            let lease = futures_lite::future::block_on(stream.read_lease()).unwrap();
            (lease, stream)
        });
        peer.write_all(b"hello").unwrap();
        let (lease, _stream) = wait_for(thread).await;
        assert_eq!(&lease[..], b"hello");
        assert_eq!(bytes_out(), 0);
    });
}

async fn wait_for<T>(thread: thread::JoinHandle<T>) -> T {
    while !thread.is_finished() {
        yield_now().await;
    }
    thread.join().unwrap()
}

#[test]
fn a_reset_is_an_error_and_the_block_goes_home() {
    run(async {
        let (mut stream, mut peer) = with_std_peer().await;
        stream.write_all(b"unread").await.unwrap();
        // Closed with bytes unread, the kernel resets the connection.
        peer.set_nonblocking(false).unwrap();
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 1);
        drop(peer);
        let outcome: io::Result<Lease> = stream.read_lease().await;
        assert_eq!(outcome.unwrap_err().kind(), io::ErrorKind::ConnectionReset);
        assert_eq!(bytes_out(), 0);
    });
}

#[test]
fn leases_go_to_another_task_as_bytes() {
    run(async {
        let (mut stream, mut peer) = with_std_peer().await;
        peer.write_all(b"one two").unwrap();
        peer.shutdown(Shutdown::Write).unwrap();
        let mut lease = stream.read_lease().await.unwrap();
        while lease.len() < 7 {
            assert!(lease.extend_from_slice(&stream.read_lease().await.unwrap()) > 0);
        }
        let bytes = lease.freeze();
        let parts = [bytes.slice(..3), bytes.slice(4..)];
        drop(bytes);
        let tasks = parts.map(|part| spawn(async move { part.to_vec() }));
        let mut seen = Vec::new();
        for task in tasks {
            seen.push(task.await.unwrap());
        }
        assert_eq!(seen, [b"one", b"two"]);
        // The other loops have sent it home: this loop finds it in its next turn.
        while bytes_out() > 0 {
            yield_now().await;
        }
    });
}

fn assert_send<T: Send>(value: T) -> T {
    value
}

#[test]
fn the_futures_are_send() {
    run(async {
        let (mut stream, mut peer) = with_std_peer().await;
        peer.write_all(b"x").unwrap();
        let lease = assert_send(stream.read_lease()).await.unwrap();
        assert_send(stream.write_all_lease(lease)).await.unwrap();
        assert_send::<TcpStream>(stream);
        drop(assert_send(BufferPool::current().acquire(1)).await.unwrap());
    });
}
