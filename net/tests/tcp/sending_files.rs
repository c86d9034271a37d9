//! Files are sent as they are: any part, whatever the reader's pace, and what was sent is known.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::sync::mpsc;

use oneloop_net::UnixStream;
use oneloop_net::zero_copy::read_ahead;
use oneloop_runtime::task::{spawn, yield_now};

use crate::raw::restore_default_sigpipe;
use crate::support::{
    in_own_process, narrow_with_std_peer, pair, pattern, poll_and_drop, read_slowly,
    read_when_told, run, with_std_peer,
};

/// A file of one test, removed at its end.
struct TestFile(PathBuf);

impl TestFile {
    fn with(bytes: &[u8]) -> Self {
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Relaxed);
        let name = format!("oneloop-send-file-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        File::create_new(&path).unwrap().write_all(bytes).unwrap();
        Self(path)
    }

    fn open(&self) -> File {
        File::open(&self.0).unwrap()
    }
}

impl Drop for TestFile {
    fn drop(&mut self) {
        std::fs::remove_file(&self.0).unwrap();
    }
}

const MIB: usize = 1024 * 1024;

#[test]
fn every_part_of_a_file_arrives_as_it_is() {
    run(async {
        let len = 5 * MIB + 17;
        let bytes = pattern(len);
        let on_disk = TestFile::with(&bytes);
        let mut file = on_disk.open();
        file.seek(SeekFrom::Start(7)).unwrap();
        let parts = [
            (0, 0),
            (0, 1),
            (1, 1),
            (4095, 4098),
            (len - 1, 1),
            (len, 0),
            (3, MIB - 1),
            (3, MIB),
            (3, MIB + 1),
            (1, 4 * MIB + 1),
            (0, len),
        ];
        for (offset, length) in parts {
            let (mut stream, peer) = with_std_peer().await;
            let reader = read_slowly(peer);
            let sent = stream.send_file(&file, offset as u64, length as u64).await;
            assert_eq!(sent.unwrap(), length as u64);
            drop(stream);
            let received = reader.join().unwrap();
            assert!(
                received == bytes[offset..offset + length],
                "{offset} {length}"
            );
        }
        assert_eq!(file.stream_position().unwrap(), 7);
    });
}

#[test]
fn a_large_file_arrives_at_a_slow_reader_beside_other_tasks() {
    run(async {
        let bytes = pattern(3 * MIB);
        let on_disk = TestFile::with(&bytes);
        let file = on_disk.open();
        read_ahead(&file, 0, 0).unwrap();
        let (mut stream, peer) = narrow_with_std_peer().await;
        // Reads on when it has waited.
        let (tell, told) = mpsc::channel();
        let reader = read_when_told(peer, told);
        let mut sending = stream.send_file(file, 0, bytes.len() as u64);
        let mut polls = 0;
        let sent = loop {
            match poll_and_drop(1, &mut sending).await {
                Some(sent) => break sent.unwrap(),
                None => {
                    polls += 1;
                    tell.send(()).unwrap();
                }
            }
        };
        assert_eq!(sent, bytes.len() as u64);
        assert!(polls > 10, "it waited {polls} times only");
        drop((stream, tell));
        assert!(reader.join().unwrap() == bytes);
    });
}

#[test]
fn one_poll_ends_although_the_peer_reads_on() {
    run(async {
        let on_disk = TestFile::with(b"");
        let length = 256 * MIB as u64;
        let file = OpenOptions::new().write(true).open(&on_disk.0).unwrap();
        file.set_len(length).unwrap();
        let (mut stream, peer) = with_std_peer().await;
        // Discards without a copy, so it is faster than the sender: the socket is hardly ever full.
        let reader = std::thread::spawn(move || {
            let mut buf = vec![0; 16 * MIB];
            let mut total = 0;
            let flags = rustix::net::RecvFlags::TRUNC;
            while let (_, count @ 1..) = rustix::net::recv(&peer, &mut buf[..], flags).unwrap() {
                total += count as u64;
            }
            total
        });
        let mut sending = stream.send_file(on_disk.open(), 0, length);
        let (mut before, mut largest) = (0, 0);
        loop {
            let done = poll_and_drop(1, &mut sending).await;
            largest = largest.max(sending.sent() - before);
            before = sending.sent();
            if done.is_some() {
                break;
            }
        }
        // Four MiB, and what the last call adds.
        assert!(largest < 5 * MIB as u64, "{largest} bytes in one poll");
        drop(stream);
        assert_eq!(reader.join().unwrap(), length);
    });
}

#[test]
fn dropped_at_any_await_it_goes_on_from_what_it_sent() {
    run(async {
        let bytes = pattern(MIB);
        let on_disk = TestFile::with(&bytes);
        let file = on_disk.open();
        let (mut stream, peer) = narrow_with_std_peer().await;
        // Reads on when one that waited was dropped.
        let (tell, told) = mpsc::channel();
        let reader = read_when_told(peer, told);
        let (mut offset, mut dropped) = (0, 0);
        for times in (0..=32).cycle() {
            let left = bytes.len() as u64 - offset;
            let mut sending = stream.send_file(&file, offset, left);
            let outcome = poll_and_drop(times, &mut sending).await;
            offset += sending.sent();
            match outcome {
                None if times > 0 => {
                    dropped += 1;
                    tell.send(()).unwrap();
                }
                None => {}
                Some(sent) => {
                    assert_eq!(sent.unwrap(), left);
                    break;
                }
            }
        }
        assert!(dropped > 10, "only {dropped} were dropped");
        drop((stream, tell));
        assert!(reader.join().unwrap() == bytes);
    });
}

#[test]
fn a_file_that_is_too_short_ends_in_an_error() {
    run(async {
        let bytes = pattern(100_000);
        let on_disk = TestFile::with(&bytes);
        for (offset, length, expected) in [
            (0, 100_001, 100_000),
            // More than one call, and more than a file, can have.
            (10, u64::MAX, 99_990),
            (200_000, 1, 0),
            // Further than most file systems let a file grow.
            (1 << 62, 1, 0),
        ] {
            let (mut stream, peer) = with_std_peer().await;
            let reader = read_slowly(peer);
            let mut sending = stream.send_file(on_disk.open(), offset, length);
            let error = (&mut sending).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            assert_eq!(sending.sent(), expected);
            drop(stream);
            assert_eq!(reader.join().unwrap().len() as u64, expected);
        }
    });
}

#[test]
fn a_file_that_is_cut_meanwhile_ends_in_an_error_and_does_not_hang() {
    run(async {
        let bytes = pattern(8 * MIB);
        let on_disk = TestFile::with(&bytes);
        let (mut stream, peer) = narrow_with_std_peer().await;
        let mut sending = stream.send_file(on_disk.open(), 0, bytes.len() as u64);
        assert!(poll_and_drop(2, &mut sending).await.is_none());
        assert!(sending.sent() > 0);
        let file = OpenOptions::new().write(true).open(&on_disk.0).unwrap();
        file.set_len(MIB as u64).unwrap();
        let reader = read_slowly(peer);
        let error = (&mut sending).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(sending.sent(), MIB as u64);
        drop(stream);
        assert!(reader.join().unwrap() == bytes[..MIB]);
    });
}

#[test]
fn offsets_beyond_four_gibibytes_are_no_smaller_ones() {
    run(async {
        let on_disk = TestFile::with(b"");
        let offset = 5 << 30;
        let mut file = OpenOptions::new().write(true).open(&on_disk.0).unwrap();
        file.seek(SeekFrom::Start(offset)).unwrap();
        file.write_all(b"far away").unwrap();
        let (mut stream, mut peer) = with_std_peer().await;
        stream
            .send_file(on_disk.open(), offset - 2, 10)
            .await
            .unwrap();
        let mut received = [0; 10];
        peer.read_exact(&mut received).unwrap();
        assert_eq!(&received, b"\0\0far away");
    });
}

#[test]
fn halves_and_unix_streams_send_files_too() {
    run(async {
        let bytes = pattern(2 * MIB);
        let on_disk = TestFile::with(&bytes);
        let (near, mut far) = pair().await;
        let (_reader, mut writer) = near.into_split();
        let file = on_disk.open();
        let length = bytes.len() as u64;
        let sender = spawn(async move { writer.send_file(file, 0, length).await });
        let mut received = vec![0; bytes.len()];
        far.read_exact(&mut received).await.unwrap();
        assert_eq!(sender.await.unwrap().unwrap(), length);
        assert!(received == bytes);
        assert_eq!(far.read(&mut received).await.unwrap(), 0);

        let (mut near, mut far) = UnixStream::pair().unwrap();
        let file = on_disk.open();
        let sender = spawn(async move {
            let (_reader, mut writer) = near.split();
            writer.send_file(file, 0, length).await
        });
        received.fill(0);
        far.read_exact(&mut received).await.unwrap();
        assert_eq!(sender.await.unwrap().unwrap(), length);
        assert!(received == bytes);
    });
}

#[test]
fn a_peer_that_resets_ends_it() {
    run(async {
        let bytes = pattern(8 * MIB);
        let on_disk = TestFile::with(&bytes);
        let (mut stream, peer) = narrow_with_std_peer().await;
        let mut sending = stream.send_file(on_disk.open(), 0, bytes.len() as u64);
        assert!(poll_and_drop(2, &mut sending).await.is_none());
        // With bytes unread: a reset.
        drop(peer);
        let error = (&mut sending).await.unwrap_err();
        let kinds = [io::ErrorKind::ConnectionReset, io::ErrorKind::BrokenPipe];
        assert!(kinds.contains(&error.kind()), "{error}");
    });
}

#[test]
fn offset_behind_every_file_is_its_end() {
    const LAST: u64 = i64::MAX as u64;
    run(async {
        let on_disk = TestFile::with(b"secret");
        let (mut stream, _peer) = with_std_peer().await;
        // The second goes through a buffer.
        for path in [&*on_disk.0, "/proc/version".as_ref()] {
            for offset in [1 << 62, LAST - 5, LAST, LAST + 1, u64::MAX] {
                for length in [1, 1 << 20, u64::MAX] {
                    let file = File::open(path).unwrap();
                    let error = stream.send_file(file, offset, length).await.unwrap_err();
                    let kind = error.kind();
                    assert_eq!(
                        kind,
                        io::ErrorKind::UnexpectedEof,
                        "{path:?}, {offset}: {error}"
                    );
                }
            }
        }
    });
}

#[test]
fn files_that_cannot_be_sent_say_why_or_go_through_a_buffer() {
    run(async {
        let on_disk = TestFile::with(b"secret");
        let write_only = OpenOptions::new().write(true).open(&on_disk.0).unwrap();
        let (mut stream, mut peer) = with_std_peer().await;
        let error = stream.send_file(write_only, 0, 6).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
        // A file that the kernel makes up while it is read.
        let version = std::fs::read("/proc/version").unwrap();
        let file = File::open("/proc/version").unwrap();
        stream
            .send_file(file, 0, version.len() as u64)
            .await
            .unwrap();
        let mut received = vec![0; version.len()];
        peer.read_exact(&mut received).unwrap();
        assert_eq!(received, version);
    });
}

#[test]
fn no_sigpipe_where_it_would_kill() {
    in_own_process("sending_files::no_sigpipe_where_it_would_kill", || {
        restore_default_sigpipe();
        run(async {
            let bytes = pattern(300_000);
            let on_disk = TestFile::with(&bytes);
            let (mut stream, peer) = narrow_with_std_peer().await;
            let reader = read_slowly(peer);
            let length = bytes.len() as u64;
            stream.send_file(on_disk.open(), 0, length).await.unwrap();
            stream.shutdown().await.unwrap();
            assert!(reader.join().unwrap() == bytes);
            drop(stream);

            let (mut stream, peer) = with_std_peer().await;
            drop(peer);
            // The first goes out and is answered by a reset, the next finds the pipe broken.
            while stream.send_file(on_disk.open(), 0, length).await.is_ok() {
                yield_now().await;
            }
            let error = stream
                .send_file(on_disk.open(), 0, length)
                .await
                .unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        });
    });
}
