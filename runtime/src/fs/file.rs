//! An open file.
//!
//! Place: used by tasks; calls with a position go through `Calls`, one after the other, the others
//! to the pool as they come.
//!
//! # Why it is so
//! A call cannot be stopped once a thread is in it, so what it uses must not belong to a future that
//! may be dropped: bytes go through a buffer that moves with the call. That is one copy, which is
//! small beside the way to another thread and back.

use std::fmt;
use std::fs::File as StdFile;
use std::future::poll_fn;
use std::io::{self, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::calls::{Calls, go_back, retry};
use super::{Metadata, OpenOptions, Permissions, on_pool};
use crate::primitive::sync::Arc;

/// The most that one call reads or writes, in bytes.
pub const TRANSFER_BYTES_MAX: usize = 256 * 1024;

/// What `read_to_end` asks for at once, in bytes.
const READ_TO_END_BYTES: usize = 64 * 1024;

/// An open file.
///
/// A call that uses the position (`read`, `write`, `seek`) is done with when its future is; errors
/// are its own. The traits of futures-io are there too: through them a write is answered as soon as
/// it has begun, and its error is told by the next call, so end with `flush` or `close`.
///
/// A file keeps a buffer of the size of its largest transfer, [`TRANSFER_BYTES_MAX`] at most.
///
/// # Cancel safety
///
/// A call that is dropped goes on, and the next one waits for it. Nothing is lost: bytes that a
/// dropped `read` has got are what the next one returns, and the position is the one before them;
/// a dropped `write` puts all the bytes of its call into the file, and the next call tells if it
/// could not. On a pipe or a terminal, which have no position, a write leaves the bytes that a
/// dropped `read` has got to the next `read`.
///
/// A call that still waits for a thread when its runtime ends is not done: the next call fails for
/// it (see [`is_shutdown_error`](crate::runtime::is_shutdown_error)), and the one after goes on at
/// the position from before, in another runtime too.
///
/// # Examples
///
/// ```
/// use oneloop_runtime::{fs::File, runtime::Builder};
///
/// # let path = std::env::temp_dir().join(format!("oneloop-doc-{}", std::process::id()));
/// let runtime = Builder::new_current_thread().build()?;
/// runtime.block_on(async {
///     let mut file = File::create(&path).await?;
///     file.write_all(b"hello").await?;
///     let mut word = [0; 5];
///     File::open(&path).await?.read_exact(&mut word).await?;
///     assert_eq!(&word, b"hello");
///     # std::fs::remove_file(&path)?;
///     std::io::Result::Ok(())
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct File {
    pub(super) std: Arc<StdFile>,
    pub(super) calls: Calls,
}

impl File {
    /// Opens a file to read.
    ///
    /// # Errors
    ///
    /// As [`OpenOptions::open`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`OpenOptions::open`].
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::options().read(true).open(path).await
    }

    /// Opens a file to write: made if there is none, emptied if there is one.
    ///
    /// # Errors
    ///
    /// As [`OpenOptions::open`].
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`OpenOptions::open`].
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        let options = Self::options().write(true).create(true).truncate(true);
        options.open(path).await
    }

    /// Opens a file in another way.
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Takes over a file of std's.
    #[must_use]
    pub fn from_std(std: StdFile) -> Self {
        Self {
            std: Arc::new(std),
            calls: Calls::default(),
        }
    }

    /// Turns it into a file of std's, with the position that this one had.
    ///
    /// # Errors
    ///
    /// Of a write that nobody waited for; those of the system: `NotSeekable` for a pipe or a terminal
    /// of which a dropped `read` has got bytes, since they cannot be given back. The file is closed
    /// then.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// The file is closed.
    pub async fn into_std(mut self) -> io::Result<StdFile> {
        self.flush().await?;
        let (std, ahead) = (self.std, self.calls.take_ahead());
        on_pool(move || {
            go_back(&std, ahead)?;
            // A dropped call without a position may hold it still.
            Arc::try_unwrap(std).or_else(|shared| shared.try_clone())
        })
        .await
    }

    /// Reads from the position on, and moves it. 0 bytes are the end of the file, unless `buf` is
    /// empty.
    ///
    /// # Errors
    ///
    /// Those of read(2); of a write that nobody waited for.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: see [`File`].
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let (std, calls) = (&self.std, &mut self.calls);
        poll_fn(|cx| calls.poll_read(cx, std, buf, TRANSFER_BYTES_MAX)).await
    }

    /// Reads until `buf` is full.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the file ends before; as [`read`](Self::read).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Not safe: the bytes before the last `read` are in `buf`, and how many they are is lost.
    pub async fn read_exact(&mut self, buf: &mut [u8]) -> io::Result<()> {
        let mut filled = 0;
        while filled < buf.len() {
            match self.read(&mut buf[filled..]).await? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                count => filled += count,
            }
        }
        Ok(())
    }

    /// Reads to the end of the file, and tells how many bytes. It has no limit.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read). What was read before is in `buf`.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe: what was read is in `buf`.
    pub async fn read_to_end(&mut self, buf: &mut Vec<u8>) -> io::Result<usize> {
        let before = buf.len();
        let mut chunk = vec![0; READ_TO_END_BYTES];
        loop {
            match self.read(&mut chunk).await? {
                0 => return Ok(buf.len() - before),
                count => buf.extend_from_slice(&chunk[..count]),
            }
        }
    }

    /// Writes the first [`TRANSFER_BYTES_MAX`] bytes of `buf` at most, at the position, and moves
    /// it. Tells how many, once they are in the file.
    ///
    /// # Errors
    ///
    /// Those of write(2), after which some of the bytes may be in the file; of a write that nobody
    /// waited for.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Either nothing has been begun, or all the bytes of the call are written all the same.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        let calls = &mut self.calls;
        poll_fn(|cx| calls.poll_settle(cx)).await?;
        if buf.is_empty() {
            return Ok(0);
        }
        let count = calls.start_write(&self.std, buf, TRANSFER_BYTES_MAX)?;
        poll_fn(|cx| calls.poll_settle(cx)).await?;
        Ok(count)
    }

    /// Writes all of `buf`.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Not safe: some calls of `write` are done, and how many is lost.
    pub async fn write_all(&mut self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            let count = self.write(buf).await?;
            buf = &buf[count..];
        }
        Ok(())
    }

    /// Moves the position, and tells where it is.
    ///
    /// # Errors
    ///
    /// Those of lseek(2); of a write that nobody waited for.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// It may be done all the same. The same `seek` again then does nothing more.
    pub async fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let (std, calls) = (&self.std, &mut self.calls);
        poll_fn(|cx| calls.poll_seek(cx, std, to)).await
    }

    /// Waits until the call that is under way has ended. Only dropped calls, and writes through the
    /// traits, leave one. The bytes are then the system's, not on the disk: that is
    /// [`sync_all`](Self::sync_all).
    ///
    /// # Errors
    ///
    /// Of a write that nobody waited for.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| self.calls.poll_settle(cx)).await
    }

    /// Sees to it that bytes and metadata are on the disk (fsync(2)).
    ///
    /// # Errors
    ///
    /// Those of the system; of a write that nobody waited for.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// It is done all the same, and nobody knows whether it failed.
    pub async fn sync_all(&mut self) -> io::Result<()> {
        self.flush().await?;
        let std = Arc::clone(&self.std);
        on_pool(move || std.sync_all()).await
    }

    /// Sees to it that the bytes are on the disk (fdatasync(2)).
    ///
    /// # Errors
    ///
    /// As [`sync_all`](Self::sync_all).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// As [`sync_all`](Self::sync_all).
    pub async fn sync_data(&mut self) -> io::Result<()> {
        self.flush().await?;
        let std = Arc::clone(&self.std);
        on_pool(move || std.sync_data()).await
    }

    /// Cuts the file off, or fills it up with zeros, to `size` bytes. The position stays.
    ///
    /// # Errors
    ///
    /// Those of ftruncate(2); of a write that nobody waited for.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// It may be done all the same.
    pub async fn set_len(&mut self, size: u64) -> io::Result<()> {
        self.flush().await?;
        self.calls.start_set_len(&self.std, size)?;
        self.flush().await
    }

    /// What the system knows of the file.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let std = Arc::clone(&self.std);
        on_pool(move || std.metadata()).await
    }

    /// Sets what may be done with the file.
    ///
    /// # Errors
    ///
    /// Those of fchmod(2).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// It may be done all the same.
    pub async fn set_permissions(&self, permissions: Permissions) -> io::Result<()> {
        let std = Arc::clone(&self.std);
        on_pool(move || std.set_permissions(permissions)).await
    }

    /// Reads from `offset` on, whatever the position is, and leaves that where it is. Several may be
    /// under way at once. [`TRANSFER_BYTES_MAX`] at most; 0 bytes are the end of the file, unless
    /// `buf` is empty.
    ///
    /// # Errors
    ///
    /// Those of pread(2).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// Safe.
    pub async fn read_at(&self, buf: &mut [u8], offset: u64) -> io::Result<usize> {
        let (std, len) = (Arc::clone(&self.std), buf.len().min(TRANSFER_BYTES_MAX));
        let read = on_pool(move || {
            let mut bytes = vec![0; len];
            let count = retry(|| std.read_at(&mut bytes, offset))?;
            bytes.truncate(count);
            Ok(bytes)
        });
        let bytes = read.await?;
        buf[..bytes.len()].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    /// Writes at `offset`, whatever the position is, and leaves that where it is. Several may be
    /// under way at once. Tells how many bytes, [`TRANSFER_BYTES_MAX`] at most.
    ///
    /// # Errors
    ///
    /// Those of pwrite(2).
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// It may be done all the same.
    pub async fn write_at(&self, buf: &[u8], offset: u64) -> io::Result<usize> {
        let std = Arc::clone(&self.std);
        let bytes = buf[..buf.len().min(TRANSFER_BYTES_MAX)].to_vec();
        on_pool(move || retry(|| std.write_at(&bytes, offset))).await
    }
}

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.std.fmt(f)
    }
}

impl From<StdFile> for File {
    fn from(std: StdFile) -> Self {
        Self::from_std(std)
    }
}

impl From<OwnedFd> for File {
    fn from(fd: OwnedFd) -> Self {
        Self::from_std(fd.into())
    }
}

impl AsFd for File {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.std.as_fd()
    }
}

impl AsRawFd for File {
    fn as_raw_fd(&self) -> RawFd {
        self.std.as_raw_fd()
    }
}
