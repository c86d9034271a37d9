//! Each application, driven from outside.

mod support;

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::thread;
use std::time::Duration;

use support::{Server, output_of};
use tungstenite::Message;

/// The answer to one request on a connection of its own: head and body.
fn request(address: &str, head: &str, body: &str) -> (String, Vec<u8>) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream
        .set_read_timeout(Some(Duration::from_secs(20)))
        .unwrap();
    let length = body.len();
    write!(
        stream,
        "{head}\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
         content-length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    let end = answer.windows(4).position(|at| at == b"\r\n\r\n").unwrap();
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    (head, answer[end + 4..].to_vec())
}

fn echo_by_websocket(address: &str, path: &str) {
    let stream = TcpStream::connect(address).unwrap();
    let url = format!("ws://{address}{path}");
    let (mut socket, _) = tungstenite::client(url, stream).unwrap();
    for size in [1, 1000, 200_000] {
        let text = "x".repeat(size);
        socket.send(Message::text(text.clone())).unwrap();
        assert_eq!(socket.read().unwrap(), Message::text(text));
    }
    socket.close(None).unwrap();
}

#[test]
fn rest_and_websocket_with_axum() {
    let server = Server::start(env!("CARGO_BIN_EXE_rest"), &[]);
    let item = r#"{"name":"tea","price":3}"#;
    let (head, body) = request(&server.address, "POST /items HTTP/1.1", item);
    assert!(head.starts_with("HTTP/1.1 201"), "{head}");
    assert_eq!(body, item.as_bytes());
    let (_, body) = request(&server.address, "GET /items HTTP/1.1", "");
    assert_eq!(body, format!("[{item}]").as_bytes());
    let (head, _) = request(&server.address, "GET /items/7 HTTP/1.1", "");
    assert!(head.starts_with("HTTP/1.1 404"), "{head}");
    let (head, _) = request(&server.address, "POST /items HTTP/1.1", "{");
    assert!(head.starts_with("HTTP/1.1 400"), "{head}");
    echo_by_websocket(&server.address, "/echo");
}

#[test]
fn axum_finishes_what_is_under_way() {
    let server = Server::start(env!("CARGO_BIN_EXE_rest"), &[]);
    let address = server.address.clone();
    let slow = thread::spawn(move || request(&address, "GET /slow HTTP/1.1", ""));
    assert_eq!(server.line(), "working");
    let output = server.end();
    let (head, body) = slow.join().unwrap();
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body, b"done");
    assert!(output.status.success(), "{output:?}");
    let spans = String::from_utf8_lossy(&output.stderr);
    assert!(
        spans.contains("slow") && spans.contains("working"),
        "{spans}"
    );
}

#[test]
fn echo_with_tokio_tungstenite() {
    let server = Server::start(env!("CARGO_BIN_EXE_websocket"), &[]);
    echo_by_websocket(&server.address, "/");
}

#[test]
fn compressed_files_with_tower_http() {
    let folder = tempfile::tempdir().unwrap();
    let text = "line of a file\n".repeat(10_000);
    std::fs::write(folder.path().join("file.txt"), &text).unwrap();
    let server = Server::start(
        env!("CARGO_BIN_EXE_files"),
        &[folder.path().to_str().unwrap()],
    );
    let (head, body) = request(&server.address, "GET /file.txt HTTP/1.1", "");
    assert!(head.starts_with("HTTP/1.1 200"), "{head}");
    assert_eq!(body, text.as_bytes());
    let accepting = "GET /file.txt HTTP/1.0\r\naccept-encoding: gzip";
    let (head, body) = request(&server.address, accepting, "");
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let mut unpacked = String::new();
    flate2::read::GzDecoder::new(&body[..])
        .read_to_string(&mut unpacked)
        .unwrap();
    assert_eq!(unpacked, text);
    let (head, _) = request(&server.address, "GET /../secret HTTP/1.1", "");
    assert!(head.starts_with("HTTP/1.1 4"), "{head}");
}

#[test]
fn unary_and_streaming_calls_with_tonic() {
    let server = Server::start(env!("CARGO_BIN_EXE_grpc"), &[]);
    let text = output_of(env!("CARGO_BIN_EXE_grpc"), &[&server.address]);
    assert_eq!(
        text,
        "hello world\nnobody to greet\nnumber 0\nnumber 1\nnumber 2\n"
    );
    assert!(server.end().status.success());
}

#[test]
fn tls_with_reqwest() {
    let text = output_of(env!("CARGO_BIN_EXE_https"), &[]);
    assert_eq!(text, "secret\nrefused\n");
}

#[test]
fn sqlite_with_sqlx() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("numbers.db");
    let text = output_of(env!("CARGO_BIN_EXE_database"), &[file.to_str().unwrap()]);
    assert_eq!(text, "100 4950\n");
}

#[test]
fn pipelines_and_channels_with_redis() {
    let address = support::free_address();
    let started = Command::new("redis-server")
        .args([
            "--port",
            &address.port().to_string(),
            "--bind",
            &address.ip().to_string(),
            "--save",
            "",
        ])
        .stdout(Stdio::null())
        .spawn();
    let Ok(redis) = started else {
        println!("skipped: no redis-server on this machine");
        return;
    };
    let mut redis = support::Reaped(redis);
    while TcpStream::connect(address).is_err() {
        assert_eq!(redis.0.try_wait().unwrap(), None, "redis-server has ended");
        thread::sleep(Duration::from_millis(20));
    }
    let text = output_of(env!("CARGO_BIN_EXE_cache"), &[&address.to_string()]);
    assert_eq!(text, "42\n1000\nheard\n");
}
