//! What all sockets have in common.

/// The descriptor of a type that wraps one of oneloop's in its field `inner`.
macro_rules! descriptor {
    ($socket:ty) => {
        impl std::os::fd::AsFd for $socket {
            fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
                std::os::fd::AsFd::as_fd(&self.inner)
            }
        }

        impl std::os::fd::AsRawFd for $socket {
            fn as_raw_fd(&self) -> std::os::fd::RawFd {
                std::os::fd::AsRawFd::as_raw_fd(&std::os::fd::AsFd::as_fd(&self.inner))
            }
        }
    };
}

/// Methods that are those of the field `inner`.
macro_rules! delegate {
    ($($(#[$attribute:meta])* $name:ident($($argument:ident: $type:ty),*) -> $result:ty;)+) => {$(
        $(#[$attribute])*
        ///
        /// # Errors
        ///
        /// Those of the system.
        pub fn $name(&self, $($argument: $type),*) -> $result {
            self.inner.$name($($argument),*)
        }
    )+};
}

/// Waiting for readiness, of a stream or datagram socket in the field `inner`.
macro_rules! readiness {
    () => {
        /// Waits until the socket is ready for some of `interest`.
        ///
        /// # Errors
        ///
        /// The runtime has shut down.
        ///
        /// # Cancel safety
        ///
        /// Nothing is lost.
        pub async fn ready(
            &self,
            interest: crate::io::Interest,
        ) -> std::io::Result<crate::io::Ready> {
            self.inner.ready(interest).await.in_tokio_words()
        }

        /// Waits until a read may succeed.
        ///
        /// # Errors
        ///
        /// The runtime has shut down.
        ///
        /// # Cancel safety
        ///
        /// Nothing is lost.
        pub async fn readable(&self) -> std::io::Result<()> {
            self.inner.readable().await.in_tokio_words()
        }

        /// Waits until a write may succeed.
        ///
        /// # Errors
        ///
        /// The runtime has shut down.
        ///
        /// # Cancel safety
        ///
        /// Nothing is lost.
        pub async fn writable(&self) -> std::io::Result<()> {
            self.inner.writable().await.in_tokio_words()
        }

        /// Tries an operation of the caller's; `WouldBlock` takes the readiness back.
        ///
        /// # Errors
        ///
        /// Those of the operation.
        pub fn try_io<R>(
            &self,
            interest: crate::io::Interest,
            f: impl FnOnce() -> std::io::Result<R>,
        ) -> std::io::Result<R> {
            self.inner.try_io(interest, f)
        }

        /// Tries an operation of the caller's until it does not answer `WouldBlock`.
        ///
        /// # Errors
        ///
        /// Those of the operation.
        ///
        /// # Cancel safety
        ///
        /// `f` has either done nothing, or answered and the future was ready.
        pub async fn async_io<R>(
            &self,
            interest: crate::io::Interest,
            f: impl FnMut() -> std::io::Result<R>,
        ) -> std::io::Result<R> {
            self.inner.async_io(interest, f).await.in_tokio_words()
        }
    };
}

/// What every stream in the field `inner` has beside its own options.
macro_rules! stream {
    ($Stream:ident) => {
        use std::pin::Pin;

        use crate::io::{AsyncRead, AsyncWrite, ReadBuf};

        impl $Stream {
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

            /// A connection that is gone needs no end.
            pub(in crate::net) fn poll_shutdown_shared(
                &self,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                match ready!(self.inner.poll_shutdown(cx).in_tokio_words()) {
                    Err(error) if error.kind() == io::ErrorKind::NotConnected => {
                        Poll::Ready(Ok(()))
                    }
                    result => Poll::Ready(result),
                }
            }

            pub(in crate::net) fn poll_read_shared(
                &self,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                // SAFETY: only initialised bytes are written to the unfilled part.
                let unfilled = unsafe { buf.unfilled_mut() };
                let count =
                    ready!(self.inner.poll_read_uninit(cx, unfilled).in_tokio_words())?.len();
                // SAFETY: `count` bytes at the start of the unfilled part were filled.
                unsafe { buf.assume_init(count) };
                buf.advance(count);
                Poll::Ready(Ok(()))
            }
        }

        impl AsyncRead for $Stream {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.poll_read_shared(cx, buf)
            }
        }

        impl AsyncWrite for $Stream {
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

            fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.poll_shutdown_shared(cx)
            }
        }

        impl AsRef<Self> for $Stream {
            fn as_ref(&self) -> &Self {
                self
            }
        }
    };
}

pub(super) use {delegate, descriptor, readiness, stream};
