//! The methods that every stream has.

use std::io::{IoSlice, SeekFrom};

use bytes::{Buf, BufMut};

use super::buffered::{FillBuf, Lines, ReadLine, ReadUntil, Split};
use super::op::Op;
use super::reading::{Read, ReadExact, ReadInto, ReadNumber, ReadToEnd, ReadToString};
use super::seeking::Seek;
use super::writing::{
    Flush, Shutdown, Write, WriteAll, WriteAllFrom, WriteFrom, WriteNumber, WriteVectored,
};
use super::{Chain, Take};
use crate::io::{AsyncBufRead, AsyncRead, AsyncSeek, AsyncWrite, ReadBuf};

/// Methods of every [`AsyncRead`].
///
/// Numbers are read whole or not at all: at the end of the input the error is `UnexpectedEof`.
/// Reading a number is not cancel safe: the bytes that were read are lost.
pub trait AsyncReadExt: AsyncRead {
    /// A reader of this input and then of `next`.
    fn chain<R: AsyncRead>(self, next: R) -> Chain<Self, R>
    where
        Self: Sized,
    {
        Chain::new(self, next)
    }

    /// Reads once, up to the length of `buf`; how many bytes. 0 is the end of the input, if `buf`
    /// has room. Cancel safe.
    fn read<'a>(&'a mut self, buf: &'a mut [u8]) -> Op<'a, Self, Read<'a>>
    where
        Self: Unpin,
    {
        Op::new(self, Read(buf))
    }

    /// Reads once and appends to `buf`; how many bytes. Cancel safe.
    fn read_buf<'a, B: BufMut + ?Sized>(
        &'a mut self,
        buf: &'a mut B,
    ) -> Op<'a, Self, ReadInto<'a, B>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadInto(buf))
    }

    /// Reads until `buf` is full; how many bytes that is. At the end of the input before:
    /// `UnexpectedEof`. Not cancel safe.
    fn read_exact<'a>(&'a mut self, buf: &'a mut [u8]) -> Op<'a, Self, ReadExact<'a>>
    where
        Self: Unpin,
    {
        let buf = ReadBuf::new(buf);
        Op::new(self, ReadExact { buf })
    }

    /// Reads to the end of the input and appends to `buf`; how many bytes. Not cancel safe.
    fn read_to_end<'a>(&'a mut self, buf: &'a mut Vec<u8>) -> Op<'a, Self, ReadToEnd<'a>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadToEnd::new(buf))
    }

    /// Reads to the end of the input and appends to `dst`; how many bytes. `InvalidData` if they
    /// are not UTF-8. Not cancel safe: `dst` is empty then.
    fn read_to_string<'a>(&'a mut self, dst: &'a mut String) -> Op<'a, Self, ReadToString<'a>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadToString::new(dst))
    }

    /// A reader of the first `limit` bytes.
    fn take(self, limit: u64) -> Take<Self>
    where
        Self: Sized,
    {
        Take::new(self, limit)
    }

    /// Reads a `u8`.
    fn read_u8(&mut self) -> Op<'_, Self, ReadNumber<1, u8>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(u8::from_be_bytes))
    }

    /// Reads an `i8`.
    fn read_i8(&mut self) -> Op<'_, Self, ReadNumber<1, i8>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(i8::from_be_bytes))
    }

    /// Reads a `u16`, big-endian.
    fn read_u16(&mut self) -> Op<'_, Self, ReadNumber<2, u16>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(u16::from_be_bytes))
    }

    /// Reads a `i16`, big-endian.
    fn read_i16(&mut self) -> Op<'_, Self, ReadNumber<2, i16>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(i16::from_be_bytes))
    }

    /// Reads a `u32`, big-endian.
    fn read_u32(&mut self) -> Op<'_, Self, ReadNumber<4, u32>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(u32::from_be_bytes))
    }

    /// Reads a `i32`, big-endian.
    fn read_i32(&mut self) -> Op<'_, Self, ReadNumber<4, i32>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(i32::from_be_bytes))
    }

    /// Reads a `u64`, big-endian.
    fn read_u64(&mut self) -> Op<'_, Self, ReadNumber<8, u64>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(u64::from_be_bytes))
    }

    /// Reads a `i64`, big-endian.
    fn read_i64(&mut self) -> Op<'_, Self, ReadNumber<8, i64>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(i64::from_be_bytes))
    }

    /// Reads a `u128`, big-endian.
    fn read_u128(&mut self) -> Op<'_, Self, ReadNumber<16, u128>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(u128::from_be_bytes))
    }

    /// Reads a `i128`, big-endian.
    fn read_i128(&mut self) -> Op<'_, Self, ReadNumber<16, i128>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(i128::from_be_bytes))
    }

    /// Reads a `f32`, big-endian.
    fn read_f32(&mut self) -> Op<'_, Self, ReadNumber<4, f32>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(f32::from_be_bytes))
    }

    /// Reads a `f64`, big-endian.
    fn read_f64(&mut self) -> Op<'_, Self, ReadNumber<8, f64>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(f64::from_be_bytes))
    }

    /// Reads a `u16`, little-endian.
    fn read_u16_le(&mut self) -> Op<'_, Self, ReadNumber<2, u16>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(u16::from_le_bytes))
    }

    /// Reads a `i16`, little-endian.
    fn read_i16_le(&mut self) -> Op<'_, Self, ReadNumber<2, i16>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(i16::from_le_bytes))
    }

    /// Reads a `u32`, little-endian.
    fn read_u32_le(&mut self) -> Op<'_, Self, ReadNumber<4, u32>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(u32::from_le_bytes))
    }

    /// Reads a `i32`, little-endian.
    fn read_i32_le(&mut self) -> Op<'_, Self, ReadNumber<4, i32>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(i32::from_le_bytes))
    }

    /// Reads a `u64`, little-endian.
    fn read_u64_le(&mut self) -> Op<'_, Self, ReadNumber<8, u64>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(u64::from_le_bytes))
    }

    /// Reads a `i64`, little-endian.
    fn read_i64_le(&mut self) -> Op<'_, Self, ReadNumber<8, i64>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(i64::from_le_bytes))
    }

    /// Reads a `u128`, little-endian.
    fn read_u128_le(&mut self) -> Op<'_, Self, ReadNumber<16, u128>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(u128::from_le_bytes))
    }

    /// Reads a `i128`, little-endian.
    fn read_i128_le(&mut self) -> Op<'_, Self, ReadNumber<16, i128>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(i128::from_le_bytes))
    }

    /// Reads a `f32`, little-endian.
    fn read_f32_le(&mut self) -> Op<'_, Self, ReadNumber<4, f32>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(f32::from_le_bytes))
    }

    /// Reads a `f64`, little-endian.
    fn read_f64_le(&mut self) -> Op<'_, Self, ReadNumber<8, f64>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadNumber::new(f64::from_le_bytes))
    }
}

impl<R: AsyncRead + ?Sized> AsyncReadExt for R {}

/// Methods of every [`AsyncWrite`].
///
/// Writing a number is not cancel safe: a part of it may have been written.
pub trait AsyncWriteExt: AsyncWrite {
    /// Writes once, from the start of `src`; how many bytes were taken. Cancel safe.
    fn write<'a>(&'a mut self, src: &'a [u8]) -> Op<'a, Self, Write<'a>>
    where
        Self: Unpin,
    {
        Op::new(self, Write(src))
    }

    /// Writes once, from several buffers; how many bytes were taken. Cancel safe.
    fn write_vectored<'a, 'b>(
        &'a mut self,
        bufs: &'a [IoSlice<'b>],
    ) -> Op<'a, Self, WriteVectored<'a, 'b>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteVectored(bufs))
    }

    /// Writes once, from the start of `src`, and advances it; how many bytes were taken. Cancel
    /// safe.
    fn write_buf<'a, B: Buf>(&'a mut self, src: &'a mut B) -> Op<'a, Self, WriteFrom<'a, B>>
    where
        Self: Sized + Unpin,
    {
        Op::new(self, WriteFrom(src))
    }

    /// Writes all of `src`, and advances it as it goes: so what was written is known if the future
    /// is dropped.
    fn write_all_buf<'a, B: Buf>(&'a mut self, src: &'a mut B) -> Op<'a, Self, WriteAllFrom<'a, B>>
    where
        Self: Sized + Unpin,
    {
        Op::new(self, WriteAllFrom(src))
    }

    /// Writes all of `src`. `WriteZero` if the stream takes no more. Not cancel safe.
    fn write_all<'a>(&'a mut self, src: &'a [u8]) -> Op<'a, Self, WriteAll<'a>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteAll(src))
    }

    /// Sees to it that what was written has reached its destination.
    fn flush(&mut self) -> Op<'_, Self, Flush>
    where
        Self: Unpin,
    {
        Op::new(self, Flush)
    }

    /// Flushes and ends the output.
    fn shutdown(&mut self) -> Op<'_, Self, Shutdown>
    where
        Self: Unpin,
    {
        Op::new(self, Shutdown)
    }

    /// Writes a `u8`.
    fn write_u8(&mut self, n: u8) -> Op<'_, Self, WriteNumber<1>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_be_bytes()))
    }

    /// Writes an `i8`.
    fn write_i8(&mut self, n: i8) -> Op<'_, Self, WriteNumber<1>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_be_bytes()))
    }

    /// Writes a `u16`, big-endian.
    fn write_u16(&mut self, n: u16) -> Op<'_, Self, WriteNumber<2>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_be_bytes()))
    }

    /// Writes a `i16`, big-endian.
    fn write_i16(&mut self, n: i16) -> Op<'_, Self, WriteNumber<2>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_be_bytes()))
    }

    /// Writes a `u32`, big-endian.
    fn write_u32(&mut self, n: u32) -> Op<'_, Self, WriteNumber<4>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_be_bytes()))
    }

    /// Writes a `i32`, big-endian.
    fn write_i32(&mut self, n: i32) -> Op<'_, Self, WriteNumber<4>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_be_bytes()))
    }

    /// Writes a `u64`, big-endian.
    fn write_u64(&mut self, n: u64) -> Op<'_, Self, WriteNumber<8>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_be_bytes()))
    }

    /// Writes a `i64`, big-endian.
    fn write_i64(&mut self, n: i64) -> Op<'_, Self, WriteNumber<8>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_be_bytes()))
    }

    /// Writes a `u128`, big-endian.
    fn write_u128(&mut self, n: u128) -> Op<'_, Self, WriteNumber<16>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_be_bytes()))
    }

    /// Writes a `i128`, big-endian.
    fn write_i128(&mut self, n: i128) -> Op<'_, Self, WriteNumber<16>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_be_bytes()))
    }

    /// Writes a `f32`, big-endian.
    fn write_f32(&mut self, n: f32) -> Op<'_, Self, WriteNumber<4>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_be_bytes()))
    }

    /// Writes a `f64`, big-endian.
    fn write_f64(&mut self, n: f64) -> Op<'_, Self, WriteNumber<8>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_be_bytes()))
    }

    /// Writes a `u16`, little-endian.
    fn write_u16_le(&mut self, n: u16) -> Op<'_, Self, WriteNumber<2>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_le_bytes()))
    }

    /// Writes a `i16`, little-endian.
    fn write_i16_le(&mut self, n: i16) -> Op<'_, Self, WriteNumber<2>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_le_bytes()))
    }

    /// Writes a `u32`, little-endian.
    fn write_u32_le(&mut self, n: u32) -> Op<'_, Self, WriteNumber<4>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_le_bytes()))
    }

    /// Writes a `i32`, little-endian.
    fn write_i32_le(&mut self, n: i32) -> Op<'_, Self, WriteNumber<4>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_le_bytes()))
    }

    /// Writes a `u64`, little-endian.
    fn write_u64_le(&mut self, n: u64) -> Op<'_, Self, WriteNumber<8>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_le_bytes()))
    }

    /// Writes a `i64`, little-endian.
    fn write_i64_le(&mut self, n: i64) -> Op<'_, Self, WriteNumber<8>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_le_bytes()))
    }

    /// Writes a `u128`, little-endian.
    fn write_u128_le(&mut self, n: u128) -> Op<'_, Self, WriteNumber<16>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_le_bytes()))
    }

    /// Writes a `i128`, little-endian.
    fn write_i128_le(&mut self, n: i128) -> Op<'_, Self, WriteNumber<16>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_le_bytes()))
    }

    /// Writes a `f32`, little-endian.
    fn write_f32_le(&mut self, n: f32) -> Op<'_, Self, WriteNumber<4>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_le_bytes()))
    }

    /// Writes a `f64`, little-endian.
    fn write_f64_le(&mut self, n: f64) -> Op<'_, Self, WriteNumber<8>>
    where
        Self: Unpin,
    {
        Op::new(self, WriteNumber::new(n.to_le_bytes()))
    }
}

impl<W: AsyncWrite + ?Sized> AsyncWriteExt for W {}

/// Methods of every [`AsyncBufRead`].
pub trait AsyncBufReadExt: AsyncBufRead {
    /// Reads up to and including `byte`, or the end of the input, and appends to `buf`; how many
    /// bytes. Dropped before its end, what was read is in `buf`.
    fn read_until<'a>(&'a mut self, byte: u8, buf: &'a mut Vec<u8>) -> Op<'a, Self, ReadUntil<'a>>
    where
        Self: Unpin,
    {
        let work = ReadUntil {
            delimiter: byte,
            bytes: buf,
            count: 0,
        };
        Op::new(self, work)
    }

    /// Reads up to and including a line feed, or the end of the input, and appends to `buf`; how
    /// many bytes. `InvalidData` if they are not UTF-8. Not cancel safe: `buf` is empty then.
    fn read_line<'a>(&'a mut self, buf: &'a mut String) -> Op<'a, Self, ReadLine<'a>>
    where
        Self: Unpin,
    {
        Op::new(self, ReadLine::new(buf))
    }

    /// What lies between occurrences of `byte`.
    fn split(self, byte: u8) -> Split<Self>
    where
        Self: Sized + Unpin,
    {
        Split::new(self, byte)
    }

    /// What is in the buffer; if nothing, reads first. Cancel safe.
    fn fill_buf(&mut self) -> FillBuf<'_, Self>
    where
        Self: Unpin,
    {
        FillBuf::new(self)
    }

    /// Takes `amt` bytes out of the buffer.
    fn consume(&mut self, amt: usize)
    where
        Self: Unpin,
    {
        std::pin::Pin::new(self).consume(amt);
    }

    /// The lines of the input.
    fn lines(self) -> Lines<Self>
    where
        Self: Sized,
    {
        Lines::new(self)
    }
}

impl<R: AsyncBufRead + ?Sized> AsyncBufReadExt for R {}

/// Methods of every [`AsyncSeek`].
pub trait AsyncSeekExt: AsyncSeek {
    /// Moves; the new position from the start.
    fn seek(&mut self, pos: SeekFrom) -> Op<'_, Self, Seek>
    where
        Self: Unpin,
    {
        Op::new(self, Seek(Some(pos)))
    }

    /// Moves to the start.
    fn rewind(&mut self) -> Op<'_, Self, Seek>
    where
        Self: Unpin,
    {
        self.seek(SeekFrom::Start(0))
    }

    /// The position from the start.
    fn stream_position(&mut self) -> Op<'_, Self, Seek>
    where
        Self: Unpin,
    {
        self.seek(SeekFrom::Current(0))
    }
}

impl<S: AsyncSeek + ?Sized> AsyncSeekExt for S {}
