//! Small writes of one turn go out together, in order, and without anybody's help.

use std::io::{self, Read as _, Write as _};
use std::net;
use std::sync::mpsc;
use std::time::Duration;

use oneloop_net::{Coalesced, TcpStream, UnixStream};
use oneloop_runtime::task::{block_in_place, spawn, yield_now};
use oneloop_runtime::time::timeout;
use rustix::event::PollFlags;

use crate::support::{
    Watchdog, narrow_with_std_peer, pattern, poll_and_drop, read_slowly, read_when_told, run,
    two_loops, until_ready, with_std_peer,
};

#[test]
fn bytes_go_out_at_the_end_of_the_turn_and_not_before() {
    run(async {
        let (stream, mut peer) = with_std_peer().await;
        peer.set_nonblocking(true).unwrap();
        let mut stream = Coalesced::new(stream);
        let mut buf = [0; 64];
        for piece in [&b"one "[..], b"two ", b"three"] {
            stream.write_all(piece).await.unwrap();
        }
        assert_eq!(stream.unsent(), 13);
        assert_eq!(
            peer.read(&mut buf).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        yield_now().await;
        assert_eq!(stream.unsent(), 0);
        // What has been sent is on its way.
        peer.set_nonblocking(false).unwrap();
        assert_eq!(peer.read(&mut buf).unwrap(), 13);
        assert_eq!(&buf[..13], b"one two three");
        stream.write_all(b"four").await.unwrap();
        stream.flush().await.unwrap();
        assert_eq!(stream.unsent(), 0);
        assert_eq!(peer.read(&mut buf).unwrap(), 4);
    });
}

#[test]
fn all_arrives_in_order_whatever_the_sizes() {
    run(async {
        for bytes_max in [0, 1, 100, Coalesced::<TcpStream>::DEFAULT_BYTES_MAX] {
            let (stream, peer) = narrow_with_std_peer().await;
            let reader = read_slowly(peer);
            let mut stream = Coalesced::with_bytes_max(stream, bytes_max);
            let sent = pattern(200_000);
            let (mut rest, mut number) = (&sent[..], 0);
            while !rest.is_empty() {
                let size = [1, 99, 100, 101, 3000, 16_383, 16_385, 7][number % 8];
                let (piece, later) = rest.split_at(size.min(rest.len()));
                stream.write_all(piece).await.unwrap();
                assert!(stream.unsent() <= bytes_max);
                if number % 13 == 0 {
                    yield_now().await;
                }
                rest = later;
                number += 1;
            }
            stream.shutdown().await.unwrap();
            assert!(reader.join().unwrap() == sent, "with {bytes_max}");
        }
    });
}

#[test]
fn what_the_socket_did_not_take_follows_while_the_task_reads() {
    run(async {
        let (stream, mut peer) = narrow_with_std_peer().await;
        // More than both kernels' buffers take.
        let mut stream = Coalesced::with_bytes_max(stream, 1 << 20);
        let sent = pattern(500_000);
        stream.write_all(&sent).await.unwrap();
        let expected = sent.clone();
        let peer = std::thread::spawn(move || {
            let mut received = vec![0; expected.len()];
            peer.read_exact(&mut received).unwrap();
            assert!(received == expected);
            // The answer that the task waits for.
            peer.write_all(b"all").unwrap();
        });
        let mut answer = [0; 3];
        stream.read_exact(&mut answer).await.unwrap();
        assert_eq!((&answer, stream.unsent()), (b"all", 0));
        peer.join().unwrap();
    });
}

#[test]
fn a_flush_that_is_dropped_takes_no_bytes_with_it() {
    run(async {
        let (stream, peer) = narrow_with_std_peer().await;
        let mut stream = Coalesced::with_bytes_max(stream, 1 << 20);
        let sent = pattern(500_000);
        stream.write_all(&sent).await.unwrap();
        // With a waker of its own, which is of no use to anybody afterwards.
        let waiting = timeout(Duration::from_millis(1), stream.flush());
        assert!(waiting.await.is_err());
        assert!(stream.unsent() > 0);
        let mut received = vec![0; sent.len()];
        let reader = std::thread::spawn(move || {
            let mut peer = peer;
            peer.read_exact(&mut received).unwrap();
            received
        });
        let mut turns = 0;
        while !reader.is_finished() {
            timeout(Duration::from_millis(1), std::future::pending::<()>())
                .await
                .unwrap_err();
            turns += 1;
            assert!(turns < 10_000, "the rest is not sent");
        }
        assert!(reader.join().unwrap() == sent);
    });
}

#[test]
fn writes_and_flushes_dropped_at_any_await_lose_and_double_nothing() {
    run(async {
        let (stream, peer) = narrow_with_std_peer().await;
        // Reads on when a write or flush that waited was dropped.
        let (tell, told) = mpsc::channel();
        let reader = read_when_told(peer, told);
        let mut stream = Coalesced::with_bytes_max(stream, 3000);
        let sent = pattern(200_000);
        let (mut rest, mut dropped) = (&sent[..], 0);
        for times in (0..=32).cycle() {
            let piece = &rest[..rest.len().min(700)];
            match poll_and_drop(times, stream.write(piece)).await {
                None if times > 0 => {
                    dropped += 1;
                    tell.send(()).unwrap();
                }
                None => {}
                Some(count) => rest = &rest[count.unwrap()..],
            }
            let flushed = poll_and_drop(times % 3, stream.flush()).await;
            if flushed.is_none() && times % 3 > 0 {
                dropped += 1;
                tell.send(()).unwrap();
            }
            if rest.is_empty() {
                break;
            }
        }
        assert!(dropped > 10, "only {dropped} were dropped");
        drop(tell);
        stream.shutdown().await.unwrap();
        assert!(reader.join().unwrap() == sent);
    });
}

#[test]
fn a_drop_sends_what_there_is_room_for() {
    run(async {
        let (stream, mut peer) = with_std_peer().await;
        let mut stream = Coalesced::new(stream);
        stream.write_all(b"last words").await.unwrap();
        drop(stream);
        let mut received = String::new();
        peer.read_to_string(&mut received).unwrap();
        assert_eq!(received, "last words");
        // A full socket does not hold the drop up, and is closed.
        let (stream, mut peer) = narrow_with_std_peer().await;
        let mut stream = Coalesced::with_bytes_max(stream, 1 << 20);
        let sent = pattern(900_000);
        stream.write_all(&sent).await.unwrap();
        drop(stream);
        let mut received = Vec::new();
        peer.read_to_end(&mut received).unwrap();
        assert!(received.len() < sent.len());
        assert!(received == sent[..received.len()]);
    });
}

#[test]
fn a_full_socket_is_closed_by_a_drop_after_its_flusher_waited() {
    run(async {
        let (stream, mut peer) = narrow_with_std_peer().await;
        let mut stream = Coalesced::with_bytes_max(stream, 1 << 20);
        stream.write_all(&pattern(900_000)).await.unwrap();
        // The flusher is the socket's waiter now, and does not keep it open.
        yield_now().await;
        assert!(stream.unsent() > 0);
        drop(stream);
        peer.set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        peer.read_to_end(&mut Vec::new()).unwrap();
    });
}

#[test]
fn an_error_comes_out_of_the_next_write_or_flush() {
    run(async {
        for by_write in [true, false] {
            let (stream, peer) = with_std_peer().await;
            let mut stream = Coalesced::new(stream);
            socket2::SockRef::from(&peer)
                .set_linger(Some(Duration::ZERO))
                .unwrap();
            drop(peer);
            until_ready(stream.get_ref(), PollFlags::ERR);
            stream.write_all(b"nobody reads this").await.unwrap();
            yield_now().await;
            let error = match by_write {
                true => stream.write_all(b"nor this").await.unwrap_err(),
                false => stream.flush().await.unwrap_err(),
            };
            let kinds = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
            assert!(kinds.contains(&error.kind()), "{error}");
            assert_eq!(stream.unsent(), 0);
        }
    });
}

#[test]
fn the_stream_comes_back_flushed() {
    run(async {
        let (near, mut far) = UnixStream::pair().unwrap();
        let mut stream = Coalesced::new(near);
        stream.write_all(b"gathered ").await.unwrap();
        let mut near = stream.into_inner().await.unwrap();
        near.write_all(b"direct").await.unwrap();
        let mut buf = [0; 15];
        far.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"gathered direct");
    });
}

#[test]
fn nothing_waits_for_a_task_that_blocks_or_for_the_next_block_on() {
    let _watchdog = Watchdog::new();
    let runtime = two_loops();
    let (stream, mut peer) = runtime.block_on(async {
        let (stream, mut peer) = with_std_peer().await;
        spawn(async move {
            let mut stream = Coalesced::new(stream);
            stream.write_all(b"x").await.unwrap();
            block_in_place(|| peer.read_exact(&mut [0]).unwrap());
            (stream, peer)
        })
        .await
        .unwrap()
    });
    let stream = runtime.block_on(async move {
        let mut stream = stream;
        stream.write_all(b"y").await.unwrap();
        stream
    });
    // The runtime stands still, and the stream is not dropped.
    peer.read_exact(&mut [0]).unwrap();
    drop(stream);
}

#[test]
fn where_no_loop_runs_each_write_is_sent_at_once() {
    let _watchdog = Watchdog::new();
    let runtime = two_loops();
    let entered = runtime.enter();
    let (near, far) = net_pair();
    let mut stream = Coalesced::new(TcpStream::from_std(near).unwrap());
    futures_lite::future::block_on(stream.write_all(b"at once")).unwrap();
    let mut received = [0; 7];
    (&far).read_exact(&mut received).unwrap();
    assert_eq!(&received, b"at once");
    drop(entered);
}

fn net_pair() -> (net::TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    let near = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    (near, listener.accept().unwrap().0)
}
