//! How a file is opened.
//!
//! Place: std's options, whose `open` runs on the pool.

use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use super::{File, on_pool};

/// How to open a [`File`]: nothing is allowed until it is said.
#[derive(Debug, Clone)]
#[must_use]
pub struct OpenOptions(std::fs::OpenOptions);

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

impl From<std::fs::OpenOptions> for OpenOptions {
    fn from(options: std::fs::OpenOptions) -> Self {
        Self(options)
    }
}

macro_rules! switches {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        pub fn $name(mut self, value: bool) -> Self {
            self.0.$name(value);
            self
        }
    )+};
}

impl OpenOptions {
    /// Options that allow nothing.
    pub fn new() -> Self {
        Self(std::fs::OpenOptions::new())
    }

    switches! {
        /// Allows to read.
        read;
        /// Allows to write.
        write;
        /// Allows to write, always at the end.
        append;
        /// Empties the file. Needs [`write`](Self::write).
        truncate;
        /// Makes the file if there is none. Needs [`write`](Self::write) or
        /// [`append`](Self::append).
        create;
        /// Makes the file; an error if there is one.
        create_new;
    }

    /// The permissions of a file that is made, less those of the process's mask. Default: 0o666.
    pub fn mode(mut self, mode: u32) -> Self {
        self.0.mode(mode);
        self
    }

    /// Further flags of open(2).
    pub fn custom_flags(mut self, flags: i32) -> Self {
        self.0.custom_flags(flags);
        self
    }

    /// Opens a file.
    ///
    /// # Errors
    ///
    /// Those of open(2); `InvalidInput` if the options do not fit each other; that the runtime
    /// shuts down.
    ///
    /// # Panics
    ///
    /// Outside a runtime.
    ///
    /// # Cancel safety
    ///
    /// A file that is opened after the future was dropped is closed.
    pub async fn open(&self, path: impl AsRef<Path>) -> io::Result<File> {
        let (options, path) = (self.0.clone(), path.as_ref().to_owned());
        on_pool(move || options.open(path))
            .await
            .map(File::from_std)
    }
}
