//! `oneshot`: X1 to X3.
//!
//! The real `sync/oneshot.rs`. Bound 2; a second each.

#![cfg(loom)]

use compat_loom_tests::{Reached, Unguarded, explore, poll_and_drop, wait};
use loom::thread;
use tokio::sync::oneshot;
use tokio::sync::oneshot::error::TryRecvError;

#[test]
fn a_value_is_published() {
    static WAITED: Reached = Reached::new();

    explore("a_value_is_published", || {
        let (sender, receiver) = oneshot::channel();
        let sends = thread::spawn(move || {
            let number = Unguarded::new();
            number.count();
            assert!(sender.send(number).is_ok());
        });
        let number = wait(receiver, &WAITED).expect("it was sent");
        assert_eq!(number.get(), 1);
        sends.join().unwrap();
    });
    WAITED.assert("waited for the value");
}

#[test]
fn a_changed_waker_is_woken() {
    static WAITED: Reached = Reached::new();
    static CHANGED: Reached = Reached::new();

    explore("a_changed_waker_is_woken", || {
        let (sender, mut receiver) = oneshot::channel();
        let sends = thread::spawn(move || assert!(sender.send(1).is_ok()));
        // Each wait has a waker of its own.
        let value = match poll_and_drop(&mut receiver) {
            Some(value) => value,
            None => {
                CHANGED.count();
                wait(receiver, &WAITED)
            }
        };
        assert_eq!(value, Ok(1));
        sends.join().unwrap();
    });
    CHANGED.assert("polled with another waker");
    WAITED.assert("waited for the value");
}

#[test]
fn a_close_races_a_send() {
    static SENT: Reached = Reached::new();
    static REFUSED: Reached = Reached::new();

    explore("a_close_races_a_send", || {
        let (sender, mut receiver) = oneshot::channel();
        let sends = thread::spawn(move || sender.send(1));
        receiver.close();
        let received = receiver.try_recv();
        match sends.join().unwrap() {
            Ok(()) => {
                SENT.count();
                assert_eq!(received, Ok(1));
            }
            Err(value) => {
                REFUSED.count();
                assert_eq!((value, received), (1, Err(TryRecvError::Closed)));
            }
        }
    });
    SENT.assert("sent before the close");
    REFUSED.assert("closed before the send");
}

#[test]
fn the_end_of_the_receiver_wakes_the_sender() {
    static WAITED: Reached = Reached::new();

    explore("the_end_of_the_receiver_wakes_the_sender", || {
        let (mut sender, receiver) = oneshot::channel::<()>();
        let ends = thread::spawn(move || drop(receiver));
        wait(sender.closed(), &WAITED);
        assert!(sender.is_closed());
        ends.join().unwrap();
    });
    WAITED.assert("waited for the end");
}
