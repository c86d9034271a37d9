//! What a `block_on` leaves behind, and several at once.

use std::net::TcpStream as StdStream;
use std::pin::pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, Mutex, mpsc};
use std::task::{Context, Poll};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use oneloop::net::TcpListener;
use oneloop::runtime::{Builder, Handle, Runtime};
use oneloop::task::{self, LocalSet};
use oneloop::time;
use waker_fn::waker_fn;

use crate::support::{Gate, current_thread, one_loop, panic_of, within_deadline};

/// A thread inside `block_on`, which drives the core of a current-thread runtime until the gate
/// opens.
fn driver(runtime: &Arc<Runtime>) -> (Gate, JoinHandle<()>) {
    let gate = Gate::default();
    let inside = Arc::new(Barrier::new(2));
    let thread = {
        let (runtime, gate, inside) = (Arc::clone(runtime), gate.clone(), Arc::clone(&inside));
        thread::spawn(move || {
            runtime.block_on(async move {
                inside.wait();
                gate.wait().await;
            });
        })
    };
    inside.wait();
    (gate, thread)
}

/// A listener's accept as a task of the set that is running.
fn spawn_accept(address: &mpsc::Sender<std::net::SocketAddr>) -> task::JoinHandle<()> {
    let address = address.clone();
    task::spawn_local(async move {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        address.send(listener.local_addr().unwrap()).unwrap();
        listener.accept().await.unwrap();
    })
}

#[test]
fn regression_tasks_go_on_after_their_driver_has_left_and_another_panicked() {
    within_deadline(|| {
        let runtime = Arc::new(current_thread());
        let (leave, first) = driver(&runtime);
        let (inside, is_inside) = mpsc::channel();
        let [now_panic, go_on] = [Gate::default(), Gate::default()];
        let panics = {
            let (runtime, gate) = (Arc::clone(&runtime), now_panic.clone());
            let inside = inside.clone();
            thread::spawn(move || {
                runtime.block_on(async {
                    inside.send(()).unwrap();
                    gate.wait().await;
                    panic!("beside");
                });
            })
        };
        let waits = {
            let (runtime, gate) = (Arc::clone(&runtime), go_on.clone());
            thread::spawn(move || {
                let later = async move {
                    inside.send(()).unwrap();
                    gate.wait().await;
                    time::sleep(Duration::from_millis(1)).await;
                };
                runtime.block_on(async move { task::spawn(later).await.unwrap() });
            })
        };
        for _ in 0..2 {
            is_inside.recv().unwrap();
        }
        now_panic.open();
        assert!(panics.join().is_err());
        leave.open();
        first.join().unwrap();
        // Nobody is left to drive it but a thread of the runtime's own.
        go_on.open();
        waits.join().unwrap();
    });
}

#[test]
fn regression_local_tasks_stay_when_the_driver_of_the_core_leaves() {
    within_deadline(|| {
        let runtime = Arc::new(current_thread());
        let (leave, first) = driver(&runtime);
        let (inside, is_inside) = mpsc::channel();
        let go_on = Gate::default();
        let beside = {
            let (runtime, gate) = (Arc::clone(&runtime), go_on.clone());
            thread::spawn(move || {
                let later = async move {
                    inside.send(()).unwrap();
                    gate.wait().await;
                    time::sleep(Duration::from_millis(1)).await;
                };
                runtime.block_on(async move { task::spawn_local(later).await })
            })
        };
        is_inside.recv().unwrap();
        leave.open();
        first.join().unwrap();
        go_on.open();
        beside.join().unwrap().unwrap();
    });
}

#[test]
fn regression_a_set_beside_hears_of_its_sources_after_the_driver_has_left() {
    within_deadline(|| {
        let runtime = Arc::new(current_thread());
        let (leave, first) = driver(&runtime);
        let (address, addresses) = mpsc::channel();
        let (waits, does_wait) = mpsc::channel();
        let beside = {
            let runtime = Arc::clone(&runtime);
            thread::spawn(move || {
                let accepted = async move {
                    let accepted = spawn_accept(&address);
                    // It waits by now.
                    task::yield_now().await;
                    waits.send(()).unwrap();
                    accepted.await.unwrap();
                };
                LocalSet::new().block_on(&runtime, accepted);
            })
        };
        let address = addresses.recv().unwrap();
        does_wait.recv().unwrap();
        leave.open();
        first.join().unwrap();
        let _stream = StdStream::connect(address).unwrap();
        beside.join().unwrap();
    });
}

#[test]
fn many_threads_take_turns_at_one_core() {
    within_deadline(|| {
        let runtime = Arc::new(current_thread());
        let threads: Vec<_> = (0..8)
            .map(|_| {
                let runtime = Arc::clone(&runtime);
                thread::spawn(move || {
                    for round in 0..100 {
                        let join = runtime.spawn(async move {
                            task::yield_now().await;
                            round
                        });
                        assert_eq!(runtime.block_on(join).unwrap(), round);
                    }
                })
            })
            .collect();
        for thread in threads {
            thread.join().unwrap();
        }
    });
}

#[test]
fn regression_a_set_takes_its_sources_and_yields_to_another_runtime() {
    within_deadline(|| {
        let (here, there) = (one_loop(), one_loop());
        let set = LocalSet::new();
        let (address, addresses) = mpsc::channel();
        let (accepted, yielded) = set.block_on(&here, async {
            let accepted = spawn_accept(&address);
            time::sleep(Duration::from_millis(20)).await;
            // Its last look at the loop is still to come when this `block_on` ends.
            let yielded = task::spawn_local(async { task::yield_now().await });
            (accepted, yielded)
        });
        let _stream = StdStream::connect(addresses.recv().unwrap()).unwrap();
        there.block_on(set.run_until(async {
            accepted.await.unwrap();
            yielded.await.unwrap();
        }));
    });
}

#[test]
fn regression_a_future_polled_in_a_root_goes_on_in_a_task() {
    within_deadline(|| {
        let runtime = one_loop();
        let (done, is_done) = mpsc::channel();
        let woken = Gate::default();
        let address = runtime.block_on(async {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = listener.local_addr().unwrap();
            let mut accept = Box::pin(async move { listener.accept().await.unwrap() });
            let waker = {
                let woken = woken.clone();
                waker_fn(move || woken.open())
            };
            assert!(
                accept
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
            drop(task::spawn(async move {
                woken.wait().await;
                accept.await;
                done.send(()).unwrap();
            }));
            address
        });
        let _stream = StdStream::connect(address).unwrap();
        is_done.recv().unwrap();
    });
}

#[test]
fn regression_a_local_task_spawned_while_a_root_ends_is_not_polled_elsewhere() {
    within_deadline(|| {
        let runtime = one_loop();
        let polls = Arc::new(Mutex::new(Vec::new()));
        let mut sleep = Box::pin({
            let _entered = runtime.enter();
            time::sleep(Duration::from_secs(3600))
        });
        runtime.block_on(async {
            let polls = Arc::clone(&polls);
            let waker = waker_fn(move || {
                let polls = Arc::clone(&polls);
                drop(task::spawn_local(
                    async move { polls.lock().unwrap().push(()) },
                ));
            });
            assert!(
                sleep
                    .as_mut()
                    .poll(&mut Context::from_waker(&waker))
                    .is_pending()
            );
        });
        thread::scope(|scope| {
            scope.spawn(|| runtime.block_on(task::yield_now()));
        });
        assert!(polls.lock().unwrap().is_empty());
    });
}

/// Spawns onto the loop where it is dropped.
struct SpawnsInDrop(mpsc::Sender<()>);

impl Drop for SpawnsInDrop {
    fn drop(&mut self) {
        drop(task::spawn_local(async {}));
        self.0.send(()).unwrap();
    }
}

#[test]
fn regression_a_root_that_panics_is_dropped_on_its_loop() {
    within_deadline(|| {
        for runtime in [one_loop(), current_thread()] {
            let (noted, note) = mpsc::channel();
            let guard = SpawnsInDrop(noted);
            let root = std::future::poll_fn(move |_| -> Poll<()> {
                let _kept = &guard;
                panic!("root")
            });
            assert_eq!(panic_of(|| runtime.block_on(root)), "root");
            note.recv().unwrap();
        }
    });
}

#[test]
fn regression_wakes_of_a_root_do_not_pile_up() {
    within_deadline(|| {
        let runtime = current_thread();
        let waker = runtime.block_on(std::future::poll_fn(|cx| {
            let waker = cx.waker().clone();
            thread::scope(|scope| {
                scope.spawn(|| (0..10_000).for_each(|_| waker.wake_by_ref()));
            });
            let depth = Handle::current().metrics().loops()[0].inbox_depth;
            assert!(depth <= 1, "{depth} messages for one root");
            Poll::Ready(waker)
        }));
        waker.wake_by_ref();
        assert!(runtime.metrics().loops()[0].inbox_depth <= 1);
    });
}

#[test]
fn regression_blocking_in_many_tasks_does_not_use_up_the_stack() {
    within_deadline(|| {
        let runtime = one_loop();
        let done = Arc::new(AtomicUsize::new(0));
        let joins: Vec<_> = (0..2_000)
            .map(|_| {
                let done = Arc::clone(&done);
                runtime.spawn(async move {
                    task::block_in_place(|| Handle::current().block_on(task::yield_now()));
                    done.fetch_add(1, Ordering::Relaxed);
                })
            })
            .collect();
        for join in joins {
            runtime.block_on(join).unwrap();
        }
        assert_eq!(done.load(Ordering::Relaxed), 2_000);
    });
}

#[test]
fn regression_a_waker_may_turn_the_loop() {
    within_deadline(|| {
        let runtime = one_loop();
        let (address, addresses) = mpsc::channel();
        let woken = Gate::default();
        let join = runtime.spawn(async move {
            let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let waker = {
                let woken = woken.clone();
                waker_fn(move || {
                    let pause = async { time::sleep(Duration::from_millis(1)).await };
                    task::block_in_place(|| Handle::current().block_on(pause));
                    woken.open();
                })
            };
            {
                let mut accept = pin!(listener.accept());
                assert!(
                    accept
                        .as_mut()
                        .poll(&mut Context::from_waker(&waker))
                        .is_pending()
                );
                address.send(listener.local_addr().unwrap()).unwrap();
                woken.wait().await;
            }
        });
        let _stream = StdStream::connect(addresses.recv().unwrap()).unwrap();
        runtime.block_on(join).unwrap();
    });
}

/// The one that drives this runtime leaves, and a task that another waits for beside it goes on.
fn assert_that_those_beside_go_on(runtime: Runtime) {
    let runtime = Arc::new(runtime);
    let [leave, go_on] = [Gate::default(), Gate::default()];
    let (told, tells) = mpsc::channel();
    let drives = {
        let (runtime, gate, told) = (Arc::clone(&runtime), leave.clone(), told.clone());
        let root = async move {
            told.send("drives").unwrap();
            gate.wait().await;
            // After this poll it turns the loop no more for its own sake.
            told.send("leaves").unwrap();
        };
        thread::spawn(move || runtime.block_on(root))
    };
    assert_eq!(tells.recv(), Ok("drives"));
    let waits = {
        let (runtime, gate) = (Arc::clone(&runtime), go_on.clone());
        let root = async move {
            told.send("waits").unwrap();
            task::spawn(async move { gate.wait().await }).await.unwrap();
        };
        thread::spawn(move || runtime.block_on(root))
    };
    assert_eq!(tells.recv(), Ok("waits"));
    leave.open();
    assert_eq!(tells.recv(), Ok("leaves"));
    go_on.open();
    waits.join().unwrap();
    drives.join().unwrap();
}

#[test]
fn regression_a_driver_stays_for_those_beside_if_the_system_has_no_thread() {
    within_deadline(|| {
        let mut builder = Builder::new_current_thread();
        // More than there are addresses.
        builder.thread_stack_size(1 << 50);
        assert_that_those_beside_go_on(builder.build().unwrap());
    });
}

#[test]
fn regression_those_beside_go_on_if_the_name_for_their_thread_panics() {
    within_deadline(|| {
        let mut builder = Builder::new_current_thread();
        builder.thread_name_fn(|| panic!("no name"));
        assert_that_those_beside_go_on(builder.build().unwrap());
    });
}
