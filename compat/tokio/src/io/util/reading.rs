//! The work of `AsyncReadExt`.

use std::io;
use std::mem::MaybeUninit;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::BufMut;

use super::op::Work;
use crate::io::{AsyncRead, ReadBuf};

/// Reads once.
#[derive(Debug)]
pub struct Read<'a>(pub(super) &'a mut [u8]);

impl<R: AsyncRead + ?Sized> Work<R> for Read<'_> {
    type Output = io::Result<usize>;

    fn poll(&mut self, stream: Pin<&mut R>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let mut buf = ReadBuf::new(self.0);
        ready!(stream.poll_read(cx, &mut buf))?;
        Poll::Ready(Ok(buf.filled().len()))
    }
}

/// Reads once, into a growing buffer.
#[derive(Debug)]
pub struct ReadInto<'a, B: ?Sized>(pub(super) &'a mut B);

impl<R: AsyncRead + ?Sized, B: BufMut + ?Sized> Work<R> for ReadInto<'_, B> {
    type Output = io::Result<usize>;

    fn poll(&mut self, stream: Pin<&mut R>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if !self.0.has_remaining_mut() {
            return Poll::Ready(Ok(0));
        }
        let chunk = self.0.chunk_mut();
        // SAFETY: `ReadBuf` writes only initialised bytes.
        let mut buf = ReadBuf::uninit(unsafe { chunk.as_uninit_slice_mut() });
        let start = buf.filled().as_ptr();
        ready!(stream.poll_read(cx, &mut buf))?;
        let count = filled_in_place(&buf, start);
        // SAFETY: `count` bytes at the start of the chunk were filled.
        unsafe { self.0.advance_mut(count) };
        Poll::Ready(Ok(count))
    }
}

/// Bytes filled, if the reader has not put another buffer in the place of ours.
fn filled_in_place(buf: &ReadBuf<'_>, start: *const u8) -> usize {
    assert_eq!(
        buf.filled().as_ptr(),
        start,
        "a reader exchanged the buffer that it was to fill"
    );
    buf.filled().len()
}

/// Reads until the buffer is full.
#[derive(Debug)]
pub struct ReadExact<'a> {
    pub(super) buf: ReadBuf<'a>,
}

impl<R: AsyncRead + ?Sized> Work<R> for ReadExact<'_> {
    type Output = io::Result<usize>;

    fn poll(&mut self, mut stream: Pin<&mut R>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        while self.buf.remaining() > 0 {
            let left = self.buf.remaining();
            match ready!(stream.as_mut().poll_read(cx, &mut self.buf)) {
                Ok(()) if self.buf.remaining() == left => return Poll::Ready(Err(early_end())),
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(self.buf.capacity()))
    }
}

pub(super) fn early_end() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "early eof")
}

/// Reads a number of `N` bytes.
#[derive(Debug)]
pub struct ReadNumber<const N: usize, T> {
    bytes: [u8; N],
    filled: usize,
    convert: fn([u8; N]) -> T,
}

impl<const N: usize, T> ReadNumber<N, T> {
    pub(super) fn new(convert: fn([u8; N]) -> T) -> Self {
        Self {
            bytes: [0; N],
            filled: 0,
            convert,
        }
    }
}

impl<R: AsyncRead + ?Sized, const N: usize, T> Work<R> for ReadNumber<N, T> {
    type Output = io::Result<T>;

    fn poll(&mut self, mut stream: Pin<&mut R>, cx: &mut Context<'_>) -> Poll<io::Result<T>> {
        while self.filled < N {
            let mut buf = ReadBuf::new(&mut self.bytes[self.filled..]);
            match ready!(stream.as_mut().poll_read(cx, &mut buf)) {
                Ok(()) if buf.filled().is_empty() => {
                    return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
                }
                Ok(()) => self.filled += buf.filled().len(),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok((self.convert)(self.bytes)))
    }
}

/// Reads until the end of the input.
#[derive(Debug)]
pub struct ReadToEnd<'a> {
    bytes: &'a mut Vec<u8>,
    growth: Growth,
    count: usize,
}

impl<'a> ReadToEnd<'a> {
    pub(super) fn new(bytes: &'a mut Vec<u8>) -> Self {
        Self {
            growth: Growth::new(bytes),
            bytes,
            count: 0,
        }
    }
}

impl<R: AsyncRead + ?Sized> Work<R> for ReadToEnd<'_> {
    type Output = io::Result<usize>;

    fn poll(&mut self, stream: Pin<&mut R>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let count = ready!(self.growth.poll_to_end(self.bytes, stream, cx))?;
        self.count += count;
        Poll::Ready(Ok(self.count))
    }
}

/// Reads until the end of the input, which has to be UTF-8.
#[derive(Debug)]
pub struct ReadToString<'a> {
    text: &'a mut String,
    bytes: Vec<u8>,
    growth: Growth,
    /// Bytes of `text` before the call.
    before: usize,
}

impl<'a> ReadToString<'a> {
    pub(super) fn new(text: &'a mut String) -> Self {
        let bytes = std::mem::take(text).into_bytes();
        Self {
            growth: Growth::new(&bytes),
            before: bytes.len(),
            text,
            bytes,
        }
    }
}

impl<R: AsyncRead + ?Sized> Work<R> for ReadToString<'_> {
    type Output = io::Result<usize>;

    fn poll(&mut self, stream: Pin<&mut R>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let read = ready!(self.growth.poll_to_end(&mut self.bytes, stream, cx));
        let bytes = std::mem::take(&mut self.bytes);
        let unread = Unread {
            text: self.text,
            before: self.before,
            keeps_on_error: false,
        };
        Poll::Ready(unread.finish(bytes, read.err()))
    }
}

/// A text that was taken apart to read into its bytes.
pub(super) struct Unread<'a> {
    pub(super) text: &'a mut String,
    /// Bytes that it had before.
    pub(super) before: usize,
    /// Whether what came before an error of the source is kept.
    pub(super) keeps_on_error: bool,
}

impl Unread<'_> {
    /// Puts the text together again, with what was read if that is UTF-8.
    pub(super) fn finish(self, bytes: Vec<u8>, error: Option<io::Error>) -> io::Result<usize> {
        let count = bytes.len() - self.before;
        let (mut bytes, invalid) = match String::from_utf8(bytes) {
            Ok(text) if error.is_none() || self.keeps_on_error => {
                *self.text = text;
                return error.map_or(Ok(count), Err);
            }
            Ok(text) => (text.into_bytes(), None),
            Err(invalid) => {
                let cause = invalid.utf8_error();
                (invalid.into_bytes(), Some(cause))
            }
        };
        bytes.truncate(self.before);
        *self.text = String::from_utf8(bytes).expect("it was UTF-8 before");
        let not_utf8 = || invalid.map(|cause| io::Error::new(io::ErrorKind::InvalidData, cause));
        Err(error
            .or_else(not_utf8)
            .expect("there is one or the other: else the text is kept above"))
    }
}

/// How a vector grows while the length of the input is not known.
#[derive(Debug)]
struct Growth {
    capacity_before: usize,
    /// Bytes of the vector's memory that were ever written.
    initialized: usize,
}

impl Growth {
    fn new(bytes: &Vec<u8>) -> Self {
        Self {
            capacity_before: bytes.capacity(),
            initialized: bytes.len(),
        }
    }

    fn poll_to_end<R: AsyncRead + ?Sized>(
        &mut self,
        bytes: &mut Vec<u8>,
        mut stream: Pin<&mut R>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let before = bytes.len();
        loop {
            let read = if self.may_be_full_exactly(bytes) {
                self.poll_probe(bytes, stream.as_mut(), cx)
            } else {
                self.poll_spare(bytes, stream.as_mut(), cx)
            };
            match read {
                Poll::Ready(Ok(0)) => return Poll::Ready(Ok(bytes.len() - before)),
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
    }

    /// Whether the caller has perhaps given a vector of just the right size: then the end is looked
    /// for without growing it.
    fn may_be_full_exactly(&self, bytes: &Vec<u8>) -> bool {
        bytes.capacity() == self.capacity_before
            && bytes.capacity() >= PROBE_BYTES
            && bytes.capacity() - bytes.len() < PROBE_BYTES
    }

    fn poll_probe<R: AsyncRead + ?Sized>(
        &mut self,
        bytes: &mut Vec<u8>,
        stream: Pin<&mut R>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let mut probe = [MaybeUninit::uninit(); PROBE_BYTES];
        let mut buf = ReadBuf::uninit(&mut probe);
        ready!(stream.poll_read(cx, &mut buf))?;
        bytes.extend_from_slice(buf.filled());
        self.initialized = self.initialized.max(bytes.len());
        Poll::Ready(Ok(buf.filled().len()))
    }

    fn poll_spare<R: AsyncRead + ?Sized>(
        &mut self,
        bytes: &mut Vec<u8>,
        stream: Pin<&mut R>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        if bytes.capacity() - bytes.len() < PROBE_BYTES {
            self.initialized = bytes.len();
            bytes.reserve(PROBE_BYTES);
        }
        let filled = bytes.len();
        let mut buf = ReadBuf::uninit(bytes.spare_capacity_mut());
        let start = buf.filled().as_ptr();
        // SAFETY: these bytes of the vector's memory were written before, and it has not moved
        // since: growing it sets `initialized` back.
        unsafe { buf.assume_init(self.initialized - filled) };
        let polled = stream.poll_read(cx, &mut buf);
        let count = filled_in_place(&buf, start);
        self.initialized = filled + buf.initialized().len();
        // SAFETY: `count` bytes behind the length were filled.
        unsafe { bytes.set_len(filled + count) };
        ready!(polled)?;
        Poll::Ready(Ok(count))
    }
}

/// The least that is read at once.
const PROBE_BYTES: usize = 32;
