//! The calls of one file that use its position: one at a time, and what was read ahead.
//!
//! Place: owned by `File`; starts calls on the blocking pool and polls their handles; runs on any
//! thread that polls a task.
//!
//! ```text
//!             start_*                 the call ends
//!   idle ---------------> under way ----------------> idle
//!   buffer: what was       with the call: an empty    buffer: what was read and
//!   read and not taken     one, the file's if it is   not taken
//!                          empty
//! ```
//!
//! # Invariants
//! - A byte that the system has read is in the buffer until somebody takes it, or until a call has
//!   moved the system's position back over it: the position that the user sees is the system's less
//!   what is in the buffer. A call that cannot begin, or is cancelled in the pool's queue, changes
//!   neither.
//! - A pipe or a terminal has no position: what was read ahead stays the next that is read.
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
    under_way: Option<JoinHandle<Done>>,
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

/// A call that has ended.
#[derive(Debug)]
struct Done {
    /// What it was given, with what it has read.
    buffer: Buffer,
    /// Whether the system's position is no longer behind what was read ahead before.
    has_left_ahead: bool,
    outcome: Outcome,
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
            Ok(done) => {
                if done.has_left_ahead {
                    self.buffer.clear();
                }
                if self.buffer.rest().is_empty() {
                    self.buffer = done.buffer;
                }
                Poll::Ready(Some(done.outcome))
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

    /// Starts a call, which tells its outcome and whether it has left what was read ahead. Nothing
    /// is under way.
    fn start(
        &mut self,
        mut buffer: Buffer,
        call: impl FnOnce(&mut Buffer) -> (Outcome, bool) + Send + 'static,
    ) -> io::Result<()> {
        debug_assert!(self.under_way.is_none(), "two calls of one file at once");
        let handle = Handle::current().try_spawn_blocking(move || {
            let (outcome, has_left_ahead) = call(&mut buffer);
            Done {
                buffer,
                has_left_ahead,
                outcome,
            }
        })?;
        self.under_way = Some(handle);
        Ok(())
    }

    /// An empty buffer for a call: should the call be lost, so is nothing else.
    fn spare(&mut self) -> Buffer {
        if !self.buffer.rest().is_empty() {
            return Buffer::default();
        }
        let mut buffer = std::mem::take(&mut self.buffer);
        buffer.clear();
        buffer
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
            let buffer = self.spare();
            self.start(buffer, move |buffer| {
                let read = retry(|| (&*std).read(buffer.space(len)));
                (Outcome::Read(read.map(|count| buffer.end = count)), false)
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
        let (ahead, mut bytes) = (self.buffer.rest().len(), self.spare());
        bytes.space(len).copy_from_slice(&buf[..len]);
        let std = Arc::clone(std);
        self.start(bytes, move |bytes| {
            after_going_back(&std, ahead, |mut std| std.write_all(bytes.space(len)))
        })?;
        Ok(len)
    }

    /// Starts to change the length. Nothing is under way.
    pub(super) fn start_set_len(&mut self, std: &Arc<StdFile>, size: u64) -> io::Result<()> {
        // What was read ahead may be cut off.
        let (ahead, buffer) = (self.buffer.rest().len(), self.spare());
        let std = Arc::clone(std);
        self.start(buffer, move |_buffer| {
            after_going_back(&std, ahead, |std| std.set_len(size))
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
            let buffer = self.spare();
            self.start(buffer, move |_buffer| {
                let position = (&*std).seek(from_here);
                let has_moved = position.is_ok();
                (Outcome::Seek(position), has_moved)
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

/// Moves back over what was read ahead and calls `change`. Tells also whether it has moved: what has
/// no position stays where it is.
fn after_going_back(
    std: &StdFile,
    ahead: usize,
    change: impl FnOnce(&StdFile) -> io::Result<()>,
) -> (Outcome, bool) {
    match go_back(std, ahead) {
        Ok(()) => (Outcome::Write(change(std)), true),
        Err(error) if error.kind() == io::ErrorKind::NotSeekable => {
            (Outcome::Write(change(std)), false)
        }
        Err(error) => (Outcome::Write(Err(error)), false),
    }
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
