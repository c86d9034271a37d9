//! Traits, adapters and utilities for asynchronous reading and writing.
//!
//! ```text
//!   traits: AsyncRead, AsyncWrite, AsyncBufRead, AsyncSeek     what a stream is; read_buf
//!     |
//!   util: the methods of every stream (ext), each an `Op` with a small piece of work
//!     |
//!   adapters: buffers, halves, parts, pipes in memory
//! ```

#[cfg(feature = "net")]
mod async_fd;
mod read_buf;
mod traits;

#[cfg(feature = "io-util")]
mod join;
#[cfg(feature = "io-util")]
mod split;
#[cfg(feature = "io-std")]
mod stdio;
#[cfg(feature = "io-util")]
mod util;

pub use std::io::{Error, ErrorKind, Result, SeekFrom};

#[cfg(feature = "net")]
pub use oneloop::io::{Interest, Ready};

/// What Unix alone has.
#[cfg(feature = "net")]
pub mod unix {
    #[doc(hidden)]
    #[allow(deprecated, reason = "tokio still has it")]
    pub use super::async_fd::AsyncFdTryNewError;
    pub use super::async_fd::{
        AsyncFd, AsyncFdReadyGuard, AsyncFdReadyMutGuard, AsyncFdRegisterError, TryIoError,
    };
}
pub use read_buf::ReadBuf;
pub use traits::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite};

#[cfg(feature = "io-util")]
pub use join::{Join, join};
#[cfg(feature = "io-std")]
pub use stdio::{Stderr, Stdin, Stdout, stderr, stdin, stdout};

#[cfg(feature = "io-util")]
pub use split::{ReadHalf, WriteHalf, split};
#[cfg(feature = "io-util")]
pub use util::{
    AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, BufStream, BufWriter,
    Chain, DuplexStream, Empty, Lines, Repeat, SimplexStream, Sink, Split, Take, copy,
    copy_bidirectional, copy_bidirectional_with_sizes, copy_buf, duplex, empty, repeat, simplex,
    sink,
};
