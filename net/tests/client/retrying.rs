//! The schedule of a retry policy, exactly, and which errors it goes on after.

use std::cell::RefCell;
use std::future::pending;
use std::io::{self, ErrorKind};
use std::time::Duration;

use oneloop_net::client::{Jitter, RetryPolicy, connect_with, is_transient};
use oneloop_runtime::task::spawn_local;
use oneloop_runtime::time::{Instant, sleep};

use crate::support::{BlackHole, paused, refusing, timed};

fn millis(millis: u64) -> Duration {
    Duration::from_millis(millis)
}

fn refused() -> io::Error {
    ErrorKind::ConnectionRefused.into()
}

/// 100, 200, 350, 350 ms between five tries.
fn policy() -> RetryPolicy {
    RetryPolicy::new()
        .base(millis(100))
        .cap(millis(350))
        .jitter(Jitter::None)
        .attempts_max(5)
}

/// The instants of the tries in ms, and the outcome, of an operation that fails until `good_at`.
async fn tries(policy: &RetryPolicy, good_at: usize) -> (Vec<u128>, io::Result<usize>) {
    let begun = Instant::now();
    let tries = RefCell::new(Vec::new());
    let outcome = policy
        .run(|| {
            tries.borrow_mut().push(begun.elapsed().as_millis());
            let number = tries.borrow().len();
            async move {
                if number < good_at {
                    return Err(refused());
                }
                Ok(number)
            }
        })
        .await;
    (tries.into_inner(), outcome)
}

#[test]
fn delays_are_exact_without_jitter() {
    let waits = |policy: RetryPolicy| -> Vec<u128> {
        policy.delays().map(|delay| delay.as_millis()).collect()
    };
    assert_eq!(waits(policy()), [100, 200, 350, 350]);
    assert_eq!(waits(policy().factor(1.0)), [100; 4]);
    assert_eq!(waits(policy().factor(1.5)), [100, 150, 225, 337]);
    assert_eq!(waits(policy().base(millis(900))), [350; 4]);
    assert_eq!(waits(policy().attempts_max(2)), [100]);
    assert_eq!(waits(policy().attempts_max(1)), [0; 0]);
    assert_eq!(waits(policy().attempts_max(0)), [0; 0]);
    let defaults = RetryPolicy::new().jitter(Jitter::None);
    let expected = [100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600];
    assert_eq!(waits(defaults), expected);
}

#[test]
fn delays_never_overflow() {
    let policy = RetryPolicy::new()
        .base(Duration::MAX / 2)
        .factor(1e300)
        .cap(Duration::MAX)
        .attempts_max(4);
    let exact: Vec<_> = policy.clone().jitter(Jitter::None).delays().collect();
    assert_eq!(exact, [Duration::MAX / 2, Duration::MAX, Duration::MAX]);
    for jitter in [Jitter::Full, Jitter::Equal] {
        assert_eq!(policy.clone().jitter(jitter).delays().count(), 3);
    }
    let forever = RetryPolicy::new().attempts_max(u32::MAX).delays();
    assert!(forever.take(2000).all(|delay| delay <= millis(30_000)));
}

#[test]
fn jitter_stays_in_its_part_of_the_wait() {
    for (jitter, least) in [(Jitter::Full, 0), (Jitter::Equal, 500)] {
        let policy = RetryPolicy::new()
            .base(millis(1000))
            .factor(1.0)
            .jitter(jitter)
            .attempts_max(2001);
        let delays: Vec<u128> = policy.delays().map(|delay| delay.as_millis()).collect();
        let (low, high) = (delays.iter().min().unwrap(), delays.iter().max().unwrap());
        assert!(*low >= least && *low < least + 50, "{jitter:?}: {low}");
        assert!(*high <= 1000 && *high > 950, "{jitter:?}: {high}");
        let mean = delays.iter().sum::<u128>() / 2000;
        let expected = u128::midpoint(least, 1000);
        assert!(mean.abs_diff(expected) < 50, "{jitter:?}: {mean}");
    }
}

#[test]
fn jitter_is_the_same_for_a_seed_and_differs_without() {
    let policy = RetryPolicy::new();
    let seeded = |seed| policy.delays_seeded(seed).collect::<Vec<_>>();
    assert_eq!(seeded(7), seeded(7));
    assert_ne!(seeded(7), seeded(8));
    let drawn = || policy.delays().collect::<Vec<_>>();
    assert_ne!(drawn(), drawn());
}

#[test]
#[should_panic(expected = "`factor` must be at least 1")]
fn factor_below_one_is_a_mistake() {
    let _ = RetryPolicy::new().factor(0.5);
}

#[test]
fn operation_is_tried_by_the_schedule() {
    paused(async {
        let (at, outcome) = tries(&policy(), 99).await;
        assert_eq!(at, [0, 100, 300, 650, 1000]);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionRefused);
        let (at, outcome) = tries(&policy(), 3).await;
        assert_eq!(at, [0, 100, 300]);
        assert_eq!(outcome.unwrap(), 3);
    });
}

#[test]
fn wait_beyond_the_deadline_is_not_begun() {
    paused(async {
        let (took, (at, outcome)) = timed(tries(&policy().deadline(millis(640)), 99)).await;
        assert_eq!(at, [0, 100, 300]);
        assert_eq!(took, 300);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn try_that_lasts_is_cut_at_the_deadline() {
    paused(async {
        let policy = policy().deadline(millis(500));
        let outcome = policy.run(pending::<io::Result<()>>);
        let (took, outcome) = timed(outcome).await;
        assert_eq!(
            (took, outcome.unwrap_err().kind()),
            (500, ErrorKind::TimedOut)
        );
        // What is known of the peer says more than that time is over.
        let mut first = true;
        let outcome = policy.run(|| {
            let is_first = std::mem::take(&mut first);
            async move {
                if is_first {
                    return Err(refused());
                }
                pending::<io::Result<()>>().await
            }
        });
        let (took, outcome) = timed(outcome).await;
        assert_eq!(took, 500);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn only_what_time_may_mend_is_tried_again() {
    use ErrorKind::{
        AddrNotAvailable, ConnectionAborted, ConnectionReset, HostUnreachable, InvalidData,
        InvalidInput, NetworkUnreachable, PermissionDenied, TimedOut, Unsupported,
    };
    for kind in [
        ErrorKind::ConnectionRefused,
        ConnectionReset,
        ConnectionAborted,
        TimedOut,
        HostUnreachable,
        NetworkUnreachable,
        AddrNotAvailable,
    ] {
        assert!(is_transient(&kind.into()), "{kind:?}");
    }
    for kind in [InvalidInput, InvalidData, PermissionDenied, Unsupported] {
        assert!(!is_transient(&kind.into()), "{kind:?}");
    }
    assert!(!is_transient(&io::Error::from_raw_os_error(
        libc::EAFNOSUPPORT
    )));
    assert!(is_transient(&io::Error::from_raw_os_error(libc::EMFILE)));
}

#[test]
fn final_error_ends_at_once() {
    paused(async {
        let mut count = 0;
        let policy = policy();
        let outcome = policy.run(|| {
            count += 1;
            async { Err::<(), _>(ErrorKind::PermissionDenied.into()) }
        });
        let error = outcome.await.unwrap_err();
        assert_eq!((error.kind(), count), (ErrorKind::PermissionDenied, 1));
        let malformed = connect_with("nowhere", policy.clone()).await.unwrap_err();
        assert_eq!(malformed.kind(), ErrorKind::InvalidInput);
    });
}

#[test]
fn own_predicate_decides() {
    paused(async {
        let (at, outcome) = tries(&policy().retry_if(|_| false), 99).await;
        assert_eq!(at, [0]);
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::ConnectionRefused);
    });
}

#[test]
fn server_that_comes_up_later_is_reached() {
    paused(async {
        let (socket, address) = refusing();
        drop(spawn_local(async move {
            sleep(millis(150)).await;
            socket.listen(1).unwrap();
            sleep(millis(1000)).await;
        }));
        let (took, stream) = timed(connect_with(address, policy())).await;
        assert_eq!(stream.unwrap().peer_addr().unwrap(), address);
        assert_eq!(took, 300);
    });
}

#[test]
fn deadline_closes_the_attempt() {
    paused(async {
        let hole = BlackHole::new();
        let policy = policy().deadline(millis(700));
        let (took, outcome) = timed(connect_with(hole.address, policy)).await;
        assert_eq!(outcome.unwrap_err().kind(), ErrorKind::TimedOut);
        assert_eq!((took, hole.attempts()), (700, 0));
    });
}
