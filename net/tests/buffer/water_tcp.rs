//! Backpressure from a TCP peer that reads slowly, through the queue, to those who produce.

use std::io::Read;
use std::net;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use oneloop_net::TcpStream;
use oneloop_net::buffer::{FrameReader, FrameWriter, LengthPrefix, WriteLimits};
use oneloop_runtime::task::{spawn, spawn_blocking, yield_now};
use oneloop_runtime::time::timeout;

use crate::frames_tcp::with_std_peer;
use crate::support::{pattern, run};

const KIB: usize = 1 << 10;
/// More than the two sockets and the queue hold, so that reading as much lets the producer go on.
const READ_BYTES: usize = 1 << 20;
/// More than the kernel holds between the two sockets.
const KERNEL_BYTES_MAX: usize = 24 << 20;

fn limits() -> WriteLimits {
    WriteLimits::new()
        .low_water_bytes(64 * KIB)
        .high_water_bytes(256 * KIB)
        .max_bytes(1024 * KIB)
}

/// Makes the kernel hold little, so that a slow reader is felt soon.
fn with_small_buffers(stream: &TcpStream, peer: &net::TcpStream) {
    let (near, far) = (socket2::SockRef::from(stream), socket2::SockRef::from(peer));
    near.set_send_buffer_size(64 * KIB).unwrap();
    far.set_recv_buffer_size(64 * KIB).unwrap();
}

#[test]
fn peer_that_does_not_read_stops_the_producer() {
    run(async {
        let (stream, mut peer) = with_std_peer().await;
        with_small_buffers(&stream, &peer);
        let mut writer = FrameWriter::with_limits(&stream, limits());
        let mut produced = 0;
        // Until it stands still; that it would go on later is shown by the other tests.
        loop {
            let before = produced;
            let produce = async {
                loop {
                    writer.below_low_water().await.unwrap();
                    writer.write_frame(&[], pattern(16 * KIB)).unwrap();
                    produced += 16 * KIB;
                    assert!(writer.queued_bytes() <= 272 * KIB);
                    assert!(produced < KERNEL_BYTES_MAX, "{produced} bytes went nowhere");
                }
            };
            let endless: Result<(), _> = timeout(Duration::from_millis(100), produce).await;
            assert!(endless.is_err());
            // Otherwise the machine was busy, and this thread had no time for it.
            if produced == before && writer.is_above_high_water() {
                break;
            }
        }
        // What was accepted arrives, and then the end.
        let reader = thread::spawn(move || peer.read_to_end(&mut Vec::new()).unwrap());
        writer.shutdown().await.unwrap();
        assert_eq!(writer.queued_bytes(), 0);
        assert_eq!(reader.join().unwrap(), produced);
    });
}

#[test]
fn slow_reader_is_told_of_once_for_each_crossing() {
    run(async {
        let (stream, peer) = with_std_peer().await;
        with_small_buffers(&stream, &peer);
        let (more, told) = mpsc::channel();
        let reader = thread::spawn(move || read_when_told(peer, told));
        let mut writer = FrameWriter::with_limits(stream, limits());
        let mut watcher = writer.handle();
        let mut producer = writer.handle();
        let driver = spawn(async move {
            writer.run().await.unwrap();
            writer.shutdown().await.unwrap();
            writer.high_water_crossings()
        });
        let total = 8 * READ_BYTES;
        let (mut seen, mut stops, mut sum) = (0, 0, 0);
        let chunk = pattern(8 * KIB);
        let produce = async {
            for _ in 0..total / chunk.len() {
                producer.below_low_water().await.unwrap();
                producer.write(&chunk).unwrap();
                sum += sum_of(&chunk);
                stops += u64::from(producer.is_above_high_water());
                assert!(producer.queued_bytes() <= 256 * KIB + chunk.len());
                yield_now().await;
            }
        };
        let watch = async {
            loop {
                watcher.above_high_water().await.unwrap();
                seen += 1;
                more.send(()).unwrap();
            }
        };
        // Both in one task: the watcher is polled whenever the producer has stopped.
        futures_lite::future::or(produce, watch).await;
        drop((producer, watcher, more));
        let joined = spawn_blocking(|| reader.join().unwrap()).await.unwrap();
        assert_eq!(joined, (total, sum));
        let crossings = driver.await.unwrap();
        // One for each time the reader stood still, which the kernel's buffers may have hidden once.
        assert!(crossings >= 6, "{crossings}");
        assert_eq!((seen, stops), (crossings, crossings));
    });
}

/// Reads so much each time that it is told, and to the end when nobody can tell it any more: how
/// many bytes there were, and their sum.
fn read_when_told(mut peer: net::TcpStream, told: mpsc::Receiver<()>) -> (usize, u64) {
    let (mut received, mut sum) = (0, 0);
    loop {
        let bytes_max = told.recv().map_or(u64::MAX, |()| READ_BYTES as u64);
        let mut bytes = Vec::new();
        // The end may come before so many bytes do, if it was told of late.
        Read::by_ref(&mut peer)
            .take(bytes_max)
            .read_to_end(&mut bytes)
            .unwrap();
        received += bytes.len();
        sum += sum_of(&bytes);
        if bytes_max == u64::MAX {
            return (received, sum);
        }
    }
}

fn sum_of(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte)).sum()
}

#[test]
fn frames_go_over_a_connection_and_back() {
    run(async {
        let (stream, peer) = with_std_peer().await;
        peer.set_nonblocking(true).unwrap();
        let far = TcpStream::from_std(peer).unwrap();
        let echo = spawn(async move {
            let mut reader = FrameReader::new(&far);
            let mut writer = FrameWriter::new(&far);
            let read = LengthPrefix::U32_BE;
            while let Some(frame) = reader.read_length_delimited(read, 1 << 20).await.unwrap() {
                writer.write_length_delimited(read, frame.to_vec()).unwrap();
                writer.flush().await.unwrap();
            }
            writer.shutdown().await.unwrap();
        });
        let (read, write) = stream.into_split();
        let mut writer = FrameWriter::new(write);
        let lens = [0, 1, 1000, 1024, 70_000, 3, 500_000, 65_536];
        let send = spawn(async move {
            for len in lens {
                writer.below_low_water().await.unwrap();
                let prefix = LengthPrefix::U32_BE;
                writer.write_length_delimited(prefix, pattern(len)).unwrap();
            }
            writer.shutdown().await.unwrap();
        });
        let mut reader = FrameReader::new(read);
        for len in lens {
            let frame = reader
                .read_length_delimited(LengthPrefix::U32_BE, 1 << 20)
                .await;
            assert!(frame.unwrap().unwrap() == pattern(len), "{len} bytes");
        }
        let end = reader
            .read_length_delimited(LengthPrefix::U32_BE, 1 << 20)
            .await;
        assert_eq!(end.unwrap(), None);
        send.await.unwrap();
        echo.await.unwrap();
    });
}
