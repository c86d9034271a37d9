//! Echo servers that hold no buffer for a connection that waits, and end it when it has been idle
//! for too long: the same on oneloop and on tokio, each in its own words.
//!
//! oneloop reads into a lease and touches a `Deadline`. tokio waits for readiness, reads into a
//! buffer that all connections share, and moves a `Sleep`.

use std::cell::RefCell;
use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::task::Poll;
use std::time::Duration;

use oneloop::buf::Lease;

use super::{ANY_PORT, prepare};

pub(super) fn run_oneloop(announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let builder = oneloop::runtime::Builder::new_current_thread();
    super::oneloop::serve(builder, hold_oneloop, announce)
}

pub(super) fn run_tokio(announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind(ANY_PORT).await?;
        prepare(&listener)?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            // A connection that breaks ends alone: the load generator reports it.
            drop(tokio::spawn(hold_tokio(stream)));
        }
    })
}

#[expect(
    clippy::manual_async_fn,
    reason = "the future of an async fn keeps its argument twice"
)]
fn hold_oneloop(
    mut stream: oneloop::net::TcpStream,
) -> impl Future<Output = io::Result<()>> + Send + 'static {
    async move {
        stream.set_nodelay(true)?;
        let limit = oneloop::time::Deadline::new(IDLE_LIMIT);
        let mut expired = limit.expired();
        loop {
            let (expired, mut read) = (&mut expired, stream.read_lease());
            let read = poll_fn(move |cx| match Pin::new(&mut read).poll(cx) {
                Poll::Ready(lease) => Poll::Ready(Some(lease)),
                Poll::Pending => Pin::new(&mut *expired).poll(cx).map(|()| None),
            });
            let Some(lease) = bytes_of(read.await)? else {
                return Ok(());
            };
            limit.touch();
            stream.write_all_lease(lease).await?;
        }
    }
}

/// What there is to send back; nothing at the end of the connection or of its limit. Apart, as what
/// is borrowed in an async block has its place in the future.
fn bytes_of(read: Option<io::Result<Lease>>) -> io::Result<Option<Lease>> {
    Ok(read.transpose()?.filter(|lease| !lease.is_empty()))
}

#[expect(
    clippy::manual_async_fn,
    reason = "the future of an async fn keeps its argument twice"
)]
fn hold_tokio(
    stream: tokio::net::TcpStream,
) -> impl Future<Output = io::Result<()>> + Send + 'static {
    async move {
        stream.set_nodelay(true)?;
        let mut expired = pin!(tokio::time::sleep(IDLE_LIMIT));
        loop {
            let ready = poll_fn(|cx| match stream.poll_read_ready(cx) {
                Poll::Ready(ready) => Poll::Ready(Some(ready)),
                Poll::Pending => expired.as_mut().poll(cx).map(|()| None),
            });
            if ready.await.transpose()?.is_none() {
                return Ok(());
            }
            match BUFFER.with_borrow_mut(|buffer| pass_on(&stream, buffer)) {
                Ok(0) => return Ok(()),
                Ok(_) => {
                    let deadline = tokio::time::Instant::now() + IDLE_LIMIT;
                    expired.as_mut().reset(deadline);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(error),
            }
        }
    }
}

/// Reads and writes at once, as the buffer is shared. One message in flight fits the socket.
fn pass_on(stream: &tokio::net::TcpStream, buffer: &mut [u8]) -> io::Result<usize> {
    let count = stream.try_read(buffer)?;
    match stream.try_write(&buffer[..count]) {
        Ok(sent) if sent == count => Ok(count),
        Ok(_) => Err(io::Error::other("the socket did not take a whole message")),
        Err(error) => Err(io::Error::other(error)),
    }
}

thread_local! {
    static BUFFER: RefCell<Vec<u8>> = RefCell::new(vec![0; 64 * 1024]);
}

/// Longer than any measurement.
const IDLE_LIMIT: Duration = Duration::from_secs(600);
