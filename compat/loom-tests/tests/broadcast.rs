//! `broadcast`: B1 to B3.
//!
//! The real `sync/broadcast.rs` and `sync/wait_list.rs`. Bound 2; seconds each.

#![cfg(loom)]

use compat_loom_tests::{Reached, explore, wait};
use loom::thread;
use tokio::sync::broadcast;
use tokio::sync::broadcast::error::RecvError;

#[test]
fn every_receiver_gets_every_message() {
    static WAITED: Reached = Reached::new();

    explore("every_receiver_gets_every_message", || {
        let (sender, receiver) = broadcast::channel(2);
        let receivers = [receiver, sender.subscribe()];
        let threads: Vec<_> = receivers
            .into_iter()
            .map(|mut receiver| {
                thread::spawn(move || {
                    assert_eq!(wait(receiver.recv(), &WAITED), Ok(1));
                    assert_eq!(wait(receiver.recv(), &WAITED), Err(RecvError::Closed));
                })
            })
            .collect();
        assert_eq!(sender.send(1).unwrap(), 2);
        drop(sender);
        for thread in threads {
            thread.join().unwrap();
        }
    });
    WAITED.assert("waited for a message");
}

#[test]
fn a_slow_receiver_is_told_what_it_lost() {
    static WAITED: Reached = Reached::new();
    static LAGGED: Reached = Reached::new();
    static ALL: Reached = Reached::new();

    explore("a_slow_receiver_is_told_what_it_lost", || {
        let (sender, mut receiver) = broadcast::channel(1);
        let receives = thread::spawn(move || {
            let mut next = 1;
            loop {
                match wait(receiver.recv(), &WAITED) {
                    Ok(n) => {
                        assert_eq!(n, next);
                        next += 1;
                    }
                    Err(RecvError::Lagged(missed)) => next += missed,
                    Err(RecvError::Closed) => return next,
                }
            }
        });
        for n in 1..=2_u64 {
            sender.send(n).unwrap();
        }
        let lagged = sender.is_empty();
        ALL.count_if(lagged);
        LAGGED.count_if(!lagged);
        drop(sender);
        assert_eq!(receives.join().unwrap(), 3);
    });
    WAITED.assert("waited for a message");
    ALL.assert("received before the end");
    LAGGED.assert("was behind at the end");
}

#[test]
fn the_last_receiver_is_missed() {
    static WAITED: Reached = Reached::new();

    explore("the_last_receiver_is_missed", || {
        let (sender, receiver) = broadcast::channel(2);
        sender.send(1).unwrap();
        let other = sender.subscribe();
        let ends = thread::spawn(move || drop(receiver));
        drop(other);
        wait(sender.closed(), &WAITED);
        ends.join().unwrap();
        assert!(sender.is_empty());
    });
    WAITED.assert("waited for the last receiver");
}
