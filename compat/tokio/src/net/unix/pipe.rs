//! Pipes and FIFOs.

use std::fs::File;
use std::io::{self, IoSlice, IoSliceMut};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use oneloop::net::unix::pipe;

use crate::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
use crate::net::macros::{delegate, descriptor};
use crate::runtime::context::running_io;
use crate::runtime::shutdown::InTokioWords;

/// Makes a pipe.
///
/// # Errors
///
/// Those of pipe(2).
///
/// # Panics
///
/// Where there is no runtime with IO.
#[track_caller]
pub fn pipe() -> io::Result<(Sender, Receiver)> {
    running_io()?;
    let (sender, receiver) = pipe::pipe()?;
    Ok((Sender { inner: sender }, Receiver { inner: receiver }))
}

/// How to open a FIFO.
#[derive(Clone, Debug)]
pub struct OpenOptions {
    inner: pipe::OpenOptions,
}

impl OpenOptions {
    /// For one direction, and only if the file is a FIFO.
    #[must_use]
    pub fn new() -> Self {
        Self {
            inner: pipe::OpenOptions::new(),
        }
    }

    /// Opens it for both directions.
    pub fn read_write(&mut self, value: bool) -> &mut Self {
        self.inner.read_write(value);
        self
    }

    /// Does not look whether the file is a FIFO.
    pub fn unchecked(&mut self, value: bool) -> &mut Self {
        self.inner.unchecked(value);
        self
    }

    /// Opens the end to read from.
    ///
    /// # Errors
    ///
    /// Those of open(2); it is no FIFO.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn open_receiver<P: AsRef<Path>>(&self, path: P) -> io::Result<Receiver> {
        running_io()?;
        self.inner
            .open_receiver(path)
            .map(|inner| Receiver { inner })
    }

    /// Opens the end to write to.
    ///
    /// # Errors
    ///
    /// Those of open(2); it is no FIFO.
    ///
    /// # Panics
    ///
    /// Where there is no runtime with IO.
    #[track_caller]
    pub fn open_sender<P: AsRef<Path>>(&self, path: P) -> io::Result<Sender> {
        running_io()?;
        self.inner.open_sender(path).map(|inner| Sender { inner })
    }
}

impl Default for OpenOptions {
    fn default() -> Self {
        Self::new()
    }
}

/// The end of a pipe to write to.
#[derive(Debug)]
pub struct Sender {
    inner: pipe::Sender,
}

/// The end of a pipe to read from.
#[derive(Debug)]
pub struct Receiver {
    inner: pipe::Receiver,
}

macro_rules! end {
    ($End:ident) => {
        impl $End {
            /// Takes over the end of a pipe.
            ///
            /// # Errors
            ///
            /// It is no pipe, or not open in this direction.
            ///
            /// # Panics
            ///
            /// Where there is no runtime with IO.
            #[track_caller]
            pub fn from_file(file: File) -> io::Result<Self> {
                running_io()?;
                pipe::$End::from_file(file).map(|inner| Self { inner })
            }

            /// Takes over the end of a pipe.
            ///
            /// # Errors
            ///
            /// It is no pipe, or not open in this direction.
            ///
            /// # Panics
            ///
            /// Where there is no runtime with IO.
            #[track_caller]
            pub fn from_owned_fd(owned_fd: OwnedFd) -> io::Result<Self> {
                running_io()?;
                pipe::$End::from_owned_fd(owned_fd).map(|inner| Self { inner })
            }

            /// Takes over a descriptor as it is, which has to be in non-blocking mode.
            ///
            /// # Errors
            ///
            /// Those of the system.
            ///
            /// # Panics
            ///
            /// Where there is no runtime with IO.
            #[track_caller]
            pub fn from_file_unchecked(file: File) -> io::Result<Self> {
                running_io()?;
                pipe::$End::from_file_unchecked(file).map(|inner| Self { inner })
            }

            /// Takes over a descriptor as it is, which has to be in non-blocking mode.
            ///
            /// # Errors
            ///
            /// Those of the system.
            ///
            /// # Panics
            ///
            /// Where there is no runtime with IO.
            #[track_caller]
            pub fn from_owned_fd_unchecked(owned_fd: OwnedFd) -> io::Result<Self> {
                running_io()?;
                pipe::$End::from_owned_fd_unchecked(owned_fd).map(|inner| Self { inner })
            }

            /// Waits until it is ready for some of `interest`.
            ///
            /// # Errors
            ///
            /// The runtime has shut down.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.inner.ready(interest).await.in_tokio_words()
            }

            /// Tries an operation of the caller's; `WouldBlock` takes the readiness back.
            ///
            /// # Errors
            ///
            /// Those of the operation.
            pub fn try_io<R>(&self, f: impl FnOnce() -> io::Result<R>) -> io::Result<R> {
                self.inner.try_io(f)
            }

            /// The descriptor, in blocking mode.
            ///
            /// # Errors
            ///
            /// Those of the system.
            pub fn into_blocking_fd(self) -> io::Result<OwnedFd> {
                self.inner.into_blocking_fd()
            }

            /// The descriptor, in non-blocking mode.
            ///
            /// # Errors
            ///
            /// Those of the system.
            pub fn into_nonblocking_fd(self) -> io::Result<OwnedFd> {
                self.inner.into_nonblocking_fd()
            }
        }

        descriptor!($End);
    };
}

end!(Sender);
end!(Receiver);

impl Sender {
    /// Waits until a write may succeed.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn writable(&self) -> io::Result<()> {
        self.inner.writable().await.in_tokio_words()
    }

    /// Waits until a write may succeed. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    pub fn poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_write_ready(cx).in_tokio_words()
    }

    delegate! {
        /// Writes without waiting.
        try_write(buf: &[u8]) -> io::Result<usize>;
        /// Writes from several buffers without waiting.
        try_write_vectored(buf: &[IoSlice<'_>]) -> io::Result<usize>;
    }
}

impl AsyncWrite for Sender {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_write(cx, buf).in_tokio_words()
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.inner.poll_write_vectored(cx, bufs).in_tokio_words()
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

impl Receiver {
    /// Waits until a read may succeed.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost.
    pub async fn readable(&self) -> io::Result<()> {
        self.inner.readable().await.in_tokio_words()
    }

    /// Waits until a read may succeed. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// The runtime has shut down.
    pub fn poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.inner.poll_read_ready(cx).in_tokio_words()
    }

    delegate! {
        /// Reads without waiting.
        try_read(buf: &mut [u8]) -> io::Result<usize>;
        /// Reads into several buffers without waiting.
        try_read_vectored(bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize>;
    }

    /// Reads into a growing buffer without waiting.
    ///
    /// # Errors
    ///
    /// Those of the system; `WouldBlock`.
    #[cfg(feature = "io-util")]
    pub fn try_read_buf<B: bytes::BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        // SAFETY: only initialised bytes are written to the chunk.
        let chunk = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
        let count = self.inner.try_read_uninit(chunk)?.len();
        // SAFETY: `count` bytes at the start of the chunk were filled.
        unsafe { buf.advance_mut(count) };
        Ok(count)
    }
}

impl AsyncRead for Receiver {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        // SAFETY: only initialised bytes are written to the unfilled part.
        let unfilled = unsafe { buf.unfilled_mut() };
        let count = ready!(self.inner.poll_read_uninit(cx, unfilled).in_tokio_words())?.len();
        // SAFETY: `count` bytes at the start of the unfilled part were filled.
        unsafe { buf.assume_init(count) };
        buf.advance(count);
        Poll::Ready(Ok(()))
    }
}
