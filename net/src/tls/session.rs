//! rustls's state of a connection, and the stream that its records travel on.
//!
//! Place: owned by `TlsStream`, and by the handshake before there is one; calls the traits of
//! futures-io.
//!
//! ```text
//!   reader <-- plain -- Connection <-- read_tls  -- records -- stream
//!   writer --- plain -> Connection --- write_tls -- records -> stream
//! ```
//!
//! # Invariants
//! - A poll that answers `Pending` has got `Pending` from the stream last, in the direction that
//!   it waits for: the stream wakes it.
//! - Every round of a loop takes records from the stream or gives it some, so a peer that sends
//!   nothing of use costs no more than its bytes: the stream's own budget ends the poll.
//! - What was decrypted is read before more is received, so rustls's buffer of it (16 KiB)
//!   is never full. What was encrypted is bounded by rustls as well (64 KiB): the writer takes no
//!   more, and the write waits for the stream.
//! - Reading sends nothing and writing receives nothing, so two tasks can do one each. What rustls
//!   owes the peer for something received (an alert, a new key) goes out with the next
//!   write or flush; only after an error, which nothing follows, it is sent at once. The stream may
//!   then wake the reader for room, so the task that waited for it is woken here.

use std::io::{self, IoSlice, Read, Write};
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};

use futures_io::{AsyncRead, AsyncWrite};
use rustls::Connection;

/// A connection, whether its handshake is done or not.
#[derive(Debug)]
pub(super) struct Session<S> {
    pub(super) connection: Connection,
    pub(super) stream: S,
    /// Why nothing more can be received: the peer has broken the protocol.
    pub(super) broken: Option<rustls::Error>,
    /// The task that waited last for the stream to take something.
    sender: Option<Waker>,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Session<S> {
    pub(super) fn new(connection: Connection, stream: S) -> Self {
        Self {
            connection,
            stream,
            broken: None,
            sender: None,
        }
    }

    /// Drives the handshake until it is done and the peer has been sent all of it.
    pub(super) fn poll_handshake(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        loop {
            // Both directions are tried before either is waited for: each side may have something
            // to say that the other does not read yet.
            let sent = self.poll_flush(cx)?;
            if !self.connection.is_handshaking() {
                return sent.map(Ok);
            }
            if ready!(self.poll_receive(cx))? == 0 {
                let text = "the peer left in the middle of the tls handshake";
                return Poll::Ready(Err(io::Error::new(io::ErrorKind::UnexpectedEof, text)));
            }
        }
    }

    /// Receives some records and decrypts them. Returns how many bytes came: 0 at the end of the
    /// stream.
    ///
    /// # Errors
    ///
    /// Those of the stream. `InvalidData`, from then on, for records that break the protocol: the
    /// peer is told, if there is room for that now. Records before them may have been decrypted.
    pub(super) fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if let Some(error) = &self.broken {
            return Poll::Ready(Err(invalid_data(error)));
        }
        let mut stream = Blocking {
            stream: &mut self.stream,
            cx,
        };
        let count = match self.connection.read_tls(&mut stream) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
            received => received?,
        };
        if let Err(error) = self.connection.process_new_packets() {
            let invalid = invalid_data(&error);
            self.broken = Some(error);
            let sender = self.sender.take();
            // The alert is a courtesy: the error is what counts, whether it goes out or not.
            let _ = self.poll_send(cx);
            if let Some(sender) = sender {
                sender.wake();
            }
            return Poll::Ready(Err(invalid));
        }
        Poll::Ready(Ok(count))
    }

    /// Sends all records that are waiting, to the stream.
    pub(super) fn poll_send(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let sent = self.poll_write_records(cx);
        self.note_sender(cx, &sent);
        sent
    }

    fn poll_write_records(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while self.connection.wants_write() {
            let mut stream = Blocking {
                stream: &mut self.stream,
                cx: &mut *cx,
            };
            match self.connection.write_tls(&mut stream) {
                Ok(0) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Poll::Pending,
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
        Poll::Ready(Ok(()))
    }

    /// Sends all records that are waiting, through the stream.
    pub(super) fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_send(cx))?;
        let flushed = Pin::new(&mut self.stream).poll_flush(cx);
        self.note_sender(cx, &flushed);
        flushed
    }

    /// Keeps the waker of a task that waits for the stream.
    pub(super) fn note_sender(&mut self, cx: &Context<'_>, outcome: &Poll<io::Result<()>>) {
        match &mut self.sender {
            _ if outcome.is_ready() => self.sender = None,
            Some(sender) => sender.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
    }
}

/// A stream as rustls wants it: what would wait is `WouldBlock`, after the waker was left there.
struct Blocking<'a, 'cx, S> {
    stream: &'a mut S,
    cx: &'a mut Context<'cx>,
}

impl<S: AsyncRead + Unpin> Read for Blocking<'_, '_, S> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        now(Pin::new(&mut *self.stream).poll_read(self.cx, buf))
    }
}

impl<S: AsyncWrite + Unpin> Write for Blocking<'_, '_, S> {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        now(Pin::new(&mut *self.stream).poll_write(self.cx, buf))
    }

    fn write_vectored(&mut self, bufs: &[IoSlice<'_>]) -> io::Result<usize> {
        now(Pin::new(&mut *self.stream).poll_write_vectored(self.cx, bufs))
    }

    fn flush(&mut self) -> io::Result<()> {
        now(Pin::new(&mut *self.stream).poll_flush(self.cx))
    }
}

fn invalid_data(error: &rustls::Error) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, error.clone())
}

fn now<T>(poll: Poll<io::Result<T>>) -> io::Result<T> {
    match poll {
        Poll::Ready(result) => result,
        Poll::Pending => Err(io::ErrorKind::WouldBlock.into()),
    }
}
