//! The halves of a connection: what those of all families have in common.
//!
//! Place: expanded by `tcp` and `unix`, each in a module of its own.

/// What a half reads with, borrowed or owned.
macro_rules! reading_half {
    ($half:ty) => {
        impl $half {
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
                self.stream.readable().await
            }

            /// Reads without waiting.
            ///
            /// # Errors
            ///
            /// Those of the system; `WouldBlock`.
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream.try_read(buf)
            }

            /// Reads into several buffers without waiting.
            ///
            /// # Errors
            ///
            /// Those of the system; `WouldBlock`.
            pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                self.stream.try_read_vectored(bufs)
            }

            /// Reads into a growing buffer without waiting.
            ///
            /// # Errors
            ///
            /// Those of the system; `WouldBlock`.
            #[cfg(feature = "io-util")]
            pub fn try_read_buf<B: bytes::BufMut>(&self, buf: &mut B) -> io::Result<usize> {
                self.stream.try_read_buf(buf)
            }
        }

        impl AsyncRead for $half {
            fn poll_read(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<()>> {
                self.stream.poll_read_shared(cx, buf)
            }
        }
    };
}

/// What a half writes with, borrowed or owned.
macro_rules! writing_half {
    ($half:ty) => {
        impl $half {
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
                self.stream.writable().await
            }

            /// Writes without waiting.
            ///
            /// # Errors
            ///
            /// Those of the system; `WouldBlock`.
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                self.stream.try_write(buf)
            }

            /// Writes from several buffers without waiting.
            ///
            /// # Errors
            ///
            /// Those of the system; `WouldBlock`.
            pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                self.stream.try_write_vectored(bufs)
            }
        }

        impl AsyncWrite for $half {
            fn poll_write(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                buf: &[u8],
            ) -> Poll<io::Result<usize>> {
                self.stream.inner.poll_write(cx, buf).in_tokio_words()
            }

            fn poll_write_vectored(
                self: Pin<&mut Self>,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                self.stream
                    .inner
                    .poll_write_vectored(cx, bufs)
                    .in_tokio_words()
            }

            fn is_write_vectored(&self) -> bool {
                true
            }

            fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(Ok(()))
            }

            fn poll_shutdown(
                #[allow(unused_mut)] mut self: Pin<&mut Self>,
                cx: &mut Context<'_>,
            ) -> Poll<io::Result<()>> {
                let shut_down = self.stream.poll_shutdown_shared(cx);
                if let Poll::Ready(Ok(())) = shut_down {
                    self.note_shutdown();
                }
                shut_down
            }
        }
    };
}

/// What both halves have.
macro_rules! any_half {
    ($half:ty, $Stream:ident, $Address:ty) => {
        impl $half {
            /// Waits until the stream is ready for some of `interest`.
            ///
            /// # Errors
            ///
            /// The runtime has shut down.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.stream.ready(interest).await
            }

            /// The other end's address.
            ///
            /// # Errors
            ///
            /// Those of the system.
            pub fn peer_addr(&self) -> io::Result<$Address> {
                self.stream.peer_addr()
            }

            /// This end's address.
            ///
            /// # Errors
            ///
            /// Those of the system.
            pub fn local_addr(&self) -> io::Result<$Address> {
                self.stream.local_addr()
            }
        }

        impl AsRef<$Stream> for $half {
            fn as_ref(&self) -> &$Stream {
                &self.stream
            }
        }
    };
}

/// Makes the four halves of a stream, in the module where it is expanded.
macro_rules! halves {
    ($Stream:ident, $Address:ty) => {
        use std::error::Error;
        use std::fmt;
        use std::io::{self, IoSlice, IoSliceMut};
        use std::pin::Pin;
        use std::sync::Arc;
        use std::task::{Context, Poll};

        use crate::io::{AsyncRead, AsyncWrite, Interest, ReadBuf, Ready};
        use crate::runtime::shutdown::InTokioWords as _;

        /// The reading half of a stream that is borrowed. Made by `split` of the stream.
        #[derive(Debug)]
        pub struct ReadHalf<'a> {
            stream: &'a $Stream,
        }

        /// The writing half of a stream that is borrowed. Made by `split` of the stream.
        #[derive(Debug)]
        pub struct WriteHalf<'a> {
            stream: &'a $Stream,
        }

        pub(super) fn split(stream: &mut $Stream) -> (ReadHalf<'_>, WriteHalf<'_>) {
            (ReadHalf { stream }, WriteHalf { stream })
        }

        /// The reading half of a stream. Made by `into_split` of the stream.
        #[derive(Debug)]
        pub struct OwnedReadHalf {
            stream: Arc<$Stream>,
        }

        /// The writing half of a stream. Made by `into_split` of the stream. Dropped, it ends the output.
        #[derive(Debug)]
        pub struct OwnedWriteHalf {
            stream: Arc<$Stream>,
            ends_output_on_drop: bool,
        }

        pub(super) fn into_split(stream: $Stream) -> (OwnedReadHalf, OwnedWriteHalf) {
            let stream = Arc::new(stream);
            let reader = OwnedReadHalf {
                stream: Arc::clone(&stream),
            };
            let writer = OwnedWriteHalf {
                stream,
                ends_output_on_drop: true,
            };
            (reader, writer)
        }

        crate::net::halves::reading_half!(ReadHalf<'_>);
        crate::net::halves::reading_half!(OwnedReadHalf);
        crate::net::halves::writing_half!(WriteHalf<'_>);
        crate::net::halves::writing_half!(OwnedWriteHalf);
        crate::net::halves::any_half!(ReadHalf<'_>, $Stream, $Address);
        crate::net::halves::any_half!(OwnedReadHalf, $Stream, $Address);
        crate::net::halves::any_half!(WriteHalf<'_>, $Stream, $Address);
        crate::net::halves::any_half!(OwnedWriteHalf, $Stream, $Address);

        impl WriteHalf<'_> {
            /// A borrowed half does nothing when it is dropped.
            #[allow(
                clippy::unused_self,
                reason = "the owned half has the same, and uses it"
            )]
            fn note_shutdown(&self) {}
        }

        impl OwnedReadHalf {
            /// Puts the stream together again.
            ///
            /// # Errors
            ///
            /// The halves are of different streams. Both are given back.
            pub fn reunite(self, other: OwnedWriteHalf) -> Result<$Stream, ReuniteError> {
                reunite(self, other)
            }
        }

        impl OwnedWriteHalf {
            /// Puts the stream together again.
            ///
            /// # Errors
            ///
            /// The halves are of different streams. Both are given back.
            pub fn reunite(self, other: OwnedReadHalf) -> Result<$Stream, ReuniteError> {
                reunite(other, self)
            }

            /// Drops the half without ending the output.
            pub fn forget(mut self) {
                self.ends_output_on_drop = false;
            }

            fn note_shutdown(&mut self) {
                self.ends_output_on_drop = false;
            }
        }

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if self.ends_output_on_drop {
                    let mut cx = Context::from_waker(std::task::Waker::noop());
                    // A connection that is gone already needs no end.
                    let _ = self.stream.inner.poll_shutdown(&mut cx);
                }
            }
        }

        fn reunite(reader: OwnedReadHalf, writer: OwnedWriteHalf) -> Result<$Stream, ReuniteError> {
            if !Arc::ptr_eq(&reader.stream, &writer.stream) {
                return Err(ReuniteError(reader, writer));
            }
            writer.forget();
            Ok(Arc::into_inner(reader.stream).expect("the other half was dropped"))
        }

        /// The halves are of different streams.
        #[derive(Debug)]
        pub struct ReuniteError(
            /// The reading half.
            pub OwnedReadHalf,
            /// The writing half.
            pub OwnedWriteHalf,
        );

        impl fmt::Display for ReuniteError {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tried to reunite halves that are not from the same socket")
            }
        }

        impl Error for ReuniteError {}
    };
}

pub(super) use {any_half, halves, reading_half, writing_half};
