//! Whether the peer is still there, asked with the application's own frame.
//!
//! Place: `alive` by whoever reads, `run` by whoever ends the connection; on one loop or on two.
//!
//! ```text
//!   run:   frame      frame      frame      frame     dead (3 beats missed)
//!   time:  |----------|----------|----------|----------|
//!   alive:     x
//! ```
//!
//! # Invariants
//! - Not a byte is written here. What a frame is, and that it does not stand in the middle of
//!   another one, is known to the closure alone.
//! - A frame is never cut off by the next one: while it is on its way, no other begins.
//!
//! # Why it is so
//! `alive` is called for every message that comes in, so it is one store and looks at no clock.
//! Beats are counted, not time: a loop that stood still for ten beats sees one missed, not ten,
//! because the peer's answers may lie unread in the socket.

use std::future::{Future, poll_fn};
use std::io;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering::Relaxed};
use std::task::Poll;
use std::time::Duration;

use oneloop_runtime::time::{Instant, MissedTickBehavior, interval_at};

/// A watch on a peer: it is dead when nothing was heard of it for so many beats.
///
/// # Threads
///
/// It may be shared between loops.
///
/// # Examples
///
/// ```no_run
/// # async fn example(stream: oneloop_net::TcpStream) -> std::io::Result<()> {
/// use std::future::poll_fn;
/// use std::time::Duration;
/// use oneloop_net::client::Heartbeat;
///
/// let (mut reader, writer) = stream.into_split();
/// let heartbeat = std::sync::Arc::new(Heartbeat::new(Duration::from_secs(5), 3));
/// let watch = heartbeat.clone();
/// oneloop_runtime::task::spawn_local(async move {
///     // Nobody else writes here, and six bytes go at once.
///     let ping = || poll_fn(|cx| writer.poll_write(cx, b"PING\r\n"));
///     let gone = watch.run(async || ping().await.map(drop)).await;
///     println!("the peer is gone: {gone}");
/// });
/// let mut buffer = [0; 4096];
/// while reader.read(&mut buffer).await? > 0 {
///     heartbeat.alive();
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Heartbeat {
    interval: Duration,
    missed_max: u32,
    /// Something was heard since the last beat. Relaxed: it is all that is told.
    heard: AtomicBool,
    missed: AtomicU32,
}

impl Heartbeat {
    /// A watch with a beat each `interval` that finds the peer dead when nothing was heard for
    /// `max_missed` of them. None counts as one.
    ///
    /// # Panics
    ///
    /// If `interval` is zero.
    #[track_caller]
    #[must_use]
    pub fn new(interval: Duration, max_missed: u32) -> Self {
        assert!(!interval.is_zero(), "`interval` must be above zero");
        Self {
            interval,
            missed_max: max_missed.max(1),
            heard: AtomicBool::new(false),
            missed: AtomicU32::new(0),
        }
    }

    /// Says that something was received: an answer to a beat or anything else. One store.
    pub fn alive(&self) {
        self.heard.store(true, Relaxed);
    }

    /// How many beats in a row have passed without anything heard.
    #[must_use]
    pub fn missed(&self) -> u32 {
        self.missed.load(Relaxed)
    }

    /// Calls `send_frame` now and at every beat, and ends when the peer is dead.
    ///
    /// A frame that cannot be sent for lack of room goes on over the next beats, which then send
    /// none and still count. The future that sends it is dropped only with `run` itself: close the
    /// connection then.
    ///
    /// What was heard before the call does not count.
    ///
    /// # Errors
    ///
    /// It always ends with one: `TimedOut` if too many beats were missed, otherwise that of
    /// `send_frame`.
    ///
    /// # Panics
    ///
    /// Outside a runtime. Panics of `send_frame` go through.
    ///
    /// # Cancel safety
    ///
    /// A frame on its way is dropped, perhaps half sent. Nothing else is lost.
    pub async fn run<F, Fut>(&self, mut send_frame: F) -> io::Error
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = io::Result<()>>,
    {
        self.heard.store(false, Relaxed);
        self.missed.store(0, Relaxed);
        let first = Instant::now().checked_add(self.interval);
        let Some(first) = first else {
            // The first beat is beyond the clock's end.
            return match send_frame().await {
                Ok(()) => std::future::pending().await,
                Err(error) => error,
            };
        };
        let mut beats = interval_at(first, self.interval);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut frame = pin!(Some(send_frame()));
        loop {
            let beat = poll_fn(|cx| {
                if let Some(sending) = frame.as_mut().as_pin_mut()
                    && let Poll::Ready(sent) = sending.poll(cx)
                {
                    frame.set(None);
                    if let Err(error) = sent {
                        return Poll::Ready(Err(error));
                    }
                }
                beats.poll_tick(cx).map(Ok)
            });
            if let Err(error) = beat.await {
                return error;
            }
            if self.count_beat() >= self.missed_max {
                return io::Error::new(io::ErrorKind::TimedOut, "peer was not heard of");
            }
            if frame.is_none() {
                frame.set(Some(send_frame()));
            }
        }
    }

    /// How many are missed after a beat that has just passed.
    fn count_beat(&self) -> u32 {
        let missed = match self.heard.swap(false, Relaxed) {
            true => 0,
            false => self.missed().saturating_add(1),
        };
        self.missed.store(missed, Relaxed);
        missed
    }
}
