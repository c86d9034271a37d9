//! `watch`: V1.
//!
//! The real `sync/watch.rs`. Bound 2; seconds each.

#![cfg(loom)]

use compat_loom_tests::{Reached, Unguarded, explore, wait};
use loom::sync::Arc;
use loom::thread;
use tokio::sync::watch;

#[test]
fn a_change_is_published() {
    static WAITED: Reached = Reached::new();

    explore("a_change_is_published", || {
        let number = Arc::new(Unguarded::new());
        let (sender, mut receiver) = watch::channel(0);
        let changes = {
            let number = Arc::clone(&number);
            thread::spawn(move || {
                number.count();
                sender.send(1).unwrap();
                sender
            })
        };
        wait(receiver.changed(), &WAITED).expect("it changed");
        assert_eq!(number.get(), 1);
        assert_eq!(*receiver.borrow(), 1);
        changes.join().unwrap();
    });
    WAITED.assert("waited for the change");
}

#[test]
fn the_last_change_is_not_missed() {
    static WAITED: Reached = Reached::new();
    static SKIPPED: Reached = Reached::new();

    explore("the_last_change_is_not_missed", || {
        let (sender, mut receiver) = watch::channel(0);
        let changes = thread::spawn(move || {
            sender.send_replace(1);
            sender.send_replace(2);
            sender
        });
        let mut seen = 0;
        loop {
            let now = *receiver.borrow_and_update();
            SKIPPED.count_if(seen == 0 && now == 2);
            seen = now;
            if now == 2 {
                break;
            }
            wait(receiver.changed(), &WAITED).expect("the sender is there");
        }
        changes.join().unwrap();
    });
    WAITED.assert("waited for a change");
    SKIPPED.assert("saw the last value alone");
}

#[test]
fn both_ends_are_reported() {
    static WAITED: Reached = Reached::new();

    explore("both_ends_are_reported", || {
        let (sender, mut receiver) = watch::channel(0);
        let other = sender.clone();
        let ends = thread::spawn(move || drop(other));
        let waits = thread::spawn(move || {
            assert!(wait(receiver.changed(), &WAITED).is_err());
        });
        drop(sender.subscribe());
        drop(sender);
        ends.join().unwrap();
        waits.join().unwrap();
    });
    explore("the_end_of_the_receiver", || {
        let (sender, receiver) = watch::channel(0);
        let ends = thread::spawn(move || drop(receiver));
        wait(sender.closed(), &WAITED);
        ends.join().unwrap();
    });
    WAITED.assert("waited for the end");
}
