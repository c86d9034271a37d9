//! The traits of futures-io, and that they do not get in the way of the inherent methods.

use std::future::poll_fn;
use std::pin::Pin;

use futures_lite::io::{AsyncReadExt, AsyncWriteExt, copy};
use oneloop_net::TcpStream;
use oneloop_runtime::task::spawn;

use crate::support::{listener, pair, pattern, run};

async fn generic_echo<S>(mut stream: S)
where
    S: futures_lite::AsyncRead + futures_lite::AsyncWrite + Unpin,
{
    let mut buf = [0; 100];
    loop {
        match stream.read(&mut buf).await.unwrap() {
            0 => return stream.close().await.unwrap(),
            count => stream.write_all(&buf[..count]).await.unwrap(),
        }
    }
}

#[test]
fn generic_code_works_on_a_stream() {
    run(async {
        let (mut near, far) = pair().await;
        let server = spawn(generic_echo(far));
        near.write_all(b"generic").await.unwrap();
        near.shutdown().await.unwrap();
        let mut back = Vec::new();
        near.read_to_end(&mut back).await.unwrap();
        assert_eq!(back, b"generic");
        server.await.unwrap();
    });
}

#[test]
fn shared_stream_is_copied_to_itself() {
    run(async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let client = spawn(async move {
            let stream = TcpStream::connect(address).await.unwrap();
            let (mut read, mut write) = stream.into_split();
            let sent = pattern(1 << 20);
            let expected = sent.clone();
            let reader = spawn(async move {
                let mut back = Vec::new();
                read.read_to_end(&mut back).await.unwrap();
                assert!(back == expected);
            });
            write.write_all(&sent).await.unwrap();
            write.close().await.unwrap();
            reader.await.unwrap();
        });
        let (stream, _) = listener.accept().await.unwrap();
        copy(&stream, &mut &stream).await.unwrap();
        (&stream).close().await.unwrap();
        client.await.unwrap();
    });
}

#[test]
fn inherent_methods_win_over_the_traits() {
    run(async {
        let (mut near, mut far) = pair().await;
        near.write_all(b"12345").await.unwrap();
        // The trait's method returns nothing, ours the length.
        let count: usize = far.read_exact(&mut [0; 2]).await.unwrap();
        assert_eq!(count, 2);
        let (mut read, _write) = far.split();
        let count: usize = read.read_exact(&mut [0; 2]).await.unwrap();
        assert_eq!(count, 2);
        let mut buf = [0; 8];
        let polled =
            poll_fn(|cx| futures_lite::AsyncRead::poll_read(Pin::new(&mut far), cx, &mut buf));
        assert_eq!(polled.await.unwrap(), 1);
    });
}

#[test]
fn halves_are_readers_and_writers() {
    run(async {
        let (mut near, mut far) = pair().await;
        {
            let (mut read, mut write) = near.split();
            let mut write = Pin::new(&mut write);
            poll_fn(|cx| futures_lite::AsyncWrite::poll_write(write.as_mut(), cx, b"abc"))
                .await
                .unwrap();
            poll_fn(|cx| futures_lite::AsyncWrite::poll_flush(write.as_mut(), cx))
                .await
                .unwrap();
            poll_fn(|cx| futures_lite::AsyncWrite::poll_close(write.as_mut(), cx))
                .await
                .unwrap();
            far.write_all(b"xyz").await.unwrap();
            far.shutdown().await.unwrap();
            let mut back = String::new();
            read.read_to_string(&mut back).await.unwrap();
            assert_eq!(back, "xyz");
        }
        let mut back = String::new();
        far.read_to_string(&mut back).await.unwrap();
        assert_eq!(back, "abc");
    });
}
