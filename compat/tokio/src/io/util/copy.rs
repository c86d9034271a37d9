//! From a reader into a writer.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use oneloop::task::coop;

use super::BUFFER_BYTES;
use crate::io::{AsyncBufRead, AsyncRead, AsyncWrite, ReadBuf};

/// Copies all that `reader` has into `writer`, and flushes it; how many bytes.
///
/// # Errors
///
/// Those of both. What was read and not yet written is lost.
///
/// # Cancel safety
///
/// What was read and not yet written is lost.
pub async fn copy<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: AsyncRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    let mut transfer = Transfer::new(BUFFER_BYTES);
    poll_fn(|cx| transfer.poll(cx, Pin::new(&mut *reader), Pin::new(&mut *writer))).await
}

/// As [`copy`], from the reader's own buffer.
///
/// # Errors
///
/// Those of both. What was not written stays in the reader.
///
/// # Cancel safety
///
/// Nothing is lost.
pub async fn copy_buf<R, W>(reader: &mut R, writer: &mut W) -> io::Result<u64>
where
    R: AsyncBufRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    let mut progress = Progress::default();
    poll_fn(|cx| poll_copy_buf(cx, reader, writer, &mut progress)).await
}

#[derive(Default)]
struct Progress {
    total: u64,
    /// Whether something was written since the last flush.
    is_dirty: bool,
}

fn poll_copy_buf<R, W>(
    cx: &mut Context<'_>,
    reader: &mut R,
    writer: &mut W,
    progress: &mut Progress,
) -> Poll<io::Result<u64>>
where
    R: AsyncBufRead + Unpin + ?Sized,
    W: AsyncWrite + Unpin + ?Sized,
{
    let budget = ready!(coop::poll_proceed(cx));
    loop {
        let filled = match Pin::new(&mut *reader).poll_fill_buf(cx) {
            Poll::Ready(Err(error)) if error.kind() == io::ErrorKind::Interrupted => continue,
            Poll::Ready(filled) => {
                budget.made_progress();
                filled?
            }
            Poll::Pending => {
                // Nothing to do but to push on what the writer still holds back.
                if progress.is_dirty {
                    ready!(Pin::new(&mut *writer).poll_flush(cx))?;
                    progress.is_dirty = false;
                }
                return Poll::Pending;
            }
        };
        if filled.is_empty() {
            ready!(Pin::new(&mut *writer).poll_flush(cx))?;
            return Poll::Ready(Ok(progress.total));
        }
        let count = match ready!(Pin::new(&mut *writer).poll_write(cx, filled)) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            written => written?,
        };
        if count == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        progress.total += count as u64;
        progress.is_dirty = true;
        Pin::new(&mut *reader).consume(count);
    }
}

/// Copies both ways until both inputs have ended; how many bytes each way. The end of an input is
/// handed on as the shutdown of the other stream.
///
/// # Errors
///
/// Those of both streams.
///
/// # Cancel safety
///
/// What was read and not yet written is lost.
pub async fn copy_bidirectional<A, B>(a: &mut A, b: &mut B) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    copy_bidirectional_with_sizes(a, b, BUFFER_BYTES, BUFFER_BYTES).await
}

/// As [`copy_bidirectional`], with buffers of these sizes in bytes.
///
/// # Errors
///
/// Those of both streams.
///
/// # Panics
///
/// If a size is 0.
///
/// # Cancel safety
///
/// What was read and not yet written is lost.
pub async fn copy_bidirectional_with_sizes<A, B>(
    a: &mut A,
    b: &mut B,
    a_to_b_buf_size: usize,
    b_to_a_buf_size: usize,
) -> io::Result<(u64, u64)>
where
    A: AsyncRead + AsyncWrite + Unpin + ?Sized,
    B: AsyncRead + AsyncWrite + Unpin + ?Sized,
{
    assert!(
        a_to_b_buf_size > 0,
        "`a_to_b_buf_size` must be greater than 0"
    );
    assert!(
        b_to_a_buf_size > 0,
        "`b_to_a_buf_size` must be greater than 0"
    );
    let mut there = OneWay::Copying(Transfer::new(a_to_b_buf_size));
    let mut back = OneWay::Copying(Transfer::new(b_to_a_buf_size));
    poll_fn(|cx| {
        // Both go on before either is waited for.
        let there = there.poll(cx, Pin::new(&mut *a), Pin::new(&mut *b))?;
        let back = back.poll(cx, Pin::new(&mut *b), Pin::new(&mut *a))?;
        Poll::Ready(Ok((ready!(there), ready!(back))))
    })
    .await
}

/// One direction of a copy both ways.
enum OneWay {
    Copying(Transfer),
    Ending(u64),
    Ended(u64),
}

impl OneWay {
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<u64>>
    where
        R: AsyncRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        if let Self::Copying(transfer) = self {
            let total = ready!(transfer.poll(cx, reader, writer.as_mut()))?;
            *self = Self::Ending(total);
        }
        if let Self::Ending(total) = *self {
            ready!(writer.poll_shutdown(cx))?;
            *self = Self::Ended(total);
        }
        match *self {
            Self::Ended(total) => Poll::Ready(Ok(total)),
            Self::Copying(_) | Self::Ending(_) => Poll::Pending,
        }
    }
}

/// A copy that is under way: what lies in `bytes[written..filled]` was read and is to be written.
#[derive(Debug)]
struct Transfer {
    bytes: Box<[u8]>,
    filled: usize,
    written: usize,
    total: u64,
    has_ended: bool,
    is_flushed: bool,
}

impl Transfer {
    fn new(buffer_bytes: usize) -> Self {
        Self {
            bytes: vec![0; buffer_bytes].into_boxed_slice(),
            filled: 0,
            written: 0,
            total: 0,
            has_ended: false,
            is_flushed: true,
        }
    }

    /// Goes on. One operation of the budget is charged if anything moved.
    fn poll<R, W>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<u64>>
    where
        R: AsyncRead + ?Sized,
        W: AsyncWrite + ?Sized,
    {
        let budget = ready!(coop::poll_proceed(cx));
        loop {
            let has_room = self.filled < self.bytes.len();
            if has_room && !self.has_ended {
                match self.poll_fill(cx, reader.as_mut()) {
                    Poll::Ready(read) => {
                        budget.made_progress();
                        read?;
                    }
                    Poll::Pending if self.written == self.filled => {
                        // Nothing to do but to push on what the writer still holds back.
                        if !self.is_flushed {
                            ready!(writer.poll_flush(cx))?;
                            budget.made_progress();
                            self.is_flushed = true;
                        }
                        return Poll::Pending;
                    }
                    Poll::Pending => {}
                }
            }
            while self.written < self.filled {
                match self.poll_write(cx, writer.as_mut()) {
                    Poll::Ready(written) => {
                        budget.made_progress();
                        written?;
                    }
                    Poll::Pending => {
                        // Meanwhile the reader may go on.
                        if self.filled < self.bytes.len() && !self.has_ended {
                            ready!(self.poll_fill(cx, reader))?;
                            budget.made_progress();
                        }
                        return Poll::Pending;
                    }
                }
            }
            self.filled = 0;
            self.written = 0;
            if self.has_ended {
                ready!(writer.poll_flush(cx))?;
                budget.made_progress();
                return Poll::Ready(Ok(self.total));
            }
        }
    }

    /// Reads once more.
    fn poll_fill<R: AsyncRead + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut reader: Pin<&mut R>,
    ) -> Poll<io::Result<()>> {
        let mut buf = ReadBuf::new(&mut self.bytes);
        buf.set_filled(self.filled);
        loop {
            match ready!(reader.as_mut().poll_read(cx, &mut buf)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(()) => {
                    let filled = buf.filled().len();
                    self.has_ended = filled == self.filled;
                    self.filled = filled;
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }

    /// Writes once more.
    fn poll_write<W: AsyncWrite + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        mut writer: Pin<&mut W>,
    ) -> Poll<io::Result<()>> {
        loop {
            let rest = &self.bytes[self.written..self.filled];
            match ready!(writer.as_mut().poll_write(cx, rest)) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
                Ok(0) => {
                    let text = "write zero byte into writer";
                    return Poll::Ready(Err(io::Error::new(io::ErrorKind::WriteZero, text)));
                }
                Ok(count) => {
                    self.written += count;
                    self.total += count as u64;
                    self.is_flushed = false;
                    return Poll::Ready(Ok(()));
                }
            }
        }
    }
}
