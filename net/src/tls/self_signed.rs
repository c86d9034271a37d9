//! A certificate that nobody vouches for.
//!
//! Place: called by tests and by programs under development.

use std::io;

use rcgen::{CertifiedKey, generate_simple_self_signed};

/// A certificate and its key, both in PEM.
#[derive(Clone)]
pub struct SelfSigned {
    /// The certificate, which is also the root that a client has to trust.
    pub certificate: String,
    /// The private key.
    pub key: String,
}

impl std::fmt::Debug for SelfSigned {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SelfSigned")
            .field("certificate", &self.certificate)
            .finish_non_exhaustive()
    }
}

/// Makes a key and a certificate for `names`, which are names or addresses of hosts: to try TLS
/// without an authority. No client trusts it unless it is told to.
///
/// # Errors
///
/// `InvalidInput`: a name that cannot stand in a certificate. `Other`: the system gives no
/// random numbers.
pub fn self_signed(names: &[&str]) -> io::Result<SelfSigned> {
    let names: Vec<String> = names.iter().map(|&name| name.to_owned()).collect();
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(names).map_err(|error| match error {
            rcgen::Error::InvalidAsn1String(_) => {
                io::Error::new(io::ErrorKind::InvalidInput, error)
            }
            _ => io::Error::other(error),
        })?;
    Ok(SelfSigned {
        certificate: cert.pem(),
        key: signing_key.serialize_pem(),
    })
}
