//! A file that is open.

use std::fmt;
use std::fs::{File as StdFile, FileTimes, Metadata, Permissions};
use std::future::poll_fn;
use std::io::{self, IoSlice, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use super::{OpenOptions, blocking, lost};
use crate::io::{AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};
use crate::offload::Offload;
use crate::sync::Mutex;

/// An open file.
///
/// A write is answered when its bytes are in the file's buffer (2 MiB at most); they are written in
/// the background, and an error is told by the next call. `flush` waits for that.
pub struct File {
    std: Arc<StdFile>,
    inner: Mutex<Inner>,
}

struct Inner {
    offload: Offload<Arc<StdFile>>,
    position: u64,
}

impl File {
    /// Opens a file for reading.
    ///
    /// # Errors
    ///
    /// Those of open(2).
    ///
    /// # Cancel safety
    ///
    /// A file that is opened all the same is closed again.
    pub async fn open(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::options().read(true).open(path).await
    }

    /// Opens a file for writing, made if there is none and emptied if there is one.
    ///
    /// # Errors
    ///
    /// Those of open(2).
    ///
    /// # Cancel safety
    ///
    /// A file may be made, or emptied, all the same; it is closed again.
    pub async fn create(path: impl AsRef<Path>) -> io::Result<Self> {
        Self::options()
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)
            .await
    }

    /// Makes a file for reading and writing; an error if there is one.
    ///
    /// # Errors
    ///
    /// Those of open(2).
    ///
    /// # Cancel safety
    ///
    /// A file may be made all the same; it is closed again.
    pub async fn create_new<P: AsRef<Path>>(path: P) -> io::Result<Self> {
        Self::options()
            .read(true)
            .write(true)
            .create_new(true)
            .open(path)
            .await
    }

    /// How to open a file.
    #[must_use]
    pub fn options() -> OpenOptions {
        OpenOptions::new()
    }

    /// Takes a file of std's.
    #[must_use]
    pub fn from_std(std: StdFile) -> Self {
        let std = Arc::new(std);
        let inner = Inner {
            offload: Offload::new(Arc::clone(&std), lost),
            position: 0,
        };
        Self {
            std,
            inner: Mutex::new(inner),
        }
    }

    /// Waits for what was written before.
    async fn written(&self) -> io::Result<crate::sync::MutexGuard<'_, Inner>> {
        let mut inner = self.inner.lock().await;
        poll_fn(|cx| inner.offload.poll_written(cx)).await?;
        Ok(inner)
    }

    /// Sees to it that data and metadata are on the disk (fsync(2)).
    ///
    /// # Errors
    ///
    /// Those of the system, of writes before too.
    ///
    /// # Cancel safety
    ///
    /// A call that has begun goes on, and its outcome is lost: call it again. Until the writes before
    /// have ended nothing was begun, and their errors are kept.
    pub async fn sync_all(&self) -> io::Result<()> {
        let _inner = self.written().await?;
        let std = Arc::clone(&self.std);
        blocking(move || std.sync_all()).await
    }

    /// Sees to it that the data is on the disk (fdatasync(2)).
    ///
    /// # Errors
    ///
    /// Those of the system, of writes before too.
    ///
    /// # Cancel safety
    ///
    /// As [`sync_all`](Self::sync_all).
    pub async fn sync_data(&self) -> io::Result<()> {
        let _inner = self.written().await?;
        let std = Arc::clone(&self.std);
        blocking(move || std.sync_data()).await
    }

    /// Cuts the file off or fills it up with zeros.
    ///
    /// # Errors
    ///
    /// Those of ftruncate(2), and of writes before.
    ///
    /// # Cancel safety
    ///
    /// A change that has begun is made all the same, beside what is called next, and its outcome is
    /// lost. Until the writes before have ended nothing was begun.
    pub async fn set_len(&self, size: u64) -> io::Result<()> {
        let mut inner = self.written().await?;
        let ahead = inner.offload.take_ahead();
        let std = Arc::clone(&self.std);
        blocking(move || {
            go_back(&mut &*std, ahead)?;
            std.set_len(size)
        })
        .await
    }

    /// What the system knows of the file.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the call changes nothing, and goes on unobserved.
    pub async fn metadata(&self) -> io::Result<Metadata> {
        let std = Arc::clone(&self.std);
        blocking(move || std.metadata()).await
    }

    /// A second descriptor of the same file, with the same position.
    ///
    /// # Errors
    ///
    /// Those of dup(2).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: a clone that is made all the same is closed again.
    pub async fn try_clone(&self) -> io::Result<Self> {
        // An error of a write stays with this file.
        let mut inner = self.inner.lock().await;
        poll_fn(|cx| inner.offload.poll_quiet(cx)).await?;
        let buffer_bytes_max = inner.offload.buffer_bytes_max();
        drop(inner);
        let std = Arc::clone(&self.std);
        let mut clone = blocking(move || std.try_clone())
            .await
            .map(Self::from_std)?;
        clone.set_max_buf_size(buffer_bytes_max);
        Ok(clone)
    }

    /// The file as std knows it, after what was begun has ended.
    ///
    /// # Cancel safety
    ///
    /// The file is closed after the call that is under way: what was taken to be written is written.
    #[expect(clippy::missing_panics_doc, reason = "an invariant, not a contract")]
    pub async fn into_std(self) -> StdFile {
        let mut inner = self.inner.into_inner();
        // An error of the last call is lost, as it is when a file of std's is dropped.
        let _ = poll_fn(|cx| inner.offload.poll_quiet(cx)).await;
        drop(inner);
        Arc::into_inner(self.std).expect("no call is under way that holds the file")
    }

    /// The file as std knows it, if no call is under way.
    ///
    /// # Errors
    ///
    /// The file itself.
    pub fn try_into_std(self) -> Result<StdFile, Self> {
        let Self { std, inner } = self;
        let inner = inner.into_inner();
        if inner.offload.is_busy() {
            return Err(Self {
                std,
                inner: Mutex::new(inner),
            });
        }
        let spare = Arc::clone(&std);
        drop(inner);
        drop(std);
        match Arc::try_unwrap(spare) {
            Ok(std) => Ok(std),
            Err(shared) => {
                // A call that was given up holds it still.
                let inner = Inner {
                    offload: Offload::new(Arc::clone(&shared), lost),
                    position: 0,
                };
                Err(Self {
                    std: shared,
                    inner: Mutex::new(inner),
                })
            }
        }
    }

    /// Sets what may be done with the file.
    ///
    /// # Errors
    ///
    /// Those of fchmod(2).
    ///
    /// # Cancel safety
    ///
    /// A change that has begun is made all the same, and its outcome is lost.
    pub async fn set_permissions(&self, perm: Permissions) -> io::Result<()> {
        let std = Arc::clone(&self.std);
        blocking(move || std.set_permissions(perm)).await
    }

    /// Sets when the file was read and changed.
    ///
    /// # Errors
    ///
    /// Those of futimens(3).
    ///
    /// # Cancel safety
    ///
    /// A change that has begun is made all the same, and its outcome is lost.
    pub async fn set_times(&self, times: FileTimes) -> io::Result<()> {
        let std = Arc::clone(&self.std);
        blocking(move || std.set_times(times)).await
    }

    /// Sets when the file was changed.
    ///
    /// # Errors
    ///
    /// Those of futimens(3).
    ///
    /// # Cancel safety
    ///
    /// A change that has begun is made all the same, and its outcome is lost.
    pub async fn set_modified(&self, time: std::time::SystemTime) -> io::Result<()> {
        self.set_times(FileTimes::new().set_modified(time)).await
    }

    /// Sets the most that is read or written at once, in bytes. Default: 2 MiB.
    ///
    /// # Panics
    ///
    /// If it is 0.
    #[track_caller]
    pub fn set_max_buf_size(&mut self, max_buf_size: usize) {
        assert!(max_buf_size > 0, "`max_buf_size` must be greater than 0");
        self.inner
            .get_mut()
            .offload
            .set_buffer_bytes_max(max_buf_size);
    }

    /// The most that is read or written at once, in bytes.
    pub fn max_buf_size(&self) -> usize {
        self.inner
            .try_lock()
            .map_or(crate::offload::BUFFER_BYTES_MAX, |inner| {
                inner.offload.buffer_bytes_max()
            })
    }
}

/// Moves back over bytes that were read ahead.
fn go_back(file: &mut impl Seek, ahead: usize) -> io::Result<()> {
    if ahead == 0 {
        return Ok(());
    }
    let back = i64::try_from(ahead).expect("a buffer's length");
    file.seek(SeekFrom::Current(-back)).map(drop)
}

impl AsyncRead for File {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let inner = self.get_mut().inner.get_mut();
        inner.offload.poll_read(cx, buf)
    }
}

impl AsyncWrite for File {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let inner = self.get_mut().inner.get_mut();
        let back = |file: &mut Arc<StdFile>, ahead| go_back(&mut &**file, ahead);
        inner.offload.poll_write(cx, bufs, back)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let inner = self.get_mut().inner.get_mut();
        inner.offload.poll_written(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll_flush(cx)
    }
}

impl AsyncSeek for File {
    fn start_seek(self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        let inner = self.get_mut().inner.get_mut();
        inner.offload.start_seek(position)
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        let inner = self.get_mut().inner.get_mut();
        inner.offload.poll_seek(cx, &mut inner.position)
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

impl FromRawFd for File {
    // SAFETY: the trait's duty: the caller owns the descriptor and gives it away.
    unsafe fn from_raw_fd(fd: RawFd) -> Self {
        // SAFETY: as above.
        Self::from_std(unsafe { StdFile::from_raw_fd(fd) })
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

impl fmt::Debug for File {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("tokio::fs::File")
            .field("std", &self.std)
            .finish()
    }
}
