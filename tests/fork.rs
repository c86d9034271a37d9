//! A process that forks and does not call exec(2): the child is told, and does its parent no harm.
//!
//! A binary of its own with one test, as a fork copies whatever other threads are at.

#![cfg(unix)]

use std::future::poll_fn;
use std::io::{Read, Write};
use std::os::fd::RawFd;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::panic::{self, AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, mpsc};
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use futures_lite::future::or;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::{ForkResult, Pid, close, fork};
use oneloop::net::UnixStream;
use oneloop::runtime::{Builder, Handle, LocalRuntime, LoopMetrics, Runtime};
use oneloop::task;

#[test]
fn a_child_is_told_and_its_parent_goes_on() {
    let mut builder = Builder::new_multi_thread();
    check(builder.worker_threads(2).build().unwrap());
    check(Builder::new_current_thread().build().unwrap());
    check(LocalRuntime::new().unwrap());
    if cfg!(target_os = "linux") {
        check_closed_doorbell(builder.worker_threads(1).build().unwrap());
    }
}

/// A child that has closed what it inherited may still wake a task of its parent's: it does nothing.
fn check_closed_doorbell(runtime: Runtime) {
    let (give, given) = mpsc::channel();
    let waiting = runtime.spawn(poll_fn(move |cx| {
        give.send(cx.waker().clone()).unwrap();
        Poll::<()>::Pending
    }));
    let waker = given.recv_timeout(DEADLINE).unwrap();
    let end = Instant::now() + DEADLINE;
    let sleeps = |metrics: &LoopMetrics| metrics.parks > metrics.unparks;
    while !runtime.metrics().loops().iter().all(sleeps) {
        assert!(Instant::now() < end, "the loop does not sleep");
        thread::yield_now();
    }
    let runtime = in_child(runtime, |copy| {
        let entries = std::fs::read_dir("/proc/self/fd").unwrap();
        // All of them before the first is closed: one is the folder's own.
        for entry in entries.collect::<Vec<_>>() {
            let path = entry.unwrap().path();
            let is_doorbell = std::fs::read_link(&path)
                .is_ok_and(|file| file.to_string_lossy().contains("[eventfd]"));
            if is_doorbell {
                let number = path.file_name().unwrap().to_string_lossy();
                close(number.parse::<RawFd>().unwrap()).unwrap();
            }
        }
        waker.wake_by_ref();
        drop(copy);
    });
    waiting.abort();
    drop(runtime);
}

fn check(runtime: impl Kind) {
    // One that waits for input alone, and one that is ready all the time.
    let (waiting, asking_waiting) = pair();
    let (ready, asking_ready) = pair();
    runtime.drive(async move {
        drop(task::spawn(echo(waiting)));
        drop(task::spawn(or(echo(ready), stay_ready())));
    });
    let exchange_with_both = |runtime: &_| {
        exchange(runtime, &asking_waiting);
        exchange(runtime, &asking_ready);
    };
    exchange_with_both(&runtime);

    let runtime = in_child(runtime, |copy| {
        let handle = copy.handle().clone();
        let id = handle.loop_ids()[0];
        assert_is_told(|| copy.drive(async {}));
        assert_is_told(|| handle.block_on(async {}));
        assert_is_told(|| drop(handle.spawn(async {})));
        assert_is_told(|| drop(handle.spawn_on(id, || async {})));
        assert_is_told(|| drop(handle.spawn_blocking(|| ())));
        // Waits for no thread, and drops no task: its source would go from the parent's poller.
        drop(copy);
        let entered = handle.enter();
        assert_is_told(|| drop(task::spawn(async {})));
        drop(entered);
        let own = Builder::new_multi_thread().worker_threads(1).build();
        let own = own.unwrap();
        own.block_on(own.spawn(async {})).unwrap();
        own.block_on(async {
            assert_is_told(|| drop(handle.spawn(async {})));
            assert_is_told(|| drop(handle.spawn_blocking(|| ())));
        });
    });
    let runtime = in_child(runtime, Kind::shut_down);
    exchange_with_both(&runtime);
}

/// A stream for a task, and its peer.
fn pair() -> (StdUnixStream, StdUnixStream) {
    let (ours, theirs) = StdUnixStream::pair().unwrap();
    ours.set_nonblocking(true).unwrap();
    theirs.set_read_timeout(Some(DEADLINE)).unwrap();
    (ours, theirs)
}

/// The panic has the place of the call.
#[track_caller]
fn assert_is_told(act: impl FnOnce()) {
    let file = Arc::new(Mutex::new(String::new()));
    let before = panic::take_hook();
    panic::set_hook(Box::new({
        let file = Arc::clone(&file);
        move |panic| *file.lock().unwrap() = panic.location().unwrap().file().to_owned()
    }));
    let told = catch_unwind(AssertUnwindSafe(act));
    panic::set_hook(before);
    let payload = told.expect_err("no panic");
    let text = payload.downcast_ref::<&str>().copied().unwrap_or_default();
    assert!(text.contains("made before a fork(2)"), "{text}");
    assert_eq!(*file.lock().unwrap(), file!());
}

/// A runtime of any kind.
trait Kind: Sized {
    fn handle(&self) -> &Handle;
    fn drive(&self, future: impl Future<Output = ()>);
    fn shut_down(self);
}

impl Kind for Runtime {
    fn handle(&self) -> &Handle {
        self.handle()
    }

    fn drive(&self, future: impl Future<Output = ()>) {
        self.block_on(future);
    }

    fn shut_down(self) {
        self.shutdown_timeout(2 * DEADLINE);
    }
}

impl Kind for LocalRuntime {
    fn handle(&self) -> &Handle {
        self.handle()
    }

    fn drive(&self, future: impl Future<Output = ()>) {
        self.block_on(future);
    }

    fn shut_down(self) {
        self.shutdown_timeout(2 * DEADLINE);
    }
}

async fn echo(ours: StdUnixStream) {
    let mut stream = UnixStream::from_std(ours).unwrap();
    let mut letters = [0; 5];
    while stream.read_exact(&mut letters).await.is_ok() {
        stream.write_all(&letters).await.unwrap();
    }
}

async fn stay_ready() {
    loop {
        task::yield_now().await;
    }
}

/// Asks and is answered, by the runtime's task, which then waits for more.
fn exchange(runtime: &impl Kind, theirs: &StdUnixStream) {
    let mut theirs = theirs.try_clone().unwrap();
    let exchanged = async {
        let asking = task::spawn_blocking(move || {
            let mut letters = [0; 5];
            theirs.write_all(b"hello").unwrap();
            theirs.read_exact(&mut letters).unwrap();
            assert_eq!(letters, *b"hello");
        });
        asking.await.unwrap();
    };
    runtime.drive(exchanged);
}

/// Forks. The child does something with its copy, and has to end without a panic.
fn in_child<T>(original: T, act: impl FnOnce(T)) -> T {
    // SAFETY: the child goes on with this thread, which holds no lock; the test's other threads sleep,
    // and the C library makes its allocator's locks right.
    match unsafe { fork() }.unwrap() {
        ForkResult::Parent { child } => {
            assert_ends_well(child);
            original
        }
        ForkResult::Child => {
            let done = catch_unwind(AssertUnwindSafe(|| act(original)));
            // SAFETY: ends the process at once, without what the harness does at its end.
            unsafe { nix::libc::_exit(i32::from(done.is_err())) }
        }
    }
}

#[track_caller]
fn assert_ends_well(child: Pid) {
    let deadline = Instant::now() + DEADLINE;
    loop {
        match waitpid(child, Some(WaitPidFlag::WNOHANG)).unwrap() {
            WaitStatus::StillAlive if Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(1));
            }
            WaitStatus::StillAlive => {
                kill(child, Signal::SIGKILL).unwrap();
                waitpid(child, None).unwrap();
                panic!("the child hangs");
            }
            status => return assert_eq!(status, WaitStatus::Exited(child, 0)),
        }
    }
}

const DEADLINE: Duration = Duration::from_secs(20);
