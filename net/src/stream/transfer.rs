//! Moving bytes through a stream.
//!
//! Place: the methods of every stream, called by tasks and by the halves; calls `Source` to wait
//! and `sys` to move bytes; runs on any thread that polls a task.
//!
//! # Invariants
//! - Bytes leave the kernel, or enter it, only in the poll that reports them. So dropping a
//!   `read` or a `write` loses and doubles nothing.
//! - A transfer of no bytes is `Ok(0)` at once and asks nobody: it says nothing about the end
//!   of the stream.
//! - A transfer that came back short has met the end of what the kernel had. The next one waits
//!   for an event and makes no system call to find that out: one message echoed costs one
//!   receive and one send.

use std::io::{self, IoSlice, IoSliceMut};

use crate::sys;

/// Gives a stream with a field `io: Source<_>` and a method `shutdown_write` the methods to move
/// bytes. `$drained_below` says, of the length of a read, which count means that nothing is left:
/// any that is smaller.
macro_rules! transfer {
    ($Stream:ident, $drained_below:path) => {
        use std::future::poll_fn;
        use std::io::{self, IoSlice, IoSliceMut};
        use std::mem::MaybeUninit;
        use std::os::fd::AsFd;
        use std::task::{Context, Poll, ready};

        use oneloop_runtime::io::{Direction, Interest};

        use crate::stream::transfer::{at_most, at_most_mut, total};
        use crate::sys;

        /// Polling: of the tasks that poll one direction only the one that polled last is woken.
        impl $Stream {
            /// Polls to read into `buf`. 0 bytes are the end of the stream, unless `buf` is empty.
            ///
            /// # Errors
            ///
            /// Those of recv(2), such as `ConnectionReset`.
            pub fn poll_read(
                &self,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                if buf.is_empty() {
                    return Poll::Ready(Ok(0));
                }
                let want = $drained_below(sys::transfer_bytes(buf.len()));
                self.io
                    .poll_transfer(cx, Direction::Read, want, |descriptor| {
                        sys::receive(descriptor.as_fd(), buf)
                    })
            }

            /// Polls to read into memory that need not be initialised, and returns the part of it
            /// that was filled. It is empty at the end of the stream.
            ///
            /// # Errors
            ///
            /// As [`poll_read`](Self::poll_read).
            pub fn poll_read_uninit<'b>(
                &self,
                cx: &mut Context<'_>,
                buf: &'b mut [MaybeUninit<u8>],
            ) -> Poll<io::Result<&'b mut [u8]>> {
                let mut count = 0;
                if !buf.is_empty() {
                    let want = $drained_below(sys::transfer_bytes(buf.len()));
                    count = ready!(self.io.poll_transfer(
                        cx,
                        Direction::Read,
                        want,
                        |descriptor| { sys::receive_uninit(descriptor.as_fd(), buf) }
                    ))?;
                }
                // SAFETY: `count` is 0 or what `receive_uninit` returned last: `poll_transfer`
                // passes the result of its operation on unchanged. That many bytes from the start
                // of `buf` are initialised, and nobody has written to `buf` since.
                let filled = unsafe { buf[..count].assume_init_mut() };
                Poll::Ready(Ok(filled))
            }

            /// Polls to read into several buffers, filling one after the other. Of more than 1024
            /// buffers the rest is left alone.
            ///
            /// # Errors
            ///
            /// As [`poll_read`](Self::poll_read).
            pub fn poll_read_vectored(
                &self,
                cx: &mut Context<'_>,
                bufs: &mut [IoSliceMut<'_>],
            ) -> Poll<io::Result<usize>> {
                let bufs = at_most_mut(bufs);
                let want = total(bufs.iter().map(|buf| buf.len()));
                if want == 0 {
                    return Poll::Ready(Ok(0));
                }
                let want = $drained_below(want);
                self.io
                    .poll_transfer(cx, Direction::Read, want, |descriptor| {
                        sys::receive_vectored(descriptor.as_fd(), bufs)
                    })
            }

            /// Polls for bytes that can be read, copies the first of them into `buf` and leaves
            /// them to be read.
            ///
            /// # Errors
            ///
            /// As [`poll_read`](Self::poll_read).
            pub fn poll_peek(
                &self,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                if buf.is_empty() {
                    return Poll::Ready(Ok(0));
                }
                // Bytes that were only looked at are still there: a short count drains nothing.
                self.io.poll_io(cx, Direction::Read, |descriptor| {
                    sys::peek(descriptor.as_fd(), buf)
                })
            }

            /// Polls to write from `buf` and returns how many of its bytes the kernel took.
            ///
            /// # Errors
            ///
            /// Those of send(2): `BrokenPipe` or `ConnectionReset` if the peer is gone. No signal
            /// is raised.
            pub fn poll_write(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                if buf.is_empty() {
                    return Poll::Ready(Ok(0));
                }
                let want = sys::transfer_bytes(buf.len());
                self.io
                    .poll_transfer(cx, Direction::Write, want, |descriptor| {
                        sys::send(descriptor.as_fd(), buf)
                    })
            }

            /// Polls to write from several buffers as if they were one. Of more than 1024 buffers
            /// the rest is left alone.
            ///
            /// # Errors
            ///
            /// As [`poll_write`](Self::poll_write).
            pub fn poll_write_vectored(
                &self,
                cx: &mut Context<'_>,
                bufs: &[IoSlice<'_>],
            ) -> Poll<io::Result<usize>> {
                let bufs = at_most(bufs);
                let want = total(bufs.iter().map(|buf| buf.len()));
                if want == 0 {
                    return Poll::Ready(Ok(0));
                }
                self.io
                    .poll_transfer(cx, Direction::Write, want, |descriptor| {
                        sys::send_vectored(descriptor.as_fd(), bufs)
                    })
            }

            /// Shuts down the write direction. It is never pending: the kernel sends what it has
            /// and then the end of the stream.
            ///
            /// # Errors
            ///
            /// Those of shutdown(2): `NotConnected` once the connection was reset.
            pub fn poll_shutdown(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
                Poll::Ready(self.shutdown_write())
            }
        }

        /// Attempts: they never wait, and none of them needs a task.
        impl $Stream {
            /// Reads what is there into `buf`. 0 bytes are the end of the stream, unless `buf` is
            /// empty.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if nothing is there: wait with [`readable`](Self::readable). Otherwise
            /// those of recv(2).
            pub fn try_read(&self, buf: &mut [u8]) -> io::Result<usize> {
                if buf.is_empty() {
                    return Ok(0);
                }
                self.io.try_io(Interest::READABLE, |descriptor| {
                    sys::receive(descriptor.as_fd(), buf)
                })
            }

            /// As [`try_read`](Self::try_read), into memory that need not be initialised: the part
            /// that was filled.
            ///
            /// # Errors
            ///
            /// As [`try_read`](Self::try_read).
            pub fn try_read_uninit<'b>(
                &self,
                buf: &'b mut [MaybeUninit<u8>],
            ) -> io::Result<&'b mut [u8]> {
                let mut count = 0;
                if !buf.is_empty() {
                    count = self.io.try_io(Interest::READABLE, |descriptor| {
                        sys::receive_uninit(descriptor.as_fd(), buf)
                    })?;
                }
                // SAFETY: `count` is 0 or what `receive_uninit` returned: that many bytes from the
                // start of `buf` are initialised, and nobody has written to `buf` since.
                Ok(unsafe { buf[..count].assume_init_mut() })
            }

            /// Reads what is there into several buffers, filling one after the other.
            ///
            /// # Errors
            ///
            /// As [`try_read`](Self::try_read).
            pub fn try_read_vectored(&self, bufs: &mut [IoSliceMut<'_>]) -> io::Result<usize> {
                let bufs = at_most_mut(bufs);
                if total(bufs.iter().map(|buf| buf.len())) == 0 {
                    return Ok(0);
                }
                self.io.try_io(Interest::READABLE, |descriptor| {
                    sys::receive_vectored(descriptor.as_fd(), bufs)
                })
            }

            /// Writes as much of `buf` as there is room for.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if there is no room: wait with [`writable`](Self::writable). Otherwise
            /// those of send(2).
            pub fn try_write(&self, buf: &[u8]) -> io::Result<usize> {
                if buf.is_empty() {
                    return Ok(0);
                }
                self.io.try_io(Interest::WRITABLE, |descriptor| {
                    sys::send(descriptor.as_fd(), buf)
                })
            }

            /// Writes as much of several buffers as there is room for, as if they were one.
            ///
            /// # Errors
            ///
            /// As [`try_write`](Self::try_write).
            pub fn try_write_vectored(&self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                let bufs = at_most(bufs);
                if total(bufs.iter().map(|buf| buf.len())) == 0 {
                    return Ok(0);
                }
                self.io.try_io(Interest::WRITABLE, |descriptor| {
                    sys::send_vectored(descriptor.as_fd(), bufs)
                })
            }
        }

        /// Waiting.
        impl $Stream {
            /// Waits for bytes that can be read, copies the first of them into `buf` and leaves
            /// them to be read. 0 bytes are the end of the stream, unless `buf` is empty.
            ///
            /// # Errors
            ///
            /// Those of recv(2), such as `ConnectionReset`.
            ///
            /// # Cancel safety
            ///
            /// Safe: nothing is taken out of the stream.
            pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
                if buf.is_empty() {
                    return Ok(0);
                }
                self.io
                    .async_io(Interest::READABLE, |descriptor| {
                        sys::peek(descriptor.as_fd(), buf)
                    })
                    .await
            }

            /// Waits for bytes and reads them into `buf`. 0 bytes are the end of the stream, unless
            /// `buf` is empty.
            ///
            /// # Errors
            ///
            /// Those of recv(2), such as `ConnectionReset`.
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, nothing was read.
            // Not an `async fn`, which keeps each argument twice: here and below.
            pub fn read(
                &mut self,
                buf: &mut [u8],
            ) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
                poll_fn(|cx| self.poll_read(cx, buf))
            }

            /// Waits for bytes and reads them into several buffers, filling one after the other.
            ///
            /// # Errors
            ///
            /// As [`read`](Self::read).
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, nothing was read.
            pub async fn read_vectored(
                &mut self,
                bufs: &mut [IoSliceMut<'_>],
            ) -> io::Result<usize> {
                poll_fn(|cx| self.poll_read_vectored(cx, bufs)).await
            }

            /// Reads until `buf` is full. Returns its length.
            ///
            /// # Errors
            ///
            /// `UnexpectedEof` if the stream ends before; otherwise as [`read`](Self::read). What
            /// was read until then is in `buf`, how much is not known.
            ///
            /// # Cancel safety
            ///
            /// **Not safe**: if the future is dropped, an unknown number of bytes has been read
            /// into `buf`. To be able to go on, keep count and call [`read`](Self::read).
            pub fn read_exact(
                &mut self,
                buf: &mut [u8],
            ) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
                self.fill(buf)
            }

            /// Waits for room and writes from `buf`. Returns how many of its bytes the kernel took.
            ///
            /// # Errors
            ///
            /// Those of send(2): `BrokenPipe` or `ConnectionReset` if the peer is gone. No signal
            /// is raised. Success does not say that the peer has got the bytes.
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, nothing was written.
            pub fn write(
                &mut self,
                buf: &[u8],
            ) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
                poll_fn(|cx| self.poll_write(cx, buf))
            }

            /// Waits for room and writes from several buffers as if they were one.
            ///
            /// # Errors
            ///
            /// As [`write`](Self::write).
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, nothing was written.
            pub async fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
                poll_fn(|cx| self.poll_write_vectored(cx, bufs)).await
            }

            /// Writes all of `buf`.
            ///
            /// # Errors
            ///
            /// As [`write`](Self::write). How much was written until then is not known.
            ///
            /// # Cancel safety
            ///
            /// **Not safe**: if the future is dropped, an unknown part of `buf` has been written.
            /// To be able to go on, keep count and call [`write`](Self::write).
            pub fn write_all(
                &mut self,
                buf: &[u8],
            ) -> impl Future<Output = io::Result<()>> + Send + Unpin {
                self.drain(buf)
            }

            /// Writes all of several buffers as if they were one, more than 1024 too. What is
            /// in `bufs` afterwards is of no use: buffers that were written in part have been cut.
            ///
            /// # Errors
            ///
            /// As [`write`](Self::write). How much was written until then is not known.
            ///
            /// # Cancel safety
            ///
            /// **Not safe**: if the future is dropped, an unknown part has been written. To be able
            /// to go on, keep count and call [`write_vectored`](Self::write_vectored).
            pub async fn write_all_vectored(&mut self, bufs: &mut [IoSlice<'_>]) -> io::Result<()> {
                self.drain_vectored(bufs).await
            }

            /// Does nothing: a TCP stream keeps no bytes back. For code that is written for
            /// buffered streams as well.
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

            /// Shuts down the write direction: after what was written, the peer reads the end of
            /// the stream. Reading goes on. Does not wait.
            ///
            /// # Errors
            ///
            /// Those of shutdown(2): `NotConnected` once the connection was reset.
            ///
            /// # Cancel safety
            ///
            /// Safe: it happens at the first poll.
            pub async fn shutdown(&mut self) -> io::Result<()> {
                self.shutdown_write()
            }

            pub(crate) fn fill(
                &self,
                buf: &mut [u8],
            ) -> impl Future<Output = io::Result<usize>> + Send + Unpin {
                let mut filled = 0;
                poll_fn(move |cx| {
                    while filled < buf.len() {
                        match ready!(self.poll_read(cx, &mut buf[filled..]))? {
                            0 => {
                                return Poll::Ready(Err(io::Error::new(
                                    io::ErrorKind::UnexpectedEof,
                                    "the stream ended before the buffer was full",
                                )));
                            }
                            count => filled += count,
                        }
                    }
                    Poll::Ready(Ok(filled))
                })
            }

            pub(crate) async fn drain_vectored(
                &self,
                mut bufs: &mut [IoSlice<'_>],
            ) -> io::Result<()> {
                // Also cuts the empty ones off: what is first has bytes.
                IoSlice::advance_slices(&mut bufs, 0);
                while !bufs.is_empty() {
                    match poll_fn(|cx| self.poll_write_vectored(cx, bufs)).await? {
                        0 => return Err(crate::stream::transfer::took_nothing()),
                        count => IoSlice::advance_slices(&mut bufs, count),
                    }
                }
                Ok(())
            }

            pub(crate) fn drain(
                &self,
                mut buf: &[u8],
            ) -> impl Future<Output = io::Result<()>> + Send + Unpin {
                poll_fn(move |cx| {
                    while !buf.is_empty() {
                        match ready!(self.poll_write(cx, buf))? {
                            0 => return Poll::Ready(Err(crate::stream::transfer::took_nothing())),
                            count => buf = &buf[count..],
                        }
                    }
                    Poll::Ready(Ok(()))
                })
            }
        }
    };
}

pub(crate) use transfer;

/// The error of a write that must go on and cannot.
pub(crate) fn took_nothing() -> io::Error {
    io::Error::new(
        io::ErrorKind::WriteZero,
        "the socket took no bytes and gave no reason",
    )
}

/// No read says that nothing is left.
pub(crate) fn none(_length: usize) -> usize {
    0
}

/// The bytes that one vectored call can move at most.
pub(crate) fn total(lengths: impl Iterator<Item = usize>) -> usize {
    sys::transfer_bytes(lengths.fold(0, usize::saturating_add))
}

pub(crate) fn at_most<'a, 'b>(bufs: &'a [IoSlice<'b>]) -> &'a [IoSlice<'b>] {
    &bufs[..bufs.len().min(sys::VECTORED_BUFFERS_MAX)]
}

pub(crate) fn at_most_mut<'a, 'b>(bufs: &'a mut [IoSliceMut<'b>]) -> &'a mut [IoSliceMut<'b>] {
    let count = bufs.len().min(sys::VECTORED_BUFFERS_MAX);
    &mut bufs[..count]
}
