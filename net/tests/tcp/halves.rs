//! Halves: borrowed ones within a task, owned ones in two tasks.

use std::io::Read;
use std::io::{IoSlice, IoSliceMut};
use std::thread;
use std::time::Duration;

use futures_lite::future::zip;
use oneloop_runtime::io::Interest;
use oneloop_runtime::task::spawn;
use oneloop_runtime::time::timeout;

use crate::support::{pair, pattern, run, spawn_until_it_waits, with_std_peer};

#[test]
fn borrowed_halves_read_and_write_at_once() {
    run(async {
        let (mut near, mut far) = pair().await;
        let data = pattern(4 << 20);
        let echo = spawn(async move {
            let (mut read, mut write) = far.split();
            let mut buf = vec![0; 30_000];
            loop {
                match read.read(&mut buf).await.unwrap() {
                    0 => return write.shutdown().await.unwrap(),
                    count => write.write_all(&buf[..count]).await.unwrap(),
                }
            }
        });
        let (mut read, mut write) = near.split();
        let mut back = vec![0; data.len()];
        // Neither direction may wait for the other: the kernel does not hold it all.
        let sending = async {
            write.write_all(&data).await.unwrap();
            write.shutdown().await.unwrap();
        };
        let receiving = async { read.read_exact(&mut back).await.unwrap() };
        zip(sending, receiving).await;
        assert!(back == data);
        echo.await.unwrap();
        // The stream is whole again.
        assert_eq!(near.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn owned_halves_work_on_two_loops() {
    // The reader in a spawned task, the writer on the main loop.
    run(async {
        let (near, mut far) = pair().await;
        let data = pattern(4 << 20);
        let expected = data.clone();
        let echo = spawn(async move {
            let mut buf = vec![0; 30_000];
            loop {
                match far.read(&mut buf).await.unwrap() {
                    0 => return,
                    count => far.write_all(&buf[..count]).await.unwrap(),
                }
            }
        });
        let (mut read, mut write) = near.into_split();
        let here = thread::current().id();
        let reader = spawn(async move {
            assert_ne!(thread::current().id(), here);
            let mut back = vec![0; expected.len()];
            read.read_exact(&mut back).await.unwrap();
            assert!(back == expected);
            read
        });
        write.write_all(&data).await.unwrap();
        let read = reader.await.unwrap();
        let mut whole = read.reunite(write).unwrap();
        whole.shutdown().await.unwrap();
        assert_eq!(whole.read(&mut [0]).await.unwrap(), 0);
        echo.await.unwrap();
    });
}

#[test]
fn reunited_stream_is_open_in_both_directions() {
    run(async {
        let (near, mut far) = pair().await;
        let (read, write) = near.into_split();
        let mut near = write.reunite(read).unwrap();
        assert!(
            timeout(Duration::from_millis(30), far.read(&mut [0]))
                .await
                .is_err()
        );
        near.write_all(b"a").await.unwrap();
        far.write_all(b"b").await.unwrap();
        let mut buf = [0; 1];
        far.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"a");
        near.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"b");
    });
}

#[test]
fn regression_r6_halves_of_two_streams_do_not_unite() {
    run(async {
        let (first, mut first_far) = pair().await;
        let (second, mut second_far) = pair().await;
        let (first_read, first_write) = first.into_split();
        let (second_read, second_write) = second.into_split();
        let error = first_read.reunite(second_write).unwrap_err();
        assert!(error.to_string().contains("not from the same"));
        let (first_read, second_write) = (error.0, error.1);
        let error = first_write.reunite(second_read).unwrap_err();
        let (second_read, first_write) = (error.0, error.1);
        // Both came back unharmed.
        let mut first = first_read.reunite(first_write).unwrap();
        let mut second = second_read.reunite(second_write).unwrap();
        first.write_all(b"1").await.unwrap();
        second.write_all(b"2").await.unwrap();
        let mut buf = [0; 1];
        first_far.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"1");
        second_far.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"2");
    });
}

#[test]
fn dropped_write_half_is_a_half_close() {
    run(async {
        let (near, mut far) = pair().await;
        let (mut read, mut write) = near.into_split();
        write.write_all(b"bye").await.unwrap();
        drop(write);
        let mut buf = [0; 8];
        assert_eq!(far.read(&mut buf).await.unwrap(), 3);
        assert_eq!(far.read(&mut buf).await.unwrap(), 0);
        far.write_all(b"still here").await.unwrap();
        let mut answer = [0; 10];
        read.read_exact(&mut answer).await.unwrap();
        assert_eq!(&answer, b"still here");
    });
}

#[test]
fn forgotten_write_half_leaves_the_connection_open() {
    run(async {
        let (near, mut far) = pair().await;
        let (read, write) = near.into_split();
        write.forget();
        assert!(
            timeout(Duration::from_millis(30), far.read(&mut [0]))
                .await
                .is_err()
        );
        drop(read);
        assert_eq!(far.read(&mut [0]).await.unwrap(), 0);
    });
}

#[test]
fn dropped_read_half_leaves_the_writer_alone() {
    run(async {
        let (stream, mut peer) = with_std_peer().await;
        let (read, mut write) = stream.into_split();
        drop(read);
        write.write_all(b"one").await.unwrap();
        write.shutdown().await.unwrap();
        drop(write);
        let mut received = Vec::new();
        peer.read_to_end(&mut received).unwrap();
        assert_eq!(received, b"one");
    });
}

#[test]
fn read_half_ends_though_the_write_half_waits() {
    run(async {
        let (near, far) = pair().await;
        let (mut read, mut write) = near.into_split();
        let writing = async move { while write.write(&[0; 65536]).await.is_ok() {} };
        let writer = spawn_until_it_waits(writing).await;
        let reader = spawn_until_it_waits(async move { read.read(&mut [0; 8]).await }).await;
        drop(far);
        // Unread bytes at the peer make its close a reset: one of the two may hear the error.
        let _ = reader.await.unwrap();
        writer.await.unwrap();
    });
}

#[test]
fn halves_have_the_methods_of_the_stream() {
    run(async {
        let (mut near, far) = pair().await;
        let addresses = (far.peer_addr().unwrap(), far.local_addr().unwrap());
        let (mut read, mut write) = far.into_split();
        assert_eq!(
            (read.peer_addr().unwrap(), read.local_addr().unwrap()),
            addresses
        );
        assert_eq!(
            (write.peer_addr().unwrap(), write.local_addr().unwrap()),
            addresses
        );
        assert!(!read.as_ref().nodelay().unwrap());

        near.write_all(b"abcdef").await.unwrap();
        read.readable().await.unwrap();
        let mut buf = [0; 2];
        assert_eq!(read.peek(&mut buf).await.unwrap(), 2);
        assert_eq!(read.try_read(&mut buf).unwrap(), 2);
        assert_eq!(&buf, b"ab");
        assert_eq!(
            read.read_vectored(&mut [IoSliceMut::new(&mut buf)])
                .await
                .unwrap(),
            2
        );
        assert_eq!(
            read.try_read_vectored(&mut [IoSliceMut::new(&mut buf)])
                .unwrap(),
            2
        );
        assert_eq!(&buf, b"ef");

        write.writable().await.unwrap();
        assert!(write.ready(Interest::WRITABLE).await.unwrap().is_writable());
        assert_eq!(write.try_write(b"1").unwrap(), 1);
        assert_eq!(write.try_write_vectored(&[IoSlice::new(b"2")]).unwrap(), 1);
        assert_eq!(
            write.write_vectored(&[IoSlice::new(b"3")]).await.unwrap(),
            1
        );
        assert_eq!(write.write(b"4").await.unwrap(), 1);
        write.flush().await.unwrap();
        let (mut near_read, _near_write) = near.split();
        let mut buf = [0; 4];
        near_read.read_exact(&mut buf).await.unwrap();
        assert_eq!(&buf, b"1234");
    });
}
