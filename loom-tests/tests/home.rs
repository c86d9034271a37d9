//! Blocks come home: nothing is lost, nothing is doubled, and who waits at the cap is told.
//!
//! The real `buf/home.rs`, with the real inbox where the loop sleeps. Bound 2; a few seconds.

#![cfg(loom)]

use std::sync::atomic::{AtomicUsize, Ordering};

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use loom::thread;
use loom_tests::{Bell, Reached, explore};
use oneloop_runtime::protocol::home::{Arrival, Chain, Home, Node, Owners};
use oneloop_runtime::protocol::inbox::{Duty, Inbox};

/// What a lease writes to, and a count of the drops.
struct Block {
    data: UnsafeCell<u32>,
    drops: std::sync::Arc<AtomicUsize>,
}

impl Block {
    fn node(drops: &std::sync::Arc<AtomicUsize>) -> Box<Node<Self>> {
        Node::new(Self {
            data: UnsafeCell::new(0),
            drops: std::sync::Arc::clone(drops),
        })
    }

    fn write(&self, value: u32) {
        // SAFETY: who has the node alone writes; loom reports it if that is not so.
        self.data.with_mut(|data| unsafe { *data = value });
    }

    fn read(&self) -> u32 {
        // SAFETY: as in `write`.
        self.data.with(|data| unsafe { *data })
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        self.drops.fetch_add(1, Ordering::SeqCst);
    }
}

/// The nodes of a chain, with what was written to them.
fn count(mut chain: Chain<Block>) -> usize {
    let mut count = 0;
    while let Some(node) = chain.pop() {
        assert_eq!(node.read(), 7, "what was done with the block is seen");
        count += 1;
    }
    count
}

/// Two threads send a block home each, and the loop takes them: both, once, with what was written.
#[test]
fn a_node_brings_its_past_along() {
    static EARLY: Reached = Reached::new();
    static LATE: Reached = Reached::new();
    static BOTH: Reached = Reached::new();
    explore("a_node_brings_its_past_along", || {
        let home = Arc::new(Home::new());
        let drops = std::sync::Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (home, node) = (Arc::clone(&home), Block::node(&drops));
                thread::spawn(move || {
                    node.write(7);
                    assert!(matches!(home.push(node), Arrival::Kept), "nobody waits");
                })
            })
            .collect();
        let early = count(home.take());
        EARLY.count_if(early == 1);
        BOTH.count_if(early == 2);
        for thread in threads {
            thread.join().unwrap();
        }
        let late = count(home.take());
        LATE.count_if(late == 2);
        assert_eq!(early + late, 2);
        assert_eq!(drops.load(Ordering::SeqCst), 2);
    });
    EARLY.assert("one was there early");
    BOTH.assert("both were there early");
    LATE.assert("both were late");
}

/// Two threads send a block home each while the loop ends: each is the loop's or the thread's.
#[test]
fn pushes_race_the_end() {
    static TAKEN: Reached = Reached::new();
    static REFUSED: Reached = Reached::new();
    static DIVIDED: Reached = Reached::new();
    explore("pushes_race_the_end", || {
        let home = Arc::new(Home::new());
        let drops = std::sync::Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (home, node) = (Arc::clone(&home), Block::node(&drops));
                thread::spawn(move || {
                    node.write(7);
                    match home.push(node) {
                        Arrival::Kept => 0,
                        Arrival::Tell => panic!("nobody waits"),
                        Arrival::Refused(node) => usize::from(node.read() == 7),
                    }
                })
            })
            .collect();
        let taken = count(home.close());
        let refused: usize = threads.into_iter().map(|it| it.join().unwrap()).sum();
        assert_eq!(taken + refused, 2, "each is in one hand");
        assert_eq!(drops.load(Ordering::SeqCst), 2);
        TAKEN.count_if(taken == 2);
        REFUSED.count_if(refused == 2);
        DIVIDED.count_if(taken == 1);
    });
    TAKEN.assert("both came before the end");
    REFUSED.assert("both came after it");
    DIVIDED.assert("one came before it");
}

/// The loop waits at the cap for two blocks, which two threads send home: it is woken for each.
#[test]
fn a_block_ends_the_wait_at_the_cap() {
    static SLEPT: Reached = Reached::new();
    static TOLD: Reached = Reached::new();
    static NOT_TOLD: Reached = Reached::new();
    static CANCELLED_SLEEP: Reached = Reached::new();
    explore("a_block_ends_the_wait_at_the_cap", || {
        let home = Arc::new(Home::new());
        let loop_side = Arc::new((Inbox::new(), Bell::new()));
        let drops = std::sync::Arc::new(AtomicUsize::new(0));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let (home, node) = (Arc::clone(&home), Block::node(&drops));
                let loop_side = Arc::clone(&loop_side);
                thread::spawn(move || {
                    node.write(7);
                    match home.push(node) {
                        Arrival::Kept => NOT_TOLD.count(),
                        Arrival::Tell => {
                            TOLD.count();
                            let (inbox, bell) = &*loop_side;
                            if inbox.push(()) == Ok(Duty::Ring) {
                                bell.ring();
                            }
                        }
                        Arrival::Refused(_) => panic!("the home is open"),
                    }
                })
            })
            .collect();
        let (inbox, bell) = &*loop_side;
        let mut missing = 2;
        while missing > 0 {
            // As `Pool::serve`: after an empty answer the home is marked as wanted.
            let arrived = count(home.take_or_want());
            missing -= arrived;
            if arrived > 0 {
                continue;
            }
            if inbox.prepare_sleep() {
                SLEPT.count();
                bell.wait();
                inbox.awake();
            } else {
                CANCELLED_SLEEP.count();
            }
            inbox.drain().for_each(drop);
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(drops.load(Ordering::SeqCst), 2);
    });
    SLEPT.assert("slept");
    TOLD.assert("the loop was told");
    NOT_TOLD.assert("a block came without telling");
    CANCELLED_SLEEP.assert("told before the sleep");
}

/// Two leases of one block are dropped at once: one of them is the last, and has the block alone.
#[test]
fn owners_leave_at_once() {
    static HERE: Reached = Reached::new();
    static THERE: Reached = Reached::new();
    explore("owners_leave_at_once", || {
        let block = Arc::new((Owners::new(), UnsafeCell::new(0_u32)));
        block.0.join();
        let leave = |block: &(Owners, UnsafeCell<u32>)| {
            // Each owner has used the block.
            // SAFETY: nobody writes while there are two owners.
            block.1.with(|data| unsafe { *data });
            let is_last = block.0.leave();
            if is_last {
                // SAFETY: the last owner has it alone; loom reports it if that is not so.
                block.1.with_mut(|data| unsafe { *data += 1 });
            }
            is_last
        };
        let other = Arc::clone(&block);
        let thread = thread::spawn(move || leave(&other));
        let is_last_here = leave(&block);
        let is_last_there = thread.join().unwrap();
        assert!(is_last_here != is_last_there, "exactly one is the last");
        // The block is lent out again: the count is one.
        assert!(block.0.leave(), "its next owner is the only one");
        HERE.count_if(is_last_here);
        THERE.count_if(is_last_there);
    });
    HERE.assert("this thread was the last");
    THERE.assert("the other was the last");
}
