//! The echo server on glommio.

use std::io;
use std::net::SocketAddr;

use glommio::LocalExecutorBuilder;
use glommio::net::{TcpListener, TcpStream};
use smol::io::{AsyncReadExt, AsyncWriteExt};

use super::super::ServeOptions;
use super::{Ready, require_io_uring, run_loops};

pub(in super::super) fn run(
    options: &ServeOptions,
    announce: impl FnOnce(SocketAddr),
) -> io::Result<()> {
    // It panics without.
    require_io_uring()?;
    run_loops(options, announce, |address, buffer_bytes, ready| {
        let executor = LocalExecutorBuilder::default()
            .io_memory(FILE_MEMORY_BYTES)
            .make()?;
        executor.run(accept(address, buffer_bytes, ready))
    })
}

// The kernel's buffers are the kernel's choice: its sockets cannot be asked for others.
async fn accept(address: SocketAddr, buffer_bytes: usize, ready: Ready<'_>) -> io::Result<()> {
    let listener = TcpListener::bind(address)?;
    ready(listener.local_addr()?);
    loop {
        let stream = listener.accept().await?;
        // A connection that breaks ends alone: the load generator reports it.
        glommio::spawn_local(echo(stream, buffer_bytes)).detach();
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

/// The least that it takes. It is locked in memory, for files alone, and counts against a limit.
const FILE_MEMORY_BYTES: usize = 64 << 10;
