//! hyper's builders with the loop's timer and executor in them.
//!
//! Place: called by applications; everything else about the builders is hyper's.

use ::hyper::{client, server};

use super::serve::HEADER_READ_TIMEOUT;
use super::{LocalExecutor, LoopTimer};

/// A builder of HTTP/1 servers with the loop's timer. The head of a request may take 30 seconds
/// ([`HEADER_READ_TIMEOUT`]), counted from the connection's begin or the end of the answer
/// before, so this is also the limit for idle connections; `header_read_timeout` changes it.
#[must_use]
pub fn http1_server() -> server::conn::http1::Builder {
    let mut builder = server::conn::http1::Builder::new();
    builder
        .timer(LoopTimer)
        .header_read_timeout(HEADER_READ_TIMEOUT);
    builder
}

/// A builder of HTTP/2 servers with the loop's timer, whose streams run on the connection's loop.
/// Handlers need not be `Send`.
///
/// hyper keeps idle connections until `keep_alive_interval` is set.
#[must_use]
pub fn http2_server() -> server::conn::http2::Builder<LocalExecutor> {
    let mut builder = server::conn::http2::Builder::new(LocalExecutor);
    builder.timer(LoopTimer);
    builder
}

/// A builder of HTTP/1 clients. It is hyper's own, which has no use for a timer: put a
/// [`timeout`](oneloop_runtime::time::timeout) around requests.
#[must_use]
pub fn http1_client() -> client::conn::http1::Builder {
    client::conn::http1::Builder::new()
}

/// A builder of HTTP/2 clients with the loop's timer, whose tasks run on the connection's loop.
#[must_use]
pub fn http2_client() -> client::conn::http2::Builder<LocalExecutor> {
    let mut builder = client::conn::http2::Builder::new(LocalExecutor);
    builder.timer(LoopTimer);
    builder
}
