//! What the tests of HTTP have in common: bodies, hashes, a service, connections.

use std::convert::Infallible;
use std::future::poll_fn;
use std::hash::{DefaultHasher, Hasher};
use std::pin::Pin;
use std::task::{Context, Poll};

use hyper::body::{Body, Bytes, Frame, Incoming};
use hyper::{Method, Request, Response};

/// A body of unknown length: `left` bytes in pieces of odd sizes, none of which is like another.
#[derive(Debug)]
pub(crate) struct Stretch {
    left: usize,
    state: u64,
    hash: DefaultHasher,
}

impl Stretch {
    pub(crate) fn new(bytes: usize) -> Self {
        Self {
            left: bytes,
            state: 0x9e37_79b9_7f4a_7c15,
            hash: DefaultHasher::new(),
        }
    }

    /// The hash of all bytes that such a body has.
    pub(crate) fn hash_of(bytes: usize) -> u64 {
        let mut body = Self::new(bytes);
        while body.next().is_some() {}
        body.hash.finish()
    }

    pub(crate) fn next(&mut self) -> Option<Bytes> {
        if self.left == 0 {
            return None;
        }
        let count = self.left.min(1 + self.state as usize % 20_000);
        let bytes: Bytes = (0..count)
            .map(|_| {
                self.state ^= self.state << 13;
                self.state ^= self.state >> 7;
                self.state ^= self.state << 17;
                self.state.to_le_bytes()[0]
            })
            .collect();
        self.left -= count;
        for byte in &bytes {
            self.hash.write_u8(*byte);
        }
        Some(bytes)
    }
}

impl Body for Stretch {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        Poll::Ready(self.next().map(|bytes| Ok(Frame::data(bytes))))
    }
}

/// Either a text or what came in: what the service of these tests answers with.
#[derive(Debug)]
pub(crate) enum Answer {
    Text(String),
    Echo(Incoming),
}

impl Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        match &mut *self {
            Self::Text(text) if text.is_empty() => Poll::Ready(None),
            Self::Text(text) => {
                let text = std::mem::take(text);
                Poll::Ready(Some(Ok(Frame::data(text.into()))))
            }
            Self::Echo(incoming) => Pin::new(incoming).poll_frame(cx),
        }
    }
}

/// Answers GET with the path, and POST with what came.
pub(crate) async fn answer(request: Request<Incoming>) -> Result<Response<Answer>, Infallible> {
    Ok(Response::new(match *request.method() {
        Method::POST => Answer::Echo(request.into_body()),
        _ => Answer::Text(request.uri().path().to_owned()),
    }))
}

/// All bytes of a body.
pub(crate) async fn collect(
    mut body: impl Body<Data = Bytes, Error = hyper::Error> + Unpin,
) -> Vec<u8> {
    let mut all = Vec::new();
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.unwrap().into_data() {
            all.extend_from_slice(&data);
        }
    }
    all
}

/// Length and hash of a body, which is not kept.
pub(crate) async fn hash(
    mut body: impl Body<Data = Bytes, Error = hyper::Error> + Unpin,
) -> (usize, u64) {
    let (mut count, mut hash) = (0, DefaultHasher::new());
    while let Some(frame) = poll_fn(|cx| Pin::new(&mut body).poll_frame(cx)).await {
        if let Ok(data) = frame.unwrap().into_data() {
            count += data.len();
            for byte in &data {
                hash.write_u8(*byte);
            }
        }
    }
    (count, hash.finish())
}

/// A request without a body of its own kind.
pub(crate) fn get(path: &str) -> Request<Stretch> {
    let request = Request::get(format!("http://localhost{path}")).header("host", "localhost");
    request.body(Stretch::new(0)).unwrap()
}

/// A request with a body of that many bytes.
pub(crate) fn post(bytes: usize) -> Request<Stretch> {
    let request = Request::post("http://localhost/echo").header("host", "localhost");
    request.body(Stretch::new(bytes)).unwrap()
}
