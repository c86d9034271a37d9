//! Waiting for a socket without moving bytes.
//!
//! Place: expanded by every socket with a field `io: Source<_>`, for tasks that do the system calls
//! themselves.

/// Gives a socket with a field `io: Source<_>` the methods to wait, and those to do operations that
/// it has no methods for. The two polls have the given names.
macro_rules! readiness {
    ($Socket:ident, $poll_read_ready:ident, $poll_write_ready:ident) => {
        use oneloop_runtime::io::Ready;

        impl $Socket {
            /// Waits until the socket is ready for one of the directions in `interest`.
            ///
            /// It may return though there is nothing to do: the attempt that follows tells, with
            /// `WouldBlock`. Any number of tasks may wait.
            ///
            /// # Errors
            ///
            /// If the socket cannot be registered with the loop, or the runtime is gone.
            ///
            /// # Cancel safety
            ///
            /// Safe: the readiness stays until an attempt finds the opposite.
            pub async fn ready(&self, interest: Interest) -> io::Result<Ready> {
                self.io.ready(interest).await
            }

            /// Waits until there is something to read, or the end of it.
            ///
            /// # Errors
            ///
            /// As [`ready`](Self::ready).
            ///
            /// # Cancel safety
            ///
            /// Safe, as [`ready`](Self::ready).
            pub async fn readable(&self) -> io::Result<()> {
                self.ready(Interest::READABLE).await.map(drop)
            }

            /// Waits until something can be written.
            ///
            /// # Errors
            ///
            /// As [`ready`](Self::ready).
            ///
            /// # Cancel safety
            ///
            /// Safe, as [`ready`](Self::ready).
            pub async fn writable(&self) -> io::Result<()> {
                self.ready(Interest::WRITABLE).await.map(drop)
            }

            /// Polls for something to read. Of the tasks that poll this direction only the last one
            /// is woken.
            ///
            /// # Errors
            ///
            /// As [`ready`](Self::ready).
            pub fn $poll_read_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.io.poll_ready(cx, Direction::Read)
            }

            /// Polls for room to write. Of the tasks that poll this direction only the last one is
            /// woken.
            ///
            /// # Errors
            ///
            /// As [`ready`](Self::ready).
            pub fn $poll_write_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                self.io.poll_ready(cx, Direction::Write)
            }

            /// Calls `f`, which does one non-blocking operation on the descriptor, if the socket
            /// may be ready for it.
            ///
            /// `f` returns `WouldBlock` if, and only if, the kernel said so: the socket then counts
            /// as not ready until the next event. It must not call methods of this socket that read
            /// or write. `interest` is one direction.
            ///
            /// # Errors
            ///
            /// `WouldBlock`, perhaps without a call, if the socket is not ready; otherwise what `f`
            /// returns.
            pub fn try_io<R>(
                &self,
                interest: Interest,
                f: impl FnOnce() -> io::Result<R>,
            ) -> io::Result<R> {
                let mut f = Some(f);
                // The source may call again after `Interrupted`, which `f` cannot be: so what `f`
                // says is passed through as a success, except for "would block".
                let called_once = |_: &_| match f.take().map(|f| f()) {
                    Some(Err(error)) if error.kind() == io::ErrorKind::WouldBlock => Err(error),
                    Some(outcome) => Ok(outcome),
                    None => unreachable!("called again after an outcome that ends the attempt"),
                };
                self.io.try_io(interest, called_once)?
            }

            /// Calls `f`, which does one non-blocking operation on the descriptor, as often as
            /// needed until it returns something else than `WouldBlock`, and waits in between.
            ///
            /// The duties of `f` are those of [`try_io`](Self::try_io).
            ///
            /// # Errors
            ///
            /// What `f` returns, and as [`ready`](Self::ready).
            ///
            /// # Cancel safety
            ///
            /// Safe if `f` is: nothing happens between its success and the end of the future.
            pub async fn async_io<R>(
                &self,
                interest: Interest,
                mut f: impl FnMut() -> io::Result<R>,
            ) -> io::Result<R> {
                self.io.async_io(interest, |_| f()).await
            }
        }
    };
}

pub(crate) use readiness;
