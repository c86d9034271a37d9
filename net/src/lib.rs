//! Sockets on the loop: what an application reads from and writes to.

mod addr;
mod lookup;

pub use addr::ToSocketAddrs;
pub use lookup::lookup_host;
