//! Clients that take too long, and servers that are told to stop.
//!
//! The clock is paused: it jumps to the next deadline when nothing else is left to do, so that
//! the limits are tested at their defaults. The sockets are Unix sockets: what one end has written
//! is at the other end when the call returns, and so before the clock jumps.

use std::convert::Infallible;
use std::future::{pending, poll_fn};
use std::io;
use std::pin::pin;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response};
use oneloop_net::UnixStream;
use oneloop_net::hyper::{
    HEADER_READ_TIMEOUT, LoopTimer, http1_client, http1_server, http2_client, rt::Timer,
    serve_connection,
};
use oneloop_runtime::runtime::Builder;
use oneloop_runtime::task::{JoinHandle, spawn_local};
use oneloop_runtime::time::{Instant, sleep};

use crate::http::{answer, collect, get};
use crate::support::Watchdog;

const SECOND: Duration = Duration::from_secs(1);

/// Runs a test on one loop whose clock jumps.
pub(crate) fn paused<F: Future>(test: F) -> F::Output {
    let _watchdog = Watchdog::new();
    let runtime = Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build();
    runtime.unwrap().block_on(test)
}

/// A server's connection, and how it ended and when.
fn serve(far: UnixStream) -> JoinHandle<(io::Result<()>, Duration)> {
    let started = Instant::now();
    spawn_local(async move {
        let served = serve_connection(far, service_fn(answer), pending()).await;
        (served, started.elapsed())
    })
}

fn is_about(elapsed: Duration, expected: Duration) {
    let range = expected..expected + Duration::from_millis(100);
    assert!(range.contains(&elapsed), "{elapsed:?}, not {expected:?}");
}

#[test]
fn half_a_head_is_waited_for_30_seconds() {
    paused(async {
        let (mut near, far) = UnixStream::pair().unwrap();
        let served = serve(far);
        near.write_all(b"GET / HTTP/1.1\r\nhost: ").await.unwrap();
        let (result, elapsed) = served.await.unwrap();
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        is_about(elapsed, HEADER_READ_TIMEOUT);
        // Nothing but the end.
        assert_eq!(near.read(&mut [0; 64]).await.unwrap(), 0);
    });
}

#[test]
fn bytes_now_and_then_do_not_extend_the_limit() {
    paused(async {
        let (mut near, far) = UnixStream::pair().unwrap();
        let served = serve(far);
        near.write_all(b"GET / HTTP/1.1\r\n").await.unwrap();
        let drip = spawn_local(async move {
            while near.write_all(b"a: b\r\n").await.is_ok() {
                sleep(5 * SECOND).await;
            }
        });
        let (result, elapsed) = served.await.unwrap();
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        is_about(elapsed, HEADER_READ_TIMEOUT);
        drip.await.unwrap();
    });
}

#[test]
fn client_that_says_nothing_is_waited_for_30_seconds() {
    paused(async {
        let (_near, far) = UnixStream::pair().unwrap();
        let (result, elapsed) = serve(far).await.unwrap();
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        is_about(elapsed, HEADER_READ_TIMEOUT);
    });
}

#[test]
fn every_head_has_its_own_limit() {
    paused(async {
        let (mut near, far) = UnixStream::pair().unwrap();
        let served = serve(far);
        for _ in 0..3 {
            sleep(20 * SECOND).await;
            near.write_all(b"GET /x HTTP/1.1\r\nhost: a\r\n\r\n")
                .await
                .unwrap();
            let mut buf = [0; 1024];
            let count = near.read(&mut buf).await.unwrap();
            assert!(buf[..count].starts_with(b"HTTP/1.1 200 OK"));
        }
        let (result, elapsed) = served.await.unwrap();
        assert_eq!(result.unwrap_err().kind(), io::ErrorKind::TimedOut);
        is_about(elapsed, 60 * SECOND + HEADER_READ_TIMEOUT);
    });
}

#[test]
fn limit_can_be_changed() {
    paused(async {
        let (mut near, far) = UnixStream::pair().unwrap();
        let started = Instant::now();
        let mut builder = http1_server();
        builder.header_read_timeout(2 * SECOND);
        let served = spawn_local(builder.serve_connection(far, service_fn(answer)));
        near.write_all(b"GET").await.unwrap();
        assert!(served.await.unwrap().unwrap_err().is_timeout());
        is_about(started.elapsed(), 2 * SECOND);
    });
}

#[test]
fn http2_peer_that_does_not_answer_pings_is_given_up() {
    paused(async {
        // The peer takes what comes and says nothing.
        let (near, _far) = UnixStream::pair().unwrap();
        let started = Instant::now();
        let mut builder = http2_client();
        builder
            .keep_alive_interval(20 * SECOND)
            .keep_alive_timeout(5 * SECOND)
            .keep_alive_while_idle(true);
        let (sender, connection) = builder.handshake::<_, String>(near).await.unwrap();
        let error = connection.await.unwrap_err();
        assert!(error.is_timeout(), "{error:?}");
        is_about(started.elapsed(), 25 * SECOND);
        drop(sender);
    });
}

#[test]
fn sleep_is_moved_in_place() {
    paused(async {
        let started = Instant::now();
        let mut sleep = LoopTimer.sleep(10 * SECOND);
        let address = std::ptr::from_ref(&*sleep).cast::<()>();
        LoopTimer.reset(&mut sleep, LoopTimer.now() + 2 * SECOND);
        assert_eq!(std::ptr::from_ref(&*sleep).cast::<()>(), address);
        sleep.await;
        is_about(started.elapsed(), 2 * SECOND);
    });
}

/// A signal for one waiter after the other.
async fn until(flag: Rc<std::cell::Cell<bool>>) {
    while !flag.get() {
        sleep(SECOND).await;
    }
}

#[test]
fn stop_closes_idle_connections_and_answers_what_is_in_flight() {
    paused(async {
        let flag = Rc::new(std::cell::Cell::new(false));
        let slow = |_: Request<Incoming>| async {
            sleep(10 * SECOND).await;
            Ok::<_, Infallible>(Response::new("late".to_owned()))
        };
        let (idle, far) = UnixStream::pair().unwrap();
        let stop = until(Rc::clone(&flag));
        let idle_served = spawn_local(serve_connection(far, service_fn(answer), stop));
        let (mut idle_sender, connection) = http1_client().handshake(idle).await.unwrap();
        let idle_connection = spawn_local(connection);
        let response = idle_sender.send_request(get("/")).await.unwrap();
        assert_eq!(collect(response.into_body()).await, b"/");

        let (near, far) = UnixStream::pair().unwrap();
        let stop = until(Rc::clone(&flag));
        let busy_served = spawn_local(serve_connection(far, service_fn(slow), stop));
        let (mut sender, connection) = http1_client().handshake(near).await.unwrap();
        drop(spawn_local(connection));
        let mut response = pin!(sender.send_request(get("/")));
        poll_fn(|cx| {
            assert!(response.as_mut().poll(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        sleep(SECOND).await;
        let started = Instant::now();
        flag.set(true);
        idle_served.await.unwrap().unwrap();
        idle_connection.await.unwrap().unwrap();
        assert!(started.elapsed() <= 2 * SECOND, "{:?}", started.elapsed());
        let response = response.await.unwrap();
        assert_eq!(collect(response.into_body()).await, b"late");
        busy_served.await.unwrap().unwrap();
    });
}

#[test]
fn stop_closes_a_connection_that_has_said_nothing() {
    paused(async {
        let (mut near, far) = UnixStream::pair().unwrap();
        let served = serve_connection(far, service_fn(answer), sleep(SECOND));
        served.await.unwrap();
        assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0);
    });
}
