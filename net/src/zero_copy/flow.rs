//! One direction of a copy: the bytes on their way, and what is to be done next.
//!
//! Place: owned by the futures of `copy`, polls both ends; runs on any thread that polls a task.
//!
//! ```text
//!          +-- empty --> fill: splice into a pipe, or read into the buffer --+
//! Copying -+                                                                 +-> again
//!          +-- bytes --> drain: splice out of the pipe, or write -----------+
//!    | end of the reader
//! Ending: flush, and shut the writer down if asked to
//!    |
//! Done
//! ```
//!
//! # Invariants
//! - Bytes are in the pipe or in the buffer, never in both, and are filled in only when both are
//!   empty: so "would block" of a fill is about the socket and not about a full pipe.
//! - While it waits for the reader it holds no pipe, and between sockets no buffer.
//! - A splice of 0 bytes is no proof of the end (urgent data stop one): a read has to say so.

use std::io::{self, Read as _};
use std::task::{Context, Poll, ready};

use oneloop_runtime::io::Direction;

use super::ends::{ReadEnd, SocketRef, WriteEnd};
use super::pipes::{PIPE_BYTES, Pipe};
use super::{kernel, sigpipe};

/// One direction.
#[derive(Debug)]
pub(super) struct Flow {
    stage: Stage,
    /// The kernel has not refused to move these bytes.
    by_kernel: bool,
    /// The next fill goes through the buffer.
    must_read: bool,
    pipe: Option<Pipe>,
    in_pipe: usize,
    buffer: Vec<u8>,
    /// Where what is not yet written begins in the buffer.
    start: usize,
    needs_flush: bool,
    moved: u64,
    at_end: AtEnd,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Copying,
    Ending,
    Done,
}

/// What the writer is told when the reader has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AtEnd {
    /// Nothing: only what it keeps back is flushed.
    Flush,
    /// That no more bytes come.
    ShutDown,
}

/// What a fill came to.
enum Filled {
    Bytes,
    End,
}

impl Flow {
    pub(super) fn new(at_end: AtEnd) -> Self {
        Self {
            stage: Stage::Copying,
            by_kernel: !sigpipe::kills(),
            must_read: false,
            pipe: None,
            in_pipe: 0,
            buffer: Vec::new(),
            start: 0,
            needs_flush: false,
            moved: 0,
            at_end,
        }
    }

    /// Bytes that the writer has taken.
    pub(super) fn moved(&self) -> u64 {
        self.moved
    }

    /// Goes on as far as it can. Ready when the reader has ended and the writer knows.
    pub(super) fn poll<R: ReadEnd + ?Sized, W: WriteEnd + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &mut W,
    ) -> Poll<io::Result<u64>> {
        while self.stage == Stage::Copying {
            ready!(self.poll_drain(cx, writer))?;
            match self.poll_fill(cx, reader, writer) {
                Poll::Ready(Ok(Filled::Bytes)) => {}
                Poll::Ready(Ok(Filled::End)) => {
                    self.release();
                    self.stage = Stage::Ending;
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => {
                    self.release_unless_needed(reader);
                    ready!(self.poll_flush(cx, writer))?;
                    return Poll::Pending;
                }
            }
        }
        if self.stage == Stage::Ending {
            ready!(self.poll_flush(cx, writer))?;
            if self.at_end == AtEnd::ShutDown {
                ready!(writer.poll_shutdown(cx))?;
            }
            self.stage = Stage::Done;
        }
        Poll::Ready(Ok(self.moved))
    }

    /// Gives all that is on its way to the writer.
    fn poll_drain<W: WriteEnd + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<()>> {
        while self.in_pipe > 0 {
            let (Some(pipe), Some(socket)) = (&self.pipe, writer.socket()) else {
                unreachable!("bytes are put into a pipe that is there, for a socket");
            };
            let in_pipe = self.in_pipe;
            let spliced = ready!(socket.poll_io(cx, Direction::Write, |socket| {
                kernel::splice_out(&pipe.reader, socket, in_pipe)
            }));
            match spliced {
                Ok(0) => return Poll::Ready(Err(took_nothing())),
                Ok(count) => {
                    self.in_pipe -= count;
                    self.moved += count as u64;
                }
                Err(error) if kernel::is_refusal(&error) => self.empty_into_buffer()?,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        while self.start < self.buffer.len() {
            match ready!(writer.poll_write(cx, &self.buffer[self.start..]))? {
                0 => return Poll::Ready(Err(took_nothing())),
                count => {
                    self.start += count;
                    self.moved += count as u64;
                    self.needs_flush = true;
                }
            }
        }
        Poll::Ready(Ok(()))
    }

    /// The kernel took bytes from the reader and cannot give them to the writer: from now on they
    /// go through the buffer, these first.
    fn empty_into_buffer(&mut self) -> io::Result<()> {
        self.by_kernel = false;
        let Some(pipe) = self.pipe.take() else {
            return Ok(());
        };
        let mut reader = std::fs::File::from(pipe.reader);
        self.buffer.resize(self.in_pipe, 0);
        self.start = 0;
        self.in_pipe = 0;
        // They are all there: nothing is waited for.
        reader.read_exact(&mut self.buffer)
    }

    /// Takes bytes from the reader. Nothing is on its way.
    fn poll_fill<R: ReadEnd + ?Sized, W: WriteEnd + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
        writer: &W,
    ) -> Poll<io::Result<Filled>> {
        if self.by_kernel
            && !self.must_read
            && let (Some(from), Some(_)) = (reader.socket(), writer.socket())
        {
            match ready!(self.poll_splice_in(cx, from)) {
                Ok(Some(count @ 1..)) => {
                    self.in_pipe = count;
                    return Poll::Ready(Ok(Filled::Bytes));
                }
                // Perhaps the end, or no pipe to be had: a read tells, and needs none.
                Ok(_) => self.must_read = true,
                Err(error) if kernel::is_refusal(&error) => self.by_kernel = false,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        self.poll_read_in(cx, reader)
    }

    /// Moves bytes into a pipe, which is taken only when the socket may have some. `None` if there
    /// is no pipe to be had.
    fn poll_splice_in(
        &mut self,
        cx: &mut Context<'_>,
        from: SocketRef<'_>,
    ) -> Poll<io::Result<Option<usize>>> {
        from.poll_io(cx, Direction::Read, |socket| {
            if self.pipe.is_none() {
                // Out of descriptors: the buffer is there for it.
                self.pipe = Pipe::take().ok();
            }
            match &self.pipe {
                Some(pipe) => kernel::splice_in(socket, &pipe.writer, PIPE_BYTES).map(Some),
                None => Ok(None),
            }
        })
    }

    fn poll_read_in<R: ReadEnd + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        reader: &mut R,
    ) -> Poll<io::Result<Filled>> {
        self.start = 0;
        self.buffer.resize(BUFFER_BYTES, 0);
        let polled = reader.poll_read(cx, &mut self.buffer);
        let count = match &polled {
            Poll::Ready(Ok(count)) => *count,
            _ => 0,
        };
        self.buffer.truncate(count);
        ready!(polled)?;
        self.must_read = false;
        Poll::Ready(Ok(match count {
            0 => Filled::End,
            _ => Filled::Bytes,
        }))
    }

    fn poll_flush<W: WriteEnd + ?Sized>(
        &mut self,
        cx: &mut Context<'_>,
        writer: &mut W,
    ) -> Poll<io::Result<()>> {
        if self.needs_flush {
            ready!(writer.poll_flush(cx))?;
            self.needs_flush = false;
        }
        Poll::Ready(Ok(()))
    }

    /// The reader has nothing now. A reader that is no socket is asked with a buffer in hand each
    /// time, so that is kept.
    fn release_unless_needed<R: ReadEnd + ?Sized>(&mut self, reader: &R) {
        // A read instead of a splice was for that one moment.
        self.must_read = false;
        self.give_pipe_back();
        if reader.socket().is_some() {
            self.buffer = Vec::new();
        }
    }

    fn release(&mut self) {
        self.give_pipe_back();
        self.buffer = Vec::new();
    }

    fn give_pipe_back(&mut self) {
        debug_assert_eq!(self.in_pipe, 0, "an idle pipe is empty");
        if let Some(pipe) = self.pipe.take() {
            pipe.give_back();
        }
    }
}

fn took_nothing() -> io::Error {
    io::Error::new(
        io::ErrorKind::WriteZero,
        "the writer took no bytes and gave no reason",
    )
}

/// What one read takes at most.
const BUFFER_BYTES: usize = 16 * 1024;
