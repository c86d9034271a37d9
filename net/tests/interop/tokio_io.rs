//! tokio's traits, used as code that is generic over them does.

use std::future::poll_fn;
use std::io::{self, IoSlice};
use std::mem::MaybeUninit;
use std::pin::Pin;

use oneloop_net::unix::pipe::pipe;
use oneloop_net::{TcpStream, UnixStream};
use oneloop_runtime::task::spawn;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::support::{pair, pattern, run, with_std_peer};

/// Reads to the end, in pieces of odd sizes, into memory that is not initialised.
async fn read_to_end(reader: &mut (impl AsyncRead + Unpin)) -> io::Result<Vec<u8>> {
    let mut all = Vec::new();
    loop {
        let mut memory = [MaybeUninit::uninit(); 4099];
        let mut buf = ReadBuf::uninit(&mut memory);
        poll_fn(|cx| Pin::new(&mut *reader).poll_read(cx, &mut buf)).await?;
        match buf.filled() {
            [] => return Ok(all),
            filled => all.extend_from_slice(filled),
        }
    }
}

/// Writes all, every second time from two buffers, and ends the output.
async fn write_and_end(writer: &mut (impl AsyncWrite + Unpin), bytes: &[u8]) -> io::Result<()> {
    assert!(writer.is_write_vectored());
    let (mut left, mut round) = (bytes, 0);
    while !left.is_empty() {
        round += 1;
        let (first, second) = left.split_at(left.len() / 2);
        let slices = [IoSlice::new(first), IoSlice::new(second)];
        let written = poll_fn(|cx| match round % 2 {
            0 => Pin::new(&mut *writer).poll_write_vectored(cx, &slices),
            _ => Pin::new(&mut *writer).poll_write(cx, left),
        });
        left = &left[written.await?..];
    }
    poll_fn(|cx| Pin::new(&mut *writer).poll_flush(cx)).await?;
    poll_fn(|cx| Pin::new(&mut *writer).poll_shutdown(cx)).await
}

/// A megabyte from one end to the other, while the reader runs in a task of its own.
async fn carry<R, W>(mut reader: R, mut writer: W)
where
    R: AsyncRead + Unpin + Send + 'static,
    W: AsyncWrite + Unpin,
{
    let bytes = pattern(1 << 20);
    let received = spawn(async move { read_to_end(&mut reader).await });
    write_and_end(&mut writer, &bytes).await.unwrap();
    drop(writer);
    assert!(received.await.unwrap().unwrap() == bytes);
}

#[test]
fn streams_halves_and_pipes_carry_bytes() {
    run(async {
        let (near, far) = pair().await;
        carry(near, far).await;
        let (near, far) = pair().await;
        let ((near, _near_writer), (_far_reader, far)) = (near.into_split(), far.into_split());
        carry(near, far).await;
        let (near, far) = UnixStream::pair().unwrap();
        carry(near, far).await;
        let (near, far) = UnixStream::pair().unwrap();
        let ((near, _near_writer), (_far_reader, far)) = (near.into_split(), far.into_split());
        carry(near, far).await;
        let (sender, receiver) = pipe().unwrap();
        carry(receiver, sender).await;
    });
}

#[test]
fn borrowed_halves_carry_bytes() {
    run(async {
        let (mut near, mut far) = pair().await;
        let (mut reader, _) = near.split();
        write_and_end(&mut far.split().1, b"tcp").await.unwrap();
        assert_eq!(read_to_end(&mut reader).await.unwrap(), b"tcp");
        let (mut near, mut far) = UnixStream::pair().unwrap();
        let (mut reader, _) = near.split();
        write_and_end(&mut far.split().1, b"unix").await.unwrap();
        assert_eq!(read_to_end(&mut reader).await.unwrap(), b"unix");
    });
}

#[test]
fn read_appends_to_what_the_buffer_holds() {
    run(async {
        let (mut near, mut far) = pair().await;
        far.write_all(b"lo").await.unwrap();
        let mut memory = [0; 8];
        let mut buf = ReadBuf::new(&mut memory);
        buf.put_slice(b"hel");
        poll_fn(|cx| AsyncRead::poll_read(Pin::new(&mut near), cx, &mut buf))
            .await
            .unwrap();
        assert_eq!(buf.filled(), b"hello");
    });
}

#[test]
fn end_of_the_output_of_a_reset_connection_is_no_error() {
    run(async {
        let (mut stream, peer): (TcpStream, _) = with_std_peer().await;
        // Closing with a linger time of zero resets the connection.
        reset_on_close(&peer);
        drop(peer);
        let error = stream.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let error = stream.shutdown().await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotConnected);
        poll_fn(|cx| AsyncWrite::poll_shutdown(Pin::new(&mut stream), cx))
            .await
            .unwrap();
    });
}

fn reset_on_close(peer: &std::net::TcpStream) {
    rustix::net::sockopt::set_socket_linger(peer, Some(std::time::Duration::ZERO)).unwrap();
}
