//! Peers that misbehave: each ends in an error of a fitting kind, in time.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use oneloop_net::tls::{
    HANDSHAKE_TIMEOUT, SelfSigned, TlsConnector, TlsStream, client_config, self_signed,
    server_config,
};
use oneloop_net::{TcpStream, UnixStream};
use oneloop_runtime::task::{spawn, spawn_local, yield_now};
use oneloop_runtime::time::Instant;

use crate::http_limits::paused;
use crate::support::{pair, pattern, run};
use crate::tls::{acceptor, agree, connector, identity, secured};

/// Has a server accept from a peer that sends these bytes, and closes if it is told to. What the
/// server makes of it, and what the peer gets back.
async fn accept_from(bytes: &[u8], closes: bool) -> (io::Error, Vec<u8>) {
    let (mut near, far) = pair().await;
    let accepted = spawn(async move { acceptor(&[]).accept(far).await.map(drop) });
    near.write_all(bytes).await.unwrap();
    if closes {
        near.shutdown().await.unwrap();
    }
    let error = accepted.await.unwrap().unwrap_err();
    let (mut back, mut buf) = (Vec::new(), [0; 64]);
    // The server may have reset the connection.
    while let Ok(count @ 1..) = near.read(&mut buf).await {
        back.extend_from_slice(&buf[..count]);
    }
    (error, back)
}

/// The first record that a client of ours sends.
async fn client_hello() -> Vec<u8> {
    let (near, mut far) = pair().await;
    drop(spawn(async move {
        connector(&[]).connect("localhost", near).await.map(drop)
    }));
    let mut hello = vec![0; 5];
    far.read_exact(&mut hello).await.unwrap();
    let length = usize::from(u16::from_be_bytes([hello[3], hello[4]]));
    hello.resize(5 + length, 0);
    far.read_exact(&mut hello[5..]).await.unwrap();
    hello
}

#[test]
fn garbage_is_invalid_and_the_peer_is_told() {
    run(async {
        let (error, back) = accept_from(b"GET / HTTP/1.1\r\nhost: localhost\r\n\r\n", false).await;
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        // An alert (21), fatal (2).
        assert_eq!((back[0], back[5]), (21, 2), "{back:?}");
        for seed in 0..50 {
            let garbage = &pattern(4000)[seed * 17..];
            let (error, _) = accept_from(garbage, true).await;
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{seed}");
        }
    });
}

#[test]
fn changed_hello_never_hangs_or_panics() {
    run(async {
        let hello = client_hello().await;
        for at in (0..hello.len()).step_by(3) {
            let mut changed = hello.clone();
            changed[at] ^= 0x55;
            let (error, _) = accept_from(&changed, true).await;
            let kind = error.kind();
            let is_fitting = [io::ErrorKind::InvalidData, io::ErrorKind::UnexpectedEof];
            assert!(is_fitting.contains(&kind), "byte {at}: {error}");
        }
    });
}

#[test]
fn handshake_that_is_cut_is_an_unexpected_end() {
    run(async {
        let hello = client_hello().await;
        for length in [0, 1, 5, 100, hello.len()] {
            let (error, _) = accept_from(&hello[..length], true).await;
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{length}");
        }
        let (near, far) = pair().await;
        drop(far);
        let error = connector(&[]).connect("localhost", near).await.unwrap_err();
        let is_fitting = [io::ErrorKind::UnexpectedEof, io::ErrorKind::ConnectionReset];
        assert!(is_fitting.contains(&error.kind()), "{error}");
    });
}

#[test]
fn silent_peer_is_waited_for_10_seconds() {
    let limits = [(None, HANDSHAKE_TIMEOUT), (Some(3), Duration::from_secs(3))];
    for (seconds, expected) in limits {
        paused(async {
            let (near, _silent) = UnixStream::pair().unwrap();
            let (_silent, far) = UnixStream::pair().unwrap();
            let started = Instant::now();
            let (mut server, mut client) = (acceptor(&[]), connector(&[]));
            if let Some(seconds) = seconds {
                server = server.handshake_timeout(Duration::from_secs(seconds));
                client = client.handshake_timeout(Duration::from_secs(seconds));
            }
            let connected = spawn_local(async move { client.connect("localhost", near).await });
            let error = server.accept(far).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            let error = connected.await.unwrap().unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
            let elapsed = started.elapsed();
            let range = expected..expected + Duration::from_millis(100);
            assert!(range.contains(&elapsed), "{elapsed:?}");
        });
    }
}

#[test]
fn end_without_close_notify_is_an_error_after_what_came_before() {
    run(async {
        let (mut near, mut far) = secured(&[], &[]).await;
        far.write_all(b"cut").await.unwrap();
        drop(far);
        let mut buf = [0; 8];
        assert_eq!(near.read(&mut buf).await.unwrap(), 3);
        for _ in 0..2 {
            let error = near.read(&mut buf).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        }
    });
}

#[test]
fn certificate_that_is_not_trusted_or_of_another_name_is_refused() {
    run(async {
        let stranger = self_signed(&["localhost"]).unwrap();
        let roots = stranger.certificate.as_bytes();
        let stranger = TlsConnector::new(client_config(roots, &[]).unwrap());
        for (client, name) in [(stranger, "localhost"), (connector(&[]), "example.org")] {
            let (near, far) = pair().await;
            let accepted = spawn(async move { acceptor(&[]).accept(far).await.map(drop) });
            let error = client.connect(name, near).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
            let error = accepted.await.unwrap().unwrap_err();
            // The client has told it why.
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        }
    });
}

/// A stream that keeps what is written and does not close, while it is told to.
#[derive(Debug)]
struct Held {
    stream: UnixStream,
    kept: Kept,
}

type Kept = Rc<RefCell<Option<Vec<u8>>>>;

impl AsyncRead for Held {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        self.stream.poll_read(cx, buf)
    }
}

impl AsyncWrite for Held {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        match &mut *self.kept.borrow_mut() {
            Some(kept) => kept.extend_from_slice(buf),
            None => return self.stream.poll_write(cx, buf),
        }
        Poll::Ready(Ok(buf.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        // Who waits here hears nothing of the stream.
        match *self.kept.borrow() {
            Some(_) => Poll::Pending,
            None => self.stream.poll_shutdown(cx),
        }
    }
}

async fn agree_held() -> (TlsStream<Held>, TlsStream<UnixStream>, Kept) {
    let (near, far) = UnixStream::pair().unwrap();
    let kept = Kept::default();
    let near = Held {
        stream: near,
        kept: Rc::clone(&kept),
    };
    let accepted = spawn(async move { acceptor(&[]).accept(far).await });
    let near = connector(&[]).connect("localhost", near).await.unwrap();
    (near, accepted.await.unwrap().unwrap(), kept)
}

#[test]
fn records_before_a_broken_one_are_read() {
    run(async {
        let (mut near, mut far, kept) = agree_held().await;
        kept.replace(Some(Vec::new()));
        near.write_all(b"whole").await.unwrap();
        near.write_all(b"broken").await.unwrap();
        let mut records = kept.take().unwrap();
        *records.last_mut().unwrap() ^= 1;
        // Both records come at once.
        let stream = &near.get_ref().0.stream;
        let written = poll_fn(|cx| stream.poll_write(cx, &records)).await.unwrap();
        assert_eq!(written, records.len());

        let mut buf = [0; 16];
        assert_eq!(far.read(&mut buf).await.unwrap(), 5);
        assert_eq!(&buf[..5], b"whole");
        for _ in 0..2 {
            let error = far.read(&mut buf).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        }
        let error = far.write(b"more").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        // The peer has been told.
        let error = near.read(&mut buf).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
    });
}

#[test]
fn peer_that_does_not_read_stops_the_writer() {
    run(async {
        let (mut near, far) = secured(&[], &[]).await;
        let written: usize = poll_fn(|cx| {
            let mut written = 0;
            while let Poll::Ready(count) = Pin::new(&mut near).poll_write(cx, &[0; 16_384]) {
                written += count.unwrap();
                assert!(written < 64 << 20, "nothing stops the writer");
            }
            Poll::Ready(written)
        })
        .await;
        assert!(written > 0);
        // Room for it wakes it up again.
        let reader = spawn(async move { drain(far).await });
        near.shutdown().await.unwrap();
        assert_eq!(reader.await.unwrap(), written);
    });
}

#[test]
fn writer_that_waits_hears_of_a_record_that_broke_the_protocol() {
    run(async {
        // Not TCP, whose room may grow while nobody reads.
        let (near, far) = agree(UnixStream::pair().unwrap(), &[], &[]).await;
        let (mut near, far) = (near.unwrap(), far.unwrap());
        poll_fn(|cx| {
            while Pin::new(&mut near).poll_write(cx, &[0; 16_384]).is_ready() {}
            Poll::Ready(())
        })
        .await;
        let (mut reader, mut writer) = futures_lite::io::split(near);
        let writing = spawn_local(async move { writer.write(b"no room").await });
        yield_now().await;
        assert!(!writing.is_finished());

        let stream = far.get_ref().0;
        let garbage = b"GET / HTTP/1.1\r\n\r\n";
        poll_fn(|cx| stream.poll_write(cx, garbage)).await.unwrap();
        let error = reader.read(&mut [0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        // The peer still reads nothing.
        let error = writing.await.unwrap().unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe, "{error}");
    });
}

#[test]
fn writer_that_waits_for_the_streams_end_hears_of_the_peers_alert() {
    run(async {
        let (near, mut far, kept) = agree_held().await;
        let stream = &near.get_ref().0.stream;
        poll_fn(|cx| stream.poll_write(cx, b"GET / HTTP/1.1\r\n\r\n"))
            .await
            .unwrap();
        kept.replace(Some(Vec::new()));
        let (mut reader, mut writer) = futures_lite::io::split(near);
        let closing = spawn_local(async move { writer.close().await });
        yield_now().await;
        assert!(!closing.is_finished());

        kept.take();
        far.read(&mut [0; 16]).await.unwrap_err();
        let error = reader.read(&mut [0; 16]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{error}");
        closing.await.unwrap().unwrap();
    });
}

async fn drain(mut stream: TlsStream<TcpStream>) -> usize {
    let (mut total, mut buf) = (0, vec![0; 50_000]);
    loop {
        match stream.read(&mut buf).await.unwrap() {
            0 => return total,
            count => total += count,
        }
    }
}

#[test]
fn configuration_that_makes_no_sense_is_refused() {
    let SelfSigned { certificate, key } = identity();
    let (certificate, key) = (certificate.as_bytes(), key.as_bytes());
    let other = self_signed(&["localhost"]).unwrap();
    let longest: &str = &"x".repeat(255);
    let refused = [
        server_config(b"no pem", key, &[]).map(drop),
        server_config(certificate, b"no pem", &[]).map(drop),
        server_config(key, certificate, &[]).map(drop),
        server_config(certificate, other.key.as_bytes(), &[]).map(drop),
        client_config(b"", &[]).map(drop),
        client_config(key, &[]).map(drop),
        server_config(certificate, key, &["h2", ""]).map(drop),
        client_config(certificate, &["h2", ""]).map(drop),
        client_config(certificate, &[&"x".repeat(256)]).map(drop),
        client_config(certificate, &[longest; 33]).map(drop),
        server_config(certificate, key, &[longest; 33]).map(drop),
        self_signed(&["not ascii: ä"]).map(drop),
    ];
    for (at, refused) in refused.into_iter().enumerate() {
        let error = refused.expect_err(&at.to_string());
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput, "{at}: {error}");
    }
    client_config(certificate, &[longest; 32]).unwrap();
    run(async {
        let (near, _far) = pair().await;
        let error = connector(&[])
            .connect("not a name", near)
            .await
            .unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    });
}
