//! Framed reads of random bytes against parsers that see all bytes at once.

use std::io;

use futures_lite::AsyncRead;
use oneloop_net::buffer::{ByteOrder, FrameError, FrameReader, LengthPrefix};

use crate::pieces::Pieces;
use crate::support::{Random, poll_and_drop, run};

/// A kind of framed read with its arguments.
#[derive(Debug)]
pub(crate) enum Kind {
    Exact(usize),
    Until(Vec<u8>, usize),
    Line(usize),
    Length(LengthPrefix, usize),
}

/// How reading ends.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(crate) enum End {
    Clean,
    Incomplete,
    TooLong,
    BadLength,
}

impl Kind {
    pub(crate) async fn read<R>(&self, reader: &mut FrameReader<R>) -> io::Result<Option<Vec<u8>>>
    where
        R: AsyncRead + Unpin,
    {
        let frame = match self {
            Self::Exact(len) => reader.read_exact_frame(*len).await,
            Self::Until(delimiter, max) => reader.read_until(delimiter, *max).await,
            Self::Line(max) => reader.read_line(*max).await,
            Self::Length(prefix, max) => reader.read_length_delimited(*prefix, *max).await,
        };
        frame.map(|frame| frame.map(<[u8]>::to_vec))
    }

    /// The first frame of `bytes` and what it takes of them, or how they end. Written to be
    /// obvious: byte by byte, with all of the stream at hand.
    fn parse<'b>(&self, bytes: &'b [u8]) -> Result<(&'b [u8], usize), End> {
        let end = if bytes.is_empty() {
            End::Clean
        } else {
            End::Incomplete
        };
        match self {
            Self::Exact(len) => bytes.get(..*len).map(|frame| (frame, *len)).ok_or(end),
            Self::Until(delimiter, max) => {
                for len in 0..=*max {
                    if bytes.len() < len + delimiter.len() {
                        return Err(end);
                    }
                    if bytes[len..].starts_with(delimiter) {
                        return Ok((&bytes[..len], len + delimiter.len()));
                    }
                }
                Err(End::TooLong)
            }
            Self::Line(max) => {
                for len in 0..=*max {
                    let rest = &bytes[len..];
                    if rest.starts_with(b"\n") {
                        return Ok((&bytes[..len], len + 1));
                    }
                    if rest.starts_with(b"\r\n") {
                        return Ok((&bytes[..len], len + 2));
                    }
                    if rest.is_empty() || rest == b"\r" {
                        return Err(end);
                    }
                }
                Err(End::TooLong)
            }
            Self::Length(prefix, max) => {
                let width = prefix.width_bytes();
                let Some(head) = bytes.get(..width) else {
                    return Err(end);
                };
                let is_big = *prefix == LengthPrefix::new(width, ByteOrder::Big)
                    || *prefix == LengthPrefix::new(width, ByteOrder::Big).counting_itself();
                let mut length = 0_u128;
                for at in 0..width {
                    let byte = if is_big {
                        head[at]
                    } else {
                        head[width - 1 - at]
                    };
                    length = length * 256 + u128::from(byte);
                }
                if *prefix == LengthPrefix::new(width, ByteOrder::Big).counting_itself() {
                    length = length.checked_sub(width as u128).ok_or(End::BadLength)?;
                }
                if length > *max as u128 {
                    return Err(End::TooLong);
                }
                let total = width + usize::try_from(length).unwrap();
                let frame = bytes.get(width..total).ok_or(end)?;
                Ok((frame, total))
            }
        }
    }

    /// All frames of `bytes`, and how they end.
    fn parse_all(&self, mut bytes: &[u8]) -> (Vec<Vec<u8>>, End) {
        let mut frames = Vec::new();
        loop {
            match self.parse(bytes) {
                Err(end) => return (frames, end),
                Ok((frame, total)) => {
                    frames.push(frame.to_vec());
                    bytes = &bytes[total..];
                }
            }
        }
    }
}

pub(crate) fn end_of(error: &io::Error) -> End {
    let why = FrameError::from_io(error).expect("a frame error");
    match error.kind() {
        io::ErrorKind::UnexpectedEof if why.is_incomplete() => End::Incomplete,
        io::ErrorKind::InvalidData if why.is_too_long() => End::TooLong,
        io::ErrorKind::InvalidData if why.is_bad_length() => End::BadLength,
        _ => panic!("{error:?}"),
    }
}

/// Reads all frames of a stream, and how they end.
pub(crate) async fn read_all(kind: &Kind, pieces: Pieces) -> (Vec<Vec<u8>>, End) {
    let mut reader = FrameReader::new(pieces);
    let mut frames = Vec::new();
    loop {
        match kind.read(&mut reader).await {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, End::Clean),
            Err(error) => return (frames, end_of(&error)),
        }
    }
}

/// As `read_all`; each future is dropped after a random number of polls, and begun again.
async fn read_all_dropping(
    random: &mut Random,
    kind: &Kind,
    pieces: Pieces,
) -> (Vec<Vec<u8>>, End) {
    let mut reader = FrameReader::new(pieces);
    let mut frames = Vec::new();
    loop {
        match poll_and_drop(random.below(4), kind.read(&mut reader)).await {
            None => {}
            Some(Ok(Some(frame))) => frames.push(frame),
            Some(Ok(None)) => return (frames, End::Clean),
            Some(Err(error)) => return (frames, end_of(&error)),
        }
    }
}

/// A kind, and bytes of which many are marks for it.
fn case(random: &mut Random) -> (Kind, Vec<u8>) {
    let max = [0, 1, 3, 8, 40][random.below(5)];
    let (kind, alphabet): (_, &[u8]) = match random.below(5) {
        0 => (Kind::Exact(1 + max), b"abc"),
        1 => (Kind::Line(max), b"ab\r\n"),
        2 => (Kind::Until(b"-+-".to_vec(), max), b"-+x"),
        3 => (Kind::Until(b";".to_vec(), max), b"abc;"),
        _ => {
            let width = 1 + random.below(8);
            let prefix = match random.below(3) {
                0 => LengthPrefix::new(width, ByteOrder::Little),
                1 => LengthPrefix::new(width, ByteOrder::Big).counting_itself(),
                _ => LengthPrefix::new(width, ByteOrder::Big),
            };
            (Kind::Length(prefix, max), b"\0\0\0\x01\x02\x03\x09")
        }
    };
    let len_max = [10, 60, 500][random.below(3)];
    let len = random.below(len_max);
    let mut byte = || alphabet[random.below(alphabet.len())];
    (kind, (0..len).map(|_| byte()).collect())
}

#[test]
fn random_streams_are_cut_as_the_model_cuts_them() {
    let mut seen = [0; 4];
    let mut frames = 0;
    for seed in 0..10_000 {
        let mut random = Random::new(seed);
        let (kind, bytes) = case(&mut random);
        let expected = kind.parse_all(&bytes);
        seen[expected.1 as usize] += 1;
        frames += expected.0.len();
        let about = || format!("seed {seed}: {kind:?} of {bytes:?}");
        let pieces = Pieces::random(&mut random, &bytes);
        let read = futures_lite::future::block_on(read_all(&kind, pieces));
        assert_eq!(read, expected, "{}", about());
    }
    // Every way to end was met often.
    assert!(seen.iter().all(|&count| count > 50), "{seen:?}");
    assert!(frames > 10_000, "{frames}");
}

#[test]
fn dropped_reads_of_random_streams_lose_nothing() {
    run(async {
        for seed in 0..400 {
            let mut random = Random::new(seed);
            let (kind, bytes) = case(&mut random);
            let pieces = Pieces::random(&mut random, &bytes);
            let read = read_all_dropping(&mut random, &kind, pieces).await;
            assert_eq!(
                read,
                kind.parse_all(&bytes),
                "seed {seed}: {kind:?} of {bytes:?}"
            );
        }
    });
}
