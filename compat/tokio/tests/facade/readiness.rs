//! What `ready` says: what the system said, and not what may be guessed.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt, Interest, Ready};
use tokio::net::unix::pipe;
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::time::timeout;

const LIMIT: Duration = Duration::from_secs(10);

/// A client, and its connection as it was accepted.
async fn connection() -> (TcpStream, TcpStream) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let client = TcpStream::connect(listener.local_addr().unwrap()).await;
    (client.unwrap(), listener.accept().await.unwrap().0)
}

/// Asks again and again, in turns of the loop, until the answer tells what is looked for.
macro_rules! ready_until {
    ($source:ident, $interest:expr, $told:ident) => {{
        let asks = async {
            loop {
                let ready = $source.ready($interest).await.unwrap();
                if ready.$told() {
                    return ready;
                }
                tokio::task::yield_now().await;
            }
        };
        timeout(LIMIT, asks).await.expect("it is never told")
    }};
}

// An accepted stream is taken for readable until something else is known of it.

#[tokio::test]
async fn an_accepted_stream_tells_of_its_end_beside_unread_bytes() {
    let (mut client, accepted) = connection().await;
    client.write_all(b"x").await.unwrap();
    client.shutdown().await.unwrap();
    let ready = ready_until!(accepted, Interest::READABLE, is_read_closed);
    assert!(ready.is_readable());
}

#[tokio::test]
async fn an_accepted_stream_that_was_read_to_its_end_says_so() {
    let (mut client, mut accepted) = connection().await;
    client.shutdown().await.unwrap();
    assert_eq!(accepted.read(&mut [0; 8]).await.unwrap(), 0);
    ready_until!(accepted, Interest::READABLE, is_read_closed);
}

#[tokio::test]
async fn a_stream_of_a_pair_tells_that_the_other_is_gone() {
    let (one, other) = UnixStream::pair().unwrap();
    drop(other);
    ready_until!(one, Interest::WRITABLE, is_write_closed);
}

#[tokio::test]
async fn a_pipe_tells_that_nobody_reads_it_any_more() {
    let (sender, receiver) = pipe::pipe().unwrap();
    let ready = sender.ready(Interest::WRITABLE).await.unwrap();
    assert_eq!(ready, Ready::WRITABLE);
    drop(receiver);
    let ready = ready_until!(sender, Interest::WRITABLE, is_write_closed);
    assert!(ready.is_writable() && !ready.is_error());
}
