//! rustls's configurations from PEM.
//!
//! Place: called once, when a program starts.
//!
//! # Why it is so
//! The provider of cryptography is named here. rustls's own shortcut takes the one that the
//! process has installed, and panics if two crates of the program bring one each.

use std::io;
use std::sync::Arc;

use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore, ServerConfig};

/// A server's configuration: its certificate with those that lead to the root, and its key, both
/// in PEM. `alpn` names the protocols that the server speaks on top, the preferred first; may be
/// empty.
///
/// Clients are not asked for certificates.
///
/// # Errors
///
/// `InvalidInput`: one of the two holds no PEM of its kind, the key is not the certificate's, the
/// name of a protocol has no bytes or more than 255, or all names, each with one more byte, have more
/// than 8 KiB.
pub fn server_config(certificates: &[u8], key: &[u8], alpn: &[&str]) -> io::Result<ServerConfig> {
    let certificates = parse_certificates(certificates)?;
    let key = PrivateKeyDer::from_pem_slice(key).map_err(invalid)?;
    let mut config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(invalid)?
        .with_no_client_auth()
        .with_single_cert(certificates, key)
        .map_err(invalid)?;
    config.alpn_protocols = protocols(alpn)?;
    Ok(config)
}

/// A client's configuration: the certificates that it trusts, in PEM (on Debian all usual ones are
/// in `/etc/ssl/certs/ca-certificates.crt`). `alpn` names the protocols that the client speaks on
/// top, the preferred first; may be empty.
///
/// Servers are checked against these roots and by the name given to
/// [`connect`](super::TlsConnector::connect).
///
/// # Errors
///
/// `InvalidInput`: no certificate in it, or one that rustls cannot use as a root; the name of a
/// protocol has no bytes or more than 255, or all names, each with one more byte, have more than
/// 8 KiB.
pub fn client_config(roots: &[u8], alpn: &[&str]) -> io::Result<ClientConfig> {
    let mut store = RootCertStore::empty();
    for root in parse_certificates(roots)? {
        store.add(root).map_err(invalid)?;
    }
    let mut config = ClientConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .map_err(invalid)?
        .with_root_certificates(store)
        .with_no_client_auth();
    config.alpn_protocols = protocols(alpn)?;
    Ok(config)
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

/// rustls takes any names, and then panics or sends what the peer cannot read.
fn protocols(alpn: &[&str]) -> io::Result<Vec<Vec<u8>>> {
    let bytes = |name: &&str| match name.len() {
        1..=PROTOCOL_NAME_BYTES_MAX => Ok(name.as_bytes().to_vec()),
        _ => Err(invalid("the name of a protocol has 1 to 255 bytes")),
    };
    let list_bytes = alpn.iter().map(|name| 1 + name.len()).sum::<usize>();
    if list_bytes > PROTOCOL_LIST_BYTES_MAX {
        return Err(invalid("the names of the protocols have more than 8 KiB"));
    }
    alpn.iter().map(bytes).collect()
}

/// At least one.
fn parse_certificates(pem: &[u8]) -> io::Result<Vec<CertificateDer<'static>>> {
    let parsed: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = parsed.map_err(invalid)?;
    if certificates.is_empty() {
        return Err(invalid("no certificate in the PEM"));
    }
    Ok(certificates)
}

fn invalid(error: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, error)
}

/// What fits behind a length of one byte.
const PROTOCOL_NAME_BYTES_MAX: usize = 255;
/// What all names take in the client's hello, each behind its length. The format ends at 64 KiB; with
/// these the hello fits into one record of 16 KiB (RFC 8446, 5.1).
const PROTOCOL_LIST_BYTES_MAX: usize = 8 * 1024;
