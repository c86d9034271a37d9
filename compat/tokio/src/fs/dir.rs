//! Directories.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::{FileType, Metadata};
use std::future::poll_fn;
use std::io;
use std::os::unix::fs::{DirBuilderExt, DirEntryExt};
use std::path::{Path, PathBuf};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use super::{blocking, lost};
use crate::runtime::context;
use crate::task::JoinHandle;

/// How a directory is made.
#[derive(Debug, Default)]
pub struct DirBuilder {
    recursive: bool,
    mode: Option<u32>,
}

impl DirBuilder {
    /// One directory, with the permissions that the system gives.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the directories above are made too, and one that is there is no error.
    pub fn recursive(&mut self, recursive: bool) -> &mut Self {
        self.recursive = recursive;
        self
    }

    /// Sets the permissions (mkdir(2)).
    pub fn mode(&mut self, mode: u32) -> &mut Self {
        self.mode = Some(mode);
        self
    }

    /// Makes the directory.
    ///
    /// # Errors
    ///
    /// Those of mkdir(2).
    ///
    /// # Panics
    ///
    /// Where there is no runtime.
    ///
    /// # Cancel safety
    ///
    /// A directory may be made all the same, and the outcome is lost.
    pub async fn create(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let path = path.as_ref().to_owned();
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(self.recursive);
        if let Some(mode) = self.mode {
            builder.mode(mode);
        }
        blocking(move || builder.create(path)).await
    }
}

/// The entries of a directory.
///
/// # Errors
///
/// Those of opendir(3).
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// Nothing is lost: a directory that is opened all the same is closed again.
pub async fn read_dir(path: impl AsRef<Path>) -> io::Result<ReadDir> {
    let path = path.as_ref().to_owned();
    let mut std = blocking(move || std::fs::read_dir(path)).await?;
    let mut ahead = VecDeque::new();
    let has_more = blocking(move || {
        let has_more = fill(&mut std, &mut ahead);
        Ok((ahead, std, has_more))
    });
    let (ahead, std, has_more) = has_more.await?;
    Ok(ReadDir(State::Idle(Box::new(Entries {
        ahead,
        std,
        has_more,
    }))))
}

/// The entries of a directory, read some at a time. Made by [`read_dir`].
#[derive(Debug)]
pub struct ReadDir(State);

#[derive(Debug)]
enum State {
    Idle(Box<Entries>),
    Busy(JoinHandle<Box<Entries>>),
    Lost,
}

#[derive(Debug)]
struct Entries {
    ahead: VecDeque<io::Result<DirEntry>>,
    std: std::fs::ReadDir,
    has_more: bool,
}

/// Reads some entries; whether there may be more.
fn fill(std: &mut std::fs::ReadDir, ahead: &mut VecDeque<io::Result<DirEntry>>) -> bool {
    for _ in 0..ENTRIES_PER_CALL {
        let Some(entry) = std.next() else {
            return false;
        };
        let failed = entry.is_err();
        ahead.push_back(entry.map(DirEntry::new));
        if failed {
            return false;
        }
    }
    true
}

impl ReadDir {
    /// The next entry; `None` after the last.
    ///
    /// # Errors
    ///
    /// Those of readdir(3).
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn next_entry(&mut self) -> io::Result<Option<DirEntry>> {
        poll_fn(|cx| self.poll_next_entry(cx)).await
    }

    /// The poll behind [`next_entry`](Self::next_entry).
    ///
    /// # Errors
    ///
    /// Those of readdir(3).
    pub fn poll_next_entry(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Option<DirEntry>>> {
        loop {
            match &mut self.0 {
                State::Idle(entries) => {
                    if let Some(entry) = entries.ahead.pop_front() {
                        return Poll::Ready(entry.map(Some));
                    }
                    if !entries.has_more {
                        return Poll::Ready(Ok(None));
                    }
                    let State::Idle(mut entries) = std::mem::replace(&mut self.0, State::Lost)
                    else {
                        unreachable!("it was idle a line above");
                    };
                    let call = move || {
                        entries.has_more = fill(&mut entries.std, &mut entries.ahead);
                        entries
                    };
                    self.0 = State::Busy(context::current().spawn_blocking(call));
                }
                State::Busy(call) => match ready!(Pin::new(call).poll(cx)) {
                    Ok(entries) => self.0 = State::Idle(entries),
                    Err(error) => {
                        self.0 = State::Lost;
                        return Poll::Ready(Err(lost(error)));
                    }
                },
                State::Lost => {
                    return Poll::Ready(Err(io::Error::other("background task failed")));
                }
            }
        }
    }
}

/// One entry of a directory.
#[derive(Debug)]
pub struct DirEntry {
    std: Arc<std::fs::DirEntry>,
}

impl DirEntry {
    fn new(std: std::fs::DirEntry) -> Self {
        Self { std: Arc::new(std) }
    }

    /// The path of the directory and the name.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.std.path()
    }

    /// The name.
    #[must_use]
    pub fn file_name(&self) -> OsString {
        self.std.file_name()
    }

    /// The number of the inode.
    #[must_use]
    pub fn ino(&self) -> u64 {
        self.std.ino()
    }

    /// What the system knows of the file; of the link if it is one.
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

    /// What kind of file it is.
    ///
    /// # Errors
    ///
    /// Those of the system.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost: the call changes nothing, and goes on unobserved.
    pub async fn file_type(&self) -> io::Result<FileType> {
        let std = Arc::clone(&self.std);
        blocking(move || std.file_type()).await
    }
}

/// Entries read in one visit of the blocking pool.
const ENTRIES_PER_CALL: usize = 32;
