//! The echo server on tokio.

use std::io;
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::runtime::Builder;

use super::{ANY_PORT, ServeOptions, prepare};

pub(super) fn run_current(
    buffer_bytes: usize,
    announce: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = bind(announce).await?;
        accept(listener, buffer_bytes).await
    })
}

/// Accepts on a worker, as the connections are served there.
pub(super) fn run_multi(
    options: &ServeOptions,
    announce: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    let buffer_bytes = options.buffer_bytes;
    let runtime = Builder::new_multi_thread()
        .worker_threads(options.loops)
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = bind(announce).await?;
        tokio::spawn(accept(listener, buffer_bytes)).await?
    })
}

async fn bind(announce: impl FnOnce(SocketAddr)) -> io::Result<TcpListener> {
    let listener = TcpListener::bind(ANY_PORT).await?;
    prepare(&listener)?;
    announce(listener.local_addr()?);
    Ok(listener)
}

async fn accept(listener: TcpListener, buffer_bytes: usize) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that breaks ends alone: the load generator reports it.
        drop(tokio::spawn(echo(stream, buffer_bytes)));
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
