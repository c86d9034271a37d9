//! What is asked for at the end of a turn comes there: after its tasks, before the loop sleeps.

use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};

use oneloop::runtime::{Builder, wake_at_turn_end};
use oneloop::task::{spawn_local, yield_now};

type Trace = Arc<Mutex<Vec<&'static str>>>;

struct Note(&'static str, Trace);

impl Wake for Note {
    fn wake(self: Arc<Self>) {
        self.1.lock().unwrap().push(self.0);
        assert!(self.0 != "panics", "the loop must not end with this");
    }
}

fn note(name: &'static str, trace: &Trace) -> Waker {
    Waker::from(Arc::new(Note(name, Arc::clone(trace))))
}

#[test]
fn wakers_come_after_the_turns_tasks_and_before_those_that_gave_way() {
    let trace = Trace::default();
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        let tasks = ["first", "second"].map(|name| {
            let trace = Arc::clone(&trace);
            spawn_local(async move {
                trace.lock().unwrap().push(name);
                wake_at_turn_end(&note("at the end", &trace));
                wake_at_turn_end(&note("panics", &trace));
                yield_now().await;
                trace.lock().unwrap().push("next turn");
            })
        });
        for task in tasks {
            task.await.unwrap();
        }
    });
    let expected = [
        "first",
        "second",
        "at the end",
        "panics",
        "at the end",
        "panics",
        "next turn",
        "next turn",
    ];
    assert_eq!(*trace.lock().unwrap(), expected);
}

#[test]
fn the_end_of_a_block_on_is_the_end_of_its_turn() {
    let loops = Builder::new_multi_thread().worker_threads(1).build();
    let current = Builder::new_current_thread().build();
    for runtime in [loops.unwrap(), current.unwrap()] {
        let trace = Trace::default();
        runtime.block_on(async { wake_at_turn_end(&note("root", &trace)) });
        assert_eq!(*trace.lock().unwrap(), ["root"]);
    }
}

#[test]
fn one_that_asks_again_gets_the_next_turn_and_lets_the_loop_go_on() {
    struct Again(Mutex<u32>);
    impl Wake for Again {
        fn wake(self: Arc<Self>) {
            let mut left = self.0.lock().unwrap();
            *left -= 1;
            if *left > 0 {
                wake_at_turn_end(&Waker::from(Arc::clone(&self)));
            }
        }
    }
    let again = Arc::new(Again(Mutex::new(1000)));
    let runtime = Builder::new_current_thread().build().unwrap();
    runtime.block_on(async {
        wake_at_turn_end(&Waker::from(Arc::clone(&again)));
        let mut turns = 0;
        // Each turn has one of them.
        while *again.0.lock().unwrap() > 0 {
            yield_now().await;
            turns += 1;
        }
        assert!(turns >= 1000, "{turns}");
    });
}

#[test]
fn without_a_loop_the_waker_is_woken_at_once() {
    let trace = Trace::default();
    wake_at_turn_end(&note("now", &trace));
    assert_eq!(*trace.lock().unwrap(), ["now"]);
}
