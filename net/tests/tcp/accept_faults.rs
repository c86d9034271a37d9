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
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use rustix::time::{ClockId, clock_gettime};

use crate::support::{in_own_process, listener, run};

const CLIENTS: usize = 200;
const FULL: Duration = Duration::from_secs(2);

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

/// 200 clients wait, ten can be accepted. For two seconds the table stays full, then the
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
    let release = spawn(async move {
        let (start, used) = (Instant::now(), processor_time());
        sleep(FULL).await;
        let share = (processor_time() - used).as_secs_f64() / start.elapsed().as_secs_f64();
        let errors = full.accept_errors();
        for stream in held {
            spawn(answer(stream));
        }
        (share, errors)
    });
    // Waits in here until `release` has freed the first descriptors.
    let resumed = Instant::now();
    for _ in 10..CLIENTS {
        spawn(answer(accept(&listener).await));
    }
    let (share, errors) = release.await.unwrap();
    assert!(
        share < 0.05,
        "used {:.1} % of a processor while the table was full",
        share * 100.0
    );
    // After 10, 20, 40, 80 and then every 100 ms.
    assert!((10..=24).contains(&errors), "{errors} attempts in {FULL:?}");
    assert!(
        resumed.elapsed() < FULL + Duration::from_secs(5),
        "{:?}",
        resumed.elapsed()
    );
    for client in &mut clients {
        let mut answer = [0];
        client.read_exact(&mut answer).unwrap();
        assert_eq!(&answer, b"!");
    }
    report(&format!("share {:.2} %, {errors} errors", share * 100.0));
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
