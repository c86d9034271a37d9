//! Both kinds of buffers around one stream.

use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll};

use pin_project_lite::pin_project;

use super::forward::{forward_buf_read, forward_read, forward_write};
use super::{BufReader, BufWriter};
use crate::io::{AsyncRead, AsyncSeek, AsyncWrite};

pin_project! {
    /// A stream with a buffer in each direction.
    #[derive(Debug)]
    pub struct BufStream<RW> {
        #[pin]
        inner: BufReader<BufWriter<RW>>,
    }
}

impl<RW: AsyncRead + AsyncWrite> BufStream<RW> {
    /// With buffers of 8 KiB.
    pub fn new(stream: RW) -> Self {
        Self {
            inner: BufReader::new(BufWriter::new(stream)),
        }
    }

    /// With buffers of these sizes in bytes.
    ///
    /// # Panics
    ///
    /// If `reader_capacity` is 0.
    #[track_caller]
    pub fn with_capacity(reader_capacity: usize, writer_capacity: usize, stream: RW) -> Self {
        let writer = BufWriter::with_capacity(writer_capacity, stream);
        Self {
            inner: BufReader::with_capacity(reader_capacity, writer),
        }
    }

    /// The stream.
    pub fn get_ref(&self) -> &RW {
        self.inner.get_ref().get_ref()
    }

    /// The stream.
    pub fn get_mut(&mut self) -> &mut RW {
        self.inner.get_mut().get_mut()
    }

    /// The stream.
    pub fn get_pin_mut(self: Pin<&mut Self>) -> Pin<&mut RW> {
        self.project().inner.get_pin_mut().get_pin_mut()
    }

    /// The stream. What is in the buffers is lost.
    pub fn into_inner(self) -> RW {
        self.inner.into_inner().into_inner()
    }
}

impl<RW> From<BufReader<BufWriter<RW>>> for BufStream<RW> {
    fn from(inner: BufReader<BufWriter<RW>>) -> Self {
        Self { inner }
    }
}

impl<RW> From<BufWriter<BufReader<RW>>> for BufStream<RW> {
    /// The buffers keep what is in them and change places.
    fn from(writer: BufWriter<BufReader<RW>>) -> Self {
        let BufWriter {
            inner: reader,
            behind,
            moving,
        } = writer;
        let writer = BufWriter {
            inner: reader.inner,
            behind,
            moving,
        };
        Self {
            inner: BufReader {
                inner: writer,
                ahead: reader.ahead,
                moving: reader.moving,
            },
        }
    }
}

forward_read!([RW: AsyncRead + AsyncWrite] BufStream<RW>, inner);
forward_buf_read!([RW: AsyncRead + AsyncWrite] BufStream<RW>, inner);
forward_write!([RW: AsyncRead + AsyncWrite] BufStream<RW>, inner);

impl<RW: AsyncRead + AsyncWrite + AsyncSeek> AsyncSeek for BufStream<RW> {
    fn start_seek(self: Pin<&mut Self>, position: SeekFrom) -> io::Result<()> {
        self.project().inner.start_seek(position)
    }

    fn poll_complete(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        self.project().inner.poll_complete(cx)
    }
}
