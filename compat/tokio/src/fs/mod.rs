//! Files, on the blocking pool: the kernel has no readiness for them.
//!
//! Place: functions of `std::fs`, each run by `spawn_blocking`.
//!
//! # Cancel safety
//! A call that has begun goes on when its future is dropped.

mod dir;
mod file;
mod options;

pub use std::fs::{FileTimes, FileType, Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

pub use dir::{DirBuilder, DirEntry, ReadDir, read_dir};
pub use file::File;
pub use options::OpenOptions;

use crate::runtime::context;
use crate::task::JoinError;

/// Runs a function on the blocking pool.
async fn blocking<R: Send + 'static>(
    function: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    match context::current().spawn_blocking(function).await {
        Ok(result) => result,
        Err(error) => Err(lost(error)),
    }
}

/// The error of a call that the pool does not take any more.
fn lost(_error: JoinError) -> io::Error {
    io::Error::other("background task failed")
}

/// The path without links, `.` and `..`.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// Nothing is lost: the call changes nothing, and goes on unobserved.
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::canonicalize(path)).await
}

/// Copies a file and its permissions; how many bytes.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// A copy that has begun is made all the same, and its outcome is lost.
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let from = from.as_ref().to_owned();
    let to = to.as_ref().to_owned();
    blocking(move || std::fs::copy(from, to)).await
}

/// Makes a directory.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// A directory may be made all the same, and the outcome is lost.
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::create_dir(path)).await
}

/// Makes a directory, and those above it that are missing.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// The directories may be made all the same, and the outcome is lost.
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::create_dir_all(path)).await
}

/// Gives a file another name.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// A name may be given all the same, and the outcome is lost.
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let original = original.as_ref().to_owned();
    let link = link.as_ref().to_owned();
    blocking(move || std::fs::hard_link(original, link)).await
}

/// What the system knows of a file; of its target if it is a link.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// Nothing is lost: the call changes nothing, and goes on unobserved.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::metadata(path)).await
}

/// All of a file.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// Nothing is lost: what is read all the same is dropped.
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::read(path)).await
}

/// What a link points at.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// Nothing is lost: the call changes nothing, and goes on unobserved.
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::read_link(path)).await
}

/// All of a file, which has to be UTF-8.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// Nothing is lost: what is read all the same is dropped.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::read_to_string(path)).await
}

/// Removes a directory, which has to be empty.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// A removal that has begun goes on, and its outcome is lost.
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::remove_dir(path)).await
}

/// Removes a directory and all that is in it.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// A removal that has begun goes on to its end, and its outcome is lost.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::remove_dir_all(path)).await
}

/// Removes a file.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// A removal that has begun goes on, and its outcome is lost.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::remove_file(path)).await
}

/// Gives a file another name and takes the old one away.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// The file may be renamed all the same, and the outcome is lost.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let from = from.as_ref().to_owned();
    let to = to.as_ref().to_owned();
    blocking(move || std::fs::rename(from, to)).await
}

/// Sets what may be done with a file.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// A change that has begun is made all the same, and its outcome is lost.
pub async fn set_permissions(path: impl AsRef<Path>, perm: Permissions) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::set_permissions(path, perm)).await
}

/// Makes a symbolic link.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// A link may be made all the same, and the outcome is lost.
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    let original = original.as_ref().to_owned();
    let link = link.as_ref().to_owned();
    blocking(move || std::os::unix::fs::symlink(original, link)).await
}

/// What the system knows of a file; of the link if it is one.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// Nothing is lost: the call changes nothing, and goes on unobserved.
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::symlink_metadata(path)).await
}

/// Whether there is such a file. An error if that cannot be found out.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// Nothing is lost: the call changes nothing, and goes on unobserved.
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    let path = path.as_ref().to_owned();
    blocking(move || std::fs::exists(path)).await
}

/// Makes a file of these bytes, in the place of one that was there.
///
/// # Errors
///
/// Those of the system.
///
/// # Panics
///
/// Where there is no runtime.
///
/// # Cancel safety
///
/// A write that has begun goes on to its end, and its outcome is lost.
pub async fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    let contents = contents.as_ref().to_owned();
    blocking(move || std::fs::write(path, contents)).await
}
