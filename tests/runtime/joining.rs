//! Join handles that change hands, and what is known while a task's rest is dropped.

use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, mpsc};
use std::task::{Context, Poll};

use oneloop::task::{self, Id, JoinHandle};

use crate::support::{Gate, current_thread, each_runtime, one_loop, two_loops, within_deadline};

/// Polls a handle once, inside a task.
async fn look<T>(join: &mut JoinHandle<T>) {
    poll_fn(|cx| {
        assert!(Pin::new(&mut *join).poll(cx).is_pending());
        Poll::Ready(())
    })
    .await;
}

/// A task that ends with `value` once the gate is open.
fn gated(gate: &Gate, value: u32) -> impl Future<Output = u32> + Send + 'static {
    let gate = gate.clone();
    async move {
        gate.wait().await;
        value
    }
}

#[test]
fn of_two_tasks_of_the_loop_the_last_to_wait_is_woken() {
    within_deadline(|| {
        let runtime = one_loop();
        let gate = Gate::default();
        let task = gated(&gate, 7);
        let value = runtime.block_on(runtime.spawn(async move {
            let mut join = task::spawn(task);
            let first = task::spawn(async move {
                look(&mut join).await;
                join
            });
            let mut join = first.await.unwrap();
            let second = task::spawn(async move {
                look(&mut join).await;
                join.await.unwrap()
            });
            task::yield_now().await;
            gate.open();
            second.await.unwrap()
        }));
        assert_eq!(value.unwrap(), 7);
    });
}

#[test]
fn of_a_task_and_the_root_the_last_to_wait_is_woken() {
    within_deadline(|| {
        let runtime = current_thread();
        for root_is_last in [true, false] {
            let gate = Gate::default();
            let task = gated(&gate, 7);
            let value = runtime.block_on(async {
                let mut join = task::spawn(task);
                if !root_is_last {
                    look(&mut join).await;
                }
                let looker = task::spawn(async move {
                    look(&mut join).await;
                    if root_is_last {
                        return Err(join);
                    }
                    Ok(join.await.unwrap())
                });
                task::yield_now().await;
                if !root_is_last {
                    gate.open();
                }
                match looker.await.unwrap() {
                    Ok(value) => value,
                    Err(mut join) => {
                        look(&mut join).await;
                        gate.open();
                        join.await.unwrap()
                    }
                }
            });
            assert_eq!(value, 7);
        }
    });
}

/// The place of a task that has ended is that of the next one.
#[test]
fn who_comes_after_a_joiner_that_has_ended_waits_for_its_own() {
    within_deadline(|| {
        let runtime = one_loop();
        let (gate, other_gate) = (Gate::default(), Gate::default());
        let (task, other_task) = (gated(&gate, 9), gated(&other_gate, 10));
        let values = runtime.block_on(runtime.spawn(async move {
            let mut join = task::spawn(task);
            let looker = task::spawn(async move {
                look(&mut join).await;
                join
            });
            let join = looker.await.unwrap();
            let next = task::spawn(async move { task::spawn(other_task).await.unwrap() });
            task::yield_now().await;
            task::yield_now().await;
            // Its end wakes whoever is where the first one was.
            gate.open();
            task::yield_now().await;
            task::yield_now().await;
            assert!(!next.is_finished());
            other_gate.open();
            (join.await.unwrap(), next.await.unwrap())
        }));
        assert_eq!(values.unwrap(), (9, 10));
    });
}

/// Of each hundred some have not been polled yet when the end comes, and some have.
#[test]
fn tasks_that_were_never_polled_are_ended_as_the_others_are() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let dropped = Arc::new(AtomicUsize::new(0));
            let joins: Vec<_> = runtime.block_on(async {
                let spawn = |n| {
                    let counted = Counted(Arc::clone(&dropped));
                    task::spawn(async move {
                        let _counted = counted;
                        if n % 3 == 0 {
                            return n;
                        }
                        std::future::pending().await
                    })
                };
                let mut joins: Vec<_> = (0..100).map(spawn).collect();
                for _ in 0..3 {
                    task::yield_now().await;
                }
                joins.extend((100..200).map(spawn));
                joins
            });
            let abort_handles: Vec<_> = joins.iter().map(JoinHandle::abort_handle).collect();
            drop(runtime);
            assert_eq!(dropped.load(Ordering::Relaxed), 200);
            assert!(abort_handles.iter().all(task::AbortHandle::is_finished));
            abort_handles.iter().for_each(task::AbortHandle::abort);
        }
    });
}

struct Counted(Arc<AtomicUsize>);

impl Drop for Counted {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn a_handle_polled_on_its_loop_is_joined_elsewhere() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let gate = Gate::default();
            let task = gated(&gate, 8);
            let join = runtime.block_on(async {
                task::spawn(async move {
                    let mut join = task::spawn(task);
                    task::yield_now().await;
                    look(&mut join).await;
                    join
                })
                .await
                .unwrap()
            });
            let opener = std::thread::spawn(move || gate.open());
            assert_eq!(runtime.block_on(join).unwrap(), 8);
            opener.join().unwrap();
        }
    });
}

#[test]
fn a_handle_polled_elsewhere_is_joined_on_its_loop() {
    within_deadline(|| {
        let runtime = two_loops();
        let loops = runtime.handle().loop_ids();
        let gate = Gate::default();
        let task = gated(&gate, 9);
        let mut join = runtime.handle().spawn_on(loops[0], move || task);
        let join = runtime.block_on(async {
            look(&mut join).await;
            join
        });
        let joiner = runtime
            .handle()
            .spawn_on(loops[0], move || async move { join.await.unwrap() });
        gate.open();
        assert_eq!(runtime.block_on(joiner).unwrap(), 9);
    });
}

#[test]
fn a_handle_that_was_polled_may_go_before_its_task() {
    within_deadline(|| {
        let runtime = one_loop();
        let gate = Gate::default();
        let task = gated(&gate, 1);
        let (sender, receiver) = mpsc::channel();
        let waiter = runtime.spawn(async move {
            let mut join = task::spawn(async move { sender.send(task.await).unwrap() });
            look(&mut join).await;
        });
        runtime.block_on(waiter).unwrap();
        gate.open();
        assert_eq!(receiver.recv().unwrap(), 1);
    });
}

/// Tells in its drop which task it belongs to.
struct Telling(mpsc::Sender<(Option<Id>, Option<String>)>);

impl Drop for Telling {
    fn drop(&mut self) {
        // The receiver is gone only if the test has failed.
        let _ = self.0.send((task::try_id(), task::name()));
    }
}

#[test]
fn the_id_is_known_while_a_result_is_dropped() {
    within_deadline(|| {
        for runtime in each_runtime() {
            let (sender, receiver) = mpsc::channel();
            runtime.block_on(async {
                let telling = Telling(sender.clone());
                let detached = task::spawn(async move { telling });
                let id = detached.id();
                drop(detached);
                // On two loops the other one may be faster: this is waited for.
                let told = loop {
                    match receiver.try_recv() {
                        Ok((told, _)) => break told,
                        Err(_) => task::yield_now().await,
                    }
                };
                assert_eq!(told, Some(id));
                // Another task ends before the next result is dropped.
                let telling = Telling(sender);
                let kept = task::spawn(async move { telling });
                let kept_id = kept.id();
                while !kept.is_finished() {
                    task::yield_now().await;
                }
                task::spawn(async { String::new() }).await.unwrap();
                drop(kept);
                let (told, _) = receiver.recv().unwrap();
                assert_eq!(told, Some(kept_id));
                assert_eq!(task::try_id(), None);
            });
        }
    });
}

#[test]
fn the_name_is_known_while_a_future_is_dropped_and_in_its_task_alone() {
    within_deadline(|| {
        // One loop: the task inside `block_in_place` is polled inside the poll of this one.
        let runtime = one_loop();
        let (sender, receiver) = mpsc::channel();
        runtime.block_on(async {
            let telling = Telling(sender);
            let named = task::Builder::new().name("bee").spawn(async move {
                let _telling = telling;
                let other = task::block_in_place(|| {
                    oneloop::runtime::Handle::current()
                        .block_on(async { task::spawn(async { task::name() }).await.unwrap() })
                });
                let own = task::name();
                (own, other)
            });
            let id = named.id();
            let (own, other) = named.await.unwrap();
            assert_eq!((own.as_deref(), other), (Some("bee"), None));
            assert_eq!(receiver.recv().unwrap(), (Some(id), Some("bee".to_owned())));
        });
    });
}

#[test]
fn the_name_is_known_while_a_future_is_made_on_its_loop() {
    within_deadline(|| {
        let runtime = two_loops();
        runtime.block_on(async {
            let handle = oneloop::runtime::Handle::current();
            for id in handle.loop_ids() {
                let make = || {
                    let name = task::name();
                    async { name }
                };
                let task = task::Builder::new().name("bee").spawn_on(id, make);
                assert_eq!(task.await.unwrap().as_deref(), Some("bee"));
            }
        });
    });
}

/// A waker of the same data as the task's own is another one if its vtable is.
#[test]
fn a_join_wakes_the_waker_that_it_was_polled_with() {
    within_deadline(|| {
        let runtime = one_loop();
        let join = runtime.spawn(async {
            // By then the loop knows the task by its own waker.
            task::yield_now().await;
            let mut join = task::spawn(async {
                task::yield_now().await;
                task::yield_now().await;
            });
            poll_fn(|cx| {
                let waker = noting::of(cx.waker());
                let mut cx = Context::from_waker(&waker);
                Pin::new(&mut join).poll(&mut cx).map(Result::unwrap)
            })
            .await;
        });
        runtime.block_on(join).unwrap();
        assert!(noting::WOKEN.load(Ordering::Relaxed) > 0);
    });
}

/// A waker that notes that it is woken, and has the data of the one behind it.
mod noting {
    use std::mem::ManuallyDrop;
    use std::sync::OnceLock;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::task::{RawWaker, RawWakerVTable, Waker};

    pub(super) static WOKEN: AtomicUsize = AtomicUsize::new(0);
    static BEHIND: OnceLock<&RawWakerVTable> = OnceLock::new();
    static NOTING: RawWakerVTable = RawWakerVTable::new(clone, wake, wake_by_ref, drop_waker);

    pub(super) fn of(waker: &Waker) -> Waker {
        assert_eq!(*BEHIND.get_or_init(|| waker.vtable()), waker.vtable());
        let waker = ManuallyDrop::new(waker.clone());
        // SAFETY: each function below does what it is called for with the waker behind, whose count
        // goes over to this one.
        unsafe { Waker::from_raw(RawWaker::new(waker.data(), &NOTING)) }
    }

    fn behind(data: *const ()) -> Waker {
        let vtable = BEHIND.get().expect("`of` has set it");
        // SAFETY: `of` takes wakers of this vtable alone.
        unsafe { Waker::from_raw(RawWaker::new(data, vtable)) }
    }

    fn clone(data: *const ()) -> RawWaker {
        let waker = ManuallyDrop::new(behind(data));
        let clone = ManuallyDrop::new((*waker).clone());
        RawWaker::new(clone.data(), &NOTING)
    }

    fn wake(data: *const ()) {
        WOKEN.fetch_add(1, Ordering::Relaxed);
        behind(data).wake();
    }

    fn wake_by_ref(data: *const ()) {
        WOKEN.fetch_add(1, Ordering::Relaxed);
        ManuallyDrop::new(behind(data)).wake_by_ref();
    }

    fn drop_waker(data: *const ()) {
        drop(behind(data));
    }
}
