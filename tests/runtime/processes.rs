//! Child processes.

use std::io::ErrorKind;
use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;
use std::time::{Duration, Instant};

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use oneloop::process::Command;
use oneloop::{task, time};
use rustix::process::{Pid, test_kill_process};

use crate::support::{current_thread, each_runtime, two_loops, within_deadline};

fn shell(script: &str) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", script]);
    command
}

#[test]
fn the_status_is_that_of_the_process() {
    within_deadline(|| {
        for runtime in each_runtime() {
            runtime.block_on(async {
                assert_eq!(shell("exit 3").status().await.unwrap().code(), Some(3));
                let mut child = shell("kill -9 $$").spawn().unwrap();
                assert_eq!(child.wait().await.unwrap().signal(), Some(9));
                // Again, from what was seen.
                assert_eq!(child.wait().await.unwrap().signal(), Some(9));
                assert_eq!(child.id(), None);
                child.start_kill().unwrap();
            });
        }
    });
}

/// Loops ask for exact timers; what they start must not inherit that.
#[cfg(target_os = "linux")]
#[test]
fn regression_children_have_the_default_timer_slack() {
    within_deadline(|| {
        let ours = std::fs::read_to_string("/proc/self/timerslack_ns").unwrap();
        let runtime = two_loops();
        let child = || shell("cat /proc/self/timerslack_ns").output();
        let of_task = runtime.block_on(runtime.spawn(async move { child().await.unwrap() }));
        let of_pool = runtime.block_on(runtime.spawn(async move {
            let slack = || {
                let thread = rustix::thread::gettid();
                std::fs::read_to_string(format!("/proc/{thread}/timerslack_ns")).unwrap()
            };
            task::spawn_blocking(slack).await.unwrap()
        }));
        let of_task = String::from_utf8(of_task.unwrap().stdout).unwrap();
        assert_eq!([of_task, of_pool.unwrap()], [ours.clone(), ours]);
    });
}

#[test]
fn bytes_go_through_both_ways() {
    within_deadline(|| {
        for runtime in each_runtime() {
            runtime.block_on(async {
                let mut child = Command::new("cat")
                    .stdin(Stdio::piped())
                    .stdout(Stdio::piped())
                    .spawn()
                    .unwrap();
                let (mut stdin, mut stdout) =
                    (child.stdin.take().unwrap(), child.stdout.take().unwrap());
                let sent: Vec<u8> = (0..1_000_000_u32).map(|n| n as u8).collect();
                let send = sent.clone();
                let writing = task::spawn(async move { stdin.write_all(&send).await });
                let mut received = Vec::new();
                stdout.read_to_end(&mut received).await.unwrap();
                writing.await.unwrap().unwrap();
                assert!(received == sent);
                assert!(child.wait().await.unwrap().success());
            });
        }
    });
}

#[test]
fn output_collects_both_streams() {
    within_deadline(|| {
        let output = two_loops().block_on(shell_output("echo out; echo err >&2; exit 1"));
        assert_eq!(output.stdout, b"out\n");
        assert_eq!(output.stderr, b"err\n");
        assert_eq!(output.status.code(), Some(1));
    });
}

async fn shell_output(script: &str) -> std::process::Output {
    shell(script).output().await.unwrap()
}

#[test]
fn kill_on_drop_kills_and_reaps() {
    within_deadline(|| {
        let runtime = two_loops();
        runtime.block_on(async {
            let child = shell("exec sleep 100").kill_on_drop(true).spawn().unwrap();
            let id = child.id().unwrap();
            drop(child);
            until_gone(id).await;
        });
    });
}

#[test]
fn a_child_dropped_before_its_end_goes_on_and_is_reaped() {
    within_deadline(|| {
        let runtime = two_loops();
        runtime.block_on(async {
            let mut child = shell("read line").stdin(Stdio::piped()).spawn().unwrap();
            let id = child.id().unwrap();
            let stdin = child.stdin.take();
            drop(child);
            time::sleep(Duration::from_millis(20)).await;
            assert!(exists(id));
            drop(stdin);
            until_gone(id).await;
        });
    });
}

#[test]
fn a_child_outlives_its_runtime_and_is_reaped_by_the_next() {
    within_deadline(|| {
        let first = current_thread();
        let child = first.block_on(async { shell("sleep 0.05").spawn().unwrap() });
        let id = child.id().unwrap();
        drop(first);
        drop(child);
        two_loops().block_on(async {
            let start = Instant::now();
            while exists(id) {
                assert!(start.elapsed() < Duration::from_secs(10));
                time::sleep(Duration::from_millis(10)).await;
                shell("true").status().await.unwrap();
            }
        });
    });
}

#[test]
fn a_wait_can_be_given_up_and_taken_up() {
    within_deadline(|| {
        two_loops().block_on(async {
            let mut child = shell("read line").stdin(Stdio::piped()).spawn().unwrap();
            // A wait closes what is still there of the child's input.
            let stdin = child.stdin.take().unwrap();
            let early = time::timeout(Duration::from_millis(10), child.wait()).await;
            assert!(early.is_err());
            assert!(child.try_wait().unwrap().is_none());
            drop(stdin);
            assert!(
                task::spawn(async move { child.wait().await.unwrap() })
                    .await
                    .unwrap()
                    .code()
                    == Some(1),
                "its input ended without a line"
            );
        });
    });
}

#[test]
fn a_program_that_is_not_there_is_an_error() {
    two_loops().block_on(async {
        let error = Command::new("/no/such/program").spawn().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    });
}

fn exists(id: u32) -> bool {
    test_kill_process(Pid::from_raw(i32::try_from(id).unwrap()).unwrap()).is_ok()
}

async fn until_gone(id: u32) {
    while exists(id) {
        time::sleep(Duration::from_millis(5)).await;
    }
}
