//! The echo server on oneloop, in the forms that it recommends.

use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use oneloop::net::{TcpListener, TcpStream};
use oneloop::runtime::Builder;

use super::{ANY_PORT, ServeOptions, fix_kernel_buffers};

pub(super) fn run(options: &ServeOptions, announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let buffer_bytes = options.buffer_bytes;
    let echo = move |stream| echo(stream, buffer_bytes);
    serve(builder(options), echo, announce)
}

pub(super) fn run_leases(
    options: &ServeOptions,
    announce: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    serve(builder(options), echo_leases, announce)
}

pub(super) fn run_busy_poll(
    options: &ServeOptions,
    announce: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let buffer_bytes = options.buffer_bytes;
    let mut builder = builder(options);
    builder.busy_poll(BUSY_POLL);
    serve(builder, move |stream| echo(stream, buffer_bytes), announce)
}

/// A listener for each loop, so that no connection meets another loop.
pub(super) fn run_per_loop(
    options: &ServeOptions,
    announce: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let buffer_bytes = options.buffer_bytes;
    builder(options).enable_all().build()?.block_on(async {
        let listeners = TcpListener::bind_per_loop(ANY_PORT).await?;
        let serving = listeners.serve(move |stream, _| async move {
            // A connection that breaks ends alone: the load generator reports it.
            let _ = fix_kernel_buffers(&stream);
            let _ = echo(stream, buffer_bytes).await;
        })?;
        announce(serving.local_addr());
        serving.join().await
    })
}

fn builder(options: &ServeOptions) -> Builder {
    if options.loops == 1 {
        return Builder::new_current_thread();
    }
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(options.loops);
    builder
}

/// Accepts on a loop; placement spreads the connections.
pub(super) fn serve<F>(
    mut builder: Builder,
    echo: impl Fn(TcpStream) -> F + Send + 'static,
    announce: impl FnOnce(SocketAddr),
) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    builder.enable_all().build()?.block_on(async {
        let listener = TcpListener::bind(ANY_PORT).await?;
        fix_kernel_buffers(&listener)?;
        announce(listener.local_addr()?);
        oneloop::spawn(accept(listener, echo)).await?
    })
}

async fn accept<F>(listener: TcpListener, echo: impl Fn(TcpStream) -> F) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that breaks ends alone: the load generator reports it.
        drop(oneloop::spawn(echo(stream)));
    }
}

async fn echo(mut stream: TcpStream, buffer_bytes: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; buffer_bytes];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}

async fn echo_leases(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    loop {
        let lease = stream.read_lease().await?;
        if lease.is_empty() {
            return Ok(());
        }
        stream.write_all_lease(lease).await?;
    }
}

/// Longer than the pause between two requests of one connection.
const BUSY_POLL: Duration = Duration::from_millis(1);
