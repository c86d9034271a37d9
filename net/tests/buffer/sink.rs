//! A stream in memory that takes as many bytes as a test allows it.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use futures_lite::AsyncWrite;

/// What the stream was told.
#[derive(Debug, Default)]
pub(crate) struct Log {
    pub(crate) taken: Vec<u8>,
    /// The slices of each vectored write, those that were pending too.
    pub(crate) writes: Vec<usize>,
    pub(crate) flushes: usize,
    pub(crate) is_closed: bool,
    room: usize,
    fault: Option<Fault>,
    waker: Option<Waker>,
}

/// What goes wrong at the next write.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Fault {
    Error,
    TakesNothing,
    CountsTooMuch,
}

/// The stream, and the test's view of it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Sink(Arc<Mutex<Log>>);

impl Sink {
    /// A stream that takes `room` bytes before it is pending.
    pub(crate) fn new(room: usize) -> Self {
        let sink = Self::default();
        sink.allow(room);
        sink
    }

    /// Lets the stream take so many bytes more.
    pub(crate) fn allow(&self, bytes: usize) {
        let waker = self.log(|log| {
            log.room += bytes;
            log.waker.take()
        });
        waker.into_iter().for_each(Waker::wake);
    }

    pub(crate) fn fail_next(&self, fault: Fault) {
        self.log(|log| log.fault = Some(fault));
    }

    pub(crate) fn log<R>(&self, look: impl FnOnce(&mut Log) -> R) -> R {
        look(&mut self.0.lock().unwrap())
    }

    pub(crate) fn taken(&self) -> Vec<u8> {
        self.log(|log| log.taken.clone())
    }
}

impl AsyncWrite for Sink {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(buf)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.log(|log| {
            let offered: usize = bufs.iter().map(|buf| buf.len()).sum();
            assert!(offered > 0, "a write of nothing");
            log.writes.push(bufs.len());
            match log.fault.take() {
                Some(Fault::Error) => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                Some(Fault::TakesNothing) => return Poll::Ready(Ok(0)),
                Some(Fault::CountsTooMuch) => return Poll::Ready(Ok(offered + 1)),
                None => {}
            }
            if log.room == 0 {
                log.waker = Some(cx.waker().clone());
                return Poll::Pending;
            }
            let count = offered.min(log.room);
            let all: Vec<u8> = bufs.iter().flat_map(|buf| buf.iter().copied()).collect();
            log.taken.extend_from_slice(&all[..count]);
            log.room -= count;
            Poll::Ready(Ok(count))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.log(|log| log.flushes += 1);
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.log(|log| log.is_closed = true);
        Poll::Ready(Ok(()))
    }
}
