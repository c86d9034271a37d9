//! Bytes between a stream and a protocol: a growing buffer, framed reads, queued writes.
//!
//! Place: held by protocol code of applications, above the streams; calls the streams through
//! the traits of `futures-io`; runs on any thread that polls a task.
//!
//! ```text
//!  stream -- readv --> Buffer -- read_line, read_until, read_length_delimited --> frames
//!                       ^ FrameReader owns both
//!
//!  WriteHandle --+
//!  WriteHandle --+--> queue [ low | high | max_bytes ] -- writev --> stream
//!  FrameWriter --+                                          ^ FrameWriter owns both
//! ```
//!
//! [`Buffer`] is plain memory and needs neither a runtime nor a feature. [`FrameReader`] and
//! [`FrameWriter`] need the feature `futures-io` (on by default) and work on every type with
//! its traits: streams, halves, pipes, TLS.
//!
//! ```no_run
//! # async fn serve(stream: &oneloop_net::TcpStream) -> std::io::Result<()> {
//! use oneloop_net::buffer::{FrameReader, FrameWriter};
//!
//! let mut reader = FrameReader::new(stream);
//! let mut writer = FrameWriter::new(stream);
//! while let Some(line) = reader.read_line(512).await? {
//!     writer.write_frame(line, &b"\r\n"[..])?;
//!     writer.flush().await?;
//! }
//! writer.shutdown().await
//! # }
//! ```
//!
//! # Invariants
//! - Bytes that were read and not handed out are in the [`Buffer`], never in a future: dropping
//!   a future of a [`FrameReader`] or a [`FrameWriter`] loses and doubles nothing.
//! - Nothing idle holds memory: a reader that waits with nothing buffered has no block, and so
//!   has a writer that has written all. One block of 64 KiB for each thread takes the excess of
//!   reads (see `spill`).
//! - I6, I8. What a peer can make grow has a limit with a name and a default, and what goes
//!   beyond is an error.
//!
//! # Limits
//!
//! | limit | default |
//! |---|---|
//! | [`Buffer::set_max_bytes`] | [`Buffer::MAX_BYTES_DEFAULT`], 16 MiB |
//! | the maximum of each framed read | none: it is an argument |
//! | [`WriteLimits::low_water_bytes`] | 32 KiB |
//! | [`WriteLimits::high_water_bytes`] | 64 KiB |
//! | [`WriteLimits::max_bytes`] | 1 MiB |

mod error;
mod integers;
mod search;
mod space;
mod spill;
mod traits;

#[cfg(feature = "futures-io")]
mod handle;
#[cfg(feature = "futures-io")]
mod prefix;
#[cfg(feature = "futures-io")]
mod queue;
#[cfg(feature = "futures-io")]
mod reader;
#[cfg(feature = "futures-io")]
mod writer;

pub use error::BufferFull;
pub use space::Buffer;

#[cfg(feature = "futures-io")]
pub use error::FrameError;
#[cfg(feature = "futures-io")]
pub use handle::WriteHandle;
#[cfg(feature = "futures-io")]
pub use prefix::{ByteOrder, LengthPrefix};
#[cfg(feature = "futures-io")]
pub use queue::WriteLimits;
#[cfg(feature = "futures-io")]
pub use reader::FrameReader;
#[cfg(feature = "futures-io")]
pub use writer::FrameWriter;
