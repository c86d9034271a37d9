//! `Notify`: N1 to N3.
//!
//! The real `sync/notify.rs` and `sync/wait_list.rs`. Bound 2; seconds each.

#![cfg(loom)]

use compat_loom_tests::{Reached, Unguarded, explore, poll_and_drop, wait};
use loom::sync::Arc;
use loom::thread;
use tokio::sync::Notify;

#[test]
fn a_signal_publishes() {
    static WAITED: Reached = Reached::new();

    explore("a_signal_publishes", || {
        let shared = Arc::new((Notify::new(), Unguarded::new()));
        let signals = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.1.count();
                shared.0.notify_one();
            })
        };
        wait(shared.0.notified(), &WAITED);
        assert_eq!(shared.1.get(), 1);
        signals.join().unwrap();
    });
    WAITED.assert("waited for the signal");
}

#[test]
fn two_signals_wake_two() {
    static WAITED: Reached = Reached::new();

    explore("two_signals_wake_two", || {
        let notify = Arc::new(Notify::new());
        let waits = {
            let notify = Arc::clone(&notify);
            thread::spawn(move || {
                wait(notify.notified(), &WAITED);
                // A signal that finds one stored already is lost: the second one waits for this.
                notify.notify_one();
            })
        };
        let signals = {
            let notify = Arc::clone(&notify);
            thread::spawn(move || notify.notify_one())
        };
        wait(notify.notified(), &WAITED);
        notify.notify_one();
        waits.join().unwrap();
        signals.join().unwrap();
    });
    WAITED.assert("waited for a signal");
}

#[test]
fn a_dropped_wait_passes_on() {
    static WAITED: Reached = Reached::new();
    static LEFT: Reached = Reached::new();
    static CONSUMED: Reached = Reached::new();

    explore("a_dropped_wait_passes_on", || {
        let notify = Arc::new(Notify::new());
        let leaves = {
            let notify = Arc::clone(&notify);
            thread::spawn(move || match poll_and_drop(notify.notified()) {
                Some(()) => {
                    CONSUMED.count();
                    notify.notify_one();
                }
                None => LEFT.count(),
            })
        };
        let signals = {
            let notify = Arc::clone(&notify);
            thread::spawn(move || notify.notify_one())
        };
        wait(notify.notified(), &WAITED);
        leaves.join().unwrap();
        signals.join().unwrap();
    });
    WAITED.assert("waited for the signal");
    LEFT.assert("left the queue");
    CONSUMED.assert("consumed the signal");
}

#[test]
fn a_round_reaches_who_was_there() {
    static WAITED: Reached = Reached::new();

    explore("a_round_reaches_who_was_there", || {
        let shared = Arc::new((Notify::new(), Unguarded::new()));
        let notified = shared.0.notified();
        let signals = {
            let shared = Arc::clone(&shared);
            thread::spawn(move || {
                shared.1.count();
                shared.0.notify_waiters();
            })
        };
        wait(notified, &WAITED);
        assert_eq!(shared.1.get(), 1);
        signals.join().unwrap();
    });
    WAITED.assert("waited for the round");
}
