//! Ends of streams: half-closes, closes, and what is on its way meanwhile.

use std::io::{self, Read, Write};
use std::net::Shutdown;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use oneloop_net::{TcpSocket, TcpStream};
use oneloop_runtime::task::spawn;
use oneloop_runtime::time::sleep;
use rustix::event::{PollFd, PollFlags, poll};

use crate::support::{pair, pattern, run, spawn_until_it_waits, with_std_peer};

#[test]
fn reading_goes_on_after_shutdown() {
    run(async {
        let (mut near, mut far) = pair().await;
        near.write_all(b"last words").await.unwrap();
        near.shutdown().await.unwrap();
        let mut heard = Vec::new();
        let mut buf = [0; 4];
        loop {
            match far.read(&mut buf).await.unwrap() {
                0 => break,
                count => heard.extend_from_slice(&buf[..count]),
            }
        }
        assert_eq!(heard, b"last words");
        far.write_all(b"answer").await.unwrap();
        let mut answer = [0; 6];
        near.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"answer");
        let error = near.write(b"too late").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        drop(far);
        assert_eq!(near.read(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn pending_output_arrives_before_the_end() {
    run(async {
        let (mut stream, mut peer) = with_std_peer().await;
        let sent = pattern(1 << 20);
        let expected = sent.clone();
        // The peer begins to read long after the stream was shut down and dropped.
        let writer = spawn(async move {
            stream.write_all(&sent).await.unwrap();
            stream.shutdown().await.unwrap();
            drop(stream);
        });
        sleep(Duration::from_millis(100)).await;
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            peer.read_to_end(&mut received).unwrap();
            assert!(received == expected);
        });
        writer.await.unwrap();
        reader.join().unwrap();
    });
}

#[test]
fn close_of_the_peer_ends_a_waiting_read() {
    run(async {
        let (mut near, far) = pair().await;
        let reader = spawn_until_it_waits(async move {
            let end = near.read(&mut [0; 16]).await.unwrap();
            // The end is no event that is used up.
            (end, near.read(&mut [0; 16]).await.unwrap())
        })
        .await;
        drop(far);
        assert_eq!(reader.await.unwrap(), (0, 0));
    });
}

#[test]
fn end_that_arrives_with_the_last_bytes_is_seen() {
    // The read comes back short, so no event follows: the end must be known all the same.
    run(async {
        for _ in 0..100 {
            let (mut stream, mut peer) = with_std_peer().await;
            let waiting = spawn(async move {
                let mut buf = [0; 1024];
                let mut total = 0;
                loop {
                    match stream.read(&mut buf).await.unwrap() {
                        0 => return total,
                        count => total += count,
                    }
                }
            });
            peer.write_all(b"bytes and the end at once").unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            assert_eq!(waiting.await.unwrap(), 25);
        }
    });
}

#[test]
fn graceful_close_delivers_in_spite_of_unread_bytes() {
    run(async {
        let (mut stream, mut peer) = with_std_peer().await;
        peer.write_all(&pattern(100_000)).unwrap();
        stream.write_all(b"the answer").await.unwrap();
        let closed = spawn(stream.close_gracefully(Duration::from_secs(10)));
        let (tell, told) = mpsc::channel();
        let reader = thread::spawn(move || {
            let mut end = [PollFd::new(&peer, PollFlags::RDHUP)];
            assert_eq!(poll(&mut end, None).unwrap(), 1);
            // Sent after the stream was shut down: still no reset.
            peer.write_all(&pattern(100_000)).unwrap();
            peer.shutdown(Shutdown::Write).unwrap();
            // By now a reset would have thrown away what has not been read.
            told.recv().unwrap();
            let mut received = Vec::new();
            peer.read_to_end(&mut received).unwrap();
            received
        });
        closed.await.unwrap().unwrap();
        tell.send(()).unwrap();
        assert_eq!(reader.join().unwrap(), b"the answer");
    });
}

#[test]
fn graceful_close_gives_up_in_time() {
    run(async {
        let (stream, peer) = with_std_peer().await;
        let start = Instant::now();
        let error = stream
            .close_gracefully(Duration::from_millis(50))
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(start.elapsed() >= Duration::from_millis(50));
        drop(peer);
    });
}

const LINGER: Duration = Duration::from_secs(20);

/// Fills the kernel's buffers, so that a close with a linger time would wait.
fn fill(stream: &TcpStream) {
    while stream.try_write(&[0; 65536]).is_ok() {}
}

#[test]
fn linger_time_does_not_block_the_loop_at_close() {
    run(async {
        let (stream, peer) = with_std_peer().await;
        stream.set_linger(Some(LINGER)).unwrap();
        assert_eq!(stream.linger().unwrap(), Some(LINGER));
        fill(&stream);
        let start = Instant::now();
        drop(stream);
        assert!(
            start.elapsed() < LINGER / 2,
            "close took {:?}",
            start.elapsed()
        );
        drop(peer);
    });
}

#[test]
fn linger_time_from_elsewhere_does_not_block_the_loop_either() {
    run(async {
        let time = Some(LINGER);
        // From a standard stream.
        let (stream, peer) = with_std_peer().await;
        let stream = stream.into_std().unwrap();
        socket2::SockRef::from(&stream).set_linger(time).unwrap();
        let stream = TcpStream::from_std(stream).unwrap();
        fill(&stream);
        // From a listening socket, by inheritance.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_linger(time).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        let listener = socket.listen(8).unwrap();
        let client = TcpStream::connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (accepted, _) = listener.accept().await.unwrap();
        assert_eq!(accepted.linger().unwrap(), time);
        fill(&accepted);
        // From the socket that was connected.
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_linger(time).unwrap();
        let connected = socket
            .connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        assert_eq!(connected.linger().unwrap(), time);
        fill(&connected);
        let start = Instant::now();
        drop((stream, accepted, connected));
        assert!(
            start.elapsed() < LINGER / 2,
            "close took {:?}",
            start.elapsed()
        );
        drop((peer, client));
    });
}

#[test]
fn linger_is_delivered_like_any_other_close() {
    run(async {
        let (mut stream, mut peer) = with_std_peer().await;
        stream.set_linger(Some(Duration::from_secs(5))).unwrap();
        let sent = pattern(200_000);
        let expected = sent.clone();
        let reader = thread::spawn(move || {
            let mut received = Vec::new();
            peer.read_to_end(&mut received).unwrap();
            assert!(received == expected);
        });
        stream.write_all(&sent).await.unwrap();
        drop(stream);
        reader.join().unwrap();
    });
}
