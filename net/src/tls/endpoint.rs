//! The two ways to begin TLS on a stream: as server and as client.
//!
//! Place: called by tasks, one handshake for each connection.

use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use futures_io::{AsyncRead, AsyncWrite};
use oneloop_runtime::time;
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, Connection, ServerConfig, ServerConnection};

use super::session::Session;
use super::stream::TlsStream;

/// How long a handshake may take unless another time is set: 10 seconds.
pub const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Begins TLS as the server. Cloned, it shares its configuration, and so the memory of sessions.
#[derive(Debug, Clone)]
pub struct TlsAcceptor {
    config: Arc<ServerConfig>,
    handshake_timeout: Duration,
}

/// Begins TLS as the client. Cloned, it shares its configuration, and so the memory of sessions:
/// connecting again to the same server is then cheaper.
#[derive(Debug, Clone)]
pub struct TlsConnector {
    config: Arc<ClientConfig>,
    handshake_timeout: Duration,
}

impl TlsAcceptor {
    /// With a configuration of rustls, such as [`server_config`](super::server_config) makes.
    #[must_use]
    pub fn new(config: impl Into<Arc<ServerConfig>>) -> Self {
        Self {
            config: config.into(),
            handshake_timeout: HANDSHAKE_TIMEOUT,
        }
    }

    /// Changes how long a handshake may take. Default [`HANDSHAKE_TIMEOUT`].
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Does the handshake on a stream that a client has opened.
    ///
    /// # Errors
    ///
    /// `InvalidData` if the peer does not keep to TLS or nothing could be agreed upon; it has been
    /// told why, if it still listens. `UnexpectedEof` if it left in the middle, `TimedOut` if it
    /// took too long. Those of the stream. The stream is closed.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes the stream.
    ///
    /// # Panics
    ///
    /// When polled outside a runtime.
    pub async fn accept<S>(&self, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let server = ServerConnection::new(Arc::clone(&self.config)).map_err(io::Error::other)?;
        handshake(server.into(), stream, self.handshake_timeout).await
    }
}

impl From<Arc<ServerConfig>> for TlsAcceptor {
    fn from(config: Arc<ServerConfig>) -> Self {
        Self::new(config)
    }
}

impl TlsConnector {
    /// With a configuration of rustls, such as [`client_config`](super::client_config) makes.
    #[must_use]
    pub fn new(config: impl Into<Arc<ClientConfig>>) -> Self {
        Self {
            config: config.into(),
            handshake_timeout: HANDSHAKE_TIMEOUT,
        }
    }

    /// Changes how long a handshake may take. Default [`HANDSHAKE_TIMEOUT`].
    #[must_use]
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.handshake_timeout = timeout;
        self
    }

    /// Does the handshake on a stream to a server. `name` is the host's name or address, which has
    /// to be in the server's certificate.
    ///
    /// # Errors
    ///
    /// `InvalidInput` if `name` is neither a name nor an address; otherwise as
    /// [`TlsAcceptor::accept`]. A certificate that is not trusted is `InvalidData`.
    ///
    /// # Cancel safety
    ///
    /// Dropped, it closes the stream.
    ///
    /// # Panics
    ///
    /// When polled outside a runtime.
    pub async fn connect<S>(&self, name: &str, stream: S) -> io::Result<TlsStream<S>>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let name = ServerName::try_from(name.to_owned())
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        let client =
            ClientConnection::new(Arc::clone(&self.config), name).map_err(io::Error::other)?;
        handshake(client.into(), stream, self.handshake_timeout).await
    }
}

impl From<Arc<ClientConfig>> for TlsConnector {
    fn from(config: Arc<ClientConfig>) -> Self {
        Self::new(config)
    }
}

async fn handshake<S>(
    connection: Connection,
    stream: S,
    timeout: Duration,
) -> io::Result<TlsStream<S>>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut session = Session::new(connection, stream);
    let agreeing = poll_fn(|cx| session.poll_handshake(cx));
    match time::timeout(timeout, agreeing).await {
        Ok(agreed) => agreed?,
        Err(_) => {
            let text = "the tls handshake took too long";
            return Err(io::Error::new(io::ErrorKind::TimedOut, text));
        }
    }
    Ok(TlsStream::new(session))
}
