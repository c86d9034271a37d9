//! Files and standard streams: blocking calls on the pool, one at a time for each object.
//!
//! Place: the engine of `fs::File` and of `io::{stdin, stdout, stderr}`.
//!
//! ```text
//!   Idle { object, buffer } --spawn_blocking--> Busy --done--> Idle
//!        read:  what was read waits in the buffer
//!        write: the bytes go into the buffer; the call is answered before they are written, and an
//!               error is told by the next call
//! ```

use std::io::{self, Read, Seek, SeekFrom, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::io::ReadBuf;
use crate::runtime::context;
use crate::task::{JoinError, JoinHandle};

/// The most that one blocking call reads or writes, unless told otherwise.
pub(crate) const BUFFER_BYTES_MAX: usize = 2 * 1024 * 1024;

/// An object whose calls block.
#[derive(Debug)]
pub(crate) struct Offload<T> {
    state: State<T>,
    /// An error of a write that was answered before.
    write_error: Option<io::Error>,
    buffer_bytes_max: usize,
    lost: fn(JoinError) -> io::Error,
}

#[derive(Debug)]
enum State<T> {
    Idle(Idle<T>),
    Busy(JoinHandle<(Idle<T>, Done)>),
    /// The object went down with a blocking call that was never made.
    Lost,
}

#[derive(Debug)]
struct Idle<T> {
    object: T,
    buffer: Buffer,
}

/// What was read and not yet taken: `bytes[taken..]`.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    taken: usize,
}

impl Buffer {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.taken..]
    }

    fn clear(&mut self) {
        self.bytes.clear();
        self.taken = 0;
    }
}

/// What a blocking call came to.
#[derive(Debug)]
enum Done {
    Read(io::Result<()>),
    Write(io::Result<()>),
    Flush(io::Result<()>),
    Seek(io::Result<u64>),
}

impl<T: Send + 'static> Offload<T> {
    /// `lost` makes the error of calls that the pool does not take any more.
    pub(crate) fn new(object: T, lost: fn(JoinError) -> io::Error) -> Self {
        let buffer = Buffer::default();
        Self {
            state: State::Idle(Idle { object, buffer }),
            write_error: None,
            buffer_bytes_max: BUFFER_BYTES_MAX,
            lost,
        }
    }

    pub(crate) fn set_buffer_bytes_max(&mut self, bytes: usize) {
        assert!(bytes > 0, "`max_buf_size` must be greater than 0");
        self.buffer_bytes_max = bytes;
    }

    pub(crate) fn buffer_bytes_max(&self) -> usize {
        self.buffer_bytes_max
    }

    /// Whether a blocking call is under way.
    pub(crate) fn is_busy(&self) -> bool {
        matches!(self.state, State::Busy(_))
    }

    /// Waits for the call that is under way; an error of a write is kept.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<Done>>> {
        match &mut self.state {
            State::Idle(_) => Poll::Ready(Ok(None)),
            State::Lost => Poll::Ready(Err(io::Error::other("background task failed"))),
            State::Busy(call) => match ready!(Pin::new(call).poll(cx)) {
                Ok((idle, done)) => {
                    self.state = State::Idle(idle);
                    Poll::Ready(Ok(Some(match done {
                        Done::Write(Err(error)) => {
                            self.write_error = Some(error);
                            Done::Write(Ok(()))
                        }
                        done => done,
                    })))
                }
                Err(error) => {
                    self.state = State::Lost;
                    Poll::Ready(Err((self.lost)(error)))
                }
            },
        }
    }

    /// Waits until no call is under way.
    pub(crate) fn poll_quiet(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_idle(cx))?;
        Poll::Ready(Ok(()))
    }

    fn idle(&mut self) -> &mut Idle<T> {
        match &mut self.state {
            State::Idle(idle) => idle,
            State::Busy(_) | State::Lost => unreachable!("`poll_idle` was ready"),
        }
    }

    #[track_caller]
    fn begin(&mut self, call: impl FnOnce(&mut T, &mut Buffer) -> Done + Send + 'static) {
        let State::Idle(mut idle) = std::mem::replace(&mut self.state, State::Lost) else {
            unreachable!("`poll_idle` was ready");
        };
        let call = move || {
            let done = call(&mut idle.object, &mut idle.buffer);
            (idle, done)
        };
        self.state = State::Busy(context::current().spawn_blocking(call));
    }

    fn take_write_error(&mut self) -> io::Result<()> {
        self.write_error.take().map_or(Ok(()), Err)
    }
}

impl<T: Read + Send + 'static> Offload<T> {
    pub(crate) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        dst: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            match ready!(self.poll_idle(cx))? {
                Some(Done::Read(Err(error))) => return Poll::Ready(Err(error)),
                Some(Done::Read(Ok(()))) if self.idle().buffer.rest().is_empty() => {
                    return Poll::Ready(Ok(()));
                }
                Some(_) | None => {}
            }
            let buffer = &mut self.idle().buffer;
            if !buffer.rest().is_empty() || dst.remaining() == 0 {
                let count = buffer.rest().len().min(dst.remaining());
                dst.put_slice(&buffer.rest()[..count]);
                buffer.taken += count;
                return Poll::Ready(Ok(()));
            }
            let want = dst.remaining().min(self.buffer_bytes_max);
            self.begin(move |object, buffer| Done::Read(read_once(object, buffer, want)));
        }
    }
}

fn read_once(object: &mut impl Read, buffer: &mut Buffer, want: usize) -> io::Result<()> {
    buffer.clear();
    buffer.bytes.resize(want, 0);
    let count = loop {
        match object.read(&mut buffer.bytes) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            result => break result,
        }
    };
    buffer.bytes.truncate(*count.as_ref().unwrap_or(&0));
    count.map(drop)
}

impl<T: Write + Send + 'static> Offload<T> {
    /// Takes bytes from `parts`, and writes them in the background. `before` moves the object to
    /// where it seems to be, with how many bytes were read ahead.
    pub(crate) fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
        before: fn(&mut T, usize) -> io::Result<()>,
    ) -> Poll<io::Result<usize>> {
        ready!(self.poll_idle(cx))?;
        self.take_write_error()?;
        let limit = self.buffer_bytes_max;
        let buffer = &mut self.idle().buffer;
        let ahead = buffer.rest().len();
        buffer.clear();
        for part in parts {
            let count = part.len().min(limit - buffer.bytes.len());
            buffer.bytes.extend_from_slice(&part[..count]);
        }
        let count = buffer.bytes.len();
        self.begin(move |object, buffer| {
            let written = before(object, ahead).and_then(|()| object.write_all(&buffer.bytes));
            buffer.clear();
            Done::Write(written)
        });
        Poll::Ready(Ok(count))
    }

    /// Waits for the writes that were answered before, and flushes the object.
    pub(crate) fn poll_flush_object(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let done = ready!(self.poll_idle(cx))?;
        self.take_write_error()?;
        if let Some(Done::Flush(flushed)) = done {
            return Poll::Ready(flushed);
        }
        self.begin(|object, _| Done::Flush(object.flush()));
        self.poll_flush_object(cx)
    }
}

impl<T: Send + 'static> Offload<T> {
    /// Forgets what was read ahead; how many bytes. Call it when no call is under way.
    pub(crate) fn take_ahead(&mut self) -> usize {
        let buffer = &mut self.idle().buffer;
        let ahead = buffer.rest().len();
        buffer.clear();
        ahead
    }

    /// Waits for the writes that were answered before.
    pub(crate) fn poll_written(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_idle(cx))?;
        Poll::Ready(self.take_write_error())
    }
}

impl<T: Seek + Send + 'static> Offload<T> {
    /// Begins to move.
    pub(crate) fn start_seek(&mut self, position: SeekFrom) -> io::Result<()> {
        if self.is_busy() {
            return Err(io::Error::other(
                "other file operation is pending, call poll_complete before start_seek",
            ));
        }
        let State::Idle(idle) = &mut self.state else {
            return Err(io::Error::other("background task failed"));
        };
        let ahead = i64::try_from(idle.buffer.rest().len()).expect("a buffer's length");
        idle.buffer.clear();
        let position = match position {
            SeekFrom::Current(distance) => SeekFrom::Current(distance.saturating_sub(ahead)),
            other => other,
        };
        self.begin(move |object, _| Done::Seek(object.seek(position)));
        Ok(())
    }

    /// Waits for the move; `last` is the position if none was under way.
    pub(crate) fn poll_seek(
        &mut self,
        cx: &mut Context<'_>,
        last: &mut u64,
    ) -> Poll<io::Result<u64>> {
        if let Some(Done::Seek(moved)) = ready!(self.poll_idle(cx))? {
            *last = moved?;
        }
        Poll::Ready(Ok(*last))
    }
}
