//! Reads that take more than the writable room, with one call, from sockets and from liars.

use std::io::{self, Write};
use std::os::unix::net::UnixStream as StdStream;
use std::task::Poll;

use oneloop_net::UnixStream;
use oneloop_net::buffer::{Buffer, BufferFull};

use crate::model::scatter;
use crate::support::{pattern, run};

const SPILL: usize = Buffer::SPILL_BYTES;

/// A stream, and its peer: what the peer has written is there to be read, all of it.
fn pair() -> (UnixStream, StdStream) {
    let (near, far) = StdStream::pair().unwrap();
    (UnixStream::from_std(near).unwrap(), far)
}

/// A buffer with that much writable room behind one readable byte.
fn with_room(writable: usize) -> Buffer {
    let mut buffer = Buffer::with_capacity(writable + 1);
    buffer.extend_from_slice(b"<").unwrap();
    assert_eq!(buffer.writable_bytes(), writable);
    buffer
}

#[test]
fn one_read_fills_the_room_and_spills() {
    run(async {
        let (stream, mut peer) = pair();
        for writable in [0, 1, 100, 4096] {
            for sent in [1, writable.max(1), writable + 1, writable + 1000, SPILL] {
                let mut buffer = with_room(writable);
                peer.write_all(&pattern(sent)).unwrap();
                stream.readable().await.unwrap();
                let count = buffer.read_with(|room| stream.try_read_vectored(room));
                assert_eq!(count.unwrap(), sent, "{sent} into {writable}");
                assert_eq!(buffer.readable()[1..], pattern(sent));
                // It grows by what came: an allocation only if that was more than the room.
                let grew = buffer.capacity() > writable + 1;
                assert_eq!(grew, sent > writable, "{sent} into {writable}");
            }
        }
    });
}

#[test]
fn one_read_takes_the_room_and_the_block_and_no_more() {
    run(async {
        let (stream, mut peer) = pair();
        let sent = 100 + SPILL + 1;
        peer.write_all(&pattern(sent)).unwrap();
        stream.readable().await.unwrap();
        let mut buffer = with_room(100);
        let mut read = || buffer.read_with(|room| stream.try_read_vectored(room));
        assert_eq!(read().unwrap(), 100 + SPILL);
        assert_eq!(read().unwrap(), 1);
        assert_eq!(read().unwrap_err().kind(), io::ErrorKind::WouldBlock);
        assert_eq!(buffer.readable()[1..], pattern(sent));
    });
}

#[test]
fn large_room_needs_no_block() {
    let mut buffer = Buffer::with_capacity(SPILL);
    let count = buffer.read_with(|room| {
        assert_eq!(room.len(), 1);
        Ok(scatter(room, &pattern(SPILL)))
    });
    assert_eq!(count.unwrap(), SPILL);
    assert_eq!(buffer.readable(), pattern(SPILL));
    assert_eq!(buffer.capacity(), SPILL);
}

#[test]
fn nothing_there_leaves_it_untouched() {
    run(async {
        let (stream, mut peer) = pair();
        for mut buffer in [Buffer::new(), with_room(0), with_room(5)] {
            let before = (buffer.readable().to_vec(), buffer.capacity());
            let read = buffer.read_with(|room| stream.try_read_vectored(room));
            assert_eq!(read.unwrap_err().kind(), io::ErrorKind::WouldBlock);
            let pending = buffer.poll_read_with(|room| {
                // Bytes that are not reported are not kept.
                scatter(room, b"garbage");
                Poll::Pending
            });
            assert!(pending.is_pending());
            assert_eq!((buffer.readable().to_vec(), buffer.capacity()), before);
        }
        peer.write_all(b"x").unwrap();
        stream.readable().await.unwrap();
        let mut buffer = with_room(5);
        let read = buffer.read_with(|room| stream.try_read_vectored(room));
        assert_eq!(read.unwrap(), 1);
        assert_eq!(buffer.readable(), b"<x");
    });
}

#[test]
#[cfg(feature = "futures-io")]
fn reads_from_a_stream_to_its_end() {
    run(async {
        let (mut stream, mut peer) = pair();
        let sent = pattern(1_000_000);
        let copy = sent.clone();
        let writer = std::thread::spawn(move || peer.write_all(&copy).unwrap());
        let mut buffer = Buffer::new();
        // Dropped before it is polled, and while it waits.
        for times in [0, 1, 2, 0, 1] {
            drop(crate::support::poll_and_drop(times, buffer.read_from(&mut stream)).await);
        }
        while buffer.read_from(&mut stream).await.unwrap() > 0 {}
        assert!(buffer.readable() == sent, "{} bytes", buffer.len());
        assert_eq!(buffer.read_from(&mut stream).await.unwrap(), 0);
        writer.join().unwrap();
    });
}

#[test]
fn limit_bounds_each_read_and_is_no_end_of_the_stream() {
    for (limit, writable) in [(10, 0), (10, 4), (10, 100), (SPILL + 200, 100)] {
        let mut buffer = Buffer::with_capacity(writable).with_max_bytes(limit);
        let sent = pattern(limit + 50);
        let mut rest = &sent[..];
        while buffer.len() < limit {
            let count = buffer.read_with(|room| Ok(scatter(room, rest))).unwrap();
            rest = &rest[count..];
        }
        assert_eq!(buffer.readable(), &sent[..limit]);
        let error = buffer.read_with(|_| panic!("called without room"));
        let error = error.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        let full = error.get_ref().unwrap().downcast_ref::<BufferFull>();
        assert_eq!(full.unwrap().max_bytes(), limit);
    }
}

#[test]
fn reader_that_counts_wrongly_shows_nothing() {
    for writable in [0, 10, SPILL] {
        let mut buffer = with_room(writable);
        for count in [writable.max(SPILL) + SPILL + 1, usize::MAX] {
            let error = buffer.read_with(|_| Ok(count)).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::Other);
            assert_eq!(buffer.readable(), b"<");
        }
    }
}

#[test]
fn readers_inside_readers_and_panics_get_blocks_too() {
    let mut outer = Buffer::new();
    let mut inner = Buffer::new();
    let count = outer.read_with(|room| {
        inner.read_with(|room| Ok(scatter(room, &pattern(70_000))))?;
        Ok(scatter(room, inner.readable()))
    });
    assert_eq!(count.unwrap(), SPILL);
    assert_eq!(outer.readable(), &pattern(70_000)[..SPILL]);
    let panics = std::panic::catch_unwind(move || outer.read_with(|_| panic!("a reader's")));
    assert!(panics.is_err());
    let mut after = Buffer::new();
    let read = after.read_with(|room| Ok(scatter(room, b"on")));
    assert_eq!((read.unwrap(), after.readable()), (2, &b"on"[..]));
}
