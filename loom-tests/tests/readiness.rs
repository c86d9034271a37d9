//! Readiness: an event between "would block" and "clear" is not lost.
//!
//! The real `reactor/readiness.rs`. The kernel is an atomic flag "there is data", which an event
//! follows, as with an edge-triggered descriptor. Bound 2; about a second.

#![cfg(loom)]

use loom::sync::Arc;
use loom::sync::atomic::{AtomicUsize, Ordering};
use loom::thread;
use loom_tests::{Bell, Reached, explore};
use oneloop_runtime::protocol::readiness::{READABLE, Readiness, WRITABLE};

/// A descriptor: bytes in the kernel's buffer, the word, and who waits on the loop.
struct Socket {
    bytes: AtomicUsize,
    readiness: Readiness,
    bell: Bell,
}

impl Socket {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            bytes: AtomicUsize::new(0),
            readiness: Readiness::new(),
            bell: Bell::new(),
        })
    }

    /// The peer sends, and the loop gets the edge.
    fn arrive(&self) {
        // AcqRel: the kernel's own lock orders the data before the event.
        self.bytes.fetch_add(1, Ordering::AcqRel);
        self.readiness.set(READABLE);
        self.bell.ring();
    }

    /// One read: takes all that is there, or would block.
    fn read(&self) -> usize {
        self.bytes.swap(0, Ordering::AcqRel)
    }
}

/// Events race a reader that reads, clears and waits for the next event. Each byte is read.
#[test]
fn event_races_clear() {
    static WAITED: Reached = Reached::new();
    static CLEAR_FAILED: Reached = Reached::new();
    static CLEARED: Reached = Reached::new();

    explore("event_races_clear", || {
        let socket = Socket::new();
        let arriving = Arc::clone(&socket);
        let kernel = thread::spawn(move || {
            arriving.arrive();
            arriving.arrive();
        });
        let mut received = 0;
        while received < 2 {
            let seen = socket.readiness.load();
            if seen.is_ready(READABLE) {
                match socket.read() {
                    0 => {
                        let cleared = socket.readiness.clear(seen, READABLE);
                        if cleared {
                            CLEARED.count()
                        } else {
                            CLEAR_FAILED.count()
                        }
                    }
                    n => received += n,
                }
            } else {
                // The waiter stands; the loop rings it at the next event.
                WAITED.count();
                socket.bell.wait();
            }
        }
        kernel.join().unwrap();
    });
    WAITED.assert("waited for an event");
    CLEARED.assert("cleared after would-block");
    CLEAR_FAILED.assert("an event came between would-block and clear");
}

/// Two loops hold the descriptor and set different bits: none is lost, and a clear of one
/// direction leaves the other.
#[test]
fn directions_are_independent() {
    static BOTH: Reached = Reached::new();
    explore("directions_are_independent", || {
        let socket = Socket::new();
        let writing = Arc::clone(&socket);
        let other = thread::spawn(move || writing.readiness.set(WRITABLE));
        socket.readiness.set(READABLE);
        let seen = socket.readiness.load();
        BOTH.count_if(seen.is_ready(READABLE) && seen.is_ready(WRITABLE));
        socket.readiness.clear(seen, READABLE);
        other.join().unwrap();
        assert!(
            socket.readiness.load().is_ready(WRITABLE),
            "the other direction was lost"
        );
    });
    BOTH.assert("both set before the clear");
}

/// What the kernel told the loop is in effect for the thread that sees the bit.
#[test]
fn an_event_publishes() {
    static SEEN: Reached = Reached::new();
    explore("an_event_publishes", || {
        let readiness = Arc::new(Readiness::new());
        let data = Arc::new(loom::cell::UnsafeCell::new(0));
        let (setting, written) = (Arc::clone(&readiness), Arc::clone(&data));
        let loop_thread = thread::spawn(move || {
            // SAFETY: the other thread reads only after it has seen the bit set below.
            written.with_mut(|data| unsafe { *data = 7 });
            setting.set(READABLE);
        });
        if readiness.load().is_ready(READABLE) {
            SEEN.count();
            // SAFETY: the bit was seen.
            assert_eq!(data.with(|data| unsafe { *data }), 7);
        }
        loop_thread.join().unwrap();
    });
    SEEN.assert("the bit was seen");
}
