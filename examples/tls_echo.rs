//! An echo server behind TLS. Its certificate is made at the start, and printed.
//!
//! ```text
//! cargo run --release --features self-signed --example tls_echo
//! openssl s_client -connect 127.0.0.1:7443 -alpn echo -quiet
//! ```
//!
//! Nobody vouches for the certificate: a client that checks has to be given it. openssl does with
//! `-CAfile FILE -verify_return_error`, and without says that the certificate is self-signed.

#![forbid(unsafe_code)]
#![allow(clippy::print_stdout, reason = "an example talks to a person")]

mod common;

use std::io;
use std::net::SocketAddr;

use common::arguments::Arguments;
use oneloop::net::tls::{self, TlsAcceptor};
use oneloop::net::{TcpListener, TcpStream};

/// The protocol on top of TLS: a client that offers others and not this one is refused.
const ALPN: &str = "echo";

fn main() {
    let arguments = Arguments::read("tls_echo [--addr 127.0.0.1:7443] [--loops N]");
    let addr: SocketAddr = arguments.value("--addr");
    arguments.end(arguments.runtime().block_on(async {
        let listener = TcpListener::bind(addr).await?;
        let addr = listener.local_addr()?;
        let identity = tls::self_signed(&["localhost", &addr.ip().to_string()])?;
        let (certificate, key) = (identity.certificate, identity.key);
        let config = tls::server_config(certificate.as_bytes(), key.as_bytes(), &[ALPN])?;
        print!("{certificate}");
        println!("tls echo on {addr}; try: openssl s_client -connect {addr} -alpn {ALPN} -quiet");
        // On a worker, so that accepting needs no thread of its own.
        oneloop::spawn(serve(listener, TlsAcceptor::new(config))).await?
    }));
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) -> io::Result<()> {
    loop {
        let (stream, _) = listener.accept().await?;
        let acceptor = acceptor.clone();
        drop(oneloop::spawn(async move {
            // The handshake is part of the connection's task: a slow client keeps nobody. An error
            // ends this connection; its peer knows already.
            let _ = echo(stream, acceptor).await;
        }));
    }
}

async fn echo(stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut stream = acceptor.accept(stream).await?;
    let mut buffer = vec![0; 16 * 1024];
    loop {
        match stream.read(&mut buffer).await? {
            0 => return stream.shutdown().await,
            n => stream.write_all(&buffer[..n]).await?,
        }
    }
}
