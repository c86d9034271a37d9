//! What the tests have in common: a runtime with a deadline, random numbers, dropped futures.

use std::future::{Future, poll_fn};
use std::io::Write;
use std::pin::pin;
use std::sync::mpsc;
use std::task::Poll;
use std::thread;
use std::time::Duration;

use oneloop_runtime::runtime::Builder;
use oneloop_runtime::task::yield_now;
use oneloop_runtime::time::timeout;

/// Long enough for a machine that is busy with other tests, short enough to notice a hang.
const DEADLINE: Duration = Duration::from_secs(30);

/// Runs a test on a loop, within the deadline. A loop that stands still ends the process.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    let (alive, end) = mpsc::channel::<()>();
    let name = thread::current().name().unwrap_or("unnamed").to_owned();
    thread::spawn(move || {
        if end.recv_timeout(2 * DEADLINE) == Err(mpsc::RecvTimeoutError::Timeout) {
            // Nobody can be told if this fails.
            let _ = writeln!(std::io::stderr(), "{name}: the loop stands still");
            std::process::abort();
        }
    });
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let output =
        runtime.block_on(async { timeout(DEADLINE, test).await.expect("deadline of the test") });
    drop(alive);
    output
}

/// Polls `future` up to `times` times, a turn of the loop apart, then drops it.
#[cfg_attr(
    not(feature = "futures-io"),
    allow(dead_code, reason = "only what reads and writes frames is dropped")
)]
pub(crate) async fn poll_and_drop<F: Future>(times: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..times {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        yield_now().await;
    }
    None
}

/// Random numbers that a seed repeats (xorshift64*).
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 16
    }

    /// A number below `end`.
    pub(crate) fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(end).unwrap()).unwrap()
    }

    /// Bytes that are all different from their neighbours'.
    pub(crate) fn bytes(&mut self, len: usize) -> Vec<u8> {
        (0..len).map(|_| self.next().to_le_bytes()[0]).collect()
    }
}

/// Bytes of which every stretch is different.
pub(crate) fn pattern(len: usize) -> Vec<u8> {
    Random::new(1).bytes(len)
}
