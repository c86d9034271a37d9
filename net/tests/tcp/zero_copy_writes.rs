//! Memory that the kernel sends from: what arrives, and until when it is kept.
//!
//! On the loopback the kernel copies in the end, at the receiver, and says so; it keeps the memory
//! until the peer has acknowledged it all the same.

use std::future::{Future as _, poll_fn};
use std::io::{self, Read as _, Write as _};
use std::net::{self, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use bytes::Bytes;
use oneloop_net::TcpStream;
use oneloop_net::zero_copy::{ZeroCopyEnd, ZeroCopyWriter, abandoned_bytes};
use oneloop_runtime::task::{spawn, yield_now};

use crate::raw::allow_zero_copy;
use crate::support::{
    in_own_process, own_command, own_process, pattern, poll_and_drop, read_slowly, run, run_on,
    two_loops, with_std_peer,
};

const KIB: usize = 1024;
const MIB: usize = 1024 * KIB;

/// Memory whose end is counted.
struct Owner(Vec<u8>, Arc<AtomicUsize>);

impl AsRef<[u8]> for Owner {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Owner {
    fn drop(&mut self) {
        // Freed memory is used again: who sends from it then sends something else.
        self.0.fill(0);
        self.1.fetch_add(1, Relaxed);
    }
}

/// The bytes, and how often their owner was dropped.
fn owned(bytes: &[u8]) -> (Bytes, Arc<AtomicUsize>) {
    let dropped = Arc::new(AtomicUsize::new(0));
    let owner = Owner(bytes.to_vec(), Arc::clone(&dropped));
    (Bytes::from_owner(owner), dropped)
}

/// A connection to a peer that takes little before it reads. Not less than some segments, or the
/// kernels exchange two kilobytes five times a second.
async fn with_narrow_peer(address: impl Into<SocketAddr>) -> (TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind(address.into()).unwrap();
    let options = socket2::SockRef::from(&listener);
    options.set_recv_buffer_size(256 * KIB).unwrap();
    let address = listener.local_addr().unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    (stream, listener.accept().unwrap().0)
}

/// A writer over a connection whose peer does not read, and memory that the kernel sends from.
async fn with_bytes_in_flight(bytes: &[u8]) -> (ZeroCopyWriter, net::TcpStream, Arc<AtomicUsize>) {
    let (stream, peer) = with_narrow_peer((Ipv4Addr::LOCALHOST, 0)).await;
    let mut writer = ZeroCopyWriter::new(stream);
    let (bytes, dropped) = owned(bytes);
    assert!(poll_and_drop(3, writer.write_all(bytes)).await.is_none());
    assert!(writer.in_flight_bytes().unwrap() > 0);
    (writer, peer, dropped)
}

async fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        yield_now().await;
    }
}

fn is_connection_gone(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset};
    matches!(error.kind(), BrokenPipe | ConnectionReset)
}

#[test]
fn messages_of_all_sizes_arrive_at_a_slow_reader() {
    run(async {
        let bytes = pattern(6 * MIB);
        for address in [
            SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            SocketAddr::from((Ipv6Addr::LOCALHOST, 0)),
        ] {
            let (stream, peer) = with_narrow_peer(address).await;
            let reader = read_slowly(peer);
            let mut writer = ZeroCopyWriter::new(stream).with_keep_asking();
            let min = ZeroCopyWriter::<TcpStream>::BYTES_MIN;
            let (mut left, mut owners) = (&bytes[..], Vec::new());
            for len in [1, min - 1, min, min + 1, 4096, MIB, 3 * MIB + 17, 0, min]
                .into_iter()
                .chain([usize::MAX])
            {
                let (message, rest) = left.split_at(len.min(left.len()));
                left = rest;
                let (message, dropped) = owned(message);
                owners.push(dropped);
                writer.write_all(message).await.unwrap();
            }
            writer.released().await.unwrap();
            assert_eq!(writer.in_flight_bytes().unwrap(), 0);
            assert!(owners.iter().all(|dropped| dropped.load(Relaxed) == 1));
            assert!(writer.asked_bytes() > MIB as u64, "{writer:?}");
            drop(writer);
            assert!(reader.join().unwrap() == bytes, "{address}");
        }
    });
}

#[test]
fn zero_copy_is_asked_for_from_the_stated_size_on() {
    run(async {
        let (stream, mut peer) = with_std_peer().await;
        let mut writer = ZeroCopyWriter::new(stream).with_bytes_min(5000);
        writer.write_all(pattern(4999).into()).await.unwrap();
        assert_eq!(writer.asked_bytes(), 0);
        writer.write_all(pattern(5000).into()).await.unwrap();
        assert_eq!(writer.asked_bytes(), 5000);
        peer.read_exact(&mut [0; 9999]).unwrap();
        writer.released().await.unwrap();
    });
}

#[test]
fn writer_stops_asking_when_the_kernel_copies_unless_told_to_go_on() {
    run(async {
        for keeps_asking in [false, true] {
            let (stream, peer) = with_std_peer().await;
            let reader = read_slowly(peer);
            let mut writer = ZeroCopyWriter::new(stream);
            if keeps_asking {
                writer = writer.with_keep_asking();
            }
            let message = Bytes::from(pattern(64 * KIB));
            writer.write_all(message.clone()).await.unwrap();
            writer.released().await.unwrap();
            assert!(writer.was_copied(), "the receiver is on this machine");
            let asked = writer.asked_bytes();
            for _ in 0..10 {
                writer.write_all(message.clone()).await.unwrap();
                writer.released().await.unwrap();
            }
            assert_eq!(writer.asked_bytes() > asked, keeps_asking);
            drop(writer);
            assert_eq!(reader.join().unwrap().len(), 11 * message.len());
        }
    });
}

#[test]
fn memory_is_kept_until_the_peer_has_it_and_dropped_once() {
    run(async {
        let bytes = pattern(8 * MIB);
        let (mut writer, peer, dropped) = with_bytes_in_flight(&bytes).await;
        let waited = poll_and_drop(100, writer.released()).await;
        assert!(waited.is_none(), "the peer has not read anything");
        assert_eq!(dropped.load(Relaxed), 0);
        let reader = read_slowly(peer);
        writer.released().await.unwrap();
        assert_eq!(dropped.load(Relaxed), 1);
        drop(writer);
        assert!(bytes.starts_with(&reader.join().unwrap()));
        assert_eq!(dropped.load(Relaxed), 1);
    });
}

#[test]
fn dropped_writer_delivers_what_was_written_and_then_the_end() {
    run(async {
        let bytes = pattern(8 * MIB);
        let (writer, peer, dropped) = with_bytes_in_flight(&bytes).await;
        let taken = writer.asked_bytes();
        drop(writer);
        assert_eq!(dropped.load(Relaxed), 0);
        let received = read_slowly(peer).join().unwrap();
        assert!(received.len() as u64 >= taken, "{} bytes", received.len());
        assert!(bytes.starts_with(&received));
        until(|| dropped.load(Relaxed) == 1).await;
    });
}

#[test]
fn dropped_writer_of_a_half_leaves_the_read_half_alone() {
    run(async {
        let bytes = pattern(8 * MIB);
        let (stream, peer) = with_narrow_peer((Ipv4Addr::LOCALHOST, 0)).await;
        let (mut read, write) = stream.into_split();
        let mut writer = ZeroCopyWriter::new(write);
        let (message, dropped) = owned(&bytes);
        assert!(poll_and_drop(3, writer.write_all(message)).await.is_none());
        drop(writer);
        let mut answering = peer.try_clone().unwrap();
        assert!(bytes.starts_with(&read_slowly(peer).join().unwrap()));
        until(|| dropped.load(Relaxed) == 1).await;
        answering.write_all(b"heard").unwrap();
        let mut answer = [0; 5];
        read.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"heard");
    });
}

#[test]
fn reset_by_the_peer_is_an_error_and_releases_the_memory() {
    run(async {
        let (mut writer, peer, dropped) = with_bytes_in_flight(&pattern(8 * MIB)).await;
        let options = socket2::SockRef::from(&peer);
        options.set_linger(Some(Duration::ZERO)).unwrap();
        drop(peer);
        let error = loop {
            if let Err(error) = writer.write_all(pattern(64 * KIB).into()).await {
                break error;
            }
        };
        assert!(is_connection_gone(&error), "{error}");
        writer.released().await.unwrap();
        assert_eq!(dropped.load(Relaxed), 1);
    });
}

#[test]
fn peer_that_never_reads_is_reset_after_the_timeout() {
    in_own_process(
        "zero_copy_writes::peer_that_never_reads_is_reset_after_the_timeout",
        || {
            run(async {
                let (writer, mut peer, dropped) = with_bytes_in_flight(&pattern(8 * MIB)).await;
                drop(writer.with_release_timeout(Duration::from_millis(20)));
                until(|| dropped.load(Relaxed) == 1).await;
                assert_eq!(abandoned_bytes(), 0);
                let mut rest = Vec::new();
                assert!(is_connection_gone(
                    &peer.read_to_end(&mut rest).unwrap_err()
                ));
            });
        },
    );
}

#[test]
fn what_is_in_flight_when_the_runtime_ends_is_sent_unchanged() {
    in_own_process(
        "zero_copy_writes::what_is_in_flight_when_the_runtime_ends_is_sent_unchanged",
        || {
            let bytes = pattern(8 * MIB);
            for dropped_first in [true, false] {
                let before = abandoned_bytes();
                let runtime = two_loops();
                let (mut writer, peer, dropped) = run_on(&runtime, with_bytes_in_flight(&bytes));
                let in_flight = writer.in_flight_bytes().unwrap() as u64;
                let mut writer = Some(writer);
                if dropped_first {
                    drop(writer.take());
                }
                drop(runtime);
                drop(writer);
                assert_eq!(dropped.load(Relaxed), 0);
                assert_eq!(abandoned_bytes() - before, in_flight);
                let received = read_slowly(peer).join().unwrap();
                assert!(received.len() as u64 >= in_flight);
                assert!(bytes.starts_with(&received));
            }
        },
    );
}

#[test]
fn writes_wait_at_the_limit_of_bytes_in_flight() {
    run(async {
        const MAX: usize = 48 * KIB;
        let bytes = pattern(2 * MIB);
        let (stream, peer) = with_narrow_peer((Ipv4Addr::LOCALHOST, 0)).await;
        let mut writer = ZeroCopyWriter::new(stream)
            .with_keep_asking()
            .with_bytes_min(16 * KIB)
            .with_in_flight_bytes_max(MAX);
        let mut left = Bytes::from(bytes.clone());
        // What follows the first send before its notice is copied, and no matter of the limit.
        writer.write_all(left.split_to(16 * KIB)).await.unwrap();
        let mut first = vec![0; 16 * KIB];
        (&peer).read_exact(&mut first).unwrap();
        writer.released().await.unwrap();
        let waited = poll_and_drop(50, async {
            while !left.is_empty() {
                writer.write(&mut left).await.unwrap();
            }
        })
        .await;
        assert!(waited.is_none(), "nobody has read, and nobody waited");
        let reader = read_slowly(peer);
        while !left.is_empty() {
            writer.write(&mut left).await.unwrap();
            let in_flight = writer.in_flight_bytes().unwrap();
            assert!(in_flight <= MAX, "{in_flight}");
        }
        drop(writer);
        first.extend(reader.join().unwrap());
        assert!(first == bytes);
    });
}

#[test]
fn stream_comes_back_and_goes_on_in_another_writer() {
    run(async {
        let (mut stream, peer) = with_std_peer().await;
        let reader = read_slowly(peer);
        let message = Bytes::from(pattern(100 * KIB));
        for keeps_asking in [true, false, true] {
            let mut writer = ZeroCopyWriter::new(stream);
            if keeps_asking {
                writer = writer.with_keep_asking();
            }
            for _ in 0..3 {
                writer.write_all(message.clone()).await.unwrap();
                writer.released().await.unwrap();
            }
            assert!(writer.asked_bytes() > 0, "{writer:?}");
            stream = writer.into_inner().await.unwrap();
        }
        stream.write_all(b"by itself").await.unwrap();
        drop(stream);
        let mut expected = message.repeat(9);
        expected.extend(b"by itself");
        assert!(reader.join().unwrap() == expected);
    });
}

#[test]
fn stream_comes_back_when_the_memory_is_released_and_not_before() {
    run(async {
        let bytes = pattern(8 * MIB);
        let (writer, peer, dropped) = with_bytes_in_flight(&bytes).await;
        let mut back = pin!(writer.into_inner());
        let waited = poll_and_drop(100, back.as_mut()).await;
        assert!(waited.is_none(), "the peer has not read anything");
        let reader = read_slowly(peer);
        let stream = back.await.unwrap();
        assert_eq!(dropped.load(Relaxed), 1);
        drop(stream);
        assert!(bytes.starts_with(&reader.join().unwrap()));
    });
}

#[test]
fn sends_before_the_first_notice_are_copied() {
    run(async {
        let (stream, mut peer) = with_narrow_peer((Ipv4Addr::LOCALHOST, 0)).await;
        let mut writer = ZeroCopyWriter::new(stream);
        let sent = pattern(16 * MIB);
        let mut rest = Bytes::from(sent.clone());
        let first = writer.write(&mut rest).await.unwrap();
        // The peer reads enough to make room, and leaves a part of it unacknowledged.
        let mut received = vec![0; first / 2];
        peer.read_exact(&mut received).unwrap();
        let second = writer.write(&mut rest).await.unwrap();
        assert!(second > 0);
        assert_eq!(writer.asked_bytes(), first as u64);
        assert_eq!(writer.in_flight_bytes().unwrap(), first);
        let reader = read_slowly(peer);
        writer.into_inner().await.unwrap();
        received.extend(reader.join().unwrap());
        assert!(received == sent[..first + second]);
    });
}

#[test]
fn limit_of_bytes_in_flight_never_forbids_what_is_asked_for() {
    run(async {
        let (stream, peer) = with_std_peer().await;
        let reader = read_slowly(peer);
        let mut writer = ZeroCopyWriter::new(stream).with_in_flight_bytes_max(0);
        let bytes = pattern(100 * KIB);
        writer.write_all(bytes.clone().into()).await.unwrap();
        assert!(writer.asked_bytes() > 0);
        drop(writer);
        assert!(reader.join().unwrap() == bytes);
    });
}

#[test]
fn socket_that_allows_it_already_is_left_to_whom_it_may_concern() {
    run(async {
        let (stream, peer) = with_std_peer().await;
        allow_zero_copy(&stream);
        let reader = read_slowly(peer);
        let bytes = pattern(MIB);
        let mut writer = ZeroCopyWriter::new(stream);
        writer.write_all(bytes.clone().into()).await.unwrap();
        assert_eq!(writer.asked_bytes(), 0);
        drop(writer);
        assert!(reader.join().unwrap() == bytes);
    });
}

/// Writes messages and waits for the release of each.
async fn write_and_wait<W: ZeroCopyEnd>(writer: &mut ZeroCopyWriter<W>, count: usize) {
    let message = Bytes::from(pattern(64 * KIB));
    for _ in 0..count {
        writer.write_all(message.clone()).await.unwrap();
        writer.released().await.unwrap();
    }
}

#[test]
fn notices_are_no_errors_to_a_reader_and_do_not_keep_it_busy() {
    const MESSAGES: usize = 50;
    run(async {
        for elsewhere in [false, true] {
            let (stream, peer) = with_std_peer().await;
            let mut answering = peer.try_clone().unwrap();
            let peer = read_slowly(peer);
            let (mut read, write) = stream.into_split();
            let polls = Arc::new(AtomicUsize::new(0));
            let counted = Arc::clone(&polls);
            let reading = async move {
                let mut buf = [0; 16];
                let mut reading = pin!(read.read(&mut buf));
                poll_fn(|cx| {
                    counted.fetch_add(1, Relaxed);
                    reading.as_mut().poll(cx)
                })
                .await
            };
            let mut writer = ZeroCopyWriter::new(write).with_keep_asking();
            let writing = async {
                write_and_wait(&mut writer, MESSAGES).await;
                let stream: &TcpStream = writer.get_ref().as_ref();
                assert!(stream.take_error().unwrap().is_none());
                answering.write_all(b"answer").unwrap();
            };
            let read = if elsewhere {
                let reading = spawn(reading);
                writing.await;
                reading.await.unwrap()
            } else {
                both(reading, writing).await
            };
            assert_eq!(read.unwrap(), 6);
            assert!(writer.asked_bytes() > 0);
            // A poll of the task for each event: of room, of a notice, and what the writer does.
            let polls = polls.load(Relaxed);
            assert!(polls < 12 * MESSAGES, "{polls} polls");
            drop(writer);
            assert_eq!(peer.join().unwrap().len(), MESSAGES * 64 * KIB);
        }
    });
}

/// Polls both in one task, until both have ended. What the first one gives.
async fn both<F: Future, G: Future<Output = ()>>(first: F, second: G) -> F::Output {
    let (mut first, mut second) = (pin!(first), pin!(second));
    let (mut output, mut ended) = (None, false);
    poll_fn(|cx| {
        if output.is_none()
            && let Poll::Ready(ready) = first.as_mut().poll(cx)
        {
            output = Some(ready);
        }
        ended = ended || second.as_mut().poll(cx).is_ready();
        match output.take() {
            Some(ready) if ended => Poll::Ready(ready),
            kept => {
                output = kept;
                Poll::Pending
            }
        }
    })
    .await
}

/// In a user namespace of its own, where root's leave to lock memory does not hold.
#[test]
fn bytes_are_copied_when_no_more_memory_may_be_locked() {
    const NAME: &str = "zero_copy_writes::bytes_are_copied_when_no_more_memory_may_be_locked";
    if own_process() {
        return write_with_little_locked_memory();
    }
    let mut unshare = Command::new("unshare");
    if !matches!(unshare.args(["-r", "true"]).status(), Ok(status) if status.success()) {
        // Not installed, or not allowed here.
        return;
    }
    let mut unshare = Command::new("unshare");
    unshare.arg("-r").arg(std::env::current_exe().unwrap());
    let output = own_command(unshare, NAME).output().unwrap();
    assert!(
        output.status.success(),
        "{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn write_with_little_locked_memory() {
    use rustix::process::{Resource, Rlimit, setrlimit};
    let limit = Rlimit {
        current: Some(128 * KIB as u64),
        maximum: Some(128 * KIB as u64),
    };
    setrlimit(Resource::Memlock, limit).unwrap();
    run(async {
        let bytes = pattern(8 * MIB);
        let (stream, peer) = with_narrow_peer((Ipv4Addr::LOCALHOST, 0)).await;
        let mut writer = ZeroCopyWriter::new(stream).with_keep_asking();
        let writing = poll_and_drop(3, writer.write_all(bytes.clone().into())).await;
        assert!(writing.is_none());
        let reader = read_slowly(peer);
        writer.released().await.unwrap();
        drop(writer);
        let received = reader.join().unwrap();
        assert!(received.len() > 128 * KIB, "{} bytes", received.len());
        assert!(bytes.starts_with(&received));
    });
}
