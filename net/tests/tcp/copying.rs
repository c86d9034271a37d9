//! Copies from stream to stream: all bytes, both ways, ends as ends, and nothing held while idle.

use std::fs::File;
use std::io::{self, Read as _, Write as _};
use std::net;
use std::os::fd::AsRawFd as _;
use std::pin::pin;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

#[cfg(feature = "futures-io")]
use oneloop_net::zero_copy::Plain;
use oneloop_net::zero_copy::{ReadEnd, WriteEnd};
use oneloop_net::{TcpStream, UnixStream, copy, copy_bidirectional};
use oneloop_runtime::task::{JoinHandle, spawn, yield_now};
use oneloop_runtime::time::timeout;

use crate::raw::restore_default_sigpipe;
use crate::support::{
    in_own_process, narrow_with_std_peer, pattern, poll_and_drop, read_slowly, read_when_told, run,
    with_std_peer,
};

/// A relay between two peers of the standard library.
async fn relay() -> (net::TcpStream, net::TcpStream, Relay) {
    let (mut a, a_peer) = with_std_peer().await;
    let (mut b, b_peer) = with_std_peer().await;
    let relay = spawn(async move { copy_bidirectional(&mut a, &mut b).await });
    (a_peer, b_peer, relay)
}

type Relay = JoinHandle<io::Result<(u64, u64)>>;

/// Writes all and half-closes.
fn write_and_end(peer: &net::TcpStream, bytes: Vec<u8>) -> thread::JoinHandle<()> {
    let mut peer = peer.try_clone().unwrap();
    thread::spawn(move || {
        for piece in bytes.chunks(70_001) {
            peer.write_all(piece).unwrap();
        }
        peer.shutdown(net::Shutdown::Write).unwrap();
    })
}

/// Sends through both ways at once and compares.
async fn exchange<A, B>(
    (mut a, a_peer): (A, net::TcpStream),
    (mut b, b_peer): (B, net::TcpStream),
    len: usize,
) where
    A: ReadEnd + WriteEnd + Send + 'static,
    B: ReadEnd + WriteEnd + Send + 'static,
{
    let (up, mut down) = (pattern(len), pattern(len + 12_345));
    down.reverse();
    let writers = [
        write_and_end(&a_peer, up.clone()),
        write_and_end(&b_peer, down.clone()),
    ];
    let readers = (read_slowly(a_peer), read_slowly(b_peer));
    let counts = spawn(async move { copy_bidirectional(&mut a, &mut b).await });
    let counts = counts.await.unwrap().unwrap();
    assert_eq!(counts, (up.len() as u64, down.len() as u64));
    for writer in writers {
        writer.join().unwrap();
    }
    assert!(readers.0.join().unwrap() == down);
    assert!(readers.1.join().unwrap() == up);
}

#[test]
fn ten_megabytes_go_through_both_ways_at_once() {
    run(async {
        exchange(with_std_peer().await, with_std_peer().await, 10 << 20).await;
    });
}

#[test]
fn sizes_around_a_pipe_go_through() {
    run(async {
        for len in [0, 1, 4095, 4096, 65_535, 65_536, 65_537, 131_073] {
            exchange(with_std_peer().await, with_std_peer().await, len).await;
        }
    });
}

#[test]
fn a_narrow_way_slows_the_other_end_down_and_loses_nothing() {
    run(async {
        let narrow = narrow_with_std_peer().await;
        exchange(with_std_peer().await, narrow, 600_000).await;
    });
}

#[cfg(feature = "futures-io")]
#[test]
fn ends_that_are_no_sockets_go_through_a_buffer() {
    run(async {
        let plain = |(stream, peer)| (Plain(stream), peer);
        let (a, b) = (plain(with_std_peer().await), plain(with_std_peer().await));
        exchange(a, b, 1 << 20).await;
        let (a, b) = (with_std_peer().await, plain(narrow_with_std_peer().await));
        exchange(a, b, 300_000).await;
    });
}

#[test]
fn an_end_goes_through_as_an_end_and_the_answer_still_comes() {
    run(async {
        let (mut a, mut b, relay) = relay().await;
        a.write_all(b"question").unwrap();
        a.shutdown(net::Shutdown::Write).unwrap();
        let mut question = String::new();
        // Ends with the half-close.
        b.read_to_string(&mut question).unwrap();
        assert_eq!(question, "question");
        assert!(!relay.is_finished());
        b.write_all(b"answer").unwrap();
        drop(b);
        let mut answer = String::new();
        a.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "answer");
        assert_eq!(relay.await.unwrap().unwrap(), (8, 6));
    });
}

#[test]
fn a_reset_of_one_side_ends_both() {
    run(async {
        for first in [true, false] {
            let (mut a, mut b, relay) = relay().await;
            a.write_all(b"x").unwrap();
            b.read_exact(&mut [0]).unwrap();
            let (broken, mut other) = if first { (a, b) } else { (b, a) };
            let options = socket2::SockRef::from(&broken);
            options.set_linger(Some(Duration::ZERO)).unwrap();
            drop(broken);
            let error = relay.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
            // The relay's task has dropped its streams.
            assert_eq!(other.read(&mut [0]).unwrap_or(0), 0);
        }
    });
}

#[test]
fn a_reader_that_is_gone_ends_a_copy_that_has_bytes_for_it() {
    run(async {
        let (mut a, b, relay) = relay().await;
        // Both directions of the socket, so that the relay's writes find nobody.
        drop(b);
        let bytes = vec![1; 1 << 16];
        while a.write_all(&bytes).is_ok() {}
        let error = relay.await.unwrap().unwrap_err();
        let kinds = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        assert!(kinds.contains(&error.kind()), "{error}");
    });
}

#[test]
fn nobody_reads_so_nobody_is_read() {
    run(async {
        let (mut a, a_peer) = narrow_with_std_peer().await;
        let (mut b, _b_peer) = narrow_with_std_peer().await;
        let _relay = spawn(async move { copy_bidirectional(&mut a, &mut b).await });
        a_peer.set_nonblocking(true).unwrap();
        let mut a_peer = TcpStream::from_std(a_peer).unwrap();
        let piece = vec![2; 10_000];
        let mut taken = 0;
        let blocked = async {
            loop {
                taken += a_peer.write(&piece).await.unwrap();
            }
        };
        assert!(timeout(Duration::from_millis(300), blocked).await.is_err());
        assert!(taken < 500_000, "{taken} bytes went somewhere");
    });
}

#[test]
fn urgent_bytes_are_not_taken_for_the_end() {
    run(async {
        let (mut a, b, relay) = relay().await;
        let reader = read_slowly(b.try_clone().unwrap());
        for round in 0..20_u8 {
            a.write_all(b"abc").unwrap();
            socket2::SockRef::from(&a).send_out_of_band(b"!").unwrap();
            if round % 2 == 0 {
                thread::sleep(Duration::from_millis(1));
            }
        }
        a.write_all(b"end").unwrap();
        a.shutdown(net::Shutdown::Write).unwrap();
        drop(b);
        let received = reader.join().unwrap();
        let letters: Vec<u8> = received.into_iter().filter(|&byte| byte != b'!').collect();
        assert_eq!(letters, [b"abc".repeat(20), b"end".to_vec()].concat());
        drop(a);
        relay.await.unwrap().unwrap();
    });
}

#[test]
fn kept_and_polled_again_it_loses_nothing() {
    run(async {
        let (mut a, a_peer) = with_std_peer().await;
        let (mut b, b_peer) = narrow_with_std_peer().await;
        let sent = pattern(400_000);
        let writer = write_and_end(&a_peer, sent.clone());
        // Reads on when the copy has waited.
        let (tell, told) = mpsc::channel();
        let reader = read_when_told(b_peer, told);
        let mut copying = pin!(copy(&mut a, &mut b));
        let (mut given_up, mut before) = (0, 0);
        let count = loop {
            match poll_and_drop(given_up % 7, copying.as_mut()).await {
                Some(count) => break count.unwrap(),
                None => {
                    given_up += 1;
                    tell.send(()).unwrap();
                }
            }
            assert!(copying.copied() >= before);
            before = copying.copied();
        };
        assert!(given_up > 10, "given up {given_up} times only");
        assert_eq!(count, sent.len() as u64);
        writer.join().unwrap();
        // A copy one way leaves the writer open.
        drop(tell);
        b.write_all(b"more").await.unwrap();
        drop(b);
        let received = reader.join().unwrap();
        assert!(received[..sent.len()] == sent);
        assert_eq!(&received[sent.len()..], b"more");
    });
}

#[test]
fn halves_are_copied_to_a_stream_of_another_family() {
    run(async {
        let (tcp, peer) = with_std_peer().await;
        let (mut unix, mut far) = UnixStream::pair().unwrap();
        let sent = pattern(500_000);
        let writer = write_and_end(&peer, sent.clone());
        let copying = spawn(async move {
            let (mut reader, writer) = tcp.into_split();
            let count = copy(&mut reader, &mut unix).await.unwrap();
            drop(writer);
            count
        });
        let mut received = Vec::new();
        let mut buf = [0; 8000];
        while let count @ 1.. = far.read(&mut buf).await.unwrap() {
            received.extend_from_slice(&buf[..count]);
        }
        assert_eq!(copying.await.unwrap(), sent.len() as u64);
        assert!(received == sent);
        writer.join().unwrap();
    });
}

/// The descriptors of this process that are ends of pipes.
fn pipe_ends() -> usize {
    let entries = loop {
        match std::fs::read_dir("/proc/self/fd") {
            // A pipe that is being refused holds the last descriptor for a moment.
            Err(error) if error.raw_os_error() == Some(libc::EMFILE) => thread::yield_now(),
            entries => break entries.unwrap(),
        }
    };
    let links = entries.filter_map(|entry| std::fs::read_link(entry.ok()?.path()).ok());
    links
        .filter(|link| link.to_string_lossy().starts_with("pipe:"))
        .count()
}

#[test]
fn idle_copies_hold_no_pipe() {
    in_own_process("copying::idle_copies_hold_no_pipe", || {
        run(async {
            let before = pipe_ends();
            let mut relays = Vec::new();
            for _ in 0..100 {
                relays.push(relay().await);
            }
            for (a, b, _) in &mut relays {
                a.write_all(b"ping").unwrap();
                b.read_exact(&mut [0; 4]).unwrap();
                b.write_all(b"pong").unwrap();
                a.read_exact(&mut [0; 4]).unwrap();
            }
            // What two loops keep for the next ones, at most.
            let held = pipe_ends() - before;
            assert!((2..=2 * 2 * 16).contains(&held), "{held} ends of pipes");
        });
    });
}

#[test]
fn copies_that_wait_hold_a_pipe_and_few_are_kept_for_the_next() {
    let name = "copying::copies_that_wait_hold_a_pipe_and_few_are_kept_for_the_next";
    in_own_process(name, || {
        run(async {
            const COPIES: usize = 40;
            let before = pipe_ends();
            let mut relays = Vec::new();
            for _ in 0..COPIES {
                let (mut a, a_peer) = narrow_with_std_peer().await;
                let (mut b, b_peer) = narrow_with_std_peer().await;
                let relay = spawn(async move { copy_bidirectional(&mut a, &mut b).await });
                a_peer.set_nonblocking(true).unwrap();
                relays.push((a_peer, b_peer, relay));
            }
            // Nobody reads: in the end the bytes stand in a pipe.
            while pipe_ends() - before < 2 * COPIES {
                for (a_peer, _, _) in &mut relays {
                    if let Err(error) = a_peer.write(&[4; 1000]) {
                        assert_eq!(error.kind(), io::ErrorKind::WouldBlock);
                    }
                }
                yield_now().await;
            }
            for (a_peer, b_peer, relay) in relays {
                a_peer.shutdown(net::Shutdown::Write).unwrap();
                let reader = read_slowly(b_peer);
                assert!(relay.await.unwrap().unwrap().0 > 0);
                reader.join().unwrap();
            }
            let kept = pipe_ends() - before;
            // Two loops, and two ends to a pipe.
            assert!(kept <= 2 * 2 * 16, "{kept} ends of pipes");
        });
    });
}

#[test]
fn without_a_descriptor_for_a_pipe_the_bytes_go_through() {
    in_own_process(
        "copying::without_a_descriptor_for_a_pipe_the_bytes_go_through",
        || {
            run(async {
                let (mut near, mut a) = with_std_peer().await;
                let (mut far, mut b) = with_std_peer().await;
                let ends = pipe_ends();
                let limit = rustix::process::Resource::Nofile;
                let before = rustix::process::getrlimit(limit);
                // The next two numbers that are free: one is left, and a pipe needs both.
                let next = [0, 1].map(|_| File::open("/dev/null").unwrap());
                let mut one = before;
                one.current = Some(u64::try_from(next[1].as_raw_fd()).unwrap());
                drop(next);
                rustix::process::setrlimit(limit, one).unwrap();
                let clones = [a.try_clone(), a.try_clone()];
                assert!(clones[0].is_ok() && clones[1].is_err());
                drop(clones);
                // Only now: the first look for bytes opens a pipe, and its loop would keep it.
                let relay = spawn(async move { copy_bidirectional(&mut near, &mut far).await });
                let sent = pattern(100_000);
                for has_pipe in [false, true] {
                    let mut received = vec![0; sent.len()];
                    thread::scope(|scope| {
                        scope.spawn(|| a.write_all(&sent).unwrap());
                        b.read_exact(&mut received).unwrap();
                    });
                    assert!(received == sent);
                    assert_eq!(pipe_ends() > ends, has_pipe);
                    // From here on there is a pipe to be had.
                    rustix::process::setrlimit(limit, before).unwrap();
                }
                drop((a, b));
                relay.await.unwrap().unwrap();
            });
        },
    );
}

#[test]
fn no_sigpipe_where_it_would_kill() {
    in_own_process("copying::no_sigpipe_where_it_would_kill", || {
        restore_default_sigpipe();
        run(async {
            exchange(with_std_peer().await, with_std_peer().await, 200_000).await;
            let (mut a, b, relay) = relay().await;
            drop(b);
            // The relay must find the pipe broken, and this peer must not.
            while !relay.is_finished() {
                let _ = socket2::SockRef::from(&a).send_with_flags(&[1; 1000], libc::MSG_NOSIGNAL);
                yield_now().await;
            }
            assert!(relay.await.unwrap().is_err());
            assert_eq!(a.read(&mut [0]).unwrap_or(0), 0);
        });
    });
}
