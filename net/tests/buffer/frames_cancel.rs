//! Framed reads that are dropped at every await, and reads of other kinds after them.

use oneloop_net::buffer::{FrameReader, LengthPrefix};

use crate::frames_model::Kind;
use crate::pieces::Pieces;
use crate::support::{poll_and_drop, run};

#[test]
fn dropped_at_every_await_nothing_is_lost() {
    let kinds: [(Kind, &[u8], &[u8]); 4] = [
        (Kind::Exact(6), b"abcdef", b"abcdef"),
        (Kind::Line(10), b"a line\r\n", b"a line"),
        (Kind::Until(b"--".to_vec(), 10), b"a-b-c--", b"a-b-c"),
        (
            Kind::Length(LengthPrefix::U16_BE, 10),
            b"\0\x04body",
            b"body",
        ),
    ];
    run(async {
        for (kind, bytes, frame) in kinds {
            let stream = [bytes, bytes].concat();
            // A byte a turn: with 1 poll each future is dropped at its first await, and so on.
            for times in 1..2 * bytes.len() {
                let mut reader = FrameReader::new(Pieces::bytes(&stream));
                let mut frames = 0;
                let mut dropped = 0;
                loop {
                    match poll_and_drop(times, kind.read(&mut reader)).await {
                        None => dropped += 1,
                        Some(Ok(None)) => break,
                        Some(read) => {
                            assert_eq!(read.unwrap().unwrap(), frame, "{kind:?}, {times}");
                            frames += 1;
                        }
                    }
                }
                assert_eq!(frames, 2, "{kind:?}, {times}");
                // Long ones complete; shorter ones were dropped as often as that takes.
                assert!(
                    dropped >= 2 * (bytes.len() / times).saturating_sub(1),
                    "{dropped}"
                );
            }
        }
    });
}

#[test]
fn read_of_another_kind_follows_a_dropped_one() {
    run(async {
        let bytes = b"\x00\x04bodyline\r\nuntil;";
        for times in 1..=4 {
            let mut reader = FrameReader::new(Pieces::bytes(bytes));
            // The line is not there yet: this has read some bytes of it, and gives up.
            let line = poll_and_drop(times, reader.read_until(b";", 100)).await;
            assert!(line.is_none());
            assert_eq!(reader.buffer().len(), times - 1);
            let body = reader.read_length_delimited(LengthPrefix::U16_BE, 4).await;
            assert_eq!(body.unwrap(), Some(&b"body"[..]));
            let exact = poll_and_drop(times, reader.read_exact_frame(6)).await;
            assert!(exact.is_none());
            assert_eq!(reader.read_line(4).await.unwrap(), Some(&b"line"[..]));
            assert_eq!(
                reader.read_until(b";", 5).await.unwrap(),
                Some(&b"until"[..])
            );
            assert_eq!(reader.read_line(4).await.unwrap(), None);
        }
    });
}
