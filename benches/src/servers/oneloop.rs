//! The echo server on oneloop.

use std::io;
use std::net::SocketAddr;

use oneloop::net::{TcpListener, TcpStream};
use oneloop::runtime::Builder;

use super::{ANY_PORT, BUFFER_BYTES};

pub(super) fn run(announce: impl FnOnce(SocketAddr)) -> io::Result<()> {
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

async fn echo(mut stream: TcpStream) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut buffer = vec![0; BUFFER_BYTES];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        stream.write_all(&buffer[..count]).await?;
    }
}
