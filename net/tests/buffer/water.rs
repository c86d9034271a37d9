//! Water marks: told once for each crossing, with a slow reader made by hand.

use std::pin::pin;
use std::sync::{Arc, Mutex};

use futures_lite::future::poll_once;
use oneloop_net::buffer::{FrameWriter, WriteLimits};
use oneloop_runtime::task::{spawn_local, yield_now};

use crate::sink::Sink;
use crate::support::{poll_and_drop, run};

const PLENTY: usize = usize::MAX / 2;

fn limits() -> WriteLimits {
    WriteLimits::new()
        .low_water_bytes(10)
        .high_water_bytes(20)
        .max_bytes(1000)
}

#[test]
fn high_mark_is_above_and_low_mark_is_at_or_below() {
    run(async {
        let sink = Sink::new(0);
        let mut writer = FrameWriter::with_limits(sink.clone(), limits());
        writer.write(&[0; 20]).unwrap();
        assert!(!writer.is_above_high_water());
        writer.below_low_water().await.unwrap();
        writer.write(&[0; 1]).unwrap();
        assert!(writer.is_above_high_water());
        // 11 left, then 10.
        sink.allow(10);
        assert!(poll_and_drop(3, writer.below_low_water()).await.is_none());
        assert!(writer.is_above_high_water());
        sink.allow(1);
        writer.below_low_water().await.unwrap();
        assert!(!writer.is_above_high_water());
        assert_eq!(writer.queued_bytes(), 10);
    });
}

#[test]
fn crossing_is_told_once() {
    run(async {
        let sink = Sink::new(0);
        let mut writer = FrameWriter::with_limits(sink.clone(), limits());
        let mut handle = writer.handle();
        for crossing in 1..=3 {
            {
                let mut waiting = pin!(handle.above_high_water());
                assert!(poll_once(&mut waiting).await.is_none());
                // It is a wake-up that ends the wait, not the next poll.
                writer.write(&[0; 30]).unwrap();
                waiting.await.unwrap();
            }
            // More bytes are no other crossing, nor is going down a little and up again.
            writer.write(&[0; 30]).unwrap();
            assert!(poll_and_drop(2, handle.above_high_water()).await.is_none());
            sink.allow(45);
            assert!(poll_and_drop(2, writer.flush()).await.is_none());
            assert_eq!(writer.queued_bytes(), 15);
            writer.write(&[0; 30]).unwrap();
            assert!(poll_and_drop(2, handle.above_high_water()).await.is_none());
            assert_eq!(writer.high_water_crossings(), crossing);
            sink.allow(45);
            writer.flush().await.unwrap();
            assert!(poll_and_drop(2, handle.above_high_water()).await.is_none());
        }
    });
}

#[test]
fn crossing_is_remembered_for_who_was_not_waiting() {
    run(async {
        let sink = Sink::new(PLENTY);
        let mut writer = FrameWriter::with_limits(sink, limits());
        let mut handle = writer.handle();
        for _ in 0..2 {
            writer.write(&[0; 21]).unwrap();
            writer.flush().await.unwrap();
        }
        // Both are over, and count as one. A clone is told of later ones alone.
        let mut clone = handle.clone();
        handle.above_high_water().await.unwrap();
        assert!(poll_and_drop(2, handle.above_high_water()).await.is_none());
        assert!(poll_and_drop(2, clone.above_high_water()).await.is_none());
        writer.write(&[0; 21]).unwrap();
        clone.above_high_water().await.unwrap();
        handle.above_high_water().await.unwrap();
    });
}

#[test]
fn low_mark_wakes_every_producer_once() {
    run(async {
        let sink = Sink::new(0);
        let mut writer = FrameWriter::with_limits(sink.clone(), limits());
        writer.write(&[0; 50]).unwrap();
        let woken = Arc::new(Mutex::new(0));
        let producers: Vec<_> = (0..3)
            .map(|_| {
                let (mut handle, woken) = (writer.handle(), Arc::clone(&woken));
                spawn_local(async move {
                    handle.below_low_water().await.unwrap();
                    *woken.lock().unwrap() += 1;
                })
            })
            .collect();
        let driver = spawn_local(async move { writer.run().await });
        for (allowed, expected) in [(0, 0), (39, 0), (1, 3)] {
            sink.allow(allowed);
            for _ in 0..5 {
                yield_now().await;
            }
            assert_eq!(*woken.lock().unwrap(), expected, "after {allowed} more");
        }
        for producer in producers {
            producer.await.unwrap();
        }
        sink.allow(PLENTY);
        driver.await.unwrap().unwrap();
    });
}

#[test]
fn run_writes_as_it_comes_until_the_last_handle() {
    run(async {
        let sink = Sink::new(PLENTY);
        let mut writer = FrameWriter::new(sink.clone());
        let handle = writer.handle();
        let other = handle.clone();
        let driver = spawn_local(async move {
            writer.run().await.unwrap();
            writer.shutdown().await.unwrap();
        });
        for number in 0..10_u8 {
            handle.write(&[number]).unwrap();
            while sink.taken().len() <= usize::from(number) {
                yield_now().await;
            }
        }
        drop(handle);
        other.write(b"bye").unwrap();
        while sink.taken().len() < 13 {
            yield_now().await;
        }
        assert!(!driver.is_finished());
        // Nothing is left to write: the drop itself wakes the driver.
        drop(other);
        driver.await.unwrap();
        assert_eq!(sink.taken(), b"\0\x01\x02\x03\x04\x05\x06\x07\x08\x09bye");
        sink.log(|log| assert!(log.is_closed));
    });
}

#[test]
fn run_may_be_dropped_at_every_await() {
    run(async {
        let sink = Sink::new(0);
        let mut writer = FrameWriter::new(sink.clone());
        let handle = writer.handle();
        let mut expected = Vec::new();
        for number in 0..200_u8 {
            handle.write(&[number; 3]).unwrap();
            expected.extend_from_slice(&[number; 3]);
            sink.allow(usize::from(number % 4));
            let times = usize::from(number % 3);
            assert!(poll_and_drop(times, writer.run()).await.is_none());
        }
        sink.allow(PLENTY);
        drop(handle);
        writer.run().await.unwrap();
        assert!(sink.taken() == expected);
    });
}

#[test]
fn flush_does_not_wait_for_later_bytes() {
    run(async {
        let sink = Sink::new(4);
        let mut writer = FrameWriter::new(sink.clone());
        let handle = writer.handle();
        handle.write(b"sooner").unwrap();
        {
            let mut flush = pin!(writer.flush());
            assert!(poll_once(&mut flush).await.is_none());
            handle.write(b"later").unwrap();
            sink.allow(2);
            flush.await.unwrap();
        }
        assert_eq!(sink.taken(), b"sooner");
        assert_eq!(writer.queued_bytes(), 5);
    });
}
