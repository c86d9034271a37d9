//! What datagram sockets of all families have in common.
//!
//! Place: a macro that `udp` and `unix` expand, so that the methods and their docs belong to the
//! public types; calls `Source` to wait and `sys` to move datagrams.
//!
//! # Invariants
//! - A datagram leaves the kernel only in the poll that reports it: a dropped `recv` loses none.
//! - A short datagram says nothing about the next one, so readiness is taken back only by "would
//!   block".
//! - Empty datagrams are datagrams: an empty buffer makes the system call as any other does.

/// Gives a socket with a field `io: Source<_>` the methods to send and receive. `$from` turns the
/// kernel's address into an `$Address`.
macro_rules! datagram {
    ($Socket:ident, $Address:ty, $from:path) => {
        use std::io;
        use std::mem::MaybeUninit;
        use std::os::fd::AsFd;
        use std::task::{Context, Poll, ready};

        use oneloop_runtime::io::{Direction, Interest};
        use rustix::net::RecvFlags;

        use crate::sys;

        /// Waiting. Any number of tasks may wait for one socket.
        impl $Socket {
            /// Sends a datagram to the address that the socket is connected to, and returns its
            /// length.
            ///
            /// # Errors
            ///
            /// Those of send(2): `NotConnected` or `EDESTADDRREQ` without a connection, `EMSGSIZE`
            /// if it is too long, and for UDP what an earlier datagram caused, such as
            /// `ConnectionRefused`.
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, nothing was sent.
            pub async fn send(&self, buf: &[u8]) -> io::Result<usize> {
                let send = |socket: &_| sys::send(AsFd::as_fd(socket), buf);
                self.io.async_io(Interest::WRITABLE, send).await
            }

            /// Receives a datagram and returns its length. What does not fit into `buf` is lost.
            ///
            /// # Errors
            ///
            /// Those of recv(2): for a connected UDP socket `ConnectionRefused` if a datagram sent
            /// earlier found nobody.
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, no datagram was taken.
            pub async fn recv(&self, buf: &mut [u8]) -> io::Result<usize> {
                let receive = |socket: &_| sys::receive(AsFd::as_fd(socket), buf);
                self.io.async_io(Interest::READABLE, receive).await
            }

            /// As [`recv`](Self::recv), into memory that need not be initialised: the part that was
            /// filled.
            ///
            /// # Errors
            ///
            /// As [`recv`](Self::recv).
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, no datagram was taken.
            pub async fn recv_uninit<'b>(
                &self,
                buf: &'b mut [MaybeUninit<u8>],
            ) -> io::Result<&'b mut [u8]> {
                let receive = |socket: &_| sys::receive_uninit(AsFd::as_fd(socket), buf);
                let count = self.io.async_io(Interest::READABLE, receive).await?;
                // SAFETY: `count` is what `receive_uninit` returned last: that many bytes from the
                // start of `buf` are initialised, and nobody has written to `buf` since.
                Ok(unsafe { buf[..count].assume_init_mut() })
            }

            /// Receives a datagram and returns its length and its sender. What does not fit into
            /// `buf` is lost.
            ///
            /// # Errors
            ///
            /// As [`recv`](Self::recv).
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, no datagram was taken.
            pub async fn recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, $Address)> {
                let receive =
                    |socket: &_| sys::receive_from(AsFd::as_fd(socket), buf, RecvFlags::empty());
                let (count, from) = self.io.async_io(Interest::READABLE, receive).await?;
                Ok((count, $from(from)?))
            }

            /// As [`recv_from`](Self::recv_from), into memory that need not be initialised: the
            /// part that was filled.
            ///
            /// # Errors
            ///
            /// As [`recv`](Self::recv).
            ///
            /// # Cancel safety
            ///
            /// Safe: if the future is dropped, no datagram was taken.
            pub async fn recv_from_uninit<'b>(
                &self,
                buf: &'b mut [MaybeUninit<u8>],
            ) -> io::Result<(&'b mut [u8], $Address)> {
                let receive = |socket: &_| sys::receive_from_uninit(AsFd::as_fd(socket), buf);
                let (count, from) = self.io.async_io(Interest::READABLE, receive).await?;
                // SAFETY: as in `recv_uninit`.
                Ok((unsafe { buf[..count].assume_init_mut() }, $from(from)?))
            }
        }

        /// Polling: of the tasks that poll one direction only the one that polled last is woken.
        impl $Socket {
            /// Polls to send a datagram to the address that the socket is connected to.
            ///
            /// # Errors
            ///
            /// As [`send`](Self::send).
            pub fn poll_send(&self, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
                self.io.poll_io(cx, Direction::Write, |socket| {
                    sys::send(AsFd::as_fd(socket), buf)
                })
            }

            /// Polls to receive a datagram.
            ///
            /// # Errors
            ///
            /// As [`recv`](Self::recv).
            pub fn poll_recv(
                &self,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<usize>> {
                self.io.poll_io(cx, Direction::Read, |socket| {
                    sys::receive(AsFd::as_fd(socket), buf)
                })
            }

            /// As [`poll_recv`](Self::poll_recv), into memory that need not be initialised: the
            /// part that was filled.
            ///
            /// # Errors
            ///
            /// As [`recv`](Self::recv).
            pub fn poll_recv_uninit<'b>(
                &self,
                cx: &mut Context<'_>,
                buf: &'b mut [MaybeUninit<u8>],
            ) -> Poll<io::Result<&'b mut [u8]>> {
                let count = ready!(self.io.poll_io(cx, Direction::Read, |socket| {
                    sys::receive_uninit(AsFd::as_fd(socket), buf)
                }))?;
                // SAFETY: as in `recv_uninit`.
                Poll::Ready(Ok(unsafe { buf[..count].assume_init_mut() }))
            }

            /// Polls to receive a datagram and its sender.
            ///
            /// # Errors
            ///
            /// As [`recv`](Self::recv).
            pub fn poll_recv_from(
                &self,
                cx: &mut Context<'_>,
                buf: &mut [u8],
            ) -> Poll<io::Result<(usize, $Address)>> {
                let (count, from) = ready!(self.io.poll_io(cx, Direction::Read, |socket| {
                    sys::receive_from(AsFd::as_fd(socket), buf, RecvFlags::empty())
                }))?;
                Poll::Ready(Ok((count, $from(from)?)))
            }

            /// As [`poll_recv_from`](Self::poll_recv_from), into memory that need not be
            /// initialised: the part that was filled.
            ///
            /// # Errors
            ///
            /// As [`recv`](Self::recv).
            pub fn poll_recv_from_uninit<'b>(
                &self,
                cx: &mut Context<'_>,
                buf: &'b mut [MaybeUninit<u8>],
            ) -> Poll<io::Result<(&'b mut [u8], $Address)>> {
                let (count, from) = ready!(self.io.poll_io(cx, Direction::Read, |socket| {
                    sys::receive_from_uninit(AsFd::as_fd(socket), buf)
                }))?;
                // SAFETY: as in `recv_uninit`.
                let filled = unsafe { buf[..count].assume_init_mut() };
                Poll::Ready(Ok((filled, $from(from)?)))
            }
        }

        /// Attempts: they never wait, and none of them needs a task.
        impl $Socket {
            /// Sends a datagram to the address that the socket is connected to, if there is room.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if there is no room; otherwise as [`send`](Self::send).
            pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
                let send = |socket: &_| sys::send(AsFd::as_fd(socket), buf);
                self.io.try_io(Interest::WRITABLE, send)
            }

            /// Receives a datagram if there is one.
            ///
            /// # Errors
            ///
            /// `WouldBlock` if there is none; otherwise as [`recv`](Self::recv).
            pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
                let receive = |socket: &_| sys::receive(AsFd::as_fd(socket), buf);
                self.io.try_io(Interest::READABLE, receive)
            }

            /// As [`try_recv`](Self::try_recv), into memory that need not be initialised: the part
            /// that was filled.
            ///
            /// # Errors
            ///
            /// As [`try_recv`](Self::try_recv).
            pub fn try_recv_uninit<'b>(
                &self,
                buf: &'b mut [MaybeUninit<u8>],
            ) -> io::Result<&'b mut [u8]> {
                let receive = |socket: &_| sys::receive_uninit(AsFd::as_fd(socket), buf);
                let count = self.io.try_io(Interest::READABLE, receive)?;
                // SAFETY: as in `recv_uninit`.
                Ok(unsafe { buf[..count].assume_init_mut() })
            }

            /// Receives a datagram and its sender, if there is one.
            ///
            /// # Errors
            ///
            /// As [`try_recv`](Self::try_recv).
            pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, $Address)> {
                let receive =
                    |socket: &_| sys::receive_from(AsFd::as_fd(socket), buf, RecvFlags::empty());
                let (count, from) = self.io.try_io(Interest::READABLE, receive)?;
                Ok((count, $from(from)?))
            }

            /// As [`try_recv_from`](Self::try_recv_from), into memory that need not be initialised:
            /// the part that was filled.
            ///
            /// # Errors
            ///
            /// As [`try_recv`](Self::try_recv).
            pub fn try_recv_from_uninit<'b>(
                &self,
                buf: &'b mut [MaybeUninit<u8>],
            ) -> io::Result<(&'b mut [u8], $Address)> {
                let receive = |socket: &_| sys::receive_from_uninit(AsFd::as_fd(socket), buf);
                let (count, from) = self.io.try_io(Interest::READABLE, receive)?;
                // SAFETY: as in `recv_uninit`.
                Ok((unsafe { buf[..count].assume_init_mut() }, $from(from)?))
            }
        }

        crate::stream::readiness::readiness!($Socket, poll_recv_ready, poll_send_ready);
    };
}

pub(crate) use datagram;
