//! Aborting and detaching, at each moment of a task's life.

use std::sync::mpsc;
use std::thread;

use oneloop::task;

use crate::support::{Fate, Gate, each_runtime, one_loop, two_loops, within_deadline};

#[test]
fn abort_before_the_first_poll_drops_the_future() {
    within_deadline(|| {
        let runtime = one_loop();
        let (gate, fate) = (Gate::default(), Fate::default());
        // The loop is busy until the abort has been said.
        let (entered, wait_entered) = mpsc::channel();
        let (leave, wait_leave) = mpsc::channel::<()>();
        drop(runtime.spawn(async move {
            entered.send(()).unwrap();
            wait_leave.recv().unwrap();
        }));
        wait_entered.recv().unwrap();
        let join = runtime.spawn(fate.pending());
        join.abort();
        gate.open();
        leave.send(()).unwrap();
        assert!(runtime.block_on(join).unwrap_err().is_cancelled());
        assert_eq!(fate.drops(), 1);
    });
}

#[test]
fn abort_of_a_waiting_task_drops_the_future_at_home() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let fate = Fate::default();
            let error = runtime.block_on(async {
                let join = task::spawn(fate.pending());
                task::yield_now().await;
                let abort = join.abort_handle();
                // From a foreign thread.
                thread::spawn(move || abort.abort()).join().unwrap();
                join.await.unwrap_err()
            });
            assert!(error.is_cancelled());
            assert_eq!(fate.drops(), 1);
        }
    });
}

#[test]
fn abort_during_the_poll_ends_the_task_at_its_next_wait() {
    within_deadline(|| {
        let runtime = one_loop();
        let (entered, wait_entered) = mpsc::channel();
        let (leave, wait_leave) = mpsc::channel::<()>();
        let fate = Fate::default();
        let held = fate.pending();
        let join = runtime.spawn(async move {
            entered.send(()).unwrap();
            wait_leave.recv().unwrap();
            held.await;
        });
        wait_entered.recv().unwrap();
        join.abort();
        leave.send(()).unwrap();
        assert!(runtime.block_on(join).unwrap_err().is_cancelled());
        assert_eq!(fate.drops(), 1);
    });
}

#[test]
fn abort_after_the_end_changes_nothing() {
    within_deadline(|| {
        let runtime = two_loops();
        let join = runtime.spawn(async { 5 });
        while !join.is_finished() {
            thread::yield_now();
        }
        join.abort();
        let abort = join.abort_handle();
        assert_eq!(runtime.block_on(join).unwrap(), 5);
        abort.abort();
        drop(runtime);
        abort.abort();
        assert!(abort.is_finished());
    });
}

#[test]
fn abort_twice_and_from_clones_is_one_abort() {
    within_deadline(|| {
        let runtime = two_loops();
        let fate = Fate::default();
        let join = runtime.spawn(fate.pending());
        let aborts = [join.abort_handle(), join.abort_handle().clone()];
        let threads = aborts.map(|abort| thread::spawn(move || abort.abort()));
        join.abort();
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        assert!(runtime.block_on(join).unwrap_err().is_cancelled());
        assert_eq!(fate.drops(), 1);
    });
}

#[test]
fn a_task_may_abort_itself() {
    within_deadline(|| {
        let runtime = one_loop();
        let (sender, receiver) = mpsc::channel::<task::AbortHandle>();
        let join = runtime.spawn(async move {
            receiver.recv().unwrap().abort();
            std::future::pending::<()>().await;
        });
        sender.send(join.abort_handle()).unwrap();
        assert!(runtime.block_on(join).unwrap_err().is_cancelled());
    });
}

#[test]
fn the_joiner_of_an_aborted_task_is_woken() {
    within_deadline(|| {
        let runtime = two_loops();
        runtime.block_on(async {
            let victim = task::spawn(std::future::pending::<()>());
            let abort = victim.abort_handle();
            let joiner = task::spawn(victim);
            task::yield_now().await;
            abort.abort();
            assert!(joiner.await.unwrap().unwrap_err().is_cancelled());
        });
    });
}
