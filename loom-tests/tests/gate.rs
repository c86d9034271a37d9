//! A limit that loops share: what is given back reaches who waits, and nothing is taken twice.
//!
//! The real `net/src/server/gate.rs`, over loom's atomics and mutex. A wake-up that is lost is a
//! deadlock, which loom reports. Bound 2; a few seconds.

#![cfg(loom)]

use std::future::{Future, poll_fn};
use std::pin::Pin;
use std::task::{Context, Waker};

use loom::future::block_on;
use loom::thread;
use loom_tests::{Reached, explore};

mod primitive {
    pub(super) use loom::sync::atomic::{AtomicUsize, Ordering::Relaxed};
    pub(super) use loom::sync::{Mutex, MutexGuard};
    // loom's cannot be the receiver of a method. What it orders is not relied on here.
    pub(super) use std::sync::Arc;
}

#[path = "../../net/src/server/gate.rs"]
mod gate;

use gate::{Gate, Take};
use primitive::Arc;

fn poll_once(take: &mut Pin<Box<Take>>) -> bool {
    let mut cx = Context::from_waker(Waker::noop());
    take.as_mut().poll(&mut cx).is_ready()
}

/// Takes, and tells whether it had to wait.
fn take_and_tell(gate: &Arc<Gate>, amount: usize) -> bool {
    let mut take = Box::pin(gate.take(amount));
    let mut polls = 0;
    block_on(poll_fn(|cx| {
        polls += 1;
        take.as_mut().poll(cx)
    }));
    polls > 1
}

/// One gives back while another comes to wait: it gets what was given, whoever is first.
#[test]
fn a_giver_and_a_waiter() {
    static WAITED: Reached = Reached::new();
    static DID_NOT_WAIT: Reached = Reached::new();
    explore("a_giver_and_a_waiter", || {
        let gate = Arc::new(Gate::new(1));
        assert!(gate.try_take(1));
        let waiter = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let waited = take_and_tell(&gate, 1);
                WAITED.count_if(waited);
                DID_NOT_WAIT.count_if(!waited);
                assert_eq!(gate.taken(), 1, "never more than the limit");
                gate.give(1);
            })
        };
        gate.give(1);
        waiter.join().unwrap();
        assert_eq!((gate.taken(), gate.is_waited_for()), (0, false));
        assert_eq!(gate.limit(), 1);
    });
    WAITED.assert("the waiter was in the queue before the giver came");
    DID_NOT_WAIT.assert("the giver came first");
}

/// Two wait in a queue, and one thread gives back twice.
#[test]
fn two_waiters_and_a_giver() {
    static FIRST_SERVED_ALONE: Reached = Reached::new();
    explore("two_waiters_and_a_giver", || {
        let gate = Arc::new(Gate::new(2));
        assert!(gate.try_take(2));
        let waiters = [1, 2].map(|amount| {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                block_on(gate.take(amount));
                assert!(gate.taken() <= 2, "never more than the limit");
                gate.give(amount);
            })
        });
        gate.give(1);
        FIRST_SERVED_ALONE.count_if(gate.is_waited_for() && gate.taken() == 2);
        gate.give(1);
        for waiter in waiters {
            waiter.join().unwrap();
        }
        assert_eq!((gate.taken(), gate.is_waited_for()), (0, false));
    });
    FIRST_SERVED_ALONE.assert("one was served while the other went on to wait");
}

/// One that waits leaves while room comes for it: who is behind gets the room.
#[test]
fn a_waiter_leaves() {
    static LEFT_SERVED: Reached = Reached::new();
    static LEFT_WAITING: Reached = Reached::new();
    explore("a_waiter_leaves", || {
        let gate = Arc::new(Gate::new(1));
        assert!(gate.try_take(1));
        let mut leaving = Box::pin(gate.take(1));
        assert!(!poll_once(&mut leaving));
        let behind = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                block_on(gate.take(1));
                gate.give(1);
            })
        };
        let giver = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || gate.give(1))
        };
        if poll_once(&mut leaving) {
            LEFT_SERVED.count();
            gate.give(1);
        } else {
            LEFT_WAITING.count();
        }
        drop(leaving);
        giver.join().unwrap();
        behind.join().unwrap();
        assert_eq!((gate.taken(), gate.is_waited_for()), (0, false));
    });
    LEFT_SERVED.assert("it had been served");
    LEFT_WAITING.assert("it left, served or not, before it knew");
}

/// One that asks for much leaves, and there is room for the one behind it: nobody gives back.
#[test]
fn a_large_one_leaves() {
    static WAITED: Reached = Reached::new();
    static DID_NOT_WAIT: Reached = Reached::new();
    explore("a_large_one_leaves", || {
        let gate = Arc::new(Gate::new(2));
        assert!(gate.try_take(1));
        let mut leaving = Box::pin(gate.take(2));
        assert!(!poll_once(&mut leaving));
        let behind = {
            let gate = Arc::clone(&gate);
            thread::spawn(move || {
                let waited = take_and_tell(&gate, 1);
                WAITED.count_if(waited);
                DID_NOT_WAIT.count_if(!waited);
            })
        };
        drop(leaving);
        behind.join().unwrap();
        assert_eq!((gate.taken(), gate.is_waited_for()), (2, false));
    });
    WAITED.assert("it stood behind the one that left");
    DID_NOT_WAIT.assert("the other had left before");
}
