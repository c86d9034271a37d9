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

use common::Options;
use oneloop::net::tls::{self, TlsAcceptor};
use oneloop::net::{TcpListener, TcpStream};

/// The protocol on top of TLS: a client that offers others and not this one is refused.
const ALPN: &str = "echo";

fn main() {
    let options = Options::from_arguments("tls_echo", 7443);
    if options.bench.is_some() {
        common::fail("tls_echo: it has no client of its own, so there is no --bench");
    }
    let runtime = options.runtime();
    let started = runtime.block_on(async {
        let listener = TcpListener::bind(options.addr).await?;
        let addr = listener.local_addr()?;
        let identity = tls::self_signed(&["localhost", &addr.ip().to_string()])?;
        let (certificate, key) = (identity.certificate, identity.key);
        let config = tls::server_config(certificate.as_bytes(), key.as_bytes(), &[ALPN])?;
        print!("{certificate}");
        println!("tls echo on {addr}; try: openssl s_client -connect {addr} -alpn {ALPN} -quiet");
        io::Result::Ok((listener, TlsAcceptor::new(config)))
    });
    match started {
        // On a worker, so that accepting needs no thread of its own.
        Ok((listener, acceptor)) => {
            drop(runtime.block_on(runtime.spawn(serve(listener, acceptor))));
        }
        Err(error) => common::fail(&format!("tls_echo: {error}")),
    }
}

async fn serve(listener: TcpListener, acceptor: TlsAcceptor) {
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => {
                let acceptor = acceptor.clone();
                drop(oneloop::spawn(async move {
                    // The handshake is part of the connection's task: a slow client keeps nobody.
                    match echo(stream, acceptor).await {
                        Ok(bytes) => println!("{peer}: {bytes} bytes"),
                        Err(error) => println!("{peer}: {error}"),
                    }
                }));
            }
            Err(error) => println!("tls_echo: accepting failed: {error}"),
        }
    }
}

async fn echo(stream: TcpStream, acceptor: TlsAcceptor) -> io::Result<u64> {
    stream.set_nodelay(true)?;
    let peer = stream.peer_addr()?;
    let mut stream = acceptor.accept(stream).await?;
    let version = stream.get_ref().1.protocol_version();
    let version = version.map_or("no version", |version| {
        version.as_str().unwrap_or("unknown")
    });
    let alpn = stream.alpn_protocol().unwrap_or(b"no protocol");
    println!("{peer}: {version}, {}", String::from_utf8_lossy(alpn));
    let mut buffer = vec![0; 16 * 1024];
    let mut total = 0;
    loop {
        match stream.read(&mut buffer).await? {
            0 => {
                stream.shutdown().await?;
                return Ok(total);
            }
            n => {
                stream.write_all(&buffer[..n]).await?;
                total += n as u64;
            }
        }
    }
}
