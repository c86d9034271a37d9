//! A system that refuses the one call that a loop cannot do without: an old kernel, or a filter of
//! system calls, as containers have them.

#![cfg(all(
    target_os = "linux",
    any(target_arch = "x86_64", target_arch = "aarch64"),
    not(oneloop_portable)
))]

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::io;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use nix::errno::Errno;
use oneloop::runtime::{Builder, LocalRuntime};
use seccompiler::{BpfProgram, SeccompAction, SeccompFilter, apply_filter};

const DEADLINE: Duration = Duration::from_secs(30);

#[test]
fn a_system_without_the_wait_is_told_apart_at_the_build() {
    for errno in [Errno::ENOSYS, Errno::EPERM] {
        let (done, all_done) = mpsc::channel();
        // The filter is the thread's, for good.
        thread::spawn(move || {
            refuse_wait(errno);
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

/// Has epoll_pwait2(2) fail on this thread.
fn refuse_wait(errno: Errno) {
    /// The same on all architectures: it came after they were made alike.
    const EPOLL_PWAIT2: i64 = 441;
    let filter = SeccompFilter::new(
        BTreeMap::from([(EPOLL_PWAIT2, Vec::new())]),
        SeccompAction::Allow,
        SeccompAction::Errno(errno as u32),
        ARCH.try_into().unwrap(),
    );
    let program: BpfProgram = filter.unwrap().try_into().unwrap();
    apply_filter(&program).expect("a thread may filter its own system calls: seccomp(2)");
}
