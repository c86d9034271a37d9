//! A stream in memory that gives its bytes in pieces, and is pending before each of them.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::AsyncRead;

use crate::support::Random;

/// Reads one piece, or what of it there is room for, and is pending in between and before the end.
#[derive(Debug)]
pub(crate) struct Pieces {
    pieces: VecDeque<Vec<u8>>,
    is_pausing: bool,
    /// How often it was pending.
    pub(crate) pauses: usize,
}

impl Pieces {
    pub(crate) fn new<'p>(pieces: impl IntoIterator<Item = &'p [u8]>) -> Self {
        Self {
            pieces: pieces.into_iter().map(<[u8]>::to_vec).collect(),
            is_pausing: true,
            pauses: 0,
        }
    }

    /// One byte each.
    pub(crate) fn bytes(bytes: &[u8]) -> Self {
        Self::new(bytes.chunks(1))
    }

    /// Of random lengths, from bytes to nearly all.
    pub(crate) fn random(random: &mut Random, mut bytes: &[u8]) -> Self {
        let mut pieces = Vec::new();
        let len_max = [1, 3, 10, 1000][random.below(4)];
        while !bytes.is_empty() {
            let (piece, rest) = bytes.split_at((1 + random.below(len_max)).min(bytes.len()));
            pieces.push(piece);
            bytes = rest;
        }
        Self::new(pieces)
    }
}

impl AsyncRead for Pieces {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<usize>> {
        assert!(!buf.is_empty(), "a read without room looks like the end");
        if std::mem::replace(&mut self.is_pausing, false) {
            self.pauses += 1;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        let Some(piece) = self.pieces.front_mut() else {
            return Poll::Ready(Ok(0));
        };
        let count = piece.len().min(buf.len());
        buf[..count].copy_from_slice(&piece[..count]);
        piece.drain(..count);
        if piece.is_empty() {
            self.pieces.pop_front();
            self.is_pausing = true;
        }
        Poll::Ready(Ok(count))
    }
}
