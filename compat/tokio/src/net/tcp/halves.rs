//! The halves of a connection.

use std::net::SocketAddr;

use super::TcpStream;

crate::net::halves::halves!(TcpStream, SocketAddr);

macro_rules! peek {
    ($half:ty) => {
        impl $half {
            /// The poll behind [`peek`](Self::peek).
            ///
            /// # Errors
            ///
            /// Those of the system.
            pub fn poll_peek(
                &mut self,
                cx: &mut Context<'_>,
                buf: &mut ReadBuf<'_>,
            ) -> Poll<io::Result<usize>> {
                self.stream.poll_peek(cx, buf)
            }

            /// Reads and leaves the bytes in the stream.
            ///
            /// # Errors
            ///
            /// Those of the system.
            ///
            /// # Cancel safety
            ///
            /// Nothing is lost.
            pub async fn peek(&mut self, buf: &mut [u8]) -> io::Result<usize> {
                self.stream.peek(buf).await
            }
        }
    };
}

peek!(ReadHalf<'_>);
peek!(OwnedReadHalf);
