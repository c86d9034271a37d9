//! TLS between both ends of ours: bytes, protocols on top, the end.

use std::io;
use std::sync::OnceLock;

use futures_lite::io::{AsyncReadExt, AsyncWriteExt, split};
use futures_lite::{AsyncRead, AsyncWrite};
use oneloop_net::tls::{
    self, SelfSigned, TlsAcceptor, TlsConnector, TlsStream, client_config, server_config,
};
use oneloop_net::{TcpStream, UnixStream};
use oneloop_runtime::task::spawn;

use crate::http::Stretch;
use crate::support::{pair, run};

/// One certificate for all tests: making one takes time.
pub(crate) fn identity() -> &'static SelfSigned {
    static IDENTITY: OnceLock<SelfSigned> = OnceLock::new();
    IDENTITY.get_or_init(|| tls::self_signed(&["localhost", "127.0.0.1"]).unwrap())
}

pub(crate) fn acceptor(alpn: &[&str]) -> TlsAcceptor {
    let SelfSigned { certificate, key } = identity();
    TlsAcceptor::new(server_config(certificate.as_bytes(), key.as_bytes(), alpn).unwrap())
}

pub(crate) fn connector(alpn: &[&str]) -> TlsConnector {
    TlsConnector::new(client_config(identity().certificate.as_bytes(), alpn).unwrap())
}

/// Does the handshake between both ends of a connection.
pub(crate) async fn agree<S>(
    (near, far): (S, S),
    server: &[&str],
    client: &[&str],
) -> (io::Result<TlsStream<S>>, io::Result<TlsStream<S>>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let acceptor = acceptor(server);
    let accepted = spawn(async move { acceptor.accept(far).await });
    let connected = connector(client).connect("localhost", near).await;
    (connected, accepted.await.unwrap())
}

/// A connection over TCP on which both ends have agreed: the client's and the server's end.
pub(crate) async fn secured(
    server: &[&str],
    client: &[&str],
) -> (TlsStream<TcpStream>, TlsStream<TcpStream>) {
    let (near, far) = agree(pair().await, server, client).await;
    (near.unwrap(), far.unwrap())
}

/// Sends 10 MB and compares what comes back, reading and writing in two tasks.
async fn echo_10_megabytes<S>(near: TlsStream<S>, mut far: TlsStream<S>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    const BYTES: usize = 10_000_000;
    let server = spawn(async move {
        let mut buf = vec![0; 10_007];
        loop {
            match far.read(&mut buf).await.unwrap() {
                0 => return far.shutdown().await.unwrap(),
                count => far.write_all(&buf[..count]).await.unwrap(),
            }
        }
    });
    let (mut reader, mut writer) = split(near);
    let sent = spawn(async move {
        let mut body = Stretch::new(BYTES);
        while let Some(bytes) = body.next() {
            writer.write_all(&bytes).await.unwrap();
        }
        writer.close().await.unwrap();
    });
    let mut expected = Stretch::new(BYTES);
    let mut count = 0;
    while let Some(bytes) = expected.next() {
        let mut back = vec![0; bytes.len()];
        reader.read_exact(&mut back).await.unwrap();
        assert!(back == bytes, "other bytes after {count}");
        count += back.len();
    }
    assert_eq!(reader.read(&mut [0; 8]).await.unwrap(), 0);
    assert_eq!(count, BYTES);
    sent.await.unwrap();
    server.await.unwrap();
}

#[test]
fn every_byte_comes_back() {
    run(async {
        let (near, far) = secured(&[], &[]).await;
        echo_10_megabytes(near, far).await;
        let (near, far) = agree(UnixStream::pair().unwrap(), &[], &[]).await;
        echo_10_megabytes(near.unwrap(), far.unwrap()).await;
    });
}

#[test]
fn both_ends_know_the_protocol_they_agreed_on() {
    run(async {
        let (near, far) = secured(&["h2", "http/1.1"], &["http/1.1", "h2"]).await;
        // The server's preference counts.
        assert_eq!(near.alpn_protocol(), Some(&b"h2"[..]));
        assert_eq!(far.alpn_protocol(), Some(&b"h2"[..]));
        let (near, far) = secured(&["h2"], &[]).await;
        assert_eq!((near.alpn_protocol(), far.alpn_protocol()), (None, None));
        let (near, far) = agree(pair().await, &["h2"], &["smtp"]).await;
        assert_eq!(near.unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(far.unwrap_err().kind(), io::ErrorKind::InvalidData);
    });
}

#[test]
fn shutdown_is_seen_as_the_end_and_leaves_the_other_direction_open() {
    run(async {
        let (mut near, mut far) = secured(&[], &[]).await;
        near.write_all(b"last words").await.unwrap();
        near.shutdown().await.unwrap();
        let error = near.write(b"more").await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        let mut words = String::new();
        far.read_to_string(&mut words).await.unwrap();
        assert_eq!(words, "last words");
        // Again and again.
        assert_eq!(far.read(&mut [0; 8]).await.unwrap(), 0);
        far.write_all(b"answer").await.unwrap();
        far.shutdown().await.unwrap();
        let mut answer = String::new();
        near.read_to_string(&mut answer).await.unwrap();
        assert_eq!(answer, "answer");
    });
}

#[test]
fn shutdown_after_the_peer_has_left_is_no_error() {
    run(async {
        let (mut near, mut far) = secured(&[], &[]).await;
        far.shutdown().await.unwrap();
        assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 0);
        drop(far);
        // The `close_notify` is answered by a reset, on this machine before the call returns, so
        // that the socket is not connected any more when its output is ended.
        near.shutdown().await.unwrap();
    });
}

#[test]
fn transfer_of_nothing_says_nothing() {
    run(async {
        let (mut near, _far) = secured(&[], &[]).await;
        assert_eq!(near.read(&mut []).await.unwrap(), 0);
        assert_eq!(near.write(&[]).await.unwrap(), 0);
        near.write_all(&[]).await.unwrap();
    });
}

#[test]
fn session_is_resumed_by_the_same_connector() {
    run(async {
        let (acceptor, connector) = (acceptor(&[]), connector(&[]));
        let mut kinds = Vec::new();
        for _ in 0..2 {
            let (near, far) = pair().await;
            let acceptor = acceptor.clone();
            let served = spawn(async move {
                let mut far = acceptor.accept(far).await.unwrap();
                far.write_all(b"x").await.unwrap();
                far.shutdown().await.unwrap();
            });
            let mut near = connector.connect("localhost", near).await.unwrap();
            // The ticket comes with the first bytes.
            assert_eq!(near.read(&mut [0; 8]).await.unwrap(), 1);
            kinds.push(near.get_ref().1.handshake_kind().unwrap());
            served.await.unwrap();
        }
        use oneloop_net::tls::rustls::HandshakeKind::{Full, Resumed};
        assert_eq!(kinds, [Full, Resumed]);
    });
}

#[test]
fn debug_shows_no_key() {
    let shown = format!("{:?}", identity());
    assert!(shown.contains("BEGIN CERTIFICATE") && !shown.contains("PRIVATE"));
}
