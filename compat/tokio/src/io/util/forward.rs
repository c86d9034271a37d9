//! Traits that an adapter hands on to what it holds, by the name of the field.

/// `AsyncRead` of a pinned field.
macro_rules! forward_read {
    ([$($generics:tt)*] $adapter:ty, $field:ident) => {
        impl<$($generics)*> $crate::io::AsyncRead for $adapter {
            fn poll_read(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &mut $crate::io::ReadBuf<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.project().$field.poll_read(cx, buf)
            }
        }
    };
}

/// `AsyncBufRead` of a pinned field.
macro_rules! forward_buf_read {
    ([$($generics:tt)*] $adapter:ty, $field:ident) => {
        impl<$($generics)*> $crate::io::AsyncBufRead for $adapter {
            fn poll_fill_buf(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<&[u8]>> {
                self.project().$field.poll_fill_buf(cx)
            }

            fn consume(self: std::pin::Pin<&mut Self>, amt: usize) {
                self.project().$field.consume(amt);
            }
        }
    };
}

/// `AsyncWrite` of a pinned field.
macro_rules! forward_write {
    ([$($generics:tt)*] $adapter:ty, $field:ident) => {
        impl<$($generics)*> $crate::io::AsyncWrite for $adapter {
            fn poll_write(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                buf: &[u8],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.project().$field.poll_write(cx, buf)
            }

            fn poll_write_vectored(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
                bufs: &[std::io::IoSlice<'_>],
            ) -> std::task::Poll<std::io::Result<usize>> {
                self.project().$field.poll_write_vectored(cx, bufs)
            }

            fn is_write_vectored(&self) -> bool {
                self.$field.is_write_vectored()
            }

            fn poll_flush(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.project().$field.poll_flush(cx)
            }

            fn poll_shutdown(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<std::io::Result<()>> {
                self.project().$field.poll_shutdown(cx)
            }
        }
    };
}

pub(crate) use {forward_buf_read, forward_read, forward_write};
