//! The permits under `Semaphore`, `Mutex`, `RwLock` and the bounded channel: S1 to S4.
//!
//! The real `sync/permits.rs` and `sync/wait_list.rs`. Bound 2; seconds each.

#![cfg(loom)]

use compat_loom_tests::{Reached, Unguarded, explore, poll_and_drop, wait};
use loom::sync::Arc;
use loom::thread;
use tokio::sync::Semaphore;

#[test]
fn a_permit_publishes() {
    static WAITED: Reached = Reached::new();

    explore("a_permit_publishes", || {
        let shared = Arc::new((Semaphore::new(1), Unguarded::new()));
        let threads: Vec<_> = (0..2)
            .map(|_| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    let (semaphore, number) = &*shared;
                    let permit = wait(semaphore.acquire(), &WAITED).expect("it is open");
                    number.count();
                    drop(permit);
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
        let (semaphore, number) = &*shared;
        assert_eq!((semaphore.available_permits(), number.get()), (1, 2));
    });
    WAITED.assert("waited for the permit");
}

#[test]
fn two_gifts_meet_one_wait() {
    static WAITED: Reached = Reached::new();

    explore("two_gifts_meet_one_wait", || {
        let shared = Arc::new((Semaphore::new(0), [Unguarded::new(), Unguarded::new()]));
        let threads: Vec<_> = (0..2)
            .map(|index| {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.1[index].count();
                    shared.0.add_permits(1);
                })
            })
            .collect();
        let (semaphore, numbers) = &*shared;
        let permit = wait(semaphore.acquire_many(2), &WAITED).expect("it is open");
        assert_eq!((numbers[0].get(), numbers[1].get()), (1, 1));
        permit.forget();
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(semaphore.available_permits(), 0);
    });
    WAITED.assert("waited for the permits");
}

#[test]
fn a_cancelled_wait_passes_on() {
    static WAITED: Reached = Reached::new();
    static CANCELLED: Reached = Reached::new();

    explore("a_cancelled_wait_passes_on", || {
        let semaphore = Arc::new(Semaphore::new(0));
        let cancels = {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || {
                // Two are never there: it waits, may collect the one, and leaves.
                CANCELLED.count_if(poll_and_drop(semaphore.acquire_many(2)).is_none());
            })
        };
        let gives = {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || semaphore.add_permits(1))
        };
        let permit = wait(semaphore.acquire(), &WAITED).expect("it is open");
        drop(permit);
        cancels.join().unwrap();
        gives.join().unwrap();
        assert_eq!(semaphore.available_permits(), 1);
    });
    WAITED.assert("waited for the permit");
    CANCELLED.assert("left the queue");
}

#[test]
fn a_close_ends_a_wait() {
    static WAITED: Reached = Reached::new();
    static GRANTED: Reached = Reached::new();
    static REFUSED: Reached = Reached::new();

    explore("a_close_ends_a_wait", || {
        let semaphore = Arc::new(Semaphore::new(0));
        let gives = {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || semaphore.add_permits(1))
        };
        let closes = {
            let semaphore = Arc::clone(&semaphore);
            thread::spawn(move || semaphore.close())
        };
        let granted = match wait(semaphore.acquire_many(1), &WAITED) {
            Ok(permit) => {
                permit.forget();
                GRANTED.count();
                1
            }
            Err(_) => {
                REFUSED.count();
                0
            }
        };
        gives.join().unwrap();
        closes.join().unwrap();
        assert_eq!(semaphore.available_permits() + granted, 1);
    });
    WAITED.assert("waited for the permit");
    GRANTED.assert("got it before the close");
    REFUSED.assert("was refused");
}
