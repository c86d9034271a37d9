//! What datagram sockets have in common.
//!
//! Place: expanded by `UdpSocket` and `UnixDatagram`, which wrap oneloop's in a field `inner`.

/// Gives a socket the methods to send and receive. `$Address` is made from oneloop's address.
macro_rules! datagram {
    ($Socket:ident, $Address:ty) => {
        crate::net::macros::descriptor!($Socket);

        impl $Socket {
            crate::net::macros::readiness!();

            crate::net::macros::delegate! {
                /// Sends to the address that it is connected to, without waiting.
                try_send(buf: &[u8]) -> std::io::Result<usize>;
                /// Receives without waiting.
                try_recv(buf: &mut [u8]) -> std::io::Result<usize>;
                /// Takes the error that the system keeps for the socket.
                take_error() -> std::io::Result<Option<std::io::Error>>;
            }

            /// Waits until a receive may succeed. The task that polled last is woken.
            ///
            /// # Errors
            ///
            /// The runtime has shut down.
            pub fn poll_recv_ready(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.inner.poll_recv_ready(cx).in_tokio_words()
            }

            /// Waits until a send may succeed. The task that polled last is woken.
            ///
            /// # Errors
            ///
            /// The runtime has shut down.
            pub fn poll_send_ready(
                &self,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.inner.poll_send_ready(cx).in_tokio_words()
            }

            /// Sends to the address that it is connected to.
            ///
            /// # Errors
            ///
            /// Those of the system.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost.
            pub async fn send(&self, buf: &[u8]) -> std::io::Result<usize> {
                self.inner.send(buf).await.in_tokio_words()
            }

            /// The poll behind [`send`](Self::send). The task that polled last is woken.
            ///
            /// # Errors
            ///
            /// Those of the system.
            pub fn poll_send(
                &self,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.inner.poll_send(cx, buf).in_tokio_words()
            }

            /// Receives.
            ///
            /// # Errors
            ///
            /// Those of the system.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost.
            pub async fn recv(&self, buf: &mut [u8]) -> std::io::Result<usize> {
                self.inner.recv(buf).await.in_tokio_words()
            }

            /// The poll behind [`recv`](Self::recv). The task that polled last is woken.
            ///
            /// # Errors
            ///
            /// Those of the system.
            pub fn poll_recv(
                &self,
                cx: &mut std::task::Context<'_>,
                buf: &mut crate::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                // SAFETY: only initialised bytes are written to the unfilled part.
                let unfilled = unsafe { buf.unfilled_mut() };
                let count =
                    std::task::ready!(self.inner.poll_recv_uninit(cx, unfilled).in_tokio_words())?
                        .len();
                // SAFETY: `count` bytes at the start of the unfilled part were filled.
                unsafe { buf.assume_init(count) };
                buf.advance(count);
                std::task::Poll::Ready(Ok(()))
            }

            /// Receives, with the sender.
            ///
            /// # Errors
            ///
            /// Those of the system.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost.
            pub async fn recv_from(&self, buf: &mut [u8]) -> std::io::Result<(usize, $Address)> {
                let (count, from) = self.inner.recv_from(buf).await.in_tokio_words()?;
                Ok((count, from.into()))
            }

            /// The poll behind [`recv_from`](Self::recv_from). The task that polled last is woken.
            ///
            /// # Errors
            ///
            /// Those of the system.
            pub fn poll_recv_from(
                &self,
                cx: &mut std::task::Context<'_>,
                buf: &mut crate::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<$Address>> {
                // SAFETY: only initialised bytes are written to the unfilled part.
                let unfilled = unsafe { buf.unfilled_mut() };
                let (filled, from) = std::task::ready!(
                    self.inner
                        .poll_recv_from_uninit(cx, unfilled)
                        .in_tokio_words()
                )?;
                let count = filled.len();
                // SAFETY: `count` bytes at the start of the unfilled part were filled.
                unsafe { buf.assume_init(count) };
                buf.advance(count);
                std::task::Poll::Ready(Ok(from.into()))
            }

            /// Receives without waiting, with the sender.
            ///
            /// # Errors
            ///
            /// Those of the system; `WouldBlock`.
            pub fn try_recv_from(&self, buf: &mut [u8]) -> std::io::Result<(usize, $Address)> {
                let (count, from) = self.inner.try_recv_from(buf)?;
                Ok((count, from.into()))
            }
        }

        /// Into growing buffers.
        #[cfg(feature = "io-util")]
        impl $Socket {
            /// Receives into a growing buffer.
            ///
            /// # Errors
            ///
            /// Those of the system.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost.
            pub async fn recv_buf<B: bytes::BufMut>(&self, buf: &mut B) -> std::io::Result<usize> {
                // SAFETY: only initialised bytes are written to the chunk.
                let chunk = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
                let count = self.inner.recv_uninit(chunk).await.in_tokio_words()?.len();
                // SAFETY: `count` bytes at the start of the chunk were filled.
                unsafe { buf.advance_mut(count) };
                Ok(count)
            }

            /// Receives into a growing buffer, with the sender.
            ///
            /// # Errors
            ///
            /// Those of the system.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost.
            pub async fn recv_buf_from<B: bytes::BufMut>(
                &self,
                buf: &mut B,
            ) -> std::io::Result<(usize, $Address)> {
                // SAFETY: only initialised bytes are written to the chunk.
                let chunk = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
                let (filled, from) = self.inner.recv_from_uninit(chunk).await.in_tokio_words()?;
                let count = filled.len();
                // SAFETY: `count` bytes at the start of the chunk were filled.
                unsafe { buf.advance_mut(count) };
                Ok((count, from.into()))
            }

            /// Receives into a growing buffer without waiting.
            ///
            /// # Errors
            ///
            /// Those of the system; `WouldBlock`.
            pub fn try_recv_buf<B: bytes::BufMut>(&self, buf: &mut B) -> std::io::Result<usize> {
                // SAFETY: only initialised bytes are written to the chunk.
                let chunk = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
                let count = self.inner.try_recv_uninit(chunk)?.len();
                // SAFETY: `count` bytes at the start of the chunk were filled.
                unsafe { buf.advance_mut(count) };
                Ok(count)
            }

            /// Receives into a growing buffer without waiting, with the sender.
            ///
            /// # Errors
            ///
            /// Those of the system; `WouldBlock`.
            pub fn try_recv_buf_from<B: bytes::BufMut>(
                &self,
                buf: &mut B,
            ) -> std::io::Result<(usize, $Address)> {
                // SAFETY: only initialised bytes are written to the chunk.
                let chunk = unsafe { buf.chunk_mut().as_uninit_slice_mut() };
                let (filled, from) = self.inner.try_recv_from_uninit(chunk)?;
                let count = filled.len();
                // SAFETY: `count` bytes at the start of the chunk were filled.
                unsafe { buf.advance_mut(count) };
                Ok((count, from.into()))
            }
        }

        impl std::fmt::Debug for $Socket {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                self.inner.fmt(f)
            }
        }
    };
}

pub(super) use datagram;
