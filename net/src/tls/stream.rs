//! A stream that is encrypted.
//!
//! Place: made by `TlsAcceptor` and `TlsConnector`, used by tasks and by hyper.
//!
//! ```text
//!   open -- shutdown --> close_notify queued -- sent --> output of the stream ended
//!     |                                                  (reading goes on)
//!     +-- peer's close_notify: reads give 0 bytes       (writing goes on)
//! ```

use std::fmt;
use std::future::poll_fn;
use std::io::{self, BufRead, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_io::{AsyncBufRead, AsyncRead, AsyncWrite};
use rustls::Connection;

use super::session::Session;

/// TLS on a stream of the type `S`, after the handshake.
///
/// What is written may wait in memory, 64 KiB at most, until the stream has room: call
/// [`flush`](Self::flush) where somebody waits for it. Dropped, it closes the stream without
/// `close_notify`, and what waits is lost: end it with [`shutdown`](Self::shutdown).
///
/// Beside the methods here it has the traits of futures-io and, with the feature `hyper`, those of
/// hyper. Two tasks may read and write it, each through a half that futures-lite's `io::split`
/// makes: reading never waits for room to write, nor the other way round.
pub struct TlsStream<S> {
    session: Session<S>,
    /// Whether `close_notify` was queued: nothing may follow it.
    is_closing: bool,
}

impl<S> TlsStream<S> {
    /// The stream underneath, and what was agreed upon.
    #[must_use]
    pub fn get_ref(&self) -> (&S, &Connection) {
        (&self.session.stream, &self.session.connection)
    }

    /// The protocol that both sides agreed to speak on top (ALPN), if they have.
    #[must_use]
    pub fn alpn_protocol(&self) -> Option<&[u8]> {
        self.session.connection.alpn_protocol()
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> TlsStream<S> {
    pub(super) fn new(session: Session<S>) -> Self {
        Self {
            session,
            is_closing: false,
        }
    }

    /// Waits for bytes and reads them into `buf`. 0 bytes are the end, which the peer has confirmed
    /// with `close_notify`, unless `buf` is empty.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` if the stream ended without `close_notify`; `InvalidData` if the peer does
    /// not keep to TLS; otherwise those of the stream. All that came before has been read.
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was read.
    pub async fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        poll_fn(|cx| Pin::new(&mut *self).poll_read(cx, buf)).await
    }

    /// Waits for room and writes from `buf`. Returns how many of its bytes were taken.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` after a shutdown, or if the peer broke the protocol; otherwise those of the
    /// stream.
    ///
    /// # Cancel safety
    ///
    /// Safe: if the future is dropped, nothing was written.
    pub async fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        poll_fn(|cx| Pin::new(&mut *self).poll_write(cx, buf)).await
    }

    /// Writes all of `buf`, and waits until the stream has it.
    ///
    /// # Errors
    ///
    /// As [`write`](Self::write). How much was written until then is not known.
    ///
    /// # Cancel safety
    ///
    /// **Not safe**: if the future is dropped, an unknown part of `buf` has been written.
    pub async fn write_all(&mut self, mut buf: &[u8]) -> io::Result<()> {
        while !buf.is_empty() {
            let count = self.write(buf).await?;
            buf = &buf[count..];
        }
        self.flush().await
    }

    /// Waits until the stream has all that was written.
    ///
    /// # Errors
    ///
    /// Those of the stream.
    ///
    /// # Cancel safety
    ///
    /// Safe: what is left goes out with the next write or flush.
    pub async fn flush(&mut self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut *self).poll_flush(cx)).await
    }

    /// Ends the output: sends what waits, `close_notify`, and the end of the stream. Reading may
    /// go on.
    ///
    /// # Errors
    ///
    /// Those of the stream, such as `BrokenPipe`. A peer that is gone after it was sent everything
    /// is none.
    ///
    /// # Cancel safety
    ///
    /// Safe: call it again to go on. Nothing can be written after the first call.
    pub async fn shutdown(&mut self) -> io::Result<()> {
        poll_fn(|cx| Pin::new(&mut *self).poll_close(cx)).await
    }

    /// Receives until rustls has something to say to a reader: bytes, the end, or an error.
    fn poll_readable(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            match self.session.connection.reader().fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                readable => return Poll::Ready(readable.map(drop)),
            }
            // The end of the stream is news to the reader too: the next round finds it.
            if let Err(error) = ready!(self.session.poll_receive(cx)) {
                // What came before the record that broke the protocol is read first.
                let mut reader = self.session.connection.reader();
                let has_more = matches!(reader.fill_buf(), Ok(plain) if !plain.is_empty());
                return Poll::Ready(if has_more { Ok(()) } else { Err(error) });
            }
        }
    }

    /// Has `take` put bytes into rustls's writer until it takes some, and sends what it can.
    fn poll_take(
        &mut self,
        cx: &mut Context<'_>,
        mut take: impl FnMut(&mut rustls::Writer<'_>) -> io::Result<usize>,
    ) -> Poll<io::Result<usize>> {
        if self.is_closing || self.session.broken.is_some() {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        loop {
            let count = take(&mut self.session.connection.writer())?;
            let sent = self.session.poll_send(cx)?;
            if count > 0 {
                return Poll::Ready(Ok(count));
            }
            // rustls was full: there is room when some of it was sent.
            ready!(sent);
        }
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for TlsStream<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        ready!(self.poll_readable(cx))?;
        Poll::Ready(self.session.connection.reader().read(buf))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncBufRead for TlsStream<S> {
    fn poll_fill_buf(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<&[u8]>> {
        ready!(self.poll_readable(cx))?;
        let reader = self.get_mut().session.connection.reader();
        Poll::Ready(reader.into_first_chunk())
    }

    fn consume(mut self: Pin<&mut Self>, amount: usize) {
        self.session.connection.reader().consume(amount);
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for TlsStream<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        if buf.is_empty() {
            return Poll::Ready(Ok(0));
        }
        self.poll_take(cx, |writer| writer.write(buf))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if bufs.iter().all(|buf| buf.is_empty()) {
            return Poll::Ready(Ok(0));
        }
        self.poll_take(cx, |writer| writer.write_vectored(bufs))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.session.poll_flush(cx)
    }

    /// As [`shutdown`](TlsStream::shutdown).
    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if !self.is_closing {
            self.is_closing = true;
            self.session.connection.send_close_notify();
        }
        ready!(self.session.poll_flush(cx))?;
        let closed = Pin::new(&mut self.session.stream).poll_close(cx);
        self.session.note_sender(cx, &closed);
        match ready!(closed) {
            // The peer may be gone by now, and needs no end.
            Err(error) if error.kind() == io::ErrorKind::NotConnected => Poll::Ready(Ok(())),
            result => Poll::Ready(result),
        }
    }
}

impl<S: fmt::Debug> fmt::Debug for TlsStream<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsStream")
            .field("stream", &self.session.stream)
            .field("is_closing", &self.is_closing)
            .finish_non_exhaustive()
    }
}
