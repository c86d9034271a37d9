//! Addresses within the machine.

use std::fmt;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::SocketAddr as StdAddr;
use std::path::Path;

/// A path, an abstract name, or none.
#[derive(Clone)]
pub struct SocketAddr(pub(super) StdAddr);

impl SocketAddr {
    /// Whether there is no name.
    pub fn is_unnamed(&self) -> bool {
        self.0.is_unnamed()
    }

    /// The path, if it is one.
    pub fn as_pathname(&self) -> Option<&Path> {
        self.0.as_pathname()
    }

    /// The abstract name, if it is one.
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        self.0.as_abstract_name()
    }
}

impl fmt::Debug for SocketAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl From<StdAddr> for SocketAddr {
    fn from(address: StdAddr) -> Self {
        Self(address)
    }
}

impl From<SocketAddr> for StdAddr {
    fn from(address: SocketAddr) -> Self {
        address.0
    }
}
