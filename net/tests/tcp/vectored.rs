//! Several buffers are written as if they were one.

use std::io::{IoSlice, Read as _};
use std::thread;

use crate::support::{narrow_with_std_peer, pattern, read_slowly, run, with_std_peer};

#[test]
fn all_of_many_buffers_is_written_whatever_their_sizes() {
    run(async {
        let (mut stream, peer) = narrow_with_std_peer().await;
        let reader = read_slowly(peer);
        let sent = pattern(600_000);
        // More than one call takes, empty ones first, last and between, and one that is large.
        let mut bufs = vec![IoSlice::new(&[]); 1500];
        let (small, large) = sent.split_at(100_000);
        for (number, piece) in small.chunks(17).enumerate() {
            if number % 5 == 0 {
                bufs.push(IoSlice::new(&[]));
            }
            bufs.push(IoSlice::new(piece));
        }
        bufs.push(IoSlice::new(large));
        bufs.push(IoSlice::new(&[]));
        stream.write_all_vectored(&mut bufs).await.unwrap();
        let (_reader, mut writer) = stream.into_split();
        let mut bufs = [IoSlice::new(b"by "), IoSlice::new(b"a half")];
        writer.write_all_vectored(&mut bufs).await.unwrap();
        drop(writer);
        let received = thread::JoinHandle::join(reader).unwrap();
        assert!(received[..sent.len()] == sent[..]);
        assert_eq!(&received[sent.len()..], b"by a half");
    });
}

#[test]
fn nothing_is_written_of_no_buffers() {
    run(async {
        let (mut stream, mut peer) = with_std_peer().await;
        stream.write_all_vectored(&mut []).await.unwrap();
        let mut empty = [IoSlice::new(&[]), IoSlice::new(&[])];
        stream.write_all_vectored(&mut empty).await.unwrap();
        drop(stream);
        assert_eq!(peer.read(&mut [0; 1]).unwrap(), 0);
    });
}
