//! The echo server on monoio, with either of its drivers.
//!
//! Buffers are owned by the operation that fills them, so they go out and come back.

use std::io;
use std::net::SocketAddr;

use monoio::io::{AsyncReadRent, AsyncWriteRentExt};
use monoio::net::{ListenerOpts, TcpListener, TcpStream};
use monoio::{IoUringDriver, LegacyDriver, RuntimeBuilder};

use super::super::{KERNEL_BUFFER_BYTES, ServeOptions};
use super::{Ready, require_io_uring, run_loops};

pub(in super::super) fn run_epoll(
    options: &ServeOptions,
    announce: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    run_loops(options, announce, |address, buffer_bytes, ready| {
        let mut runtime = RuntimeBuilder::<LegacyDriver>::new().build()?;
        runtime.block_on(accept(address, buffer_bytes, ready))
    })
}

pub(in super::super) fn run_uring(
    options: &ServeOptions,
    announce: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    require_io_uring()?;
    run_loops(options, announce, |address, buffer_bytes, ready| {
        let mut runtime = RuntimeBuilder::<IoUringDriver>::new().build()?;
        runtime.block_on(accept(address, buffer_bytes, ready))
    })
}

async fn accept(address: SocketAddr, buffer_bytes: usize, ready: Ready<'_>) -> io::Result<()> {
    let options = ListenerOpts::new()
        .send_buf_size(KERNEL_BUFFER_BYTES)
        .recv_buf_size(KERNEL_BUFFER_BYTES);
    let listener = TcpListener::bind_with_config(address, &options)?;
    ready(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that breaks ends alone: the load generator reports it.
        drop(monoio::spawn(echo(stream, buffer_bytes)));
    }
}

async fn echo(mut stream: TcpStream, buffer_bytes: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(buffer_bytes);
    loop {
        let (read, filled) = stream.read(buffer).await;
        if read? == 0 {
            return Ok(());
        }
        let (written, sent) = stream.write_all(filled).await;
        written?;
        buffer = sent;
        buffer.clear();
    }
}
