//! The calls of one file that use its position: one at a time, each with the file's buffer.
//!
//! Place: owned by `File`; starts calls on the blocking pool and polls their handles; runs on any
//! thread that polls a task.
//!
//! ```text
//!             start_*                 the call ends
//!   idle ---------------> under way ----------------> idle
//!   buffer: what was       (the buffer is with        buffer: what was read and
//!   read and not taken      the call)                 not taken
//! ```
//!
//! # Invariants
//! - A byte that the system has read is in the buffer until somebody takes it, or until a write or
//!   a seek moves the system's position back over it: the position that the user sees is the
//!   system's less what is in the buffer.
//! - A write puts all its bytes into the file, or reports an error, to the next call if its own
//!   is gone.

use std::fs::File as StdFile;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use crate::primitive::sync::Arc;
use crate::runtime::{Handle, runtime_is_gone};
use crate::task::JoinHandle;

/// The state of a file's calls.
#[derive(Debug, Default)]
pub(super) struct Calls {
    buffer: Buffer,
    under_way: Option<JoinHandle<(Buffer, Outcome)>>,
    /// Where the seek goes that is under way.
    seeks_to: Option<SeekFrom>,
    /// Of a write that nobody waited for.
    error: Option<io::Error>,
}

/// What a call came to.
#[derive(Debug)]
pub(super) enum Outcome {
    Read(io::Result<()>),
    Write(io::Result<()>),
    Seek(io::Result<u64>),
}

/// What was read and not yet taken: `bytes[start..end]`. The rest is spare.
#[derive(Debug, Default)]
struct Buffer {
    bytes: Vec<u8>,
    start: usize,
    end: usize,
}

impl Buffer {
    fn rest(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Forgets what is in it, and tells how much that was.
    fn clear(&mut self) -> usize {
        let rest = self.rest().len();
        (self.start, self.end) = (0, 0);
        rest
    }

    /// The first `len` bytes, whatever is in them.
    fn space(&mut self, len: usize) -> &mut [u8] {
        if self.bytes.len() < len {
            self.bytes.resize(len, 0);
        }
        &mut self.bytes[..len]
    }
}

impl Calls {
    /// Waits for the call that is under way and tells what it came to, if there is one.
    fn poll_call(&mut self, cx: &mut Context<'_>) -> Poll<Option<Outcome>> {
        let Some(call) = &mut self.under_way else {
            return Poll::Ready(None);
        };
        let done = ready!(Pin::new(call).poll(cx));
        self.under_way = None;
        match done {
            Ok((buffer, outcome)) => {
                self.buffer = buffer;
                Poll::Ready(Some(outcome))
            }
            Err(_cancelled) => {
                self.error = Some(runtime_is_gone());
                Poll::Ready(None)
            }
        }
    }

    /// Waits until no call is under way.
    ///
    /// # Errors
    ///
    /// Of a write that nobody waited for; that the runtime is gone.
    pub(super) fn poll_settle(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if let Some(Outcome::Write(Err(error))) = ready!(self.poll_call(cx)) {
            self.error = Some(error);
        }
        Poll::Ready(self.error.take().map_or(Ok(()), Err))
    }

    /// Starts a call. Nothing is under way.
    fn start(
        &mut self,
        call: impl FnOnce(&mut Buffer) -> Outcome + Send + 'static,
    ) -> io::Result<()> {
        debug_assert!(self.under_way.is_none(), "two calls of one file at once");
        let mut buffer = std::mem::take(&mut self.buffer);
        let handle = Handle::current().try_spawn_blocking(move || {
            let outcome = call(&mut buffer);
            (buffer, outcome)
        })?;
        self.under_way = Some(handle);
        Ok(())
    }

    /// Reads into `buf`, `len_max` bytes at most.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        std: &Arc<StdFile>,
        buf: &mut [u8],
        len_max: usize,
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let mut has_read = false;
        loop {
            match ready!(self.poll_call(cx)) {
                Some(Outcome::Read(outcome)) => {
                    outcome?;
                    has_read = true;
                }
                Some(Outcome::Write(Err(error))) => self.error = Some(error),
                _ => {}
            }
            if let Some(error) = self.error.take() {
                return Poll::Ready(Err(error));
            }
            let rest = self.buffer.rest();
            if has_read || !rest.is_empty() {
                let count = rest.len().min(buf.len());
                buf[..count].copy_from_slice(&rest[..count]);
                self.buffer.start += count;
                return Poll::Ready(Ok(count));
            }
            let (std, len) = (Arc::clone(std), buf.len().min(len_max));
            self.start(move |buffer| {
                (buffer.start, buffer.end) = (0, 0);
                let read = retry(|| (&*std).read(buffer.space(len)));
                Outcome::Read(read.map(|count| buffer.end = count))
            })?;
        }
    }

    /// Starts to write the first bytes of `buf`, and tells how many they are. Nothing is under way.
    pub(super) fn start_write(
        &mut self,
        std: &Arc<StdFile>,
        buf: &[u8],
        len_max: usize,
    ) -> io::Result<usize> {
        let len = buf.len().min(len_max);
        let back = self.buffer.clear();
        self.buffer.space(len).copy_from_slice(&buf[..len]);
        let std = Arc::clone(std);
        self.start(move |buffer| {
            let written = go_back(&std, back).and_then(|()| (&*std).write_all(buffer.space(len)));
            Outcome::Write(written)
        })?;
        Ok(len)
    }

    /// Starts to change the length. Nothing is under way.
    pub(super) fn start_set_len(&mut self, std: &Arc<StdFile>, size: u64) -> io::Result<()> {
        // What was read ahead may be cut off.
        let back = self.buffer.clear();
        let std = Arc::clone(std);
        self.start(move |_buffer| {
            Outcome::Write(go_back(&std, back).and_then(|()| std.set_len(size)))
        })
    }

    /// Moves the position. Asked again for the same place, it goes on with the seek under way.
    pub(super) fn poll_seek(
        &mut self,
        cx: &mut Context<'_>,
        std: &Arc<StdFile>,
        to: SeekFrom,
    ) -> Poll<io::Result<u64>> {
        loop {
            let outcome = ready!(self.poll_call(cx));
            let is_the_same = self.seeks_to.take() == Some(to);
            match outcome {
                Some(Outcome::Seek(outcome)) if is_the_same => return Poll::Ready(outcome),
                Some(Outcome::Write(Err(error))) => self.error = Some(error),
                _ => {}
            }
            if let Some(error) = self.error.take() {
                return Poll::Ready(Err(error));
            }
            let from_here = match to {
                SeekFrom::Current(offset) => SeekFrom::Current(self.relative(offset)?),
                absolute => absolute,
            };
            let std = Arc::clone(std);
            self.start(move |buffer| {
                let position = (&*std).seek(from_here);
                if position.is_ok() {
                    buffer.clear();
                }
                Outcome::Seek(position)
            })?;
            self.seeks_to = Some(to);
        }
    }

    /// An offset from the user's position as one from the system's.
    fn relative(&self, offset: i64) -> io::Result<i64> {
        let ahead = i64::try_from(self.buffer.rest().len()).ok();
        let offset = ahead.and_then(|ahead| offset.checked_sub(ahead));
        offset.ok_or_else(|| io::ErrorKind::InvalidInput.into())
    }

    /// Forgets what was read ahead. Whoever calls it moves the system's position back by the bytes
    /// that it tells. Nothing is under way.
    pub(super) fn take_ahead(&mut self) -> usize {
        self.buffer.clear()
    }
}

/// Moves the position of the system back over what was read ahead.
pub(super) fn go_back(mut file: &StdFile, ahead: usize) -> io::Result<()> {
    if ahead == 0 {
        return Ok(());
    }
    let ahead = i64::try_from(ahead).map_err(|_| io::ErrorKind::InvalidInput)?;
    file.seek(SeekFrom::Current(-ahead)).map(drop)
}

/// Calls `f` again when a signal has interrupted it.
pub(super) fn retry(mut f: impl FnMut() -> io::Result<usize>) -> io::Result<usize> {
    loop {
        match f() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            outcome => return outcome,
        }
    }
}
