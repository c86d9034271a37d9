//! Files, on the blocking pool: the kernel has no readiness for them.
//!
//! Place: called by tasks, calls `std::fs` on threads of the pool; runs on any thread inside a
//! runtime.
//!
//! ```text
//!  task: read, write, seek ----> pool: one call of std::fs ----> task: its outcome
//!                 File: buffer --- moves with the call --- and comes back
//! ```
//!
//! The small set that a server needs. Everything else is `spawn_blocking` around `std::fs`, which
//! is all that happens here: several calls in one closure cost one way to the pool instead of
//! several.
//!
//! # Cancel safety
//! A call that the pool has begun runs to its end when its future is dropped: a file is then removed
//! or renamed all the same. What a [`File`] does about it is told there.

mod calls;
mod file;
mod options;
mod traits;

pub use std::fs::{FileType, Metadata, Permissions};
use std::io;
use std::path::{Path, PathBuf};

pub use file::{File, TRANSFER_BYTES_MAX};
pub use options::OpenOptions;

use crate::runtime::{Handle, runtime_is_gone};

/// Runs a function on the blocking pool.
async fn on_pool<R: Send + 'static>(
    function: impl FnOnce() -> io::Result<R> + Send + 'static,
) -> io::Result<R> {
    match Handle::current().try_spawn_blocking(function)?.await {
        Ok(outcome) => outcome,
        Err(_cancelled) => Err(runtime_is_gone()),
    }
}

/// Gives functions of a path the docs that they have in common.
macro_rules! of_path {
    ($($(#[$doc:meta])* $name:ident -> $Output:ty = $function:path;)+) => {$(
        $(#[$doc])*
        ///
        /// # Errors
        ///
        /// Those of the system, and that the runtime shuts down.
        ///
        /// # Panics
        ///
        /// Outside a runtime.
        ///
        /// # Cancel safety
        ///
        /// Once the pool has begun it, it is done all the same.
        pub async fn $name(path: impl AsRef<Path>) -> io::Result<$Output> {
            let path = path.as_ref().to_owned();
            on_pool(move || $function(path)).await
        }
    )+};
}

of_path! {
    /// Reads a whole file. It has no limit: use a [`File`] for one whose size nobody knows.
    read -> Vec<u8> = std::fs::read;
    /// Reads a whole file as text. It has no limit, as [`read`].
    read_to_string -> String = std::fs::read_to_string;
    /// What the system knows of a file. Symbolic links are followed.
    metadata -> Metadata = std::fs::metadata;
    /// What the system knows of a file, or of a symbolic link itself.
    symlink_metadata -> Metadata = std::fs::symlink_metadata;
    /// Removes a file.
    remove_file -> () = std::fs::remove_file;
    /// Makes a directory.
    create_dir -> () = std::fs::create_dir;
    /// Makes a directory and those above it that are missing.
    create_dir_all -> () = std::fs::create_dir_all;
    /// Removes an empty directory.
    remove_dir -> () = std::fs::remove_dir;
    /// Removes a directory and all that is in it. Symbolic links are not followed.
    remove_dir_all -> () = std::fs::remove_dir_all;
    /// The path from the root without links, `.` and `..`.
    canonicalize -> PathBuf = std::fs::canonicalize;
    /// Whether there is something at the path. Symbolic links are followed.
    try_exists -> bool = std::fs::exists;
}

/// Writes a whole file: makes it if there is none, and replaces what is in it.
///
/// # Errors
///
/// Those of the system, and that the runtime shuts down.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Once the pool has begun it, it is done all the same.
pub async fn write(path: impl AsRef<Path>, contents: impl Into<Vec<u8>>) -> io::Result<()> {
    let path = path.as_ref().to_owned();
    let contents = contents.into();
    on_pool(move || std::fs::write(path, contents)).await
}

/// Renames a file or a directory, in place of what has the new name. Both are on one file system.
///
/// # Errors
///
/// Those of the system, and that the runtime shuts down.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Once the pool has begun it, it is done all the same.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    on_pool(move || std::fs::rename(from, to)).await
}

/// Copies a file and its permissions; tells how many bytes. Within the kernel where it can.
///
/// # Errors
///
/// Those of the system, and that the runtime shuts down.
///
/// # Panics
///
/// Outside a runtime.
///
/// # Cancel safety
///
/// Once the pool has begun it, it is done all the same.
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let (from, to) = (from.as_ref().to_owned(), to.as_ref().to_owned());
    on_pool(move || std::fs::copy(from, to)).await
}
