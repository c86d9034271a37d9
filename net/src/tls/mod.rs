//! TLS over any stream, by rustls.
//!
//! Place: called by tasks; rustls does all of the protocol, this moves its records to and from a
//! stream; runs on any thread that polls a task.
//!
//! ```text
//!  certificates, keys in PEM -- server_config, client_config --> rustls's configuration
//!                                                                        |
//!   TcpStream, UnixStream, futures-io --- TlsAcceptor::accept  ----------+--> TlsStream
//!                                     --- TlsConnector::connect ---------+      read, write
//!                                         within 10 s                           flush, shutdown
//! ```
//!
//! There is no cryptography here: it is ring's, and what is agreed upon is rustls's choice (TLS
//! 1.3 and 1.2). The configurations are rustls's own types, so everything that it can do is in
//! reach: the functions here only save the steps that are always the same.
//!
//! A stream that ends without the peer's `close_notify` may have been cut by somebody else. Then
//! reading fails with `UnexpectedEof`, after all that came before.
//!
//! # Examples
//!
//! ```no_run
//! # async fn serve() -> std::io::Result<()> {
//! use oneloop_net::TcpListener;
//! use oneloop_net::tls::{self, TlsAcceptor};
//!
//! let certificates = std::fs::read("certificates.pem")?;
//! let key = std::fs::read("key.pem")?;
//! let acceptor = TlsAcceptor::new(tls::server_config(&certificates, &key, &["http/1.1"])?);
//! let listener = TcpListener::bind("127.0.0.1:8443").await?;
//! let (stream, _) = listener.accept().await?;
//! let mut stream = acceptor.accept(stream).await?;
//! stream.write_all(b"hello\n").await?;
//! stream.shutdown().await
//! # }
//! ```

mod config;
mod endpoint;
#[cfg(feature = "self-signed")]
mod self_signed;
mod session;
mod stream;

pub use rustls;

pub use config::{client_config, server_config};
pub use endpoint::{HANDSHAKE_TIMEOUT, TlsAcceptor, TlsConnector};
#[cfg(feature = "self-signed")]
pub use self_signed::{SelfSigned, self_signed};
pub use stream::TlsStream;
