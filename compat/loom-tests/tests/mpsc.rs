//! `mpsc`: K1, Q1 to Q3, W1, C1 and C2.
//!
//! The real `sync/mpsc` and `sync/waker_slot.rs`, with two places in a block. Bound 2; seconds to a
//! minute each.

#![cfg(loom)]

use compat_loom_tests::{Reached, Unguarded, explore, wait};
use loom::thread;
use tokio::sync::mpsc;

#[test]
fn messages_are_published() {
    static WAITED: Reached = Reached::new();

    explore("messages_are_published", || {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let sender = sender.clone();
                thread::spawn(move || {
                    let number = Unguarded::new();
                    number.count();
                    assert!(sender.send(number).is_ok());
                })
            })
            .collect();
        drop(sender);
        let mut received = 0;
        while let Some(number) = wait(receiver.recv(), &WAITED) {
            assert_eq!(number.get(), 1);
            received += 1;
        }
        assert_eq!(received, 2);
        for thread in threads {
            thread.join().unwrap();
        }
    });
    WAITED.assert("waited for a message");
}

#[test]
fn a_sender_that_is_late_finds_its_block() {
    static IN_ORDER: Reached = Reached::new();
    static BETWEEN: Reached = Reached::new();

    explore("a_sender_that_is_late_finds_its_block", || {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        // The first block is full: the senders below have to walk.
        sender.send(0).unwrap();
        sender.send(1).unwrap();
        let two = {
            let sender = sender.clone();
            thread::spawn(move || {
                sender.send(10).unwrap();
                sender.send(11).unwrap();
            })
        };
        let one = thread::spawn(move || sender.send(20).unwrap());
        let mut received = Vec::new();
        while let Some(message) = loom::future::block_on(receiver.recv()) {
            received.push(message);
        }
        two.join().unwrap();
        one.join().unwrap();
        assert_eq!(received[..2], [0, 1]);
        let tens: Vec<_> = received.iter().filter(|n| (10..20).contains(*n)).collect();
        assert_eq!((received.len(), tens), (5, vec![&10, &11]));
        IN_ORDER.count_if(received[4] == 20);
        BETWEEN.count_if(received[3] == 20);
    });
    IN_ORDER.assert("the other sender came last");
    BETWEEN.assert("the other sender came between");
}

#[test]
fn room_that_is_given_back_lets_the_next_in() {
    static WAITED: Reached = Reached::new();

    explore("room_that_is_given_back_lets_the_next_in", || {
        let (sender, mut receiver) = mpsc::channel(1);
        let sends = thread::spawn(move || {
            for n in 0..2 {
                wait(sender.send(n), &WAITED).expect("the receiver is there");
            }
        });
        let mut received = Vec::new();
        while let Some(n) = loom::future::block_on(receiver.recv()) {
            received.push(n);
        }
        assert_eq!(received, [0, 1]);
        sends.join().unwrap();
    });
    WAITED.assert("waited for room");
}

#[test]
fn a_permit_outlives_the_close() {
    static WAITED: Reached = Reached::new();
    static REFUSED: Reached = Reached::new();
    static RECEIVED: Reached = Reached::new();

    explore("a_permit_outlives_the_close", || {
        let (sender, mut receiver) = mpsc::channel(2);
        let reserves = {
            let sender = sender.clone();
            thread::spawn(move || match sender.try_reserve() {
                Ok(permit) => permit.send(1),
                Err(_) => REFUSED.count(),
            })
        };
        let gives_back = thread::spawn(move || drop(sender.try_reserve()));
        receiver.close();
        while let Some(n) = wait(receiver.recv(), &WAITED) {
            assert_eq!(n, 1);
            RECEIVED.count();
        }
        reserves.join().unwrap();
        gives_back.join().unwrap();
        assert!(receiver.try_recv().is_err());
    });
    WAITED.assert("waited for the permits");
    REFUSED.assert("reserved after the close");
    RECEIVED.assert("reserved before the close");
}

#[test]
fn the_end_of_the_receiver_wakes_a_sender() {
    static WAITED: Reached = Reached::new();

    explore("the_end_of_the_receiver_wakes_a_sender", || {
        let (sender, receiver) = mpsc::channel(1);
        sender.try_send(1).unwrap();
        let ends = thread::spawn(move || drop(receiver));
        assert!(wait(sender.send(2), &WAITED).is_err());
        loom::future::block_on(sender.closed());
        ends.join().unwrap();
    });
    WAITED.assert("waited for room");
}

#[test]
fn a_weak_sender_races_the_last() {
    static UPGRADED: Reached = Reached::new();
    static ENDED: Reached = Reached::new();

    explore("a_weak_sender_races_the_last", || {
        let (sender, mut receiver) = mpsc::unbounded_channel();
        let weak = sender.downgrade();
        let upgrades = thread::spawn(move || match weak.upgrade() {
            Some(sender) => {
                UPGRADED.count();
                sender.send(1).unwrap();
                1
            }
            None => {
                ENDED.count();
                0
            }
        });
        drop(sender);
        let mut received = 0;
        while let Some(n) = loom::future::block_on(receiver.recv()) {
            received += n;
        }
        assert_eq!(received, upgrades.join().unwrap());
    });
    UPGRADED.assert("upgraded in time");
    ENDED.assert("came too late");
}
