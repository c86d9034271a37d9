//! Streams that change hands: between loops, from and to the standard library, after the end of
//! their runtime.

use std::io::{ErrorKind, Read, Write};
use std::net;
use std::os::fd::{AsRawFd, OwnedFd};
use std::thread;
use std::time::Duration;

use futures_lite::future::block_on;
use oneloop_net::{TcpListener, TcpStream};
use oneloop_runtime::task::spawn;
use oneloop_runtime::time::timeout;
use rustix::event::PollFlags;

use crate::support::{
    Watchdog, pair, run, run_on, spawn_until_it_waits, two_loops, until_ready, with_std_peer,
};

#[test]
fn stream_moves_between_loops_in_mid_conversation() {
    run(async {
        let (mut near, mut far) = pair().await;
        let echo = spawn(async move {
            let mut buf = [0; 64];
            loop {
                match far.read(&mut buf).await.unwrap() {
                    0 => return,
                    count => far.write_all(&buf[..count]).await.unwrap(),
                }
            }
        });
        for round in 0..200_u8 {
            // Here on the main loop, there on a worker; the answer always comes after the wait
            // has begun.
            near = exchange(near, round).await;
            near = spawn(exchange(near, round)).await.unwrap();
        }
        drop(near);
        echo.await.unwrap();
    });
}

async fn exchange(mut stream: TcpStream, byte: u8) -> TcpStream {
    stream.write_all(&[byte; 10]).await.unwrap();
    let mut back = [0; 10];
    stream.read_exact(&mut back).await.unwrap();
    assert_eq!(back, [byte; 10]);
    stream
}

#[test]
fn stream_that_a_loop_waits_for_can_be_taken_to_another() {
    run(async {
        let (mut stream, mut peer) = with_std_peer().await;
        for _ in 0..100 {
            // Leaves a registration and a waker behind on this loop.
            let waited = timeout(Duration::from_micros(200), stream.read(&mut [0; 4])).await;
            assert!(waited.is_err());
            let reader = spawn(async move {
                let mut buf = [0; 4];
                let count = stream.read(&mut buf).await.unwrap();
                (stream, count)
            });
            peer.write_all(b"word").unwrap();
            let (back, count) = reader.await.unwrap();
            assert_eq!(count, 4);
            stream = back;
        }
    });
}

#[test]
fn regression_r18_standard_stream_is_made_nonblocking_and_comes_back() {
    run(async {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
        let (mut server, _) = listener.accept().unwrap();
        let raw = client.as_raw_fd();
        // Blocking until here: a read would hold the loop for ever.
        let mut stream = TcpStream::from_std(client).unwrap();
        assert_eq!(stream.as_raw_fd(), raw);
        assert!(
            timeout(Duration::from_millis(20), stream.read(&mut [0]))
                .await
                .is_err()
        );
        server.write_all(b"1").unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 1);
        let mut client = stream.into_std().unwrap();
        assert_eq!(client.as_raw_fd(), raw);
        assert_eq!(
            client.read(&mut [0]).unwrap_err().kind(),
            ErrorKind::WouldBlock
        );
        client.set_nonblocking(false).unwrap();
        client.write_all(b"2").unwrap();
        server.read_exact(&mut [0]).unwrap();
        // And round again.
        let mut stream = TcpStream::try_from(client).unwrap();
        server.write_all(b"3").unwrap();
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 1);
        let descriptor = OwnedFd::from(stream);
        assert_eq!(descriptor.as_raw_fd(), raw);
    });
}

#[test]
fn standard_listener_is_made_nonblocking_and_comes_back() {
    run(async {
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let listener = TcpListener::from_std(listener).unwrap();
        assert!(
            timeout(Duration::from_millis(20), listener.accept())
                .await
                .is_err()
        );
        let _client = net::TcpStream::connect(address).unwrap();
        listener.accept().await.unwrap();
        let listener = listener.into_std().unwrap();
        assert_eq!(listener.accept().unwrap_err().kind(), ErrorKind::WouldBlock);
        let listener = TcpListener::try_from(listener).unwrap();
        let _client = net::TcpStream::connect(address).unwrap();
        listener.accept().await.unwrap();
        assert_eq!(OwnedFd::from(listener).as_raw_fd().min(0), 0);
    });
}

#[test]
fn regression_r9_descriptor_number_that_is_used_again_gets_its_own_events() {
    run(async {
        // The next stream takes the number of the one that was just closed, often enough.
        for round in 0..200 {
            let (mut stream, mut peer) = with_std_peer().await;
            assert!(
                timeout(Duration::from_micros(50), stream.read(&mut [0]))
                    .await
                    .is_err()
            );
            if round % 2 == 0 {
                // Closed on a loop that does not watch it.
                spawn(async move { drop(stream) }).await.unwrap();
                continue;
            }
            peer.write_all(b"x").unwrap();
            assert_eq!(stream.read(&mut [0]).await.unwrap(), 1);
        }
    });
}

#[test]
fn stream_works_on_a_thread_without_a_loop() {
    let runtime = two_loops();
    let (mut near, mut far) = run_on(&runtime, pair());
    let _watchdog = Watchdog::new();
    let reader = thread::spawn(move || {
        let mut buf = [0; 5];
        block_on(near.read_exact(&mut buf)).unwrap();
        buf
    });
    thread::sleep(Duration::from_millis(20));
    block_on(far.write_all(b"hello")).unwrap();
    assert_eq!(&reader.join().unwrap(), b"hello");
    drop(runtime);
}

#[test]
fn stream_outlives_its_runtime() {
    let runtime = two_loops();
    let (mut near, mut far) = run_on(&runtime, async {
        let (mut near, far) = pair().await;
        assert!(
            timeout(Duration::from_millis(1), near.read(&mut [0]))
                .await
                .is_err()
        );
        (near, far)
    });
    drop(runtime);
    let _watchdog = Watchdog::new();
    // What needs no waiting works, what needs it is an error and no hang.
    assert_eq!(far.try_write(b"a").unwrap(), 1);
    assert_eq!(near.peer_addr().unwrap(), far.local_addr().unwrap());
    until_ready(&near, PollFlags::IN);
    let mut buf = [0; 4];
    assert_eq!(near.try_read(&mut buf).unwrap(), 1);
    let error = block_on(near.read(&mut buf)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Other, "{error}");
    assert!(error.to_string().contains("shut down"), "{error}");
    // In another runtime it is watched by that one.
    run(async {
        let reader = spawn_until_it_waits(async move {
            let mut buf = [0; 4];
            near.read(&mut buf).await.unwrap()
        })
        .await;
        far.write_all(b"b").await.unwrap();
        assert_eq!(reader.await.unwrap(), 1);
    });
}

#[test]
#[should_panic(expected = "runtime")]
fn from_std_outside_a_runtime_panics_with_a_reason() {
    let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
    drop(TcpListener::from_std(listener));
}
