//! Serving one connection, whichever version of HTTP it speaks.
//!
//! Place: called by servers, once for each connection, in the connection's task.
//!
//! ```text
//!              the preface of HTTP/2
//!   first bytes ---------------------> http2: streams in tasks of this loop --+
//!       |  |  anything else, or the end                                       +--> end
//!       |  +-------------------------> http1: one request after the other ----+
//!       |  30 s                                         (may become another protocol)
//!       +--> error
//! ```

use std::error::Error;
use std::future::poll_fn;
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use ::hyper::body::{Body, Incoming};
use ::hyper::rt::{Read, Write};
use ::hyper::service::HttpService;
use oneloop_runtime::time;

use super::rewind::Rewind;
use super::{LocalExecutor, http1_server, http2_server};

/// How long a client may take for the head of a request, and to show which version of HTTP it
/// speaks: 30 seconds.
pub const HEADER_READ_TIMEOUT: Duration = Duration::from_secs(30);

/// The bytes with which a client that knows begins HTTP/2 (RFC 9113, section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Serves HTTP on `stream`, a `TcpStream`, `UnixStream` or `TlsStream`, until the peer ends the
/// connection, or until `stop` is ready: then requests in flight are still answered, and an idle
/// connection is closed at once.
///
/// The first bytes tell HTTP/2 from HTTP/1, so clients may begin HTTP/2 without being asked
/// (`curl --http2-prior-knowledge`); behind TLS they and ALPN agree. HTTP/1 connections may be
/// upgraded. For other settings than the defaults use [`http1_server`] and [`http2_server`].
///
/// `stop` may be [`pending`](std::future::pending()) for a server that is never told to stop. It
/// is not polled again when it was ready.
///
/// # Errors
///
/// `TimedOut` if the client took more than [`HEADER_READ_TIMEOUT`] for the head of a request, or
/// before it. Those of the stream. Of the kind `Other` are hyper's, such as a request that is not
/// HTTP, which was answered with 400. The connection is over in each case.
///
/// # Cancel safety
///
/// Dropped, it closes the connection: requests in flight get no answer.
///
/// # Panics
///
/// When polled outside a runtime, or, for HTTP/2, on a thread that runs no loop.
pub async fn serve_connection<I, S, B>(
    stream: I,
    service: S,
    stop: impl Future<Output = ()>,
) -> io::Result<()>
where
    I: Read + Write + Unpin + Send + 'static,
    S: HttpService<Incoming, ResBody = B>,
    S::Future: 'static,
    S::Error: Into<Box<dyn Error + Send + Sync>>,
    B: Body + 'static,
    B::Error: Into<Box<dyn Error + Send + Sync>>,
{
    let mut stop = pin!(stop);
    let mut stream = Rewind::new(stream);
    let Some(is_http2) = look(&mut stream, stop.as_mut()).await? else {
        return Ok(());
    };
    let served = if is_http2 {
        let connection = http2_server().serve_connection(stream, service);
        let end = |connection: Pin<&mut _>| Http2::graceful_shutdown(connection);
        until(connection, stop, end).await
    } else {
        let connection = http1_server()
            .serve_connection(stream, service)
            .with_upgrades();
        let end = |connection: Pin<&mut _>| Http1::graceful_shutdown(connection);
        until(connection, stop, end).await
    };
    served.map_err(into_io)
}

type Http1<I, S> = ::hyper::server::conn::http1::UpgradeableConnection<I, S>;
type Http2<I, S> = ::hyper::server::conn::http2::Connection<I, S, LocalExecutor>;

/// Whether the client speaks HTTP/2. Nothing if the server is to stop before that is known.
async fn look<I: Read + Unpin>(
    stream: &mut Rewind<I>,
    mut stop: Pin<&mut impl Future<Output = ()>>,
) -> io::Result<Option<bool>> {
    let looking = poll_fn(|cx: &mut Context<'_>| {
        if let Poll::Ready(is_http2) = stream.poll_is_http2(cx) {
            return Poll::Ready(is_http2.map(Some));
        }
        match stop.as_mut().poll(cx) {
            Poll::Ready(()) => Poll::Ready(Ok(None)),
            Poll::Pending => Poll::Pending,
        }
    });
    let timed_out = |_| io::Error::new(io::ErrorKind::TimedOut, "no request in time");
    time::timeout(HEADER_READ_TIMEOUT, looking)
        .await
        .map_err(timed_out)?
}

/// Drives a connection to its end, and begins the end when `stop` is ready.
async fn until<C, S>(connection: C, mut stop: Pin<&mut S>, end: fn(Pin<&mut C>)) -> C::Output
where
    C: Future,
    S: Future<Output = ()>,
{
    let mut connection = pin!(connection);
    let mut is_stopped = false;
    poll_fn(|cx| {
        if !is_stopped && stop.as_mut().poll(cx).is_ready() {
            is_stopped = true;
            end(connection.as_mut());
        }
        connection.as_mut().poll(cx)
    })
    .await
}

fn into_io(error: ::hyper::Error) -> io::Error {
    let kind = if error.is_timeout() {
        io::ErrorKind::TimedOut
    } else {
        io::ErrorKind::Other
    };
    io::Error::new(kind, error)
}
