//! Integers in network order: at the front to look at or to take, at the end to append, before
//! the front to prepend.
//!
//! Place: called by protocol code; plain memory, any thread.

use super::{Buffer, BufferFull};

macro_rules! integers {
    ($($Integer:ident $peek:ident $read:ident $append:ident $prepend:ident;)+) => {
        /// Integers, big-endian. Others are reached through `bytes::Buf` and `bytes::BufMut`.
        impl Buffer {
            $(
                #[doc = concat!(
                    "Looks at the big-endian `", stringify!($Integer), "` at the front; `None` if \
                     too few bytes are readable."
                )]
                #[must_use]
                pub fn $peek(&self) -> Option<$Integer> {
                    let bytes = self.readable().first_chunk()?;
                    Some($Integer::from_be_bytes(*bytes))
                }

                #[doc = concat!(
                    "Takes a big-endian `", stringify!($Integer), "` from the front; `None` if too \
                     few bytes are readable, which stay."
                )]
                pub fn $read(&mut self) -> Option<$Integer> {
                    let integer = self.$peek()?;
                    self.consume(size_of::<$Integer>());
                    Some(integer)
                }

                #[doc = concat!("Appends a big-endian `", stringify!($Integer), "`.")]
                ///
                /// # Errors
                ///
                /// [`BufferFull`] if there would be more bytes than [`max_bytes`](Self::max_bytes).
                pub fn $append(&mut self, integer: $Integer) -> Result<(), BufferFull> {
                    self.extend_from_slice(&integer.to_be_bytes())
                }

                #[doc = concat!(
                    "Puts a big-endian `", stringify!($Integer), "` before the readable bytes."
                )]
                ///
                /// # Errors
                ///
                /// [`BufferFull`] if there would be more bytes than [`max_bytes`](Self::max_bytes).
                pub fn $prepend(&mut self, integer: $Integer) -> Result<(), BufferFull> {
                    self.prepend(&integer.to_be_bytes())
                }
            )+
        }
    };
}

integers! {
    u8 peek_u8 read_u8 append_u8 prepend_u8;
    u16 peek_u16 read_u16 append_u16 prepend_u16;
    u32 peek_u32 read_u32 append_u32 prepend_u32;
    u64 peek_u64 read_u64 append_u64 prepend_u64;
    u128 peek_u128 read_u128 append_u128 prepend_u128;
    i8 peek_i8 read_i8 append_i8 prepend_i8;
    i16 peek_i16 read_i16 append_i16 prepend_i16;
    i32 peek_i32 read_i32 append_i32 prepend_i32;
    i64 peek_i64 read_i64 append_i64 prepend_i64;
    i128 peek_i128 read_i128 append_i128 prepend_i128;
}
