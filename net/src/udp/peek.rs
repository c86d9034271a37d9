//! Looking at the next datagram and leaving it to be received.
//!
//! Place: called by tasks, calls `Source` to wait and `sys` to look; runs on any thread that polls
//! a task.

use std::io;
use std::net::{self, SocketAddr};
use std::os::fd::AsFd;
use std::task::{Context, Poll, ready};

use oneloop_runtime::io::{Direction, Interest};
use rustix::net::{RecvFlags, SocketAddrAny};

use super::socket::UdpSocket;
use crate::sys;

/// Peeking.
impl UdpSocket {
    /// Waits for a datagram, copies its beginning into `buf` and leaves it to be received.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is taken.
    pub async fn peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.look(buf).await?.0)
    }

    /// As [`peek`](Self::peek), with the sender.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is taken.
    pub async fn peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        with_sender(self.look(buf).await?)
    }

    /// Waits for a datagram and returns its sender.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    ///
    /// Safe: nothing is taken.
    pub async fn peek_sender(&self) -> io::Result<SocketAddr> {
        sys::ip_address(self.look(&mut []).await?.1)
    }

    /// Polls to copy the beginning of a datagram. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(Ok(ready!(self.poll_look(cx, buf))?.0))
    }

    /// As [`poll_peek`](Self::poll_peek), with the sender.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        Poll::Ready(with_sender(ready!(self.poll_look(cx, buf))?))
    }

    /// Polls for the sender of the next datagram. The task that polled last is woken.
    ///
    /// # Errors
    ///
    /// As [`recv`](Self::recv).
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        Poll::Ready(sys::ip_address(ready!(self.poll_look(cx, &mut []))?.1))
    }

    /// Copies the beginning of a datagram, if there is one.
    ///
    /// # Errors
    ///
    /// `WouldBlock` if there is none; otherwise as [`recv`](Self::recv).
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_look(buf)?.0)
    }

    /// As [`try_peek`](Self::try_peek), with the sender.
    ///
    /// # Errors
    ///
    /// As [`try_peek`](Self::try_peek).
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        with_sender(self.try_look(buf)?)
    }

    /// The sender of the next datagram, if there is one.
    ///
    /// # Errors
    ///
    /// As [`try_peek`](Self::try_peek).
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        sys::ip_address(self.try_look(&mut [])?.1)
    }

    async fn look(&self, buf: &mut [u8]) -> io::Result<Seen> {
        let look = |socket: &net::UdpSocket| look(socket, buf);
        self.io.async_io(Interest::READABLE, look).await
    }

    fn poll_look(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<Seen>> {
        let look = |socket: &net::UdpSocket| look(socket, buf);
        self.io.poll_io(cx, Direction::Read, look)
    }

    fn try_look(&self, buf: &mut [u8]) -> io::Result<Seen> {
        self.io
            .try_io(Interest::READABLE, |socket| look(socket, buf))
    }
}

/// How much of a datagram was copied, and whose it is.
type Seen = (usize, Option<SocketAddrAny>);

fn look(socket: &net::UdpSocket, buf: &mut [u8]) -> io::Result<Seen> {
    sys::receive_from(socket.as_fd(), buf, RecvFlags::PEEK)
}

fn with_sender((count, from): Seen) -> io::Result<(usize, SocketAddr)> {
    Ok((count, sys::ip_address(from)?))
}
