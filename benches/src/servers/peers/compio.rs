//! The echo server on compio, with either of its drivers.
//!
//! Buffers are owned by the operation that fills them, so they go out and come back.

use std::io;
use std::net::SocketAddr;

use compio::BufResult;
use compio::driver::{DriverType, ProactorBuilder};
use compio::io::{AsyncRead, AsyncWriteExt};
use compio::net::{TcpSocket, TcpStream};
use compio::runtime::RuntimeBuilder;

use super::super::{BACKLOG, ServeOptions, fix_kernel_buffers};
use super::{Ready, require_io_uring, run_loops};

pub(in super::super) fn run_polling(
    options: &ServeOptions,
    announce: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    run_loops(options, announce, |address, buffer_bytes, ready| {
        serve(DriverType::Poll, address, buffer_bytes, ready)
    })
}

pub(in super::super) fn run_uring(
    options: &ServeOptions,
    announce: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    require_io_uring()?;
    run_loops(options, announce, |address, buffer_bytes, ready| {
        serve(DriverType::IoUring, address, buffer_bytes, ready)
    })
}

fn serve(
    driver: DriverType,
    address: SocketAddr,
    buffer_bytes: usize,
    ready: Ready<'_>,
) -> io::Result<()> {
    let mut proactor = ProactorBuilder::new();
    proactor.driver_type(driver);
    let runtime = RuntimeBuilder::new().with_proactor(proactor).build()?;
    runtime.block_on(accept(address, buffer_bytes, ready))
}

async fn accept(address: SocketAddr, buffer_bytes: usize, ready: Ready<'_>) -> io::Result<()> {
    let socket = TcpSocket::new_v4().await?;
    socket.set_reuseport(true)?;
    fix_kernel_buffers(&socket)?;
    socket.bind(address).await?;
    let listener = socket.listen(BACKLOG).await?;
    ready(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that breaks ends alone: the load generator reports it.
        compio::runtime::spawn(echo(stream, buffer_bytes)).detach();
    }
}

async fn echo(mut stream: TcpStream, buffer_bytes: usize) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = Vec::with_capacity(buffer_bytes);
    loop {
        let BufResult(read, filled) = stream.read(buffer).await;
        if read? == 0 {
            return Ok(());
        }
        let BufResult(written, sent) = stream.write_all(filled).await;
        written?;
        buffer = sent;
        buffer.clear();
    }
}
