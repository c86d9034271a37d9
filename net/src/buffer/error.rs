//! What goes wrong with bytes: too many of them, or too few.
//!
//! Place: made by the other files of this folder; travels inside `std::io::Error` where a method
//! also talks to a stream.

use std::error::Error;
use std::fmt;
use std::io;

/// More bytes than a limit allows: that of a [`Buffer`](super::Buffer) or of the queue of a
/// [`FrameWriter`](super::FrameWriter). Nothing was changed.
///
/// As `std::io::Error` its kind is `QuotaExceeded`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BufferFull {
    bytes: usize,
    max_bytes: usize,
}

impl BufferFull {
    pub(super) fn new(bytes: usize, max_bytes: usize) -> Self {
        Self { bytes, max_bytes }
    }

    /// The bytes that would have been held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// The bytes that may be held.
    #[must_use]
    pub fn max_bytes(&self) -> usize {
        self.max_bytes
    }
}

impl fmt::Display for BufferFull {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { bytes, max_bytes } = self;
        write!(
            f,
            "{bytes} bytes do not fit into a buffer of at most {max_bytes}"
        )
    }
}

impl Error for BufferFull {}

impl From<BufferFull> for io::Error {
    fn from(error: BufferFull) -> Self {
        Self::new(io::ErrorKind::QuotaExceeded, error)
    }
}

/// Why bytes are no frame.
///
/// Framed reads and writes return it inside a `std::io::Error`, whose kind is `InvalidData` if
/// the bytes are wrong, and `UnexpectedEof` if there are too few of them.
/// [`from_io`](Self::from_io) gets it out again.
#[cfg(feature = "futures-io")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameError(Reason);

#[cfg(feature = "futures-io")]
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reason {
    TooLong { bytes: u64, max_bytes: u64 },
    Incomplete { bytes: usize },
    BadLength { length: u64, width_bytes: usize },
}

#[cfg(feature = "futures-io")]
impl FrameError {
    /// `bytes` is what the frame has at least.
    pub(super) fn too_long(bytes: u64, max_bytes: u64) -> Self {
        Self(Reason::TooLong { bytes, max_bytes })
    }

    pub(super) fn incomplete(bytes: usize) -> Self {
        Self(Reason::Incomplete { bytes })
    }

    pub(super) fn bad_length(length: u64, width_bytes: usize) -> Self {
        Self(Reason::BadLength {
            length,
            width_bytes,
        })
    }

    /// The frame error inside an error of a framed read or write.
    #[must_use]
    pub fn from_io(error: &io::Error) -> Option<&Self> {
        error.get_ref()?.downcast_ref()
    }

    /// Whether the frame is longer than the caller allows.
    #[must_use]
    pub fn is_too_long(&self) -> bool {
        matches!(self.0, Reason::TooLong { .. })
    }

    /// Whether the stream ended inside the frame.
    #[must_use]
    pub fn is_incomplete(&self) -> bool {
        matches!(self.0, Reason::Incomplete { .. })
    }

    /// Whether the length counts itself and is shorter than that.
    #[must_use]
    pub fn is_bad_length(&self) -> bool {
        matches!(self.0, Reason::BadLength { .. })
    }

    /// If too long: the bytes of the frame as far as they are known, without its terminator or
    /// its length. If incomplete: the bytes of it that came, and are still buffered. If the
    /// length is bad: that length.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        match self.0 {
            Reason::TooLong { bytes, .. } => bytes,
            Reason::Incomplete { bytes } => bytes as u64,
            Reason::BadLength { length, .. } => length,
        }
    }

    /// The most that the frame may have had, if it is too long.
    #[must_use]
    pub fn max_bytes(&self) -> Option<u64> {
        match self.0 {
            Reason::TooLong { max_bytes, .. } => Some(max_bytes),
            _ => None,
        }
    }
}

#[cfg(feature = "futures-io")]
impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            Reason::TooLong { bytes, max_bytes } => {
                write!(
                    f,
                    "frame of {bytes} bytes or more, where {max_bytes} are allowed"
                )
            }
            Reason::Incomplete { bytes } => {
                write!(f, "stream ended inside a frame, after {bytes} bytes of it")
            }
            Reason::BadLength {
                length,
                width_bytes,
            } => write!(
                f,
                "frame of {length} bytes in all, of which its length alone takes {width_bytes}"
            ),
        }
    }
}

#[cfg(feature = "futures-io")]
impl Error for FrameError {}

#[cfg(feature = "futures-io")]
impl From<FrameError> for io::Error {
    fn from(error: FrameError) -> Self {
        let kind = if error.is_incomplete() {
            io::ErrorKind::UnexpectedEof
        } else {
            io::ErrorKind::InvalidData
        };
        Self::new(kind, error)
    }
}
