//! Which beats count as missed, and that the frames are the application's own.

use std::cell::{Cell, RefCell};
use std::future::{pending, poll_fn};
use std::io::{self, ErrorKind, Read};
use std::pin::pin;
use std::rc::Rc;
use std::time::Duration;

use oneloop_net::TcpStream;
use oneloop_net::client::Heartbeat;
use oneloop_runtime::task::spawn_local;
use oneloop_runtime::time::{Instant, sleep, timeout};

use crate::support::{paused, poll_once, server, timed};

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn silent_peer_is_dead_after_the_missed_beats() {
    paused(async {
        for max_missed in [1, 2, 5] {
            let heartbeat = Heartbeat::new(SECOND, max_missed);
            let sent = RefCell::new(Vec::new());
            let begun = Instant::now();
            let error = heartbeat.run(async || {
                sent.borrow_mut().push(begun.elapsed().as_secs());
                Ok(())
            });
            let (took, error) = timed(error).await;
            assert_eq!(error.kind(), ErrorKind::TimedOut);
            assert_eq!(took, u128::from(max_missed) * 1000);
            assert_eq!(heartbeat.missed(), max_missed);
            let expected: Vec<u64> = (0..u64::from(max_missed)).collect();
            assert_eq!(*sent.borrow(), expected);
        }
    });
}

#[test]
fn what_is_heard_begins_the_count_anew() {
    paused(async {
        let heartbeat = Rc::new(Heartbeat::new(SECOND, 3));
        let peer = Rc::clone(&heartbeat);
        drop(spawn_local(async move {
            // In the third, the fourth and the seventh second.
            for seconds in [2.5, 1.0, 3.0] {
                sleep(Duration::from_secs_f64(seconds)).await;
                peer.alive();
            }
        }));
        let (took, error) = timed(heartbeat.run(async || Ok(()))).await;
        assert_eq!(error.kind(), ErrorKind::TimedOut);
        // Heard at 2.5, 3.5 and 6.5 s: the beats at 8, 9 and 10 s are missed.
        assert_eq!(took, 10_000);
    });
}

#[test]
fn what_was_heard_before_the_watch_does_not_count() {
    paused(async {
        let heartbeat = Heartbeat::new(SECOND, 1);
        heartbeat.alive();
        let (took, _error) = timed(heartbeat.run(async || Ok(()))).await;
        assert_eq!(took, 1000);
    });
}

#[test]
fn error_of_a_frame_ends_the_watch() {
    paused(async {
        let heartbeat = Heartbeat::new(SECOND, 5);
        let frames = Cell::new(0);
        let error = heartbeat.run(async || {
            frames.set(frames.get() + 1);
            match frames.get() {
                3 => Err(io::Error::from(ErrorKind::BrokenPipe)),
                _ => Ok(()),
            }
        });
        let (took, error) = timed(error).await;
        assert_eq!((took, error.kind()), (2000, ErrorKind::BrokenPipe));
    });
}

#[test]
fn frame_that_is_stuck_is_neither_cut_nor_doubled_and_the_peer_dies() {
    paused(async {
        let heartbeat = Heartbeat::new(SECOND, 4);
        let begun = Cell::new(0);
        let ended = Cell::new(0);
        let error = heartbeat.run(async || {
            begun.set(begun.get() + 1);
            if begun.get() == 1 {
                sleep(Duration::from_millis(2500)).await;
            } else {
                pending::<()>().await;
            }
            ended.set(ended.get() + 1);
            Ok(())
        });
        let (took, error) = timed(error).await;
        assert_eq!((took, error.kind()), (4000, ErrorKind::TimedOut));
        // The first took until 2.5 s; the second began with the next beat.
        assert_eq!((begun.get(), ended.get()), (2, 1));
    });
}

#[test]
fn watch_can_be_dropped_and_begun_anew() {
    paused(async {
        let heartbeat = Heartbeat::new(SECOND, 3);
        let watch = heartbeat.run(async || Ok(()));
        assert!(timeout(Duration::from_millis(2500), watch).await.is_err());
        assert_eq!(heartbeat.missed(), 2);
        let (took, _error) = timed(heartbeat.run(async || Ok(()))).await;
        assert_eq!(took, 3000);
    });
}

#[test]
fn beat_beyond_the_clock_never_comes() {
    paused(async {
        let heartbeat = Heartbeat::new(Duration::MAX, 1);
        let mut watch = pin!(heartbeat.run(async || Ok(())));
        assert!(poll_once(watch.as_mut()).await.is_pending());
    });
}

#[test]
fn stream_holds_the_frames_and_nothing_else() {
    paused(async {
        let (listener, address) = server();
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut peer, _) = listener.accept().unwrap();
        let heartbeat = Heartbeat::new(SECOND, 3);
        let ping = || poll_fn(|cx| stream.poll_write(cx, b"ping\n"));
        heartbeat.run(async || ping().await.map(drop)).await;
        drop(stream);
        let mut received = String::new();
        peer.read_to_string(&mut received).unwrap();
        assert_eq!(received, "ping\nping\nping\n");
    });
}
