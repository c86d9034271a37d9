//! Futures that are dropped after n polls, at every await: nothing lost, nothing doubled (G19).

use std::io::Write;
use std::net;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use oneloop_net::{TcpListener, TcpSocket, TcpStream};
use oneloop_runtime::task::spawn;
use oneloop_runtime::time::sleep;

use crate::support::{
    in_own_process, open_descriptors, pattern, poll_and_drop, read_when_told, run, with_std_peer,
};

/// 0, 1, 2 ... 32, 0, 1 ...
fn polls() -> impl Iterator<Item = usize> {
    (0..=32).cycle()
}

#[test]
fn dropped_read_loses_nothing() {
    run(async {
        let (mut stream, mut peer) = with_std_peer().await;
        let sent = pattern(300_000);
        let copy = sent.clone();
        // Goes on when a read that waited was dropped.
        let (tell, told) = mpsc::channel();
        let writer = thread::spawn(move || {
            for (number, piece) in copy.chunks(3000).enumerate() {
                peer.write_all(piece).unwrap();
                if number % 4 == 0 {
                    told.recv().unwrap();
                }
            }
        });
        let mut received = Vec::new();
        let mut buf = [0; 1024];
        let mut dropped = 0;
        for times in polls() {
            match poll_and_drop(times, stream.read(&mut buf)).await {
                None if times > 0 => {
                    dropped += 1;
                    // It may have written all by now.
                    let _ = tell.send(());
                }
                None => {}
                Some(Ok(0)) => break,
                Some(count) => received.extend_from_slice(&buf[..count.unwrap()]),
            }
        }
        assert!(received == sent, "{} of {}", received.len(), sent.len());
        assert!(dropped >= 25, "only {dropped} reads were dropped");
        writer.join().unwrap();
    });
}

#[test]
fn dropped_readable_and_peek_lose_nothing() {
    run(async {
        let (mut stream, mut peer) = with_std_peer().await;
        let sent = pattern(20_000);
        let copy = sent.clone();
        // Goes on when both have waited and were dropped.
        let (tell, told) = mpsc::channel();
        let writer = thread::spawn(move || {
            for piece in copy.chunks(500) {
                peer.write_all(piece).unwrap();
                told.recv().unwrap();
            }
        });
        let mut received = Vec::new();
        let mut buf = [0; 1024];
        for times in polls() {
            let ready = poll_and_drop(times % 5, stream.readable()).await;
            let peeked = poll_and_drop(times % 7, stream.peek(&mut buf)).await;
            if ready.is_none() && peeked.is_none() {
                if times % 5 > 0 && times % 7 > 0 {
                    // It may have written all by now.
                    let _ = tell.send(());
                }
                continue;
            }
            match stream.read(&mut buf).await.unwrap() {
                0 => break,
                count => received.extend_from_slice(&buf[..count]),
            }
        }
        assert!(received == sent);
        writer.join().unwrap();
    });
}

#[test]
fn dropped_write_is_not_done() {
    run(async {
        // Small buffers, so that writes wait.
        let listener = net::TcpListener::bind("127.0.0.1:0").unwrap();
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_send_buffer_size(4096).unwrap();
        let mut stream = socket
            .connect(listener.local_addr().unwrap())
            .await
            .unwrap();
        let (peer, _) = listener.accept().unwrap();
        socket2::SockRef::from(&peer)
            .set_recv_buffer_size(4096)
            .unwrap();
        let sent = pattern(300_000);
        // Reads on when a write that waited was dropped.
        let (tell, told) = mpsc::channel();
        let reader = read_when_told(peer, told);
        let mut rest = sent.as_slice();
        let mut dropped = 0;
        for times in polls() {
            match poll_and_drop(times, stream.write(rest)).await {
                None if times > 0 => {
                    dropped += 1;
                    tell.send(()).unwrap();
                }
                None => {}
                Some(count) => rest = &rest[count.unwrap()..],
            }
            if rest.is_empty() {
                break;
            }
        }
        assert!(dropped > 10, "only {dropped} writes were dropped");
        stream.shutdown().await.unwrap();
        drop(tell);
        let received = reader.join().unwrap();
        assert!(received == sent, "{} of {}", received.len(), sent.len());
    });
}

#[test]
fn dropped_accept_takes_no_connection() {
    run(async {
        let listener = crate::support::listener().await;
        let address = listener.local_addr().unwrap();
        // The next four come when an accept that waited was dropped.
        let (tell, told) = mpsc::channel();
        let clients = thread::spawn(move || {
            (0..200_u32)
                .map(|number| {
                    let mut client = net::TcpStream::connect(address).unwrap();
                    client.write_all(&number.to_be_bytes()).unwrap();
                    if number % 4 == 0 {
                        told.recv().unwrap();
                    }
                    client
                })
                .collect::<Vec<_>>()
        });
        let mut numbers = Vec::new();
        for times in polls() {
            if let Some(accepted) = poll_and_drop(times, listener.accept()).await {
                let (mut stream, _) = accepted.unwrap();
                let mut number = [0; 4];
                stream.read_exact(&mut number).await.unwrap();
                numbers.push(u32::from_be_bytes(number));
            } else if times > 0 {
                // The last may be under way by now.
                let _ = tell.send(());
            }
            if numbers.len() == 200 {
                break;
            }
        }
        // In the order of the queue, each one once.
        assert_eq!(numbers, (0..200).collect::<Vec<_>>());
        drop(clients.join().unwrap());
    });
}

#[test]
fn dropped_connect_leaves_nothing() {
    in_own_process("cancel::dropped_connect_leaves_nothing", || {
        run(async {
            let listener = crate::support::listener().await;
            let address = listener.local_addr().unwrap();
            drop((TcpStream::connect(address).await, listener.accept().await));
            let before = open_descriptors();
            for times in polls().take(66) {
                drop(poll_and_drop(times, TcpStream::connect(address)).await);
            }
            assert_eq!(open_descriptors(), before);
            drain(&listener).await;
            TcpStream::connect(address).await.unwrap();
            listener.accept().await.unwrap();
        });
    });
}

/// Accepts what is in the queue.
async fn drain(listener: &TcpListener) {
    while poll_and_drop(8, listener.accept()).await.is_some() {}
}

#[test]
fn aborted_tasks_leave_the_stream_usable() {
    run(async {
        let (stream, mut peer) = with_std_peer().await;
        let stream = std::sync::Arc::new(stream);
        for round in 0..20 {
            let reader = std::sync::Arc::clone(&stream);
            let task = spawn(async move { reader.readable().await });
            sleep(Duration::from_micros(round * 100)).await;
            task.abort();
            assert!(task.await.is_err());
        }
        peer.write_all(b"x").unwrap();
        stream.readable().await.unwrap();
        assert_eq!(stream.try_read(&mut [0; 4]).unwrap(), 1);
    });
}
