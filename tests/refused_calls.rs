//! A system that refuses what a loop cannot do without: an old kernel, a filter of system calls, as
//! containers have them, or descriptors that other code has closed.

#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(oneloop_portable)
))]

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use nix::libc;
use nix::sys::signal::Signal;
use oneloop::runtime::{Builder, LocalRuntime, LoopMetrics};
use oneloop::time;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, apply_filter,
};

const DEADLINE: Duration = Duration::from_secs(30);

#[test]
fn a_system_without_the_wait_is_told_apart_at_the_build() {
    for errno in [Errno::ENOSYS, Errno::EPERM] {
        let (done, all_done) = mpsc::channel();
        // The filter is the thread's, for good.
        thread::spawn(move || {
            refuse_calls(libc::SYS_epoll_pwait2, Vec::new(), errno);
            let workers = Builder::new_multi_thread().worker_threads(2).build();
            assert_is_clear(workers);
            assert_is_clear(Builder::new_current_thread().build());
            assert_is_clear(LocalRuntime::new());
            done.send(()).unwrap();
        });
        all_done
            .recv_timeout(DEADLINE)
            .expect("each build failed clearly");
    }
}

#[track_caller]
fn assert_is_clear<R>(built: io::Result<R>) {
    let error = built.err().expect("no runtime can be built");
    assert_eq!(error.kind(), io::ErrorKind::Unsupported);
    assert!(error.to_string().contains("Linux 5.11"), "{error}");
}

#[test]
fn a_loop_that_cannot_wait_any_more_ends_the_process() {
    ends_its_process(
        "a_loop_that_cannot_wait_any_more_ends_the_process",
        "cannot wait for events: Bad file descriptor",
        || {
            let runtime = Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                refuse_calls(libc::SYS_epoll_pwait2, Vec::new(), Errno::EBADF);
                // So long that the loop has to wait for it, however late it gets there.
                time::sleep(DEADLINE).await;
            });
        },
    );
}

#[test]
fn a_loop_that_cannot_be_woken_any_more_ends_the_process() {
    ends_its_process(
        "a_loop_that_cannot_be_woken_any_more_ends_the_process",
        "cannot be woken: Bad file descriptor",
        || {
            let workers = Builder::new_multi_thread().worker_threads(1).build();
            let workers = workers.unwrap();
            refuse_writes_to_doorbells(Errno::EBADF);
            // Only a loop that sleeps is rung for. The end of a runtime wakes its loops.
            let sleeps = |it: &LoopMetrics| it.parks > it.unparks;
            while !workers.metrics().loops().iter().all(sleeps) {
                thread::yield_now();
            }
            drop(workers);
        },
    );
}

/// Runs `body` alone in a process of its own, which it is to end with this text.
#[track_caller]
fn ends_its_process(test: &str, text: &str, body: impl FnOnce() + Send + 'static) {
    const IN_CHILD: &str = "ONELOOP_TEST_ENDS_ITS_PROCESS";
    if std::env::var_os(IN_CHILD).is_some() {
        let (done, all_done) = mpsc::channel();
        thread::spawn(move || {
            body();
            done.send(()).unwrap();
        });
        // By a panic if it is done, or still waits.
        panic!("the process goes on: {:?}", all_done.recv_timeout(DEADLINE));
    }
    let output = Command::new(std::env::current_exe().unwrap())
        .args([test, "--exact", "--nocapture"])
        .env(IN_CHILD, "1")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(
        output.status.signal(),
        Some(Signal::SIGABRT as i32),
        "{said}"
    );
    assert!(said.contains(text), "{said}");
}

/// Has writes of this thread to eventfds of this process fail.
fn refuse_writes_to_doorbells(errno: Errno) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap();
    let doorbells = descriptors.filter_map(|entry| {
        let path = entry.unwrap().path();
        let file = std::fs::read_link(&path).ok()?;
        let number = path.file_name()?.to_str()?.parse::<u64>().ok()?;
        file.to_str()?.contains("[eventfd]").then_some(number)
    });
    let rules = doorbells.map(|number| {
        let is_it =
            SeccompCondition::new(0, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, number).unwrap();
        SeccompRule::new(vec![is_it]).unwrap()
    });
    refuse_calls(libc::SYS_write, rules.collect(), errno);
}

/// Has a system call fail on this thread: always, or where one of the rules holds.
fn refuse_calls(call: i64, rules: Vec<SeccompRule>, errno: Errno) {
    let filter = SeccompFilter::new(
        BTreeMap::from([(call, rules)]),
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    apply_filter(&program).expect("a thread may filter its own system calls: seccomp(2)");
}
