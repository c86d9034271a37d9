//! The length that stands before a frame.
//!
//! Place: called by `reader` and `writer`; pure.

use super::FrameError;

/// The order of the bytes of an integer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ByteOrder {
    /// The most significant byte first: network order.
    Big,
    /// The least significant byte first.
    Little,
}

/// How the length of a frame is written before it: 1 to 8 bytes, in either order.
///
/// ```
/// use oneloop_net::buffer::{ByteOrder, LengthPrefix};
///
/// // HTTP/2 and MySQL have lengths of three bytes.
/// const MYSQL: LengthPrefix = LengthPrefix::new(3, ByteOrder::Little);
/// // PostgreSQL counts the length in.
/// const POSTGRES: LengthPrefix = LengthPrefix::U32_BE.counting_itself();
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct LengthPrefix {
    width_bytes: usize,
    order: ByteOrder,
    counts_itself: bool,
}

impl LengthPrefix {
    /// One byte.
    pub const U8: Self = Self::new(1, ByteOrder::Big);
    /// Two bytes, big-endian.
    pub const U16_BE: Self = Self::new(2, ByteOrder::Big);
    /// Two bytes, little-endian.
    pub const U16_LE: Self = Self::new(2, ByteOrder::Little);
    /// Four bytes, big-endian.
    pub const U32_BE: Self = Self::new(4, ByteOrder::Big);
    /// Four bytes, little-endian.
    pub const U32_LE: Self = Self::new(4, ByteOrder::Little);
    /// Eight bytes, big-endian.
    pub const U64_BE: Self = Self::new(8, ByteOrder::Big);
    /// Eight bytes, little-endian.
    pub const U64_LE: Self = Self::new(8, ByteOrder::Little);

    /// A length of `width_bytes` bytes.
    ///
    /// # Panics
    ///
    /// If these are none or more than 8.
    #[must_use]
    #[track_caller]
    pub const fn new(width_bytes: usize, order: ByteOrder) -> Self {
        assert!(
            1 <= width_bytes && width_bytes <= WIDTH_BYTES_MAX,
            "a length prefix has 1 to 8 bytes"
        );
        Self {
            width_bytes,
            order,
            counts_itself: false,
        }
    }

    /// The same, where the length is that of the prefix and the frame together.
    #[must_use]
    pub const fn counting_itself(mut self) -> Self {
        self.counts_itself = true;
        self
    }

    /// The bytes of the prefix.
    #[must_use]
    pub const fn width_bytes(&self) -> usize {
        self.width_bytes
    }

    /// The length of the frame behind the prefix at the front of `bytes`, without the prefix.
    /// `None` if more bytes are needed to know.
    pub(super) fn decode(&self, bytes: &[u8]) -> Result<Option<u64>, FrameError> {
        let Some(prefix) = bytes.get(..self.width_bytes) else {
            return Ok(None);
        };
        let push = |length: u64, byte: &u8| length << 8 | u64::from(*byte);
        let length = match self.order {
            ByteOrder::Big => prefix.iter().fold(0, push),
            ByteOrder::Little => prefix.iter().rev().fold(0, push),
        };
        let counted = self.counted_bytes();
        let rest = length.checked_sub(counted);
        rest.map(Some)
            .ok_or_else(|| FrameError::bad_length(length, self.width_bytes))
    }

    /// The prefix of a frame of `len` bytes, in the first [`width_bytes`](Self::width_bytes).
    pub(super) fn encode(&self, len: usize) -> Result<[u8; WIDTH_BYTES_MAX], FrameError> {
        let largest = u64::MAX >> (64 - 8 * self.width_bytes);
        let max_bytes = largest - self.counted_bytes();
        let len = len as u64;
        if len > max_bytes {
            return Err(FrameError::too_long(len, max_bytes));
        }
        let length = len + self.counted_bytes();
        let mut prefix = length.to_le_bytes();
        if self.order == ByteOrder::Big {
            prefix[..self.width_bytes].reverse();
        }
        Ok(prefix)
    }

    /// What the length contains besides the frame.
    fn counted_bytes(&self) -> u64 {
        if self.counts_itself {
            self.width_bytes as u64
        } else {
            0
        }
    }
}

const WIDTH_BYTES_MAX: usize = 8;
