//! HTTP/2: many streams on one connection, whose tasks stay on its loop.

use std::cell::Cell;
use std::convert::Infallible;
use std::future::pending;
use std::rc::Rc;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper::{Request, Response, Version, server};
use oneloop_net::TcpStream;
use oneloop_net::hyper::{LoopTimer, SendExecutor, http2_client, serve_connection};
use oneloop_runtime::task::{JoinHandle, LocalSet, spawn, spawn_local};
use oneloop_runtime::time::timeout;

use crate::http::{Stretch, answer, collect, get, hash, post};
use crate::support::{pair, run};
use crate::tls::secured;

type Sender = hyper::client::conn::http2::SendRequest<Stretch>;

async fn connect<S>(near: S) -> (Sender, JoinHandle<hyper::Result<()>>)
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (sender, connection) = http2_client().handshake(near).await.unwrap();
    (sender, spawn_local(connection))
}

/// Twenty requests at once, each with a body of its own size.
async fn twenty_streams(sender: Sender) {
    let streams: Vec<_> = (1..=20)
        .map(|number| {
            let mut sender = sender.clone();
            spawn_local(async move {
                let bytes = number * 50_000;
                let response = sender.send_request(post(bytes)).await.unwrap();
                assert_eq!(response.version(), Version::HTTP_2);
                let echoed = hash(response.into_body()).await;
                assert_eq!(echoed, (bytes, Stretch::hash_of(bytes)));
            })
        })
        .collect();
    for stream in streams {
        stream.await.unwrap();
    }
}

#[test]
fn streams_of_one_connection_run_side_by_side() {
    run(async {
        let (near, far): (TcpStream, _) = pair().await;
        let served = spawn(serve_connection(far, service_fn(answer), pending()));
        let (sender, connection) = connect(near).await;
        twenty_streams(sender).await;
        connection.await.unwrap().unwrap();
        served.await.unwrap().unwrap();
    });
}

#[test]
fn alpn_and_the_preface_agree_behind_tls() {
    run(async {
        let (near, far) = secured(&["h2", "http/1.1"], &["h2"]).await;
        assert_eq!(near.alpn_protocol(), Some(&b"h2"[..]));
        let served = spawn(serve_connection(far, service_fn(answer), pending()));
        let (sender, connection) = connect(near).await;
        twenty_streams(sender).await;
        connection.await.unwrap().unwrap();
        served.await.unwrap().unwrap();
    });
}

#[test]
fn handlers_share_plain_memory_of_their_loop() {
    run(async {
        let (near, far) = pair().await;
        // Neither this nor the service's future is `Send`.
        let seen = Rc::new(Cell::new(0));
        let count = Rc::clone(&seen);
        let service = service_fn(move |_: Request<Incoming>| {
            let count = Rc::clone(&count);
            async move {
                count.set(count.get() + 1);
                oneloop_runtime::task::yield_now().await;
                Ok::<_, Infallible>(Response::new(count.get().to_string()))
            }
        });
        let served = spawn_local(serve_connection(far, service, pending()));
        let (mut sender, connection) = connect(near).await;
        for expected in 1..=3 {
            let response = sender.send_request(get("/")).await.unwrap();
            let text = collect(response.into_body()).await;
            assert_eq!(text, expected.to_string().as_bytes());
        }
        drop(sender);
        connection.await.unwrap().unwrap();
        served.await.unwrap().unwrap();
        assert_eq!(seen.get(), 3);
    });
}

#[test]
fn local_set_that_is_entered_gets_no_stream() {
    run(async {
        let (near, far) = pair().await;
        let served = spawn_local(serve_connection(far, service_fn(answer), pending()));
        let (mut sender, connection) = connect(near).await;
        let set = LocalSet::new();
        // The loop of this thread polls the connection meanwhile, and nobody polls the set's tasks.
        let entered = set.enter();
        let response = timeout(Duration::from_secs(30), sender.send_request(get("/")));
        collect(response.await.unwrap().unwrap().into_body()).await;
        drop((entered, sender));
        connection.await.unwrap().unwrap();
        served.await.unwrap().unwrap();
    });
}

#[test]
fn streams_may_be_placed_on_other_loops() {
    run(async {
        let (near, far) = pair().await;
        let mut builder = server::conn::http2::Builder::new(SendExecutor);
        builder.timer(LoopTimer);
        let served = spawn(builder.serve_connection(far, service_fn(answer)));
        let (sender, connection) = connect(near).await;
        twenty_streams(sender).await;
        connection.await.unwrap().unwrap();
        served.await.unwrap().unwrap();
    });
}
