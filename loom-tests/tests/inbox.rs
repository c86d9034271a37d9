//! Inbox and doorbell: I3, a wake is never lost, and at most one ring for each sleep; and the
//! inbox's close, the single decision point between a spawn and a shutdown.
//!
//! The real `worker/inbox.rs` and `worker/doorbell.rs`. Bound 2; seconds to a minute each.

#![cfg(loom)]

use std::sync::atomic::{AtomicUsize, Ordering};

use loom::sync::Arc;
use loom::thread;
use loom_tests::{Bell, Reached, explore};
use oneloop_runtime::protocol::inbox::{Duty, Inbox};

/// A loop's inbox, the bell it sleeps on, and how often it was rung and went to sleep.
struct Sleeper {
    inbox: Inbox<usize>,
    bell: Bell,
    rings: AtomicUsize,
    announcements: AtomicUsize,
}

impl Sleeper {
    fn new() -> Self {
        Self {
            inbox: Inbox::new(),
            bell: Bell::new(),
            rings: AtomicUsize::new(0),
            announcements: AtomicUsize::new(0),
        }
    }

    fn carry_out(&self, duty: Duty) {
        if duty == Duty::Ring {
            self.rings.fetch_add(1, Ordering::SeqCst);
            self.bell.ring();
        }
    }

    /// As `Remote::send`. Gives the message back if the inbox is closed.
    fn send(&self, message: usize) -> Result<Duty, usize> {
        let duty = self.inbox.push(message)?;
        self.carry_out(duty);
        Ok(duty)
    }

    /// As the end of a turn. True if it slept.
    fn sleep(&self) -> bool {
        // Counted before, because a ringer may be faster than this thread.
        self.announcements.fetch_add(1, Ordering::SeqCst);
        if !self.inbox.prepare_sleep() {
            return false;
        }
        self.bell.wait();
        self.inbox.awake();
        true
    }

    fn assert_rings_are_few(&self) {
        let (rings, announced) = (
            self.rings.load(Ordering::SeqCst),
            self.announcements.load(Ordering::SeqCst),
        );
        assert!(rings <= announced, "{rings} rings for {announced} sleeps");
    }
}

#[test]
fn push_races_sleep() {
    static SLEPT: Reached = Reached::new();
    static LOOKED_AGAIN: Reached = Reached::new();
    static NO_RING: Reached = Reached::new();
    static SPURIOUS: Reached = Reached::new();

    explore("push_races_sleep", || {
        let sleeper = Arc::new(Sleeper::new());
        let producers: Vec<_> = (0..2)
            .map(|producer| {
                let sleeper = Arc::clone(&sleeper);
                thread::spawn(move || {
                    for n in 0..2 {
                        let duty = sleeper.send(producer * 2 + n).expect("the inbox is open");
                        NO_RING.count_if(duty == Duty::Nothing);
                    }
                })
            })
            .collect();
        let mut received = Vec::new();
        while received.len() < 4 {
            let before = received.len();
            received.extend(sleeper.inbox.drain());
            let progress = received.len() > before;
            if !progress && received.len() < 4 {
                if sleeper.sleep() {
                    SLEPT.count();
                    SPURIOUS.count_if(sleeper.inbox.is_empty());
                } else {
                    LOOKED_AGAIN.count();
                }
            }
        }
        for producer in producers {
            producer.join().unwrap();
        }
        // Within one sender the order is kept.
        let place = |n| {
            received
                .iter()
                .position(|&got| got == n)
                .expect("received once")
        };
        assert!(place(0) < place(1) && place(2) < place(3), "{received:?}");
        sleeper.assert_rings_are_few();
    });
    SLEPT.assert("slept");
    LOOKED_AGAIN.assert("the second look cancelled the sleep");
    NO_RING.assert("a push needed no ring");
    SPURIOUS.assert("woken for a message that an earlier drain took");
}

/// One producer and one loop, for the mutants that need more preemptions of fewer threads.
#[test]
fn one_push_races_one_sleep() {
    static SLEPT: Reached = Reached::new();
    explore("one_push_races_one_sleep", || {
        let sleeper = Arc::new(Sleeper::new());
        let sending = Arc::clone(&sleeper);
        let producer = thread::spawn(move || {
            assert!(sending.send(1).is_ok(), "the inbox is open");
        });
        let mut received = 0;
        while received == 0 {
            received += sleeper.inbox.drain().count();
            if received == 0 {
                SLEPT.count_if(sleeper.sleep());
            }
        }
        producer.join().unwrap();
        sleeper.assert_rings_are_few();
    });
    SLEPT.assert("slept");
}

/// What the ringer did before is seen by the loop that it woke.
#[test]
fn a_wake_publishes() {
    static WOKEN: Reached = Reached::new();
    explore("a_wake_publishes", || {
        let sleeper = Arc::new(Sleeper::new());
        let data = Arc::new(loom::cell::UnsafeCell::new(0));
        let (sending, written) = (Arc::clone(&sleeper), Arc::clone(&data));
        let producer = thread::spawn(move || {
            // SAFETY: the loop reads only after it has received the message sent below.
            written.with_mut(|data| unsafe { *data = 7 });
            assert!(sending.send(1).is_ok(), "the inbox is open");
        });
        loop {
            if sleeper.inbox.drain().count() == 1 {
                break;
            }
            WOKEN.count_if(sleeper.sleep());
        }
        // SAFETY: the message was received; its sender wrote before.
        assert_eq!(data.with(|data| unsafe { *data }), 7);
        producer.join().unwrap();
    });
    WOKEN.assert("woken");
}

/// Spawns race the shutdown: each is drained by the loop, or given back to its sender.
#[test]
fn push_races_close() {
    static REFUSED: Reached = Reached::new();
    static DRAINED_AFTER: Reached = Reached::new();
    static BOTH_WAYS: Reached = Reached::new();

    explore("push_races_close", || {
        let sleeper = Arc::new(Sleeper::new());
        let refused = Arc::new(AtomicUsize::new(0));
        let producers: Vec<_> = (0..2)
            .map(|producer| {
                let (sleeper, refused) = (Arc::clone(&sleeper), Arc::clone(&refused));
                thread::spawn(move || {
                    for n in 0..2 {
                        if sleeper.send(producer * 2 + n).is_err() {
                            refused.fetch_add(1, Ordering::SeqCst);
                        }
                    }
                })
            })
            .collect();
        // As `Local::close`: drain, close, and drain what came before the close.
        let mut drained = sleeper.inbox.drain().count();
        let duty = sleeper.inbox.close();
        sleeper.carry_out(duty);
        while !sleeper.inbox.is_empty() {
            let late = sleeper.inbox.drain().count();
            DRAINED_AFTER.count_if(late > 0);
            drained += late;
        }
        for producer in producers {
            producer.join().unwrap();
        }
        assert!(
            sleeper.inbox.is_empty(),
            "a message came in after the close"
        );
        let refused = refused.load(Ordering::SeqCst);
        assert_eq!(drained + refused, 4, "each push is drained or given back");
        REFUSED.count_if(refused > 0);
        BOTH_WAYS.count_if(refused > 0 && drained > 0);
    });
    REFUSED.assert("a push was refused");
    DRAINED_AFTER.assert("a push came between the last drain and the close");
    BOTH_WAYS.assert("some in, some refused");
}

/// A close from another thread wakes a loop that sleeps.
#[test]
fn close_wakes_the_sleeper() {
    static SLEPT: Reached = Reached::new();
    static SAW_CLOSED: Reached = Reached::new();
    explore("close_wakes_the_sleeper", || {
        let sleeper = Arc::new(Sleeper::new());
        let closing = Arc::clone(&sleeper);
        let closer = thread::spawn(move || {
            let duty = closing.inbox.close();
            closing.carry_out(duty);
        });
        if sleeper.sleep() {
            SLEPT.count();
        } else {
            SAW_CLOSED.count();
        }
        closer.join().unwrap();
        assert!(sleeper.inbox.push(1).is_err());
    });
    SLEPT.assert("slept and was rung");
    SAW_CLOSED.assert("saw the close at the second look");
}
