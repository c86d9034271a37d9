//! Framed reads from a TCP connection, and from its halves.

use std::io::Write;
use std::net::{self, Ipv4Addr};
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use oneloop_net::TcpStream;
use oneloop_net::buffer::{FrameError, FrameReader, LengthPrefix};
use oneloop_runtime::time::timeout;

use crate::support::{Random, pattern, poll_and_drop, run};

/// A connection whose other end is a blocking socket of the standard library.
pub(crate) async fn with_std_peer() -> (TcpStream, net::TcpStream) {
    let listener = net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let address = listener.local_addr().unwrap();
    let stream = TcpStream::connect(address).await.unwrap();
    let (peer, _) = listener.accept().unwrap();
    peer.set_nodelay(true).unwrap();
    (stream, peer)
}

/// Writes `bytes` in random pieces from a thread of its own, then ends the stream. Before some it
/// waits until it is told to go on. The number of those waits.
fn write_in_pieces(
    mut peer: net::TcpStream,
    bytes: Vec<u8>,
    len_max: usize,
    told: mpsc::Receiver<()>,
) -> thread::JoinHandle<usize> {
    thread::spawn(move || {
        let mut waits = 0;
        let mut random = Random::new(7);
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            let (piece, more) = rest.split_at((1 + random.below(len_max)).min(rest.len()));
            peer.write_all(piece).unwrap();
            rest = more;
            if random.below(8) == 0 {
                told.recv().unwrap();
                waits += 1;
            }
        }
        waits
    })
}

#[test]
fn frames_arrive_whole_though_reads_are_dropped() {
    run(async {
        let (stream, peer) = with_std_peer().await;
        let mut random = Random::new(3);
        let frames: Vec<Vec<u8>> = (0..200)
            .map(|_| {
                let len_max = [10, 1000, 200_000][random.below(3)];
                let len = random.below(len_max);
                random.bytes(len)
            })
            .collect();
        let mut bytes = Vec::new();
        for frame in &frames {
            bytes.extend_from_slice(&u32::try_from(frame.len()).unwrap().to_be_bytes());
            bytes.extend_from_slice(frame);
        }
        // When a read that waited was dropped.
        let (tell, told) = mpsc::channel();
        let writer = write_in_pieces(peer, bytes, 20_000, told);
        let (read, _write) = stream.into_split();
        let mut reader = FrameReader::new(read);
        let mut received = 0;
        let mut dropped = 0;
        for times in (0..6).cycle() {
            let read = reader.read_length_delimited(LengthPrefix::U32_BE, 200_000);
            match poll_and_drop(times, read).await {
                None if times > 0 => {
                    dropped += 1;
                    // It may have written all by now.
                    let _ = tell.send(());
                }
                None => {}
                Some(Ok(None)) => break,
                Some(frame) => {
                    assert!(
                        frame.unwrap().unwrap() == frames[received],
                        "frame {received}"
                    );
                    received += 1;
                }
            }
        }
        assert_eq!(received, frames.len());
        let waits = writer.join().unwrap();
        assert!(
            waits > 20 && dropped >= waits,
            "{dropped} reads were dropped, {waits} waits"
        );
    });
}

#[test]
fn request_survives_a_timeout() {
    run(async {
        let (stream, mut peer) = with_std_peer().await;
        let mut reader = FrameReader::new(&stream);
        peer.write_all(b"GET /path").unwrap();
        let read = timeout(Duration::from_millis(20), reader.read_line(100)).await;
        assert!(read.is_err(), "the line is not complete");
        peer.write_all(b" HTTP/1.1\r\n\r\n").unwrap();
        let line = reader.read_line(100).await.unwrap();
        assert_eq!(line, Some(&b"GET /path HTTP/1.1"[..]));
        assert_eq!(reader.read_line(100).await.unwrap(), Some(&b""[..]));
        drop(peer);
        assert_eq!(reader.read_line(100).await.unwrap(), None);
    });
}

#[test]
fn peer_that_never_ends_its_line_is_refused() {
    run(async {
        let (stream, mut peer) = with_std_peer().await;
        let flood = thread::spawn(move || while peer.write_all(&pattern(100_000)).is_ok() {});
        let mut reader = FrameReader::new(stream);
        let error = reader.read_until(b"a mark that never comes", 300_000).await;
        let error = error.unwrap_err();
        let why = FrameError::from_io(&error).unwrap();
        assert!(why.is_too_long(), "{why}");
        // What was read is not much more than what was allowed.
        let buffered = reader.buffer().len();
        assert!(buffered <= 2 * 300_000 + 64 * 1024 + 16, "{buffered}");
        drop(reader);
        flood.join().unwrap();
    });
}
