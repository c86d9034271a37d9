//! The echo server on oneloop.

use std::io;
use std::net::SocketAddr;

use oneloop::net::{TcpListener, TcpStream};
use oneloop::runtime::Builder;

use super::ANY_PORT;

pub(super) fn run(buffer_bytes: usize, announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
    serve(move |stream| echo(stream, buffer_bytes), announce)
}

pub(super) fn run_leases(announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
    serve(echo_leases, announce)
}

pub(super) fn serve<F>(
    echo: impl Fn(TcpStream) -> F,
    announce: impl FnOnce(SocketAddr),
) -> io::Result<()>
where
    F: Future<Output = io::Result<()>> + Send + 'static,
{
    let runtime = Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(ANY_PORT).await?;
        announce(listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            // A connection that breaks ends alone: the load generator reports it.
            drop(oneloop::spawn(echo(stream)));
        }
    })
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
