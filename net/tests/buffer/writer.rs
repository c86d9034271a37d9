//! Queued writes: in order, together, and not lost by a dropped future.

use std::io;

use bytes::Bytes;
use oneloop_net::buffer::{
    BufferFull, ByteOrder, FrameError, FrameWriter, LengthPrefix, WriteHandle, WriteLimits,
};
use oneloop_runtime::task::{spawn_local, yield_now};

use crate::sink::{Fault, Sink};
use crate::support::{Random, pattern, poll_and_drop, run};

const PLENTY: usize = usize::MAX / 2;

#[test]
fn flush_writes_all_in_order_with_one_call() {
    run(async {
        let sink = Sink::new(PLENTY);
        let mut writer = FrameWriter::new(sink.clone());
        let body = Bytes::from(pattern(5000));
        writer.write(b"one ").unwrap();
        writer.write(b"two ").unwrap();
        writer.write_frame(b"head ", body.clone()).unwrap();
        writer.write_frame(b"tail ", &b"short"[..]).unwrap();
        writer.write(&pattern(2000)).unwrap();
        assert_eq!(writer.queued_bytes(), 8 + 5 + 5000 + 10 + 2000);
        assert!(sink.taken().is_empty());
        writer.flush().await.unwrap();
        assert_eq!(writer.queued_bytes(), 0);
        let expected = [b"one two head ", &body[..], b"tail short", &pattern(2000)];
        assert_eq!(sink.taken(), expected.concat());
        sink.log(|log| {
            // Short ones are copied together, long ones are slices of their own.
            assert_eq!(log.writes, [4]);
            assert_eq!(log.flushes, 1);
        });
        // Nothing to do: nothing is done.
        writer.flush().await.unwrap();
        sink.log(|log| assert_eq!((log.writes.len(), log.flushes), (1, 1)));
    });
}

#[test]
fn long_body_is_not_copied() {
    let writer = FrameWriter::new(Sink::new(0));
    let body = Bytes::from(pattern(5000));
    let mut writer = writer;
    writer.write_frame(b"head", body.clone()).unwrap();
    let (_, unwritten) = writer.into_parts();
    assert_eq!(unwritten.len(), 2);
    assert_eq!(unwritten[0], &b"head"[..]);
    assert_eq!(unwritten[1].as_ptr(), body.as_ptr());
}

#[test]
fn many_frames_take_few_calls() {
    run(async {
        let sink = Sink::new(PLENTY);
        let mut writer = FrameWriter::new(sink.clone());
        let mut expected = Vec::new();
        for len in 1024..1224 {
            let body = pattern(len);
            expected.extend_from_slice(&body);
            writer.write_frame(&[], body).unwrap();
        }
        writer.flush().await.unwrap();
        assert_eq!(sink.taken(), expected);
        sink.log(|log| assert_eq!(log.writes, [64, 64, 64, 8]));
    });
}

#[test]
fn lengths_are_written_as_they_are_read() {
    run(async {
        let sink = Sink::new(PLENTY);
        let mut writer = FrameWriter::new(sink.clone());
        let prefixes = [
            (LengthPrefix::U8, &b"\x03"[..]),
            (LengthPrefix::U16_BE, b"\0\x03"),
            (LengthPrefix::U16_LE, b"\x03\0"),
            (LengthPrefix::new(3, ByteOrder::Big), b"\0\0\x03"),
            (LengthPrefix::U32_BE.counting_itself(), b"\0\0\0\x07"),
            (LengthPrefix::U64_LE, b"\x03\0\0\0\0\0\0\0"),
        ];
        let mut expected = Vec::new();
        for (prefix, length) in prefixes {
            writer.write_length_delimited(prefix, &b"abc"[..]).unwrap();
            expected.extend_from_slice(length);
            expected.extend_from_slice(b"abc");
        }
        writer.flush().await.unwrap();
        assert_eq!(sink.taken(), expected);
        // As long as the prefix can say, and a byte more.
        for (prefix, max) in [
            (LengthPrefix::U8, 255),
            (LengthPrefix::U8.counting_itself(), 254),
            (LengthPrefix::U16_BE, 65_535),
        ] {
            let body = vec![0; max + 1];
            let error = writer.write_length_delimited(prefix, body.clone());
            let error = error.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            let why = FrameError::from_io(&error).unwrap();
            assert_eq!(
                (why.bytes(), why.max_bytes()),
                (max as u64 + 1, Some(max as u64))
            );
            assert_eq!(writer.queued_bytes(), 0);
            writer
                .write_length_delimited(prefix, body[1..].to_vec())
                .unwrap();
            writer.flush().await.unwrap();
        }
    });
}

#[test]
fn cap_refuses_a_frame_and_keeps_none_of_it() {
    run(async {
        let limits = WriteLimits::new()
            .low_water_bytes(10)
            .high_water_bytes(20)
            .max_bytes(100);
        let sink = Sink::new(0);
        let mut writer = FrameWriter::with_limits(sink.clone(), limits);
        writer.write(&[1; 90]).unwrap();
        let error = writer.write_frame(&[2; 5], vec![2; 6]).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::QuotaExceeded);
        let full = error
            .get_ref()
            .unwrap()
            .downcast_ref::<BufferFull>()
            .unwrap();
        assert_eq!((full.bytes(), full.max_bytes()), (101, 100));
        assert_eq!(writer.queued_bytes(), 90);
        writer.write_frame(&[3; 4], vec![3; 6]).unwrap();
        assert!(writer.write(b"x").is_err());
        writer.write(b"").unwrap();
        sink.allow(PLENTY);
        writer.flush().await.unwrap();
        assert_eq!(sink.taken(), [vec![1; 90], vec![3; 10]].concat());
        // There is room again.
        writer.write(&[4; 100]).unwrap();
    });
}

#[test]
fn dropped_flush_keeps_what_was_not_written() {
    run(async {
        for step in [1, 2, 3, 7, 1500] {
            let sink = Sink::new(0);
            let mut writer = FrameWriter::new(sink.clone());
            let body = pattern(3000);
            writer.write_frame(b"head", body.clone()).unwrap();
            writer.write(b"tail").unwrap();
            let expected = [b"head", &body[..], b"tail"].concat();
            let mut dropped = 0;
            while poll_and_drop(1, writer.flush()).await.is_none() {
                let taken = sink.taken();
                assert!(taken[..] == expected[..taken.len()], "doubled or lost");
                assert_eq!(writer.queued_bytes(), expected.len() - taken.len());
                dropped += 1;
                sink.allow(step);
            }
            assert_eq!(sink.taken(), expected);
            assert!(dropped >= expected.len() / step);
        }
    });
}

#[test]
fn random_writes_and_dropped_flushes_keep_the_order() {
    run(async {
        for seed in 0..100 {
            let mut random = Random::new(seed);
            let sink = Sink::new(0);
            let mut writer = FrameWriter::new(sink.clone());
            let mut expected = Vec::new();
            for _ in 0..60 {
                let len_max = [3, 100, 3000][random.below(3)];
                let (head, body) = (random.below(20), random.below(len_max));
                let (head, body) = (random.bytes(head), random.bytes(body));
                writer.write_frame(&head, body.clone()).unwrap();
                expected.extend_from_slice(&head);
                expected.extend_from_slice(&body);
                sink.allow(random.below(2000));
                let times = random.below(3);
                drop(poll_and_drop(times, writer.flush()).await);
                assert_eq!(writer.queued_bytes(), expected.len() - sink.taken().len());
            }
            sink.allow(PLENTY);
            writer.shutdown().await.unwrap();
            assert!(sink.taken() == expected, "seed {seed}");
        }
    });
}

#[test]
fn shutdown_writes_first_and_refuses_more() {
    run(async {
        let sink = Sink::new(3);
        let mut writer = FrameWriter::new(sink.clone());
        let handle = writer.handle();
        writer.write(b"last words").unwrap();
        assert!(poll_and_drop(2, writer.shutdown()).await.is_none());
        assert_eq!(sink.taken(), b"las");
        for error in [writer.write(b"x"), handle.write(b"x")] {
            assert_eq!(error.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        }
        sink.log(|log| assert!(!log.is_closed));
        sink.allow(PLENTY);
        writer.shutdown().await.unwrap();
        assert_eq!(sink.taken(), b"last words");
        sink.log(|log| assert!(log.is_closed && log.flushes == 1));
    });
}

#[test]
fn failed_write_is_told_to_all() {
    let faults = [
        (Fault::Error, io::ErrorKind::ConnectionReset),
        (Fault::TakesNothing, io::ErrorKind::WriteZero),
        (Fault::CountsTooMuch, io::ErrorKind::Other),
    ];
    run(async {
        for (fault, kind) in faults {
            let sink = Sink::new(PLENTY);
            let mut writer = FrameWriter::new(sink.clone());
            let mut handle = writer.handle();
            handle.write(b"lost").unwrap();
            let waiting = spawn_local(async move { handle.above_high_water().await });
            yield_now().await;
            sink.fail_next(fault);
            assert_eq!(writer.flush().await.unwrap_err().kind(), kind);
            // It is woken, not just told when it asks.
            let told = waiting.await.unwrap().unwrap_err();
            assert_eq!(told.kind(), io::ErrorKind::BrokenPipe);
            assert_eq!(writer.queued_bytes(), 4);
            let refused = writer.write(b"x").unwrap_err();
            assert_eq!(refused.kind(), io::ErrorKind::BrokenPipe);
        }
    });
}

#[test]
fn dropped_writer_is_told_to_its_handles() {
    run(async {
        let limits = WriteLimits::new().low_water_bytes(0).high_water_bytes(1);
        let writer = FrameWriter::with_limits(Sink::new(0), limits);
        let mut handle = writer.handle();
        handle.write(b"many").unwrap();
        let mut other = handle.clone();
        let mut waiting = std::pin::pin!(other.below_low_water());
        assert!(
            futures_lite::future::poll_once(&mut waiting)
                .await
                .is_none()
        );
        drop(writer);
        assert_eq!(waiting.await.unwrap_err().kind(), io::ErrorKind::BrokenPipe);
        assert_eq!(handle.queued_bytes(), 0);
        assert!(handle.write(b"x").is_err());
        assert!(handle.above_high_water().await.is_err());
    });
}

#[test]
fn parts_come_back_with_what_is_missing() {
    run(async {
        let sink = Sink::new(3);
        let mut writer = FrameWriter::new(sink.clone());
        writer.write(b"abcdef").unwrap();
        assert!(poll_and_drop(1, writer.flush()).await.is_none());
        writer.write(b"ghi").unwrap();
        let (_, unwritten) = writer.into_parts();
        assert_eq!(
            unwritten.iter().flatten().copied().collect::<Vec<_>>(),
            b"defghi"
        );
        assert_eq!(sink.taken(), b"abc");
    });
}

#[test]
#[should_panic(expected = "low_water_bytes <= high_water_bytes <= max_bytes")]
fn marks_in_the_wrong_order_are_a_broken_contract() {
    let limits = WriteLimits::new().low_water_bytes(2).high_water_bytes(1);
    drop(FrameWriter::with_limits(Sink::new(0), limits));
}

#[test]
fn handles_go_to_other_threads() {
    fn assert_send<T: Send + Sync>() {}
    assert_send::<WriteHandle>();
    assert_send::<FrameWriter<Sink>>();
}
