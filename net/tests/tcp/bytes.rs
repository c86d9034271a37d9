//! Bytes arrive: all of them, once, in order.

use std::future::poll_fn;
use std::io::{self, IoSlice, IoSliceMut, Read, Write};
use std::mem::MaybeUninit;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::Duration;

use oneloop_net::TcpStream;
use oneloop_runtime::io::Interest;
use oneloop_runtime::task::{spawn, yield_now};
use oneloop_runtime::time::{sleep, timeout};

use crate::support::{pair, pattern, run, spawn_until_it_waits, with_std_peer};

#[test]
fn echo_returns_what_was_sent() {
    run(async {
        let (mut near, mut far) = pair().await;
        let server = spawn(async move {
            let mut buf = [0; 512];
            loop {
                match far.read(&mut buf).await.unwrap() {
                    0 => return far.shutdown().await.unwrap(),
                    count => far.write_all(&buf[..count]).await.unwrap(),
                }
            }
        });
        for len in [1, 7, 511, 512, 513, 5000] {
            let sent = pattern(len);
            near.write_all(&sent).await.unwrap();
            let mut back = vec![0; len];
            assert_eq!(near.read_exact(&mut back).await.unwrap(), len);
            assert_eq!(back, sent);
        }
        near.shutdown().await.unwrap();
        assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0);
        server.await.unwrap();
    });
}

#[test]
fn transfers_of_nothing_are_ok_and_say_nothing() {
    run(async {
        let (mut near, mut far) = pair().await;
        // Nothing is there to read: an attempt that asked the kernel would wait.
        assert_eq!(near.read(&mut []).await.unwrap(), 0);
        assert_eq!(near.read_exact(&mut []).await.unwrap(), 0);
        assert_eq!(
            near.read_vectored(&mut [IoSliceMut::new(&mut [])])
                .await
                .unwrap(),
            0
        );
        assert_eq!(near.read_vectored(&mut []).await.unwrap(), 0);
        assert_eq!(near.peek(&mut []).await.unwrap(), 0);
        assert_eq!(near.try_read(&mut []).unwrap(), 0);
        assert_eq!(near.try_read_vectored(&mut []).unwrap(), 0);
        assert_eq!(near.write(&[]).await.unwrap(), 0);
        assert_eq!(near.write_vectored(&[IoSlice::new(&[])]).await.unwrap(), 0);
        assert_eq!(near.try_write(&[]).unwrap(), 0);
        assert_eq!(near.try_write_vectored(&[]).unwrap(), 0);
        near.write_all(&[]).await.unwrap();
        near.flush().await.unwrap();
        let none = poll_fn(|cx| near.poll_peek(cx, &mut [])).await.unwrap();
        assert_eq!(none, 0);
        // The connection is as it was.
        near.write_all(b"x").await.unwrap();
        let mut buf = [0; 8];
        assert_eq!(far.read(&mut buf).await.unwrap(), 1);
        assert!(near.try_read(&mut buf).unwrap_err().kind() == io::ErrorKind::WouldBlock);
    });
}

#[test]
fn ten_megabytes_arrive_exactly() {
    run(async {
        let (mut stream, mut peer) = with_std_peer().await;
        let sent = pattern(10 << 20);
        let copy = sent.clone();
        let receiver = thread::spawn(move || {
            let mut received = Vec::new();
            peer.read_to_end(&mut received).unwrap();
            assert!(
                received == copy,
                "{} bytes differ from {}",
                received.len(),
                copy.len()
            );
            peer.write_all(&received).unwrap();
        });
        stream.write_all(&sent).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut back = vec![0; sent.len()];
        stream.read_exact(&mut back).await.unwrap();
        assert!(back == sent);
        assert_eq!(stream.read(&mut [0]).await.unwrap(), 0);
        receiver.join().unwrap();
    });
}

#[test]
fn many_writers_send_whole_messages() {
    // One task owns the write half; fifty others hand it messages through the kernel.
    run(async {
        let mut clients = Vec::new();
        let listener = crate::support::listener().await;
        let address = listener.local_addr().unwrap();
        for number in 0..50_u8 {
            clients.push(spawn(async move {
                let mut stream = TcpStream::connect(address).await.unwrap();
                for _ in 0..20 {
                    stream.write_all(&[number; 1000]).await.unwrap();
                    yield_now().await;
                }
                stream.shutdown().await.unwrap();
                assert_eq!(stream.read(&mut [0; 1]).await.unwrap(), 0);
            }));
        }
        let mut servers = Vec::new();
        for _ in 0..50 {
            let (mut stream, _) = listener.accept().await.unwrap();
            servers.push(spawn(async move {
                let mut buf = [0; 3000];
                let mut first = None;
                let mut total = 0;
                loop {
                    let count = stream.read(&mut buf).await.unwrap();
                    if count == 0 {
                        return (first.unwrap(), total);
                    }
                    let number = *first.get_or_insert(buf[0]);
                    assert!(buf[..count].iter().all(|&byte| byte == number));
                    total += count;
                }
            }));
        }
        let mut seen = Vec::new();
        for server in servers {
            let (number, total) = server.await.unwrap();
            assert_eq!(total, 20_000);
            seen.push(number);
        }
        seen.sort_unstable();
        assert_eq!(seen, (0..50).collect::<Vec<u8>>());
        for client in clients {
            client.await.unwrap();
        }
    });
}

#[test]
fn writers_that_share_a_stream_all_make_progress() {
    // `writable` and `try_write` take any number of waiters: none of them is forgotten.
    run(async {
        let (near, mut peer) = with_std_peer().await;
        let near = Arc::new(near);
        let writers: Vec<_> = (0..8_u8)
            .map(|number| {
                let near = Arc::clone(&near);
                spawn(async move {
                    let mut left = 200_000;
                    while left > 0 {
                        near.writable().await.unwrap();
                        match near.try_write(&[number; 4096][..left.min(4096)]) {
                            Ok(count) => left -= count,
                            Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
                        }
                    }
                })
            })
            .collect();
        let reader = thread::spawn(move || {
            let mut counts = [0; 8];
            let mut buf = [0; 8192];
            loop {
                match peer.read(&mut buf).unwrap() {
                    0 => return counts,
                    count => buf[..count]
                        .iter()
                        .for_each(|&byte| counts[usize::from(byte)] += 1),
                }
            }
        });
        for writer in writers {
            writer.await.unwrap();
        }
        drop(near);
        assert_eq!(reader.join().unwrap(), [200_000; 8]);
    });
}

#[test]
fn slow_reader_holds_the_writer_up() {
    run(async {
        let (mut near, mut far) = pair().await;
        let written = Arc::new(AtomicUsize::new(0));
        let count = Arc::clone(&written);
        let data = pattern(32 << 20);
        let expected = data.clone();
        let writer = spawn(async move {
            let mut rest = data.as_slice();
            while !rest.is_empty() {
                let taken = near.write(rest).await.unwrap();
                count.fetch_add(taken, Relaxed);
                rest = &rest[taken..];
            }
        });
        // The kernel takes some megabytes and then nothing more while nobody reads.
        let mut before = usize::MAX;
        while written.load(Relaxed) != before {
            before = written.load(Relaxed);
            sleep(Duration::from_millis(100)).await;
        }
        assert!(
            before < expected.len(),
            "{before} bytes were taken though nobody read"
        );
        let mut received = vec![0; expected.len()];
        let mut filled = 0;
        while filled < received.len() {
            let end = received.len().min(filled + 100_000);
            filled += far.read(&mut received[filled..end]).await.unwrap();
        }
        assert!(received == expected);
        writer.await.unwrap();
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn vectored_transfers_fill_buffers_in_order() {
    run(async {
        let (mut near, mut far) = pair().await;
        let parts = [
            IoSlice::new(b"one"),
            IoSlice::new(b""),
            IoSlice::new(b"two!"),
        ];
        assert_eq!(near.write_vectored(&parts).await.unwrap(), 7);
        let (mut first, mut second) = ([0; 4], [0; 10]);
        let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(far.read_vectored(&mut bufs).await.unwrap(), 7);
        assert_eq!(&first, b"onet");
        assert_eq!(&second[..3], b"wo!");
        // More buffers than the kernel takes in one call.
        let many = vec![IoSlice::new(b"ab"); 3000];
        let taken = near.try_write_vectored(&many).unwrap();
        assert_eq!(taken, 2048);
        let mut back = vec![0; taken];
        far.read_exact(&mut back).await.unwrap();
        assert!(back.chunks(2).all(|pair| pair == b"ab"));
        near.write_all(b"xyz").await.unwrap();
        far.readable().await.unwrap();
        let mut bufs = [IoSliceMut::new(&mut first), IoSliceMut::new(&mut second)];
        assert_eq!(far.try_read_vectored(&mut bufs).unwrap(), 3);
    });
}

#[test]
fn peek_leaves_the_bytes() {
    run(async {
        let (mut near, mut far) = pair().await;
        near.write_all(b"hello").await.unwrap();
        let mut buf = [0; 16];
        for _ in 0..3 {
            assert_eq!(far.peek(&mut buf).await.unwrap(), 5);
            assert_eq!(
                poll_fn(|cx| far.poll_peek(cx, &mut buf[..2]))
                    .await
                    .unwrap(),
                2
            );
        }
        assert_eq!(far.read(&mut buf).await.unwrap(), 5);
        drop(near);
        assert_eq!(far.peek(&mut buf).await.unwrap(), 0);
        assert_eq!(far.peek(&mut buf).await.unwrap(), 0);
    });
}

#[test]
fn peek_waits_for_bytes() {
    run(async {
        let (near, mut far) = pair().await;
        let peeker = spawn_until_it_waits(async move {
            let mut buf = [0; 4];
            (near.peek(&mut buf).await.unwrap(), buf)
        })
        .await;
        far.write_all(b"late").await.unwrap();
        assert_eq!(peeker.await.unwrap(), (4, *b"late"));
    });
}

#[test]
fn uninitialised_memory_is_filled_from_the_start() {
    run(async {
        let (mut near, far) = pair().await;
        near.write_all(b"abc").await.unwrap();
        let mut memory = [MaybeUninit::uninit(); 8];
        let read = async |memory: &mut [MaybeUninit<u8>]| {
            // The borrow of the filled part cannot leave a closure that may be called again.
            poll_fn(|cx| {
                far.poll_read_uninit(cx, memory)
                    .map_ok(|filled| filled.to_vec())
            })
            .await
        };
        assert_eq!(read(&mut memory).await.unwrap(), b"abc");
        assert_eq!(read(&mut []).await.unwrap(), b"");
        drop(near);
        assert_eq!(read(&mut memory).await.unwrap(), b"");
    });
}

#[test]
fn attempts_never_wait() {
    run(async {
        let (near, far) = pair().await;
        let mut buf = [0; 4];
        assert_eq!(
            near.try_read(&mut buf).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        // Until the kernel is full.
        let mut sent = 0;
        let full = loop {
            match near.try_write(&[7; 65536]) {
                Ok(count) => sent += count,
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), io::ErrorKind::WouldBlock);
        let mut received = 0;
        let mut buf = vec![0; 65536];
        while received < sent {
            far.readable().await.unwrap();
            match far.try_read(&mut buf) {
                Ok(count) => received += count,
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
        }
        assert_eq!(received, sent);
        near.writable().await.unwrap();
        near.try_write(b"again").unwrap();
    });
}

#[test]
fn attempts_alone_see_what_arrives_later() {
    // Nobody ever waits on the stream: an attempt that found nothing must not be the last one.
    run(async {
        let (near, mut far) = pair().await;
        let mut buf = [0; 4];
        assert_eq!(
            near.try_read(&mut buf).unwrap_err().kind(),
            io::ErrorKind::WouldBlock
        );
        far.write_all(b"late").await.unwrap();
        loop {
            match near.try_read(&mut buf) {
                Ok(count) => break assert_eq!(count, 4),
                Err(error) => assert_eq!(error.kind(), io::ErrorKind::WouldBlock),
            }
            yield_now().await;
        }
    });
}

#[test]
fn own_operations_through_try_io_and_async_io() {
    run(async {
        let (near, mut far) = pair().await;
        far.write_all(b"ping").await.unwrap();
        let mut buf = [0; 4];
        let count = near
            .async_io(Interest::READABLE, || {
                rustix::net::recv(&near, &mut buf, rustix::net::RecvFlags::empty())
                    .map(|(_, count)| count)
                    .map_err(io::Error::from)
            })
            .await
            .unwrap();
        assert_eq!((count, &buf), (4, b"ping"));
        near.writable().await.unwrap();
        let flags = rustix::net::SendFlags::NOSIGNAL;
        let sent = near.try_io(Interest::WRITABLE, || {
            Ok(rustix::net::send(&near, b"pong", flags)?)
        });
        assert_eq!(sent.unwrap(), 4);
        far.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"pong");
    });
}

#[test]
fn readiness_is_reported_for_each_direction() {
    run(async {
        let (near, mut far) = pair().await;
        let ready = near
            .ready(Interest::READABLE | Interest::WRITABLE)
            .await
            .unwrap();
        assert!(ready.is_writable());
        let mut buf = [0; 4];
        assert!(near.try_read(&mut buf).is_err());
        assert!(
            timeout(Duration::from_millis(30), near.readable())
                .await
                .is_err()
        );
        far.write_all(b"x").await.unwrap();
        near.readable().await.unwrap();
        poll_fn(|cx| near.poll_read_ready(cx)).await.unwrap();
        poll_fn(|cx| near.poll_write_ready(cx)).await.unwrap();
        assert_eq!(near.try_read(&mut buf).unwrap(), 1);
        drop(far);
        assert!(near.ready(Interest::READABLE).await.unwrap().is_readable());
        assert_eq!(near.try_read(&mut buf).unwrap(), 0);
    });
}

#[test]
fn read_exact_tells_an_early_end() {
    run(async {
        let (mut near, mut far) = pair().await;
        far.write_all(b"abc").await.unwrap();
        drop(far);
        let error = near.read_exact(&mut [0; 4]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    });
}
