//! Misuse gives one clear text, with the caller's place, and no hang.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use oneloop::io::Source;
use oneloop::runtime::{Builder, Handle, Runtime};
use oneloop::task;

use crate::support::{
    current_thread, each_runtime, one_loop, panic_of, two_loops, within_deadline,
};

#[test]
fn zero_is_refused() {
    let multi = Builder::new_multi_thread;
    assert!(panic_of(|| multi().worker_threads(0).build()).contains("cannot be set to 0"));
    assert!(panic_of(|| multi().max_blocking_threads(0).build()).contains("cannot be set to 0"));
    assert!(panic_of(|| multi().event_interval(0).build()).contains("greater than 0"));
    assert!(panic_of(|| multi().affinity([]).build()).contains("at least one core"));
}

#[test]
fn nested_block_on_panics_and_the_runtime_stays() {
    for runtime in each_runtime() {
        let text = panic_of(|| runtime.block_on(async { runtime.block_on(async {}) }));
        assert!(
            text.starts_with("Cannot start a runtime from within a runtime"),
            "{text}"
        );
        let error = runtime
            .block_on(async { task::spawn(async { Handle::current().block_on(async {}) }).await })
            .unwrap_err();
        assert!(error.to_string().contains("within a runtime"), "{error}");
        assert_eq!(runtime.block_on(async { 1 }), 1);
    }
}

#[test]
fn outside_a_runtime_the_text_says_what_to_do() {
    let texts = [
        panic_of(|| task::spawn(async {})),
        panic_of(|| task::spawn_local(async {})),
        panic_of(|| task::spawn_blocking(|| ())),
        panic_of(|| Source::new(std::io::stdin())),
        panic_of(Handle::current),
    ];
    for text in texts {
        assert!(text.contains("block_on"), "{text}");
    }
    let error = Handle::try_current().unwrap_err();
    assert!(error.is_missing_context() && !error.is_thread_local_destroyed());
}

#[test]
fn panics_have_the_callers_place() {
    static LINE: Mutex<Option<u32>> = Mutex::new(None);
    // The hook is the process's, and other tests panic meanwhile.
    let this_thread = std::thread::current().id();
    let before = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let place = info.location();
        if std::thread::current().id() == this_thread
            && let Some(place) = place.filter(|place| place.file().ends_with("misuse.rs"))
        {
            *LINE.lock().unwrap() = Some(place.line());
        }
    }));
    let mut lines = Vec::new();
    let mut note = |expected: u32| lines.push((Some(expected), LINE.lock().unwrap().take()));
    panic_of(|| task::spawn(async {}));
    note(line!() - 1);
    panic_of(|| Builder::new_multi_thread().worker_threads(0).build());
    note(line!() - 1);
    let runtime = one_loop();
    panic_of(|| runtime.block_on(async { runtime.block_on(async {}) }));
    note(line!() - 1);
    std::panic::set_hook(before);
    for (expected, line) in lines {
        assert_eq!(line, expected);
    }
}

#[test]
fn a_runtime_dropped_inside_async_code_says_so_and_is_shut_down() {
    within_deadline(|| {
        for inner in each_runtime() {
            let handle = inner.handle().clone();
            let outer = current_thread();
            let text = panic_of(|| outer.block_on(async move { drop(inner) }));
            assert!(text.starts_with("Cannot drop a runtime"), "{text}");
            assert!(text.contains("shutdown_background"), "{text}");
            let join = handle.spawn(async {});
            assert!(
                futures_lite::future::block_on(join)
                    .unwrap_err()
                    .is_cancelled()
            );
        }
    });
}

#[test]
fn shutdown_background_inside_async_code_is_fine() {
    within_deadline(|| {
        for inner in each_runtime() {
            current_thread().block_on(async move { inner.shutdown_background() });
        }
    });
}

#[test]
fn a_runtime_dropped_inside_its_own_task_ends() {
    within_deadline(|| {
        let runtime = Arc::new(Mutex::new(None::<Runtime>));
        let inside = Arc::clone(&runtime);
        let built = two_loops();
        let handle = built.handle().clone();
        let gate = crate::support::Gate::default();
        let waiting = gate.clone();
        let join = built.spawn(async move {
            waiting.wait().await;
            drop(inside.lock().unwrap().take());
        });
        *runtime.lock().unwrap() = Some(built);
        gate.open();
        let error = futures_lite::future::block_on(join).unwrap_err();
        assert!(
            error.to_string().contains("Cannot drop a runtime"),
            "{error}"
        );
        let join = handle.spawn(async {});
        assert!(
            futures_lite::future::block_on(join)
                .unwrap_err()
                .is_cancelled()
        );
    });
}

#[test]
fn a_runtime_dropped_while_its_thread_panics_does_not_abort() {
    within_deadline(|| {
        let outer = current_thread();
        let inner = two_loops();
        let text = panic_of(|| {
            outer.block_on(async move {
                let _inner = inner;
                panic!("first")
            })
        });
        assert_eq!(text, "first");
    });
}

#[test]
fn a_loop_of_another_runtime_is_refused() {
    let (one, two) = (one_loop(), two_loops());
    let foreign = one.handle().loop_ids()[0];
    assert!(panic_of(|| two.handle().spawn_on(foreign, || async {})).contains("no loop"));
}

#[test]
fn guards_dropped_out_of_order_are_told() {
    let (one, two) = (one_loop(), two_loops());
    let text = panic_of(|| {
        let first = one.enter();
        let second = two.enter();
        drop(first);
        drop(second);
    });
    assert!(text.contains("reverse order"), "{text}");
}

#[test]
fn a_loop_count_that_is_no_number_is_an_error() {
    // In a process of its own: the environment belongs to all threads.
    let this = std::env::current_exe().unwrap();
    let output = std::process::Command::new(this)
        .args([
            "--exact",
            "misuse::in_child_build_from_environment",
            "--nocapture",
        ])
        .env("ONELOOP_WORKER_THREADS", "many")
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        text.contains("ONELOOP_WORKER_THREADS is \"many\""),
        "{text}"
    );
}

#[test]
fn in_child_build_from_environment() {
    if let Err(error) = Runtime::new() {
        println!("{error}");
    }
}

#[test]
fn regression_the_function_that_names_threads_may_panic_and_look_around() {
    within_deadline(|| {
        let count = Arc::new(AtomicUsize::new(0));
        let third_panics = {
            let count = Arc::clone(&count);
            move || {
                assert!(count.fetch_add(1, Ordering::Relaxed) != 2, "no name");
                "third-panics".to_owned()
            }
        };
        let text = panic_of(|| {
            Builder::new_multi_thread()
                .worker_threads(3)
                .thread_name_fn(third_panics.clone())
                .build()
        });
        assert_eq!(text, "no name");
        assert_eq!(threads_named("third-panics"), 0);

        let runtime = Builder::new_current_thread()
            .thread_name_fn(|| {
                let metrics = Handle::try_current().map(|handle| handle.metrics());
                format!("nul\0 {}", metrics.is_ok())
            })
            .build()
            .unwrap();
        let name = task_name(&runtime);
        assert_eq!(name.as_deref(), Some("nul true"));

        count.store(2, Ordering::Relaxed);
        let runtime = Builder::new_current_thread()
            .thread_name_fn(third_panics)
            .build()
            .unwrap();
        assert_eq!(panic_of(|| runtime.spawn_blocking(|| ())), "no name");
        assert_eq!(task_name(&runtime).as_deref(), Some("third-panics"));
    });
}

/// Threads of this process that go by the name: other tests have theirs meanwhile.
fn threads_named(name: &str) -> usize {
    let threads = std::fs::read_dir("/proc/self/task").unwrap();
    threads
        .filter_map(|thread| std::fs::read_to_string(thread.ok()?.path().join("comm")).ok())
        .filter(|comm| comm.trim_end() == name)
        .count()
}

/// The name of a thread of the pool.
fn task_name(runtime: &Runtime) -> Option<String> {
    let name = || std::thread::current().name().map(str::to_owned);
    runtime.block_on(async { task::spawn_blocking(name).await.unwrap() })
}
