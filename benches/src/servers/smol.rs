//! The echo server on smol.

use std::future::pending;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use smol::io::{AsyncReadExt, AsyncWriteExt};
use smol::net::{TcpListener, TcpStream};
use smol::{Executor, LocalExecutor};

use super::{ANY_PORT, ServeOptions, prepare};

pub(super) fn run(options: &ServeOptions, announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let buffer_bytes = options.buffer_bytes;
    if options.loops > 1 {
        return run_threads(options, announce);
    }
    let executor = LocalExecutor::new();
    let spawn = |stream| executor.spawn(echo(stream, buffer_bytes)).detach();
    smol::block_on(executor.run(accept(announce, spawn)))
}

/// Threads that share the tasks, this one among them.
fn run_threads(options: &ServeOptions, announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
    let buffer_bytes = options.buffer_bytes;
    let executor = Arc::new(Executor::new());
    for _ in 1..options.loops {
        let executor = Arc::clone(&executor);
        thread::spawn(move || smol::block_on(executor.run(pending::<()>())));
    }
    let spawn = |stream| executor.spawn(echo(stream, buffer_bytes)).detach();
    smol::block_on(executor.run(accept(announce, spawn)))
}

async fn accept(announce: impl FnOnce(SocketAddr), spawn: impl Fn(TcpStream)) -> io::Result<()> {
    let listener = TcpListener::bind(ANY_PORT).await?;
    prepare(&listener)?;
    announce(listener.local_addr()?);
    loop {
        let (stream, _) = listener.accept().await?;
        // A connection that breaks ends alone: the load generator reports it.
        spawn(stream);
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
