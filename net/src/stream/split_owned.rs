//! Owned halves: reading and writing in two tasks, on one loop or on two.
//!
//! Place: made by `TcpStream::into_split`; everything is passed on to the stream, which both
//! halves own together.
//!
//! # Invariants
//! - There is one half of each kind for a stream, so one reader and one writer (R6).
//! - The write half's end half-closes the connection, unless it already is, or `forget` or
//!   `reunite` ended it.

macro_rules! owned_halves {
    ($Stream:ident, $Address:ty) => {
        use std::error::Error;
        use std::fmt;
        use std::sync::Arc;
        use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

        /// The half to read from, made by `into_split` of the stream.
        ///
        /// Dropping it does nothing to the connection: the socket is closed when both halves are
        /// gone.
        #[derive(Debug)]
        pub struct OwnedReadHalf {
            stream: Arc<$Stream>,
        }

        /// The half to write to, made by `into_split` of the stream.
        ///
        /// **Dropping it half-closes the connection**: the peer reads the end of the stream, while
        /// the read half goes on. [`forget`](Self::forget) avoids that.
        #[derive(Debug)]
        pub struct OwnedWriteHalf {
            stream: Arc<$Stream>,
            /// Relaxed: it belongs to the half alone, and is atomic only because `poll_shutdown`
            /// takes a shared reference.
            shutdown_on_drop: AtomicBool,
        }

        /// Two halves that do not belong to the same stream. Gives both back.
        #[derive(Debug)]
        pub struct ReuniteError(pub OwnedReadHalf, pub OwnedWriteHalf);

        pub(crate) fn split_owned(stream: $Stream) -> (OwnedReadHalf, OwnedWriteHalf) {
            let stream = Arc::new(stream);
            let read = OwnedReadHalf {
                stream: Arc::clone(&stream),
            };
            (
                read,
                OwnedWriteHalf {
                    stream,
                    shutdown_on_drop: AtomicBool::new(true),
                },
            )
        }

        fn reunite(read: OwnedReadHalf, write: OwnedWriteHalf) -> Result<$Stream, ReuniteError> {
            if !Arc::ptr_eq(&read.stream, &write.stream) {
                return Err(ReuniteError(read, write));
            }
            write.forget();
            // Only the two halves own the stream, and one of them is gone.
            match Arc::into_inner(read.stream) {
                Some(stream) => Ok(stream),
                None => unreachable!("a third owner of a stream that has two halves"),
            }
        }

        impl OwnedReadHalf {
            fn stream(&self) -> &$Stream {
                &self.stream
            }

            /// Puts the stream together again.
            ///
            /// # Errors
            ///
            /// If `other` is the half of another stream; both halves are in the error.
            pub fn reunite(self, other: OwnedWriteHalf) -> Result<$Stream, ReuniteError> {
                reunite(self, other)
            }
        }

        impl OwnedWriteHalf {
            fn stream(&self) -> &$Stream {
                &self.stream
            }

            /// Puts the stream together again. The connection stays open in both directions.
            ///
            /// # Errors
            ///
            /// If `other` is the half of another stream; both halves are in the error.
            pub fn reunite(self, other: OwnedReadHalf) -> Result<$Stream, ReuniteError> {
                reunite(other, self)
            }

            /// Drops the half without half-closing the connection.
            pub fn forget(self) {
                self.shutdown_on_drop.store(false, Relaxed);
            }

            /// Shuts down the write direction: `poll_shutdown` of the stream. Dropping the half
            /// does not do it again.
            ///
            /// # Errors
            ///
            /// Those of shutdown(2): `NotConnected` once the connection was reset.
            pub fn poll_shutdown(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                let outcome = self.stream.shutdown_write();
                if outcome.is_ok() {
                    self.shutdown_on_drop.store(false, Relaxed);
                }
                Poll::Ready(outcome)
            }

            /// Shuts down the write direction: `shutdown` of the stream. Dropping the half does not
            /// do it again.
            ///
            /// # Errors
            ///
            /// As [`poll_shutdown`](Self::poll_shutdown).
            ///
            /// # Cancel safety
            ///
            /// Safe: it happens at the first poll.
            pub async fn shutdown(&mut self) -> io::Result<()> {
                poll_fn(|cx| self.poll_shutdown(cx)).await
            }
        }

        impl Drop for OwnedWriteHalf {
            fn drop(&mut self) {
                if *self.shutdown_on_drop.get_mut() {
                    // The only error is that the connection is already closed or reset.
                    let _ = self.stream.shutdown_write();
                }
            }
        }

        crate::stream::half::read_half!($Stream, $Address, OwnedReadHalf);
        crate::stream::half::write_half!($Stream, $Address, OwnedWriteHalf);

        impl fmt::Display for ReuniteError {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("tried to reunite halves that are not from the same stream")
            }
        }

        impl Error for ReuniteError {}
    };
}

pub(crate) use owned_halves;
