//! The work of `AsyncBufReadExt`, and what it makes of a reader: lines and segments.

use std::io;
use std::marker::PhantomPinned;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use pin_project_lite::pin_project;

use super::op::Work;
use super::reading::Unread;
use crate::io::AsyncBufRead;

/// Reads up to and including a delimiter, or the end; how many bytes were read.
fn poll_until<R: AsyncBufRead + ?Sized>(
    mut stream: Pin<&mut R>,
    cx: &mut Context<'_>,
    delimiter: u8,
    bytes: &mut Vec<u8>,
    count: &mut usize,
) -> Poll<io::Result<usize>> {
    loop {
        let available = match ready!(stream.as_mut().poll_fill_buf(cx)) {
            Ok(available) => available,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Poll::Ready(Err(error)),
        };
        let found = memchr::memchr(delimiter, available);
        let used = found.map_or(available.len(), |at| at + 1);
        bytes.extend_from_slice(&available[..used]);
        stream.as_mut().consume(used);
        *count += used;
        if found.is_some() || used == 0 {
            return Poll::Ready(Ok(std::mem::take(count)));
        }
    }
}

/// Reads up to and including a delimiter.
#[derive(Debug)]
pub struct ReadUntil<'a> {
    pub(super) delimiter: u8,
    pub(super) bytes: &'a mut Vec<u8>,
    pub(super) count: usize,
}

impl<R: AsyncBufRead + ?Sized> Work<R> for ReadUntil<'_> {
    type Output = io::Result<usize>;

    fn poll(&mut self, stream: Pin<&mut R>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        poll_until(stream, cx, self.delimiter, self.bytes, &mut self.count)
    }
}

/// Reads up to and including a line feed.
#[derive(Debug)]
pub struct ReadLine<'a> {
    text: &'a mut String,
    bytes: Vec<u8>,
    before: usize,
    count: usize,
}

impl<'a> ReadLine<'a> {
    pub(super) fn new(text: &'a mut String) -> Self {
        let bytes = std::mem::take(text).into_bytes();
        Self {
            text,
            before: bytes.len(),
            bytes,
            count: 0,
        }
    }
}

impl<R: AsyncBufRead + ?Sized> Work<R> for ReadLine<'_> {
    type Output = io::Result<usize>;

    fn poll(&mut self, stream: Pin<&mut R>, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        let (bytes, count) = (&mut self.bytes, &mut self.count);
        let read = ready!(poll_until(stream, cx, b'\n', bytes, count));
        let unread = Unread {
            text: self.text,
            before: self.before,
            keeps_on_error: true,
        };
        Poll::Ready(unread.finish(std::mem::take(&mut self.bytes), read.err()))
    }
}

pin_project! {
    /// Fills the buffer.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless you `.await` or poll them"]
    pub struct FillBuf<'a, R: ?Sized> {
        // None after the end.
        reader: Option<&'a mut R>,
        #[pin]
        pinned: PhantomPinned,
    }
}

impl<'a, R: ?Sized> FillBuf<'a, R> {
    pub(super) fn new(reader: &'a mut R) -> Self {
        Self {
            reader: Some(reader),
            pinned: PhantomPinned,
        }
    }
}

impl<'a, R: AsyncBufRead + ?Sized + Unpin> Future for FillBuf<'a, R> {
    type Output = io::Result<&'a [u8]>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let slot = self.project().reader;
        let reader = slot.take().expect("polled after it was ready");
        match Pin::new(&mut *reader).poll_fill_buf(cx) {
            Poll::Ready(Ok([])) => Poll::Ready(Ok(&[])),
            Poll::Ready(Ok(_)) => {
                // Asked again, because a borrow that is returned in one arm counts in all. What is
                // in the buffer does not go away meanwhile.
                match Pin::new(reader).poll_fill_buf(cx) {
                    Poll::Ready(filled) => Poll::Ready(filled),
                    Poll::Pending => panic!("`poll_fill_buf` waits although its buffer is filled"),
                }
            }
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Pending => {
                *slot = Some(reader);
                Poll::Pending
            }
        }
    }
}

pin_project! {
    /// The lines of a reader, without their ends (`\n` or `\r\n`). Made by
    /// [`AsyncBufReadExt::lines`](super::AsyncBufReadExt::lines).
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Lines<R> {
        #[pin]
        reader: R,
        bytes: Vec<u8>,
        count: usize,
    }
}

impl<R> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self {
            reader,
            bytes: Vec::new(),
            count: 0,
        }
    }
}

impl<R: AsyncBufRead> Lines<R> {
    /// The next line; `None` at the end of the input.
    ///
    /// # Errors
    ///
    /// Those of the reader; `InvalidData` if the line is not UTF-8.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next_line(&mut self) -> io::Result<Option<String>>
    where
        R: Unpin,
    {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next_line(cx)).await
    }

    /// The reader.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The reader.
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// The reader. What it has read ahead stays in it; a line that was begun is lost.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// The poll behind [`next_line`](Self::next_line).
    ///
    /// # Errors
    ///
    /// As [`next_line`](Self::next_line).
    pub fn poll_next_line(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<String>>> {
        let this = self.project();
        let count = ready!(poll_until(this.reader, cx, b'\n', this.bytes, this.count))?;
        if count == 0 && this.bytes.is_empty() {
            return Poll::Ready(Ok(None));
        }
        let mut line = std::mem::take(this.bytes);
        if line.ends_with(b"\n") {
            line.pop();
            if line.ends_with(b"\r") {
                line.pop();
            }
        }
        let invalid =
            |error: std::string::FromUtf8Error| io::Error::new(io::ErrorKind::InvalidData, error);
        Poll::Ready(String::from_utf8(line).map(Some).map_err(invalid))
    }
}

pin_project! {
    /// What lies between the delimiters of a reader. Made by
    /// [`AsyncBufReadExt::split`](super::AsyncBufReadExt::split).
    #[derive(Debug)]
    #[must_use = "streams do nothing unless polled"]
    pub struct Split<R> {
        #[pin]
        reader: R,
        bytes: Vec<u8>,
        delimiter: u8,
        count: usize,
    }
}

impl<R> Split<R> {
    pub(super) fn new(reader: R, delimiter: u8) -> Self {
        Self {
            reader,
            bytes: Vec::new(),
            delimiter,
            count: 0,
        }
    }
}

impl<R: AsyncBufRead> Split<R> {
    /// The next segment; `None` at the end of the input.
    ///
    /// # Errors
    ///
    /// Those of the reader.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next_segment(&mut self) -> io::Result<Option<Vec<u8>>>
    where
        R: Unpin,
    {
        std::future::poll_fn(|cx| Pin::new(&mut *self).poll_next_segment(cx)).await
    }

    /// The reader.
    pub fn get_ref(&self) -> &R {
        &self.reader
    }

    /// The reader.
    pub fn get_mut(&mut self) -> &mut R {
        &mut self.reader
    }

    /// The reader. A segment that was begun is lost.
    pub fn into_inner(self) -> R {
        self.reader
    }

    /// The poll behind [`next_segment`](Self::next_segment).
    ///
    /// # Errors
    ///
    /// Those of the reader.
    pub fn poll_next_segment(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<Option<Vec<u8>>>> {
        let this = self.project();
        let (reader, delimiter) = (this.reader, *this.delimiter);
        let count = ready!(poll_until(reader, cx, delimiter, this.bytes, this.count))?;
        if count == 0 && this.bytes.is_empty() {
            return Poll::Ready(Ok(None));
        }
        let mut segment = std::mem::take(this.bytes);
        if segment.last() == Some(&delimiter) {
            segment.pop();
        }
        Poll::Ready(Ok(Some(segment)))
    }
}
