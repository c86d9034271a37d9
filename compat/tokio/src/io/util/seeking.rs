//! The work of `AsyncSeekExt`.

use std::io::{self, SeekFrom};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use super::op::Work;
use crate::io::AsyncSeek;

/// Moves. The target is taken when the move begins.
#[derive(Debug)]
pub struct Seek(pub(super) Option<SeekFrom>);

impl<S: AsyncSeek + ?Sized> Work<S> for Seek {
    type Output = io::Result<u64>;

    fn poll(&mut self, mut stream: Pin<&mut S>, cx: &mut Context<'_>) -> Poll<io::Result<u64>> {
        if let Some(position) = self.0 {
            // A move that was begun before ends first.
            ready!(stream.as_mut().poll_complete(cx))?;
            stream.as_mut().start_seek(position)?;
            self.0 = None;
        }
        stream.poll_complete(cx)
    }
}
