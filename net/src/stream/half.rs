//! The methods that borrowed and owned halves have in common.
//!
//! Place: used by `split` and `split_owned`; everything is passed on to the stream.
//!
//! # Why it is so
//! Two times two types with the same methods and the same docs. A trait would have to be
//! imported by the user, and dereferencing to the stream would let a read half write.

/// Gives a type with `fn stream(&self) -> &$Stream` the methods to read.
macro_rules! read_half {
    ($Stream:ident, $Address:ty, $($half:tt)+) => {
        impl $($half)+ {
            /// Polls to read into `buf`.
            ///
            /// # Errors
            ///
            /// Those of recv(2), such as `ConnectionReset`.
            pub fn poll_read(
                &self,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.stream().poll_read(cx, buf)
            }

            /// Polls to read into memory that need not be initialised.
            ///
            /// # Errors
            ///
            /// As [`poll_read`](Self::poll_read).
            pub fn poll_read_uninit<'b>(
                &self,
                cx: &mut Context<'_>,
                buf: &'b mut [MaybeUninit<u8>],
            ) -> Poll<io::Result<&'b mut [u8]>> {
                self.stream().poll_read_uninit(cx, buf)
            }

            /// Polls to read into several buffers.
            ///
            /// # Errors
            ///
            /// As [`poll_read`](Self::poll_read).
            pub fn poll_read_vectored(
                &self,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                self.stream().poll_read_vectored(cx, bufs)
            }

            /// Polls to copy bytes and leave them to be read.
            ///
            /// # Errors
            ///
            /// As [`poll_read`](Self::poll_read).
            pub fn poll_peek(
                &self,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.stream().poll_peek(cx, buf)
            }

            /// Waits for bytes, copies them and leaves them to be read.
            ///
            /// # Errors
            ///
            /// As [`poll_read`](Self::poll_read).
            ///
            /// # Cancel safety
            ///
            /// Safe: nothing is taken out of the stream.
            pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream().peek(buf).await
            }

            /// Waits for bytes and reads them into `buf`. 0 bytes are the
            /// end of the stream, unless `buf` is empty.
            ///
            /// # Errors
            ///
            /// As [`poll_read`](Self::poll_read).
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, nothing was read.
            pub fn read(
                &mut self,
                buf: &mut [u8],
            ) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
                poll_fn(|cx| self.stream().poll_read(cx, buf))
            }

            /// Waits for bytes and reads them into several buffers.
            ///
            /// # Errors
            ///
            /// As [`poll_read`](Self::poll_read).
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, nothing was read.
            pub async fn read_vectored(
                &mut self,
                bufs: &mut [IoSliceMut<'_>],
            ) -> io::Result<usize> {
                poll_fn(|cx| self.stream().poll_read_vectored(cx, bufs)).await
            }

            /// Waits for bytes, then takes a buffer of this loop's pool and reads into it. An empty
            /// lease is the end of the stream. As `read_lease` of the stream.
            ///
            /// # Errors
            ///
            /// As [`poll_read`](Self::poll_read); `OutOfMemory`, and nothing was read.
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, nothing was read.
            pub fn read_lease(
                &mut self,
            ) -> impl Future<Output = io::Result<Lease>> + Send + Unpin {
                self.stream().lease()
            }

            /// Sets the bounds of the buffers that [`read_lease`](Self::read_lease) takes:
            /// `set_read_lease_bytes` of the stream.
            pub fn set_read_lease_bytes(&self, bounds: RangeInclusive<usize>) {
                self.stream().set_read_lease_bytes(bounds);
            }

            /// Reads until `buf` is full.
            ///
            /// # Errors
            ///
            /// `UnexpectedEof` if the stream ends before; otherwise as
            /// [`poll_read`](Self::poll_read).
            ///
            /// # Cancel safety
            ///
            /// **Not safe**: an unknown number of bytes has been read into `buf`.
            pub fn read_exact(
                &mut self,
                buf: &mut [u8],
            ) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
                self.stream().fill(buf)
            }

            /// Waits until the stream is ready for `interest`.
            ///
            /// # Errors
            ///
            /// If the stream cannot be registered with the loop, or the runtime is gone.
            ///
            /// # Cancel safety
            ///
            /// Safe.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.stream().ready(interest).await
            }

            /// Waits until there is something to read.
            ///
            /// # Errors
            ///
            /// As [`ready`](Self::ready).
            ///
            /// # Cancel safety
            ///
            /// Safe.
            pub async fn readable(&self) -> io::Result<()> {
                self.stream().readable().await
            }

            /// Reads what is there without waiting.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if nothing is there; otherwise those of recv(2).
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream().try_read(buf)
            }

            /// Reads what is there into several buffers without waiting.
            ///
            /// # Errors
            ///
            /// As [`try_read`](Self::try_read).
            pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.stream().try_read_vectored(bufs)
            }
        }

        crate::stream::half::half_addresses!($Stream, $Address, $($half)+);
    };
}

/// Gives a type with `fn stream(&self) -> &$Stream` the methods to write, except for
/// `shutdown`.
macro_rules! write_half {
    ($Stream:ident, $Address:ty, $($half:tt)+) => {
        impl $($half)+ {
            /// Polls to write from `buf`.
            ///
            /// # Errors
            ///
            /// Those of send(2): `BrokenPipe` or `ConnectionReset` if the peer is gone.
            pub fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                self.stream().poll_write(cx, buf)
            }

            /// Polls to write from several buffers.
            ///
            /// # Errors
            ///
            /// As [`poll_write`](Self::poll_write).
            pub fn poll_write_vectored(
                &self,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.stream().poll_write_vectored(cx, bufs)
            }

            /// Waits for room and writes from `buf`.
            ///
            /// # Errors
            ///
            /// As [`poll_write`](Self::poll_write).
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, nothing was written.
            pub fn write(
                &mut self,
                buf: &[u8],
            ) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
                poll_fn(|cx| self.stream().poll_write(cx, buf))
            }

            /// Waits for room and writes from several buffers.
            ///
            /// # Errors
            ///
            /// As [`poll_write`](Self::poll_write).
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, nothing was written.
            pub async fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                poll_fn(|cx| self.stream().poll_write_vectored(cx, bufs)).await
            }

            /// Writes all of `buf`.
            ///
            /// # Errors
            ///
            /// As [`poll_write`](Self::poll_write).
            ///
            /// # Cancel safety
            ///
            /// **Not safe**: an unknown part of `buf` has been written.
            pub fn write_all(
                &mut self,
                buf: &[u8],
            ) -> impl Future<Output = io::Result<()>> + Send + Unpin {
                self.stream().drain(buf)
            }

            /// Writes all that is filled in a lease, and gives its buffer back.
            ///
            /// # Errors
            ///
            /// As [`write`](Self::write).
            ///
            /// # Cancel safety
            ///
            /// **Not safe**: an unknown part has been written.
            pub fn write_all_lease(
                &mut self,
                lease: Lease,
            ) -> impl Future<Output = io::Result<()>> + Send + Unpin {
                self.stream().drain_lease(lease)
            }

            /// Writes all of several buffers as if they were one. What is in `bufs` afterwards
            /// is of no use.
            ///
            /// # Errors
            ///
            /// As [`poll_write`](Self::poll_write).
            ///
            /// # Cancel safety
            ///
            /// **Not safe**: an unknown part has been written.
            pub async fn write_all_vectored(&mut self, bufs: &mut [IoSlice<'_>]) -> io::Result<()> {
                self.stream().drain_vectored(bufs).await
            }

            /// Does nothing.
            ///
            /// # Errors
            ///
            /// None.
            ///
            /// # Cancel safety
            ///
            /// Safe.
            pub async fn flush(&mut self) -> io::Result<()> {
                Ok(())
            }

            /// Waits until the stream is ready for `interest`.
            ///
            /// # Errors
            ///
            /// If the stream cannot be registered with the loop, or the runtime is gone.
            ///
            /// # Cancel safety
            ///
            /// Safe.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.stream().ready(interest).await
            }

            /// Waits until something can be written.
            ///
            /// # Errors
            ///
            /// As [`ready`](Self::ready).
            ///
            /// # Cancel safety
            ///
            /// Safe.
            pub async fn writable(&self) -> io::Result<()> {
                self.stream().writable().await
            }

            /// Writes as much of `buf` as there is room for.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if there is no room; otherwise those of send(2).
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.stream().try_write(buf)
            }

            /// Writes as much of several buffers as there is room for.
            ///
            /// # Errors
            ///
            /// As [`try_write`](Self::try_write).
            pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.stream().try_write_vectored(bufs)
            }
        }

        crate::stream::half::half_addresses!($Stream, $Address, $($half)+);
    };
}

/// What both kinds of halves tell about the stream.
macro_rules! half_addresses {
    ($Stream:ident, $Address:ty, $($half:tt)+) => {
        impl $($half)+ {
            /// Returns the address of the peer.
            ///
            /// # Errors
            ///
            /// Those of getpeername(2).
            pub fn peer_addr(&self) -> io::Result<$Address> {
                self.stream().peer_addr()
            }

            /// Returns the address of this end.
            ///
            /// # Errors
            ///
            /// Those of getsockname(2).
            pub fn local_addr(&self) -> io::Result<$Address> {
                self.stream().local_addr()
            }
        }

        impl AsRef<$Stream> for $($half)+ {
            fn as_ref(&self) -> &$Stream {
                self.stream()
            }
        }
    };
}

pub(crate) use {half_addresses, read_half, write_half};
