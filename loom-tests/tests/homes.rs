//! Homes: a direction follows its poller, and each former home is told exactly once.
//!
//! The real `reactor/homes.rs`. Bound 2; under a second.

#![cfg(loom)]

use std::sync::atomic::{AtomicUsize, Ordering};

use loom::sync::Arc;
use loom::thread;
use loom_tests::{Reached, explore};
use oneloop_runtime::protocol::homes::Homes;

/// Loop 1 is the home; loops 2 and 3 take over at once. Loop 1 is told by one of them, and the
/// one that came first is told by the other.
#[test]
fn two_loops_take_over() {
    static SECOND_FIRST: Reached = Reached::new();
    static THIRD_FIRST: Reached = Reached::new();

    explore("two_loops_take_over", || {
        let homes = Arc::new(Homes::new());
        assert_eq!(homes.take_over(0, 1, 10), None);
        // told[n]: how often loop n was told that it is no longer the home.
        let told: Arc<[AtomicUsize; 4]> = Arc::new(Default::default());
        let (racing, telling) = (Arc::clone(&homes), Arc::clone(&told));
        let third = thread::spawn(move || {
            if let Some(former) = racing.take_over(0, 3, 30) {
                telling[former as usize].fetch_add(1, Ordering::SeqCst);
            }
        });
        if let Some(former) = homes.take_over(0, 2, 20) {
            told[former as usize].fetch_add(1, Ordering::SeqCst);
        }
        third.join().unwrap();
        let told: Vec<usize> = told
            .iter()
            .map(|count| count.load(Ordering::SeqCst))
            .collect();
        let last = homes.loop_id(0);
        let first = 5 - last;
        assert_eq!(told[1], 1, "the first home is told once");
        assert_eq!(told[first as usize], 1, "who was overtaken is told once");
        assert_eq!(told[last as usize], 0, "the home is not told");
        assert_eq!(homes.slot_at(0, last), Some(last * 10));
        assert_eq!(homes.slot_at(0, first), None);
        assert_eq!(
            homes.slot_at(1, last),
            None,
            "the other direction has its own home"
        );
        if first == 2 {
            SECOND_FIRST.count()
        } else {
            THIRD_FIRST.count()
        }
    });
    SECOND_FIRST.assert("loop 2 came first");
    THIRD_FIRST.assert("loop 3 came first");
}

/// "I am the home", read on the loop's own thread, stays true until another loop takes over and
/// tells: the loop never loses its slot without a message.
#[test]
fn a_home_is_not_lost_in_silence() {
    static TAKEN: Reached = Reached::new();
    static KEPT: Reached = Reached::new();
    explore("a_home_is_not_lost_in_silence", || {
        let homes = Arc::new(Homes::new());
        let told = Arc::new(AtomicUsize::new(0));
        homes.take_over(0, 1, 10);
        let (racing, telling) = (Arc::clone(&homes), Arc::clone(&told));
        let second = thread::spawn(move || {
            if racing.take_over(0, 2, 20) == Some(1) {
                telling.fetch_add(1, Ordering::SeqCst);
            }
        });
        // Loop 1 polls again, and takes it back if it is gone.
        if homes.slot_at(0, 1).is_none() {
            TAKEN.count();
            assert_eq!(homes.take_over(0, 1, 11), Some(2));
        } else {
            KEPT.count();
        }
        second.join().unwrap();
        assert_eq!(told.load(Ordering::SeqCst), 1);
    });
    TAKEN.assert("the other loop was faster");
    KEPT.assert("this loop was faster");
}
