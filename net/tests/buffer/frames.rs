//! Framed reads: what is a frame, what is too long, and where a stream may end.

use std::io;

use futures_lite::io::{AsyncBufReadExt, AsyncReadExt};
use oneloop_net::buffer::{Buffer, ByteOrder, FrameError, FrameReader, LengthPrefix};

use crate::frames_model::{End, Kind, read_all};
use crate::pieces::Pieces;
use crate::support::{poll_and_drop, run};

/// Reads `bytes` in one piece, in single bytes, and in two pieces cut at every position.
#[track_caller]
fn assert_frames(kind: &Kind, bytes: &[u8], frames: &[&[u8]], end: End) {
    let expected = (frames.iter().map(|it| it.to_vec()).collect::<Vec<_>>(), end);
    run(async {
        assert_eq!(read_all(kind, Pieces::new([bytes])).await, expected);
        assert_eq!(read_all(kind, Pieces::bytes(bytes)).await, expected);
        for cut in 1..bytes.len() {
            let pieces = Pieces::new([&bytes[..cut], &bytes[cut..]]);
            assert_eq!(read_all(kind, pieces).await, expected, "cut at {cut}");
        }
    });
}

#[test]
fn lines_end_with_lf_or_crlf() {
    let kind = Kind::Line(5);
    assert_frames(
        &kind,
        b"one\ntwo\r\n\n\r\nc\rr\r\n12345\r\n12345\n",
        &[b"one", b"two", b"", b"", b"c\rr", b"12345", b"12345"],
        End::Clean,
    );
    // One CR belongs to the end, the one before it does not.
    assert_frames(&kind, b"a\r\r\n", &[b"a\r"], End::Clean);
    assert_frames(&kind, b"", &[], End::Clean);
    assert_frames(&kind, b"one\r\ntw", &[b"one"], End::Incomplete);
    assert_frames(&kind, b"one\r", &[], End::Incomplete);
    assert_frames(&kind, b"12345\r", &[], End::Incomplete);
    assert_frames(&kind, b"123456", &[], End::TooLong);
    assert_frames(&kind, b"ok\n123456\n", &[b"ok"], End::TooLong);
    assert_frames(&kind, b"12345\rx\n", &[], End::TooLong);
    assert_frames(&kind, b"12345\r\r\n", &[], End::TooLong);
    assert_frames(&Kind::Line(0), b"\n\r\nx\n", &[b"", b""], End::TooLong);
}

#[test]
fn marks_of_any_length_end_a_frame() {
    let kind = Kind::Until(b"--\n".to_vec(), 4);
    assert_frames(
        &kind,
        b"one--\n--\n---\n-\n--\n1234--\n",
        &[b"one", b"", b"-", b"-\n", b"1234"],
        End::Clean,
    );
    assert_frames(&kind, b"1234--", &[], End::Incomplete);
    assert_frames(&kind, b"12345--\n", &[], End::TooLong);
    assert_frames(&kind, b"1--\n1234-x-\n", &[b"1"], End::TooLong);
    assert_frames(
        &Kind::Until(vec![0], 2),
        b"ab\0\0",
        &[b"ab", b""],
        End::Clean,
    );
    assert_frames(&Kind::Until(vec![0], 2), b"abc\0", &[], End::TooLong);
}

#[test]
fn exact_frames_are_exact() {
    assert_frames(&Kind::Exact(3), b"abcdef", &[b"abc", b"def"], End::Clean);
    assert_frames(&Kind::Exact(3), b"abcde", &[b"abc"], End::Incomplete);
    assert_frames(&Kind::Exact(1), b"ab", &[b"a", b"b"], End::Clean);
    run(async {
        // Of no bytes it is there at once, even at the end.
        let mut reader = FrameReader::new(Pieces::new([]));
        assert_eq!(reader.read_exact_frame(0).await.unwrap(), Some(&[][..]));
        assert_eq!(reader.get_ref().pauses, 0);
        assert_eq!(reader.read_exact_frame(1).await.unwrap(), None);
    });
}

#[test]
fn lengths_stand_before_the_frame_in_either_order() {
    let kind = |prefix| Kind::Length(prefix, 5);
    let frames: &[&[u8]] = &[b"one", b"", b"12345"];
    let written: [(LengthPrefix, &[u8]); 6] = [
        (LengthPrefix::U8, b"\x03one\0\x0512345"),
        (LengthPrefix::U16_BE, b"\0\x03one\0\0\0\x0512345"),
        (LengthPrefix::U16_LE, b"\x03\0one\0\0\x05\x0012345"),
        (
            LengthPrefix::new(3, ByteOrder::Little),
            b"\x03\0\0one\0\0\0\x05\0\x0012345",
        ),
        (
            LengthPrefix::U32_BE.counting_itself(),
            b"\0\0\0\x07one\0\0\0\x04\0\0\0\x0912345",
        ),
        (
            LengthPrefix::U64_LE,
            b"\x03\0\0\0\0\0\0\0one\0\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\x0012345",
        ),
    ];
    for (prefix, bytes) in written {
        assert_frames(&kind(prefix), bytes, frames, End::Clean);
    }
    let prefix = LengthPrefix::U16_BE;
    assert_frames(&kind(prefix), b"\0", &[], End::Incomplete);
    assert_frames(&kind(prefix), b"\0\x01", &[], End::Incomplete);
    assert_frames(&kind(prefix), b"\0\x02ab\0\x02a", &[b"ab"], End::Incomplete);
    // Too long is known when the length is.
    assert_frames(&kind(prefix), b"\0\0\0\x06", &[b""], End::TooLong);
    assert_frames(&kind(LengthPrefix::U64_BE), &[0xff; 8], &[], End::TooLong);
    let counting = LengthPrefix::U16_BE.counting_itself();
    assert_frames(&kind(counting), b"\0\x01", &[], End::BadLength);
    assert_frames(&kind(counting), b"\0\0", &[], End::BadLength);
}

#[test]
fn announced_length_takes_no_memory() {
    run(async {
        let mut reader = FrameReader::new(Pieces::new([&b"\x00\xff\xff\xffabc"[..]]));
        let read = reader.read_length_delimited(LengthPrefix::U32_BE, 1 << 24);
        assert_eq!(read.await.unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        assert_eq!(reader.buffer().capacity(), 7);
        let read = reader.read_exact_frame(1 << 20);
        assert!(read.await.is_err());
        assert_eq!(reader.buffer().capacity(), 7);
    });
}

#[test]
fn error_says_what_and_how_much_and_keeps_the_bytes() {
    run(async {
        let mut reader = FrameReader::new(Pieces::new([&b"too long"[..]]));
        // Again and again.
        for _ in 0..2 {
            let error = reader.read_line(4).await.unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
            let why = FrameError::from_io(&error).unwrap();
            assert!(why.is_too_long() && !why.is_incomplete() && !why.is_bad_length());
            assert_eq!((why.bytes(), why.max_bytes()), (8, Some(4)));
            assert_eq!(
                error.to_string(),
                "frame of 8 bytes or more, where 4 are allowed"
            );
            assert_eq!(reader.buffer().readable(), b"too long");
        }
        let error = reader.read_line(100).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
        let why = FrameError::from_io(&error).unwrap();
        assert!(why.is_incomplete() && !why.is_too_long());
        assert_eq!((why.bytes(), why.max_bytes()), (8, None));
        let (_, rest) = reader.into_parts();
        assert_eq!(rest.readable(), b"too long");

        let mut reader = FrameReader::new(Pieces::new([&b"\x01"[..]]));
        let prefix = LengthPrefix::new(2, ByteOrder::Big).counting_itself();
        reader.buffer_mut().append_u8(0).unwrap();
        let error = reader.read_length_delimited(prefix, 10).await.unwrap_err();
        let why = FrameError::from_io(&error).unwrap();
        assert!(why.is_bad_length());
        assert_eq!(why.bytes(), 1);
        assert!(FrameError::from_io(&io::ErrorKind::Other.into()).is_none());
    });
    fn assert_error<E: std::error::Error + Send + Sync + 'static>() {}
    assert_error::<FrameError>();
}

#[test]
fn limit_of_the_buffer_bounds_the_frames_too() {
    run(async {
        let reader = |bytes: &[u8]| {
            let buffer = Buffer::new().with_max_bytes(10);
            FrameReader::with_buffer(Pieces::bytes(bytes), buffer)
        };
        let bytes = b"12345678\r\n12345678\n+";
        let mut lines = reader(bytes);
        for _ in 0..2 {
            assert_eq!(lines.read_line(100).await.unwrap(), Some(&b"12345678"[..]));
        }
        let error = reader(b"12345678901").read_line(100).await.unwrap_err();
        let why = FrameError::from_io(&error).unwrap();
        assert!(why.is_too_long());
        assert_eq!(why.max_bytes(), Some(10));
        let mut exact = reader(b"1234567890+");
        assert_eq!(
            exact.read_exact_frame(11).await.unwrap_err().kind(),
            io::ErrorKind::InvalidData
        );
        assert_eq!(
            exact.read_exact_frame(10).await.unwrap(),
            Some(&b"1234567890"[..])
        );
        let mut length = reader(b"\x0a1234567890");
        let read = length.read_length_delimited(LengthPrefix::U8, 100);
        assert!(
            FrameError::from_io(&read.await.unwrap_err())
                .unwrap()
                .is_too_long()
        );
    });
}

#[test]
fn waiting_with_nothing_buffered_holds_no_memory() {
    run(async {
        let mut reader = FrameReader::new(Pieces::new([&b"one\n"[..], b"two\nth", b"ree\n"]));
        let expected: [(&[u8], bool); 3] = [(b"one", true), (b"two", true), (b"three", false)];
        for (line, was_empty) in expected {
            let pauses = reader.get_ref().pauses;
            // The first poll is pending, and the future is dropped.
            assert!(poll_and_drop(1, reader.read_line(9)).await.is_none());
            assert_eq!(reader.get_ref().pauses, pauses + 1);
            assert_eq!(
                reader.buffer().capacity() == 0,
                was_empty,
                "before {line:?}"
            );
            assert_eq!(reader.read_line(9).await.unwrap(), Some(line));
        }
    });
}

#[test]
fn waiting_behind_a_long_frame_holds_what_is_there() {
    run(async {
        let long = [&[b'x'; 100_000][..], b"\nnext"].concat();
        let mut reader = FrameReader::new(Pieces::new([&long[..], b" line\n"]));
        assert_eq!(
            reader.read_line(100_000).await.unwrap().unwrap().len(),
            100_000
        );
        assert!(reader.buffer().capacity() >= 100_000);
        assert!(poll_and_drop(1, reader.read_line(9)).await.is_none());
        assert_eq!(reader.buffer().capacity(), 4);
        assert_eq!(reader.read_line(9).await.unwrap(), Some(&b"next line"[..]));
    });
}

#[test]
fn body_behind_a_frame_is_read_as_a_stream() {
    run(async {
        let bytes = b"head\r\nbody of a message, and more\nlast";
        for cut in 1..bytes.len() {
            let pieces = Pieces::new([&bytes[..cut], &bytes[cut..]]);
            let mut reader = FrameReader::new(pieces);
            assert_eq!(reader.read_line(10).await.unwrap(), Some(&b"head"[..]));
            let mut body = [0; 17];
            AsyncReadExt::read_exact(&mut reader, &mut body)
                .await
                .unwrap();
            assert_eq!(&body, b"body of a message");
            let mut line = String::new();
            AsyncBufReadExt::read_line(&mut reader, &mut line)
                .await
                .unwrap();
            assert_eq!(line, ", and more\n");
            assert_eq!(
                reader.read_exact_frame(4).await.unwrap(),
                Some(&b"last"[..])
            );
            assert_eq!(reader.read_line(10).await.unwrap(), None);
            assert_eq!(reader.read_line(10).await.unwrap(), None);
        }
    });
}

#[test]
fn other_framings_fill_by_themselves() {
    run(async {
        // Frames that are one digit and that many bytes.
        let mut reader = FrameReader::new(Pieces::bytes(b"2ab3cde"));
        let mut frames = Vec::new();
        loop {
            let readable = reader.buffer().readable();
            let len = readable
                .first()
                .map_or(1, |digit| 1 + usize::from(digit - b'0'));
            if let Some(frame) = reader.buffer_mut().take(len) {
                frames.push(frame[1..].to_vec());
            } else if reader.fill().await.unwrap() == 0 {
                break;
            }
        }
        assert_eq!(frames, [b"ab".to_vec(), b"cde".to_vec()]);
        assert!(reader.buffer().is_empty());
    });
}

#[test]
#[should_panic(expected = "a delimiter has at least one byte")]
fn empty_mark_is_a_broken_contract() {
    run(async {
        let mut reader = FrameReader::new(Pieces::new([]));
        drop(reader.read_until(b"", 10).await);
    });
}

#[test]
#[should_panic(expected = "a length prefix has 1 to 8 bytes")]
fn prefix_of_nine_bytes_is_a_broken_contract() {
    let _ = LengthPrefix::new(9, ByteOrder::Big);
}
