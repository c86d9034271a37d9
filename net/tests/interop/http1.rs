//! HTTP/1.1: hyper's server and client on streams of ours.

use std::future::pending;
use std::io;

use hyper::service::service_fn;
use oneloop_net::hyper::{http1_client, serve_connection};
use oneloop_net::tls::TlsStream;
use oneloop_net::{TcpStream, UnixStream};
use oneloop_runtime::task::{JoinHandle, spawn, spawn_local};

use crate::http::{Stretch, answer, collect, get, hash, post};
use crate::support::{pair, run};
use crate::tls::secured;

const MEGABYTES_10: usize = 10_000_000;

/// Whether the bytes that the client reads begin with these.
async fn expect(client: &mut TcpStream, text: &str) -> String {
    let mut got = String::new();
    let mut buf = [0; 1024];
    while !got.contains(text) {
        let count = client.read(&mut buf).await.unwrap();
        assert_ne!(count, 0, "the end instead of {text:?} after {got:?}");
        got.push_str(std::str::from_utf8(&buf[..count]).unwrap());
    }
    got
}

fn serve(stream: TcpStream) -> JoinHandle<io::Result<()>> {
    spawn(serve_connection(stream, service_fn(answer), pending()))
}

#[test]
fn connection_is_kept_alive_and_closed_by_its_client() {
    run(async {
        let (near, far) = pair().await;
        let served = serve(far);
        let (mut sender, connection) = http1_client().handshake(near).await.unwrap();
        let connection = spawn(connection);
        for number in 0..100 {
            let path = format!("/{number}");
            sender.ready().await.unwrap();
            let response = sender.send_request(get(&path)).await.unwrap();
            assert_eq!(collect(response.into_body()).await, path.as_bytes());
        }
        drop(sender);
        connection.await.unwrap().unwrap();
        served.await.unwrap().unwrap();
    });
}

#[test]
fn pipelined_requests_are_answered_in_order() {
    run(async {
        let (mut near, far) = pair().await;
        let served = serve(far);
        let requests: String = ["/a", "/b", "/last"]
            .map(|path| format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n"))
            .concat();
        near.write_all(requests.as_bytes()).await.unwrap();
        let answers = expect(&mut near, "/last").await;
        let at = |text: &str| answers.find(text).unwrap();
        assert!(at("/a") < at("/b") && at("/b") < at("/last"), "{answers}");
        assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 3, "{answers}");
        near.shutdown().await.unwrap();
        served.await.unwrap().unwrap();
    });
}

/// Sends 10 MB of unknown length and compares what comes back.
async fn chunked_echo<S>(near: S)
where
    S: hyper::rt::Read + hyper::rt::Write + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1_client().handshake(near).await.unwrap();
    let connection = spawn_local(connection);
    let response = sender.send_request(post(MEGABYTES_10)).await.unwrap();
    assert_eq!(response.headers()["transfer-encoding"], "chunked");
    let echoed = hash(response.into_body()).await;
    assert_eq!(echoed, (MEGABYTES_10, Stretch::hash_of(MEGABYTES_10)));
    drop(sender);
    connection.await.unwrap().unwrap();
}

#[test]
fn chunked_body_goes_both_ways_at_once() {
    run(async {
        let (near, far) = pair().await;
        let served = serve(far);
        chunked_echo(near).await;
        served.await.unwrap().unwrap();

        let (near, far) = UnixStream::pair().unwrap();
        let served = spawn(serve_connection(far, service_fn(answer), pending()));
        chunked_echo(near).await;
        served.await.unwrap().unwrap();

        let (near, far): (TlsStream<TcpStream>, _) = secured(&["http/1.1"], &["http/1.1"]).await;
        let served = spawn(serve_connection(far, service_fn(answer), pending()));
        chunked_echo(near).await;
        served.await.unwrap().unwrap();
    });
}

#[test]
fn what_is_no_http_gets_a_400() {
    run(async {
        let (mut near, far) = pair().await;
        let served = serve(far);
        near.write_all(b"\x16\x03\x01 no http\r\n\r\n")
            .await
            .unwrap();
        expect(&mut near, "400 Bad Request").await;
        let error = served.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::Other);
    });
}

#[test]
fn request_that_begins_like_the_preface_of_http2_is_http1() {
    run(async {
        let (mut near, far) = pair().await;
        let served = serve(far);
        near.set_nodelay(true).unwrap();
        for piece in [
            "P",
            "R",
            "OPFIND /found HTTP/1.1\r\n",
            "host: localhost\r\n\r\n",
        ] {
            near.write_all(piece.as_bytes()).await.unwrap();
            oneloop_runtime::task::yield_now().await;
        }
        expect(&mut near, "/found").await;
        near.shutdown().await.unwrap();
        served.await.unwrap().unwrap();
    });
}

#[test]
fn connection_becomes_another_protocol() {
    run(async {
        let (mut near, far) = pair().await;
        let upgrade = service_fn(async |mut request| {
            drop(spawn(async move {
                let mut upgraded = hyper::upgrade::on(&mut request).await.unwrap();
                let stream = std::pin::Pin::new(&mut upgraded);
                write_all(stream, b"another").await;
            }));
            let response = hyper::Response::builder()
                .status(101)
                .header("upgrade", "another");
            Ok::<_, hyper::Error>(response.body(String::new()).unwrap())
        });
        let served = spawn_local(serve_connection(far, upgrade, pending()));
        let request =
            "GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: another\r\n\r\n";
        near.write_all(request.as_bytes()).await.unwrap();
        expect(&mut near, "\r\n\r\nanother").await;
        served.await.unwrap().unwrap();
    });
}

async fn write_all(mut stream: std::pin::Pin<&mut hyper::upgrade::Upgraded>, mut bytes: &[u8]) {
    use hyper::rt::Write;
    while !bytes.is_empty() {
        let written = std::future::poll_fn(|cx| stream.as_mut().poll_write(cx, bytes)).await;
        bytes = &bytes[written.unwrap()..];
    }
}
