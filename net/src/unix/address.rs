//! From the standard library's addresses to the kernel's, and back.
//!
//! Place: used by the sockets of this module; makes no system call.

use std::ffi::OsStr;
use std::io;
#[cfg(any(target_os = "linux", target_os = "android"))]
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::SocketAddr;
use std::path::Path;

use rustix::net::{SocketAddrAny, SocketAddrUnix};

/// The address that a path stands for.
pub(crate) fn from_path(path: &Path) -> io::Result<SocketAddr> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some((0, name)) = path.as_os_str().as_bytes().split_first() {
        return SocketAddr::from_abstract_name(name);
    }
    SocketAddr::from_pathname(path)
}

/// As the kernel takes it.
pub(crate) fn to_kernel(address: &SocketAddr) -> io::Result<SocketAddrUnix> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name) = address.as_abstract_name() {
        return Ok(SocketAddrUnix::new_abstract_name(name)?);
    }
    match address.as_pathname() {
        Some(path) => Ok(SocketAddrUnix::new(path)?),
        None => Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "a socket without a name cannot be addressed",
        )),
    }
}

/// As the standard library has it. A peer that has not bound its socket has no name, and one whose
/// path is the longest that there is counts as such.
pub(crate) fn from_kernel(address: Option<SocketAddrAny>) -> io::Result<SocketAddr> {
    // A path that fills the field has its NUL behind it. That is counted, so rustix looks for it
    // there and panics, and the standard library has no room for such a path.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    let address =
        address.filter(|address| address.addr_len() as usize <= size_of::<libc::sockaddr_un>());
    let address = address.and_then(|address| SocketAddrUnix::try_from(address).ok());
    let Some(address) = address else {
        return unnamed();
    };
    // rustix takes an address without a name for an abstract one of no letters.
    #[cfg(any(target_os = "linux", target_os = "android"))]
    if let Some(name @ [_, ..]) = address.abstract_name() {
        return SocketAddr::from_abstract_name(name);
    }
    match address.path_bytes() {
        Some(path) => SocketAddr::from_pathname(OsStr::from_bytes(path)),
        None => unnamed(),
    }
}

fn unnamed() -> io::Result<SocketAddr> {
    SocketAddr::from_pathname("")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(address: &SocketAddr) -> SocketAddr {
        from_kernel(Some(to_kernel(address).unwrap().into())).unwrap()
    }

    #[test]
    fn paths_and_abstract_names_come_back() {
        let path = from_path(Path::new("/tmp/name")).unwrap();
        assert_eq!(there_and_back(&path).as_pathname(), path.as_pathname());
        assert!(path.as_pathname().is_some());
        #[cfg(any(target_os = "linux", target_os = "android"))]
        {
            let hidden = from_path(Path::new("\0name")).unwrap();
            assert_eq!(hidden.as_abstract_name(), Some(&b"name"[..]));
            assert_eq!(
                there_and_back(&hidden).as_abstract_name(),
                Some(&b"name"[..])
            );
        }
    }

    #[test]
    fn no_name_is_no_destination() {
        let nobody = from_kernel(None).unwrap();
        assert!(nobody.is_unnamed());
        let error = to_kernel(&nobody).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
    }

    #[test]
    fn a_path_that_is_too_long_is_an_error() {
        let long = "x".repeat(200);
        assert!(from_path(Path::new(&long)).is_err());
    }
}
