//! Connections that break: resets in every state, and no signal.

use std::io;
use std::net;
use std::time::Duration;

use oneloop_net::{TcpListener, TcpStream};
use oneloop_runtime::io::Interest;
use oneloop_runtime::task::spawn;
use oneloop_runtime::time::sleep;

use crate::raw;
use crate::support::{in_own_process, listener, pair, run, spawn_until_it_waits, with_std_peer};

/// Closes a connection so that the other end is reset.
fn reset(peer: net::TcpStream) {
    socket2::SockRef::from(&peer)
        .set_linger(Some(Duration::ZERO))
        .unwrap();
    drop(peer);
}

#[test]
fn reset_ends_a_waiting_read() {
    run(async {
        let (mut stream, peer) = with_std_peer().await;
        let reader = spawn_until_it_waits(async move {
            let error = stream.read(&mut [0; 16]).await.unwrap_err();
            // The error was the kernel's one report; afterwards the stream is at its end.
            (error.kind(), stream.read(&mut [0; 16]).await.unwrap())
        })
        .await;
        reset(peer);
        assert_eq!(reader.await.unwrap(), (io::ErrorKind::ConnectionReset, 0));
    });
}

#[test]
fn reset_ends_a_waiting_write() {
    run(async {
        let (mut stream, peer) = with_std_peer().await;
        let writer = spawn_until_it_waits(async move {
            loop {
                if let Err(error) = stream.write(&[0; 65536]).await {
                    return error.kind();
                }
            }
        })
        .await;
        reset(peer);
        let kind = writer.await.unwrap();
        assert!(
            matches!(
                kind,
                io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
            ),
            "{kind:?}"
        );
    });
}

#[test]
fn reset_wakes_both_directions() {
    run(async {
        let (stream, peer) = with_std_peer().await;
        let (mut read, mut write) = stream.into_split();
        let reading = async move { read.read(&mut [0; 16]).await.is_err() };
        let reader = spawn_until_it_waits(reading).await;
        let writing = async move { while write.write(&[0; 65536]).await.is_ok() {} };
        let writer = spawn_until_it_waits(writing).await;
        reset(peer);
        // The kernel tells its error once: to one of them as an error, to the other as the end.
        reader.await.unwrap();
        writer.await.unwrap();
    });
}

#[test]
fn reset_after_the_end_is_an_error_of_the_write() {
    run(async {
        let (mut stream, peer) = with_std_peer().await;
        peer.shutdown(net::Shutdown::Write).unwrap();
        assert_eq!(stream.read(&mut [0; 4]).await.unwrap(), 0);
        reset(peer);
        let error = loop {
            match stream.write(b"x").await {
                Ok(_) => sleep(Duration::from_millis(1)).await,
                Err(error) => break error.kind(),
            }
        };
        assert!(matches!(
            error,
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
        ));
    });
}

#[test]
fn readiness_after_a_reset_says_that_both_directions_are_over() {
    run(async {
        let (stream, peer) = with_std_peer().await;
        assert!(stream.try_read(&mut [0]).is_err());
        reset(peer);
        stream.readable().await.unwrap();
        stream.writable().await.unwrap();
        let ready = stream
            .ready(Interest::READABLE | Interest::WRITABLE)
            .await
            .unwrap();
        assert!(ready.is_readable() && ready.is_writable(), "{ready:?}");
        assert!(stream.peer_addr().is_err());
        assert_eq!(
            stream.take_error().unwrap().unwrap().kind(),
            io::ErrorKind::ConnectionReset
        );
        assert!(stream.take_error().unwrap().is_none());
    });
}

#[test]
fn zero_linger_resets_the_peer() {
    run(async {
        let (stream, mut far) = pair().await;
        stream.set_zero_linger().unwrap();
        assert_eq!(stream.linger().unwrap(), Some(Duration::ZERO));
        drop(stream);
        let error = far.read(&mut [0]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
    });
}

#[test]
fn connection_that_was_reset_before_accept_is_accepted_and_broken() {
    run(async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        for _ in 0..50 {
            let client = net::TcpStream::connect(address).unwrap();
            reset(client);
        }
        let last = net::TcpStream::connect(address).unwrap();
        // Linux hands out dead connections; others refuse them with ECONNABORTED. In both cases
        // the one that lives is found.
        loop {
            let (mut stream, peer) = listener.accept().await.unwrap();
            if peer == last.local_addr().unwrap() {
                break;
            }
            assert!(stream.read(&mut [0]).await.is_err());
        }
    });
}

#[test]
fn storm_of_resets_leaves_the_listener_alive() {
    run(async {
        let listener = listener().await;
        let address = listener.local_addr().unwrap();
        let server = spawn(async move {
            let mut served = 0;
            while served < 500 {
                let (stream, _) = listener.accept().await.unwrap();
                served += 1;
                spawn(serve(stream));
            }
            listener
        });
        for number in 0..500 {
            let mut client = TcpStream::connect(address).await.unwrap();
            if number % 2 == 0 {
                // It may be reset by the other end already: that end resets at random, too.
                let _ = client.write(b"x").await;
            }
            client.set_zero_linger().unwrap();
        }
        let listener: TcpListener = server.await.unwrap();
        let _client = TcpStream::connect(address).await.unwrap();
        listener.accept().await.unwrap();
    });
}

/// Reads until the connection ends in one way or another.
async fn serve(mut stream: TcpStream) {
    let mut buf = [0; 64];
    while let Ok(1..) = stream.read(&mut buf).await {}
}

#[test]
fn write_to_a_gone_peer_raises_no_signal() {
    in_own_process("resets::write_to_a_gone_peer_raises_no_signal", || {
        raw::restore_default_sigpipe();
        run(async {
            let (mut stream, peer) = with_std_peer().await;
            reset(peer);
            let mut kinds = Vec::new();
            while kinds.len() < 3 {
                match stream.write(b"x").await {
                    Ok(_) => sleep(Duration::from_millis(1)).await,
                    Err(error) => kinds.push(error.kind()),
                }
            }
            assert_eq!(kinds[2], io::ErrorKind::BrokenPipe);
            let parts = [io::IoSlice::new(b"x")];
            let error = stream.write_vectored(&parts).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
            assert_eq!(
                stream.try_write(b"x").unwrap_err().kind(),
                io::ErrorKind::BrokenPipe
            );
        });
    });
}
