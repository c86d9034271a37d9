//! Borrowed halves: reading and writing at once within one task.
//!
//! Place: made by `TcpStream::split`; everything is passed on to the stream.
//!
//! # Invariants
//! There is one pair of halves at a time, because `split` borrows the stream mutably: so there is
//! one reader and one writer (R6).

macro_rules! borrowed_halves {
    ($Stream:ident, $Address:ty) => {
        /// The half to read from, made by `split` of the stream.
        #[derive(Debug)]
        pub struct ReadHalf<'a>(&'a $Stream);

        /// The half to write to, made by `split` of the stream. Dropping it does nothing.
        #[derive(Debug)]
        pub struct WriteHalf<'a>(&'a $Stream);

        impl<'a> ReadHalf<'a> {
            pub(crate) fn new(stream: &'a $Stream) -> Self {
                Self(stream)
            }

            fn stream(&self) -> &$Stream {
                self.0
            }
        }

        impl<'a> WriteHalf<'a> {
            pub(crate) fn new(stream: &'a $Stream) -> Self {
                Self(stream)
            }

            fn stream(&self) -> &$Stream {
                self.0
            }

            /// Shuts down the write direction: `poll_shutdown` of the stream.
            ///
            /// # Errors
            ///
            /// Those of shutdown(2): `NotConnected` once the connection was reset.
            pub fn poll_shutdown(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.0.poll_shutdown(cx)
            }

            /// Shuts down the write direction: `shutdown` of the stream.
            ///
            /// # Errors
            ///
            /// As [`poll_shutdown`](Self::poll_shutdown).
            ///
            /// # Cancel safety
            ///
            /// Safe: it happens at the first poll.
            pub async fn shutdown(&mut self) -> io::Result<()> {
                self.0.shutdown_write()
            }
        }

        crate::stream::half::read_half!($Stream, $Address, ReadHalf<'_>);
        crate::stream::half::write_half!($Stream, $Address, WriteHalf<'_>);
    };
}

pub(crate) use borrowed_halves;
