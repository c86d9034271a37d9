//! Accepting when the process has run out of descriptors (G8, R20).

use std::fs::File;
use std::future::poll_fn;
use std::io::{Read, Write};
use std::net;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::time::{Duration, Instant};

use oneloop_net::{TcpListener, TcpStream};
use oneloop_runtime::task::spawn;
use oneloop_runtime::time::sleep;
use rustix::event::PollFlags;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::support::{in_own_process, listener, run, until_ready};

const CLIENTS: usize = 200;
/// So many attempts at a full table are waited for.
const ERRORS: u64 = 20;
/// What they take at the least: the pauses between them are 10, 20, 40, 80 and then always 100 ms.
const ERRORS_TIME_MIN: Duration = Duration::from_millis(10 + 20 + 40 + 80 + 15 * 100);

#[test]
fn regression_r20_full_table_is_no_busy_loop_in_accept() {
    in_own_process(
        "accept_faults::regression_r20_full_table_is_no_busy_loop_in_accept",
        || {
            run(full_table(async |listener: &TcpListener| {
                listener.accept().await.unwrap().0
            }));
        },
    );
}

#[test]
fn regression_r20_full_table_is_no_busy_loop_in_poll_accept() {
    in_own_process(
        "accept_faults::regression_r20_full_table_is_no_busy_loop_in_poll_accept",
        || {
            run(full_table(async |listener: &TcpListener| {
                poll_fn(|cx| listener.poll_accept(cx)).await.unwrap().0
            }));
        },
    );
}

#[test]
fn error_of_a_full_table_is_shown_by_try_accept() {
    in_own_process(
        "accept_faults::error_of_a_full_table_is_shown_by_try_accept",
        || {
            run(async {
                let listener = listener().await;
                let client = net::TcpStream::connect(listener.local_addr().unwrap()).unwrap();
                until_ready(&listener, PollFlags::IN);
                let limit = allow_more_descriptors(0);
                let error = listener.try_accept().unwrap_err();
                assert_eq!(error.raw_os_error(), Some(libc::EMFILE));
                assert_eq!(listener.accept_errors(), 0);
                setrlimit(Resource::Nofile, limit).unwrap();
                listener.try_accept().unwrap();
                drop(client);
            });
        },
    );
}

/// Lets the process open `count` more descriptors and returns the limit from before.
fn allow_more_descriptors(count: usize) -> Rlimit {
    let before = getrlimit(Resource::Nofile);
    // The next numbers are the lowest that are free, and a number has to be below the limit.
    let next: Vec<_> = (0..=count)
        .map(|_| File::open("/dev/null").unwrap())
        .collect();
    let limit = u64::try_from(next[count].as_raw_fd()).unwrap();
    setrlimit(
        Resource::Nofile,
        Rlimit {
            current: Some(limit),
            ..before
        },
    )
    .unwrap();
    before
}

fn processor_time() -> Duration {
    let time = clock_gettime(ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap(),
        time.tv_nsec.try_into().unwrap(),
    )
}

/// 200 clients wait, ten can be accepted. The table stays full for some attempts, then the
/// connections that are served free their descriptors.
async fn full_table(accept: impl AsyncFn(&TcpListener) -> TcpStream) {
    let listener = Arc::new(listener().await);
    let address = listener.local_addr().unwrap();
    let mut clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let mut client = net::TcpStream::connect(address).unwrap();
            client.write_all(b"?").unwrap();
            client
        })
        .collect();
    allow_more_descriptors(10);

    let mut held = Vec::new();
    for _ in 0..10 {
        held.push(accept(&listener).await);
    }
    assert_eq!(listener.accept_errors(), 0);
    let full = Arc::clone(&listener);
    // Before the first attempt that fails.
    let (start, used) = (Instant::now(), processor_time());
    let release = spawn(async move {
        // A machine that is busy delays attempts, and makes no more of them.
        while full.accept_errors() < ERRORS {
            sleep(Duration::from_millis(20)).await;
        }
        let (time, used) = (start.elapsed(), processor_time() - used);
        for stream in held {
            spawn(answer(stream));
        }
        (time, used.as_secs_f64() / time.as_secs_f64())
    });
    // Waits in here until `release` has freed the first descriptors.
    for _ in 10..CLIENTS {
        spawn(answer(accept(&listener).await));
    }
    let (time, share) = release.await.unwrap();
    assert!(
        share < 0.05,
        "used {:.1} % of a processor while the table was full",
        share * 100.0
    );
    assert!(time >= ERRORS_TIME_MIN, "{ERRORS} attempts in {time:?}");
    for client in &mut clients {
        let mut answer = [0];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"!");
    }
    report(&format!(
        "share {:.2} %, {ERRORS} errors in {time:?}",
        share * 100.0
    ));
}

/// For who looks at the output: the figures.
fn report(text: &str) {
    // Nobody needs it.
    let _ = writeln!(std::io::stderr(), "{text}");
}

async fn answer(mut stream: TcpStream) {
    stream.read_exact(&mut [0]).await.unwrap();
    stream.write_all(b"!").await.unwrap();
}
